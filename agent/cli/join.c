/* berth join: a call with test media, a line while it goes on, figures at its end. Invariant: what is printed comes from the JSON that --json prints. */
#include "commands.h"

#include "driver.h"
#include "quality.h"
#include "sys/clock.h"
#include "sys/service.h"
#include "test_media.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum { LIVE_US = 1000 * 1000, LEAVE_US = 3 * 1000 * 1000 };

struct join {
    struct cli *cli;
    struct driver driver;
    struct test_media media;
    uint64_t id;
    struct berth_call call;
    int64_t began_us, live_us;
    bool ssrc_taken;
};

/* ---- the call ---- */

static void on_packet(void *user, struct berth_agent *agent, const struct berth_packet *p)
{
    struct join *j = user;
    if (!p->rtcp)
        (void)test_media_heard(&j->media, p->bytes, p->len, p->received_us);
}

static void on_changed(void *user, struct berth_agent *agent, const struct berth_call *call)
{
    struct join *j = user;
    bool told = j->call.state == call->state && strcmp(j->call.node, call->node) == 0;
    j->call = *call;
    if (told || j->cli->o.json || !j->cli->progress)
        return;
    if (call->state == BERTH_CALL_UP)
        fprintf(j->cli->err, "\r\033[Kup on %s over %s\n", call->node, berth_transport_name(call->transport));
    else if (call->state == BERTH_CALL_LOST)
        fprintf(j->cli->err, "\r\033[Klost: %s\n", call->reason);
}

static void on_ssrc_refused(void *user, struct berth_agent *agent, uint64_t call, uint32_t ssrc)
{
    struct join *j = user;
    j->ssrc_taken |= ssrc == j->media.ssrc;
}

static void send_due(struct join *j)
{
    uint8_t packet[TEST_MEDIA_PACKET];
    if (j->ssrc_taken)
        test_media_rename(&j->media, randombytes_random());
    j->ssrc_taken = false;
    while (test_media_next(&j->media, clock_mono_us(), packet)) {
        if (berth_agent_send(j->driver.agent, j->id, packet, sizeof(packet)) == 0)
            test_media_sent(&j->media);
    }
}

static double share(int64_t lost, int64_t received)
{
    return lost + received > 0 ? (double)lost / (double)(lost + received) : 0;
}

static void live_line(struct join *j, int64_t now)
{
    const struct test_media_sum sum = test_media_sum(&j->media);
    if (!j->cli->progress || now < j->live_us)
        return;
    j->live_us = now + LIVE_US;
    if (j->call.state != BERTH_CALL_UP) {
        fprintf(j->cli->err, "\r\033[K%3" PRId64 " s  %s", (now - j->began_us) / 1000000,
                berth_call_state_name(j->call.state));
        return;
    }
    fprintf(j->cli->err, "\r\033[K%3" PRId64 " s  %s  sent %" PRId64 "  heard %zu  lost %.1f %%",
            (now - j->began_us) / 1000000, berth_transport_name(j->call.transport), j->media.sent,
            j->media.n_sources, 100 * share(sum.lost, sum.received));
    if (sum.jitter_us >= 0)
        fprintf(j->cli->err, "  jitter %.1f ms", (double)sum.jitter_us / 1000);
    if (sum.rtt_us >= 0)
        fprintf(j->cli->err, "  RTT %.1f ms", (double)sum.rtt_us / 1000);
    fflush(j->cli->err);
}

/* Until the time is over, the call has ended for good, or a signal came. */
static int stay(struct join *j)
{
    const int64_t until = j->began_us + j->cli->o.seconds * 1000000;
    int rc = 0;
    while (rc == 0 && j->call.state != BERTH_CALL_ENDED && clock_mono_us() < until) {
        int64_t next = j->media.next_us < until ? j->media.next_us : until;
        if (j->call.state == BERTH_CALL_UP)
            send_due(j);
        else
            next = clock_mono_us() + TEST_MEDIA_FRAME_US;
        rc = driver_step_until(&j->driver, next);
        live_line(j, clock_mono_us());
        if (service_wait(j->cli->signal_fd, 0) == SERVICE_STOP)
            break;
    }
    if (j->cli->progress)
        fputs("\r\033[K", j->cli->err);
    return rc;
}

/* Says goodbye, so that the others needn't wait for our consent to run out. */
static void leave(struct join *j)
{
    const int64_t until = clock_mono_us() + LEAVE_US;
    if (berth_agent_leave(j->driver.agent, j->id) != 0)
        return;
    while (berth_agent_call_count(j->driver.agent) > 0 && clock_mono_us() < until) {
        if (driver_step_until(&j->driver, until) < 0)
            return;
    }
}

/* ---- as JSON ---- */

/* To two places: more is no knowledge. */
static double rounded(double v)
{
    return (double)(int64_t)(v * 100 + 0.5) / 100;
}

static json_t *source_json(const struct test_source *s)
{
    char ssrc[16];
    const int64_t lost = test_source_lost(s);
    const struct quality_path path = {
        .one_way_us = s->rtt_us / 2, .jitter_us = s->jitter_us, .loss = share(lost, s->received)};
    snprintf(ssrc, sizeof(ssrc), "%08" PRIx32, s->ssrc);
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:I, s:I}", "ssrc", ssrc, "name", s->name, "received",
                  (json_int_t)s->received, "lost", (json_int_t)lost, "jitter_us", (json_int_t)s->jitter_us);
    cli_set_figure(o, "rtt_us", s->rtt_us);
    cli_set_figure(o, "rtt_min_us", s->rtt_min_us);
    if (s->rtt_us >= 0) {
        json_object_set_new(o, "r_factor", json_real(rounded(quality_r(&path))));
        json_object_set_new(o, "mos", json_real(rounded(quality_mos(quality_r(&path)))));
    }
    return o;
}

static json_t *result_json(const struct join *j)
{
    const struct berth_call *call = &j->call;
    const struct test_media_sum sum = test_media_sum(&j->media);
    json_t *sources = json_array();
    for (size_t i = 0; i < j->media.n_sources; i++)
        json_array_append_new(sources, source_json(&j->media.sources[i]));
    json_t *o = json_pack("{s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "ok", call->came_up > 0, "meeting",
                          call->meeting, "state", berth_call_state_name(call->state), "came_up",
                          (json_int_t)call->came_up, "moved", (json_int_t)call->moved, "sent",
                          (json_int_t)j->media.sent, "received", (json_int_t)sum.received, "lost",
                          (json_int_t)sum.lost, "sources", sources);
    cli_set_text(o, "node", call->node);
    if (call->came_up > 0 && call->transport >= 0) {
        cli_set_text(o, "transport", berth_transport_name(call->transport));
        cli_set_text(o, "framing", call->framing == BERTH_FRAMING_WEBSOCKET ? "websocket" : "stun");
    }
    cli_set_text(o, "address", call->address);
    cli_set_text(o, "mapped_address", call->mapped_address);
    cli_set_text(o, "suite", call->suite);
    cli_set_text(o, "reason", call->reason);
    cli_set_figure(o, "up_us", call->up_us);
    cli_set_figure(o, "jitter_us", sum.jitter_us);
    cli_set_figure(o, "rtt_us", sum.rtt_us);
    cli_set_figure(o, "node_rtt_us", call->rtt_us);
    json_object_set_new(o, "packets_sent", json_integer(call->packets_sent));
    json_object_set_new(o, "packets_received", json_integer(call->packets_received));
    json_object_set_new(o, "packets_refused", json_integer(call->packets_refused));
    return o;
}

/* ---- for people ---- */

static const char *points(const json_t *o, const char *member, int places, char out[static 64])
{
    const json_t *v = json_object_get(o, member);
    if (!json_is_number(v))
        return "-";
    snprintf(out, 64, "%.*f", places, json_number_value(v));
    return out;
}

static const char *loss_cell(const json_t *o, char out[static 64])
{
    snprintf(out, 64, "%.2f",
             100 * share(json_integer_value(json_object_get(o, "lost")),
                         json_integer_value(json_object_get(o, "received"))));
    return out;
}

static enum cli_exit print_sources(const struct cli *c, const json_t *sources)
{
    static const struct table_column columns[] = {
        {"FROM", TABLE_LEFT, true},     {"RECEIVED", TABLE_RIGHT, false},  {"LOST", TABLE_RIGHT, false},
        {"LOSS %", TABLE_RIGHT, false}, {"JITTER ms", TABLE_RIGHT, false}, {"RTT ms", TABLE_RIGHT, false},
        {"R", TABLE_RIGHT, false},      {"MOS", TABLE_RIGHT, false},
    };
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 2);
    json_t *s;
    size_t i;
    json_array_foreach(sources, i, s)
    {
        char cell[7][64], name[64];
        const char *cells[] = {cli_cell(s, "name", name),         cli_cell(s, "received", cell[0]),
                               cli_cell(s, "lost", cell[1]),      loss_cell(s, cell[2]),
                               cli_ms(s, "jitter_us", cell[3]),   cli_ms(s, "rtt_us", cell[4]),
                               points(s, "r_factor", 0, cell[5]), points(s, "mos", 1, cell[6])};
        if (t != NULL)
            table_row(t, cells);
    }
    return cli_print_table(c, t);
}

static enum cli_exit print_result(const struct cli *c, const json_t *o)
{
    char a[64], b[64], node[64], suite[64], took[64], rtt[64], sent[64], times[64];
    const json_t *sources = json_object_get(o, "sources");
    cli_say(c, "On %s over %s%s to %s after %s ms, %s.", cli_cell(o, "node", node),
            cli_cell(o, "transport", a),
            strcmp(cli_cell(o, "framing", b), "websocket") == 0 ? " by WebSocket" : "",
            cli_cell(o, "address", took), cli_ms(o, "up_us", rtt), cli_cell(o, "suite", suite));
    cli_say(c, "Sent %s packets; the node is %s ms away.", cli_cell(o, "sent", sent),
            cli_ms(o, "node_rtt_us", rtt));
    if (json_integer_value(json_object_get(o, "came_up")) > 1)
        cli_say(c, "Came up %s times, %s of them on another node.", cli_cell(o, "came_up", times),
                cli_cell(o, "moved", a));
    if (json_array_size(sources) == 0) {
        cli_say(c, "Nobody else was heard.");
        return CLI_OK;
    }
    fputc('\n', c->out);
    enum cli_exit code = print_sources(c, sources);
    if (code == CLI_OK)
        cli_say(c, "RTT: to the participant and back. R and MOS: ITU-T G.107, estimated from these.");
    return code;
}

/* ---- the command ---- */

static enum cli_exit judge(const struct join *j)
{
    if (j->call.state == BERTH_CALL_ENDED && j->call.error == BERTH_E_TAKEN_OVER)
        return cli_fail(
            j->cli, CLI_BUT,
            "the call has ended: agent '%s' has joined meeting '%s' from elsewhere; --agent (BERTH_AGENT) "
            "gives each its own name",
            j->cli->o.agent != NULL ? j->cli->o.agent : j->cli->host, j->call.meeting);
    if (j->call.came_up > 0)
        return CLI_OK;
    if (j->call.state == BERTH_CALL_ENDED || j->call.error != 0)
        return driver_fail(j->cli, "the call did not come up", j->call.error, 0, j->call.reason);
    return cli_fail(j->cli, CLI_BUT, "the call did not come up: %s",
                    j->call.reason[0] != '\0' ? j->call.reason : "no rung of the ladder has answered");
}

static enum cli_exit hold_call(struct join *j)
{
    const struct berth_join_options o = {.size = sizeof(o),
                                         .meeting = j->cli->words.v[0],
                                         .audio_level_ext = TEST_MEDIA_LEVEL_EXT,
                                         .packet = on_packet,
                                         .changed = on_changed,
                                         .ssrc_refused = on_ssrc_refused,
                                         .user = j};
    int rc = berth_agent_join(j->driver.agent, &o, &j->id);
    if (rc == -EINVAL)
        return cli_fail(j->cli, CLI_USAGE, "'%.140s' is no meeting's id", j->cli->words.v[0]);
    if (rc == 0)
        rc = stay(j);
    if (rc != 0)
        return driver_fail(j->cli, "the call failed", rc, 0, "");
    (void)berth_agent_call(j->driver.agent, j->id, &j->call);
    leave(j);
    return judge(j);
}

enum cli_exit cmd_join(struct cli *c)
{
    static const struct berth_callbacks none = {0};
    struct join j = {.cli = c, .began_us = clock_mono_us()};
    json_t *result;
    test_media_init(&j.media, randombytes_random(), (uint16_t)randombytes_uniform(0x4000),
                    c->o.agent != NULL ? c->o.agent : c->host, j.began_us);
    enum cli_exit code = driver_open(&j.driver, c, &none, NULL);
    if (code == CLI_OK) {
        code = hold_call(&j);
        result = result_json(&j);
        if (c->o.json)
            (void)cli_print_json(c, result);
        else if (code == CLI_OK)
            code = print_result(c, result);
        json_decref(result);
    }
    driver_close(&j.driver);
    return code;
}
