/* A connection on the library, watched for a while. Invariant: what is printed comes from the JSON that --json prints. */
#include "connect.h"

#include "driver.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what happened, as JSON ---- */

static const char *framing_name(int framing)
{
    return framing == BERTH_FRAMING_WEBSOCKET ? "websocket" : "stun";
}

static json_t *rung_json(const struct berth_rung_result *r)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:b}", "transport", berth_transport_name(r->transport), "address",
                          r->address, "status", berth_status_name(r->status), "won", r->won);
    cli_set_figure(o, "began_us", r->began_us);
    cli_set_figure(o, "connect_us", r->connect_us);
    cli_set_figure(o, "tls_us", r->tls_us);
    cli_set_figure(o, "stun_us", r->stun_us);
    if (r->status == BERTH_REACHABLE)
        cli_set_text(o, "framing", framing_name(r->framing));
    cli_set_text(o, "mapped_address", r->mapped_address);
    cli_set_text(o, "proxy", r->proxy);
    if (r->tls_intercepted)
        json_object_set_new(o, "tls_intercepted", json_true());
    cli_set_text(o, "why", r->why);
    return o;
}

static json_t *connection_json(struct berth_agent *agent, const struct berth_connection *b)
{
    json_t *rungs = json_array(), *rtt = json_object();
    bool up = b->state == BERTH_CONNECTION_UP;
    for (size_t i = 0; i < b->n_rungs; i++) {
        struct berth_rung_result r;
        if (berth_agent_rung(agent, b->id, i, &r) == 0)
            json_array_append_new(rungs, rung_json(&r));
    }
    json_t *o = json_pack("{s:b, s:I, s:o}", "ok", up, "came_up", (json_int_t)b->came_up, "rungs", rungs);
    cli_set_text(o, "detail", b->detail);
    if (up) {
        cli_set_text(o, "transport", berth_transport_name(b->transport));
        cli_set_text(o, "framing", framing_name(b->framing));
        cli_set_text(o, "address", b->address);
        cli_set_text(o, "mapped_address", b->mapped_address);
        cli_set_figure(o, "decided_us", b->decided_us);
        cli_set_figure(rtt, "min", b->rtt_min_us);
        cli_set_figure(rtt, "median", b->rtt_median_us);
        cli_set_figure(rtt, "p95", b->rtt_p95_us);
        json_object_set_new(o, "keepalive",
                            json_pack("{s:I, s:I, s:I}", "sent", (json_int_t)b->sent, "received",
                                      (json_int_t)b->received, "lost", (json_int_t)b->lost));
        if (json_object_size(rtt) > 0)
            json_object_set(json_object_get(o, "keepalive"), "rtt_us", rtt);
    }
    json_decref(rtt);
    return o;
}

/* ---- connecting ---- */

static void on_changed(void *user, struct berth_agent *agent, const struct berth_connection *b)
{
    struct berth_connection *newest = user;
    *newest = *b;
}

/* Until the first race has failed, or the time is over. */
static int stay(struct driver *s, int64_t seconds, const struct berth_connection *newest)
{
    int64_t until = clock_mono_us() + seconds * 1000000;
    int rc = 0;
    while (rc == 0 && clock_mono_us() < until) {
        if (newest->state == BERTH_CONNECTION_WAITING && newest->came_up == 0)
            break;
        rc = driver_step_until(s, until);
    }
    return rc;
}

static enum cli_exit judge(const struct cli *c, const struct berth_connection *b)
{
    if (b->state == BERTH_CONNECTION_UP)
        return CLI_OK;
    if (b->came_up == 0)
        return cli_fail(c, CLI_BUT, "no rung of the ladder works");
    return cli_fail(c, CLI_BUT, "%s", b->detail);
}

enum cli_exit connect_assignment(struct cli *c, json_t *assignment)
{
    static const struct berth_callbacks none = {0};
    struct driver s;
    struct berth_connection b = {0};
    uint64_t id = 0;
    char *text = json_dumps(assignment, JSON_COMPACT);
    enum cli_exit code = driver_open(&s, c, &none, NULL);
    struct berth_connect_options o = {
        .size = sizeof(o), .assignment = text, .changed = on_changed, .user = &b};
    int rc = 0;
    if (code == CLI_OK && (rc = berth_agent_connect(s.agent, &o, &id)) == 0) {
        rc = stay(&s, c->o.seconds, &b);
        (void)berth_agent_connection(s.agent, id, &b);
        json_object_set_new(assignment, "connection", connection_json(s.agent, &b));
    }
    if (code == CLI_OK && rc == -EINVAL)
        code = cli_fail(c, CLI_BUT, "the assignment has no rung that can be tried");
    else if (code == CLI_OK)
        code = rc < 0 ? driver_fail(c, "connecting failed", rc, 0, "") : judge(c, &b);
    driver_close(&s);
    free(text);
    return code;
}

/* ---- for people ---- */

static enum cli_exit print_rungs(const struct cli *c, const json_t *rungs)
{
    static const struct table_column columns[] = {
        {"TRANSPORT", TABLE_LEFT, false},     {"ADDRESS", TABLE_LEFT, false},
        {"BEGAN ms", TABLE_RIGHT, false},     {"CONNECT ms", TABLE_RIGHT, false},
        {"TLS ms", TABLE_RIGHT, false},       {"STUN ms", TABLE_RIGHT, false},
        {"WHAT HAPPENED", TABLE_LEFT, false},
    };
    struct table *t = table_new(columns, 7, 2);
    json_t *r;
    size_t i;
    json_array_foreach(rungs, i, r)
    {
        char a[64], b[64], began[64], connect[64], tls[64], stun[64];
        const char *why = json_string_value(json_object_get(r, "why"));
        bool won = json_is_true(json_object_get(r, "won"));
        const char *cells[] = {cli_cell(r, "transport", a),
                               cli_cell(r, "address", b),
                               cli_ms(r, "began_us", began),
                               cli_ms(r, "connect_us", connect),
                               cli_ms(r, "tls_us", tls),
                               cli_ms(r, "stun_us", stun),
                               won ? "won" : why};
        if (t == NULL)
            continue;
        table_row(t, cells);
        if (won)
            table_color(t, 6, TABLE_GOOD);
    }
    return cli_print_table(c, t);
}

enum cli_exit connect_print(const struct cli *c, const json_t *assignment)
{
    char transport[64], address[64], framing[64], min[64], median[64], p95[64], took[64];
    char sent[64], lost[64];
    const json_t *o = json_object_get(assignment, "connection");
    const json_t *k = json_object_get(o, "keepalive"), *rtt = json_object_get(k, "rtt_us");
    fputc('\n', c->out);
    enum cli_exit code = print_rungs(c, json_object_get(o, "rungs"));
    if (code != CLI_OK || !json_is_true(json_object_get(o, "ok")))
        return code;
    const char *how = cli_cell(o, "framing", framing);
    fputc('\n', c->out);
    cli_say(c, "Connected over %s to %s%s after %s ms.", cli_cell(o, "transport", transport),
            cli_cell(o, "address", address), strcmp(how, "websocket") == 0 ? ", by WebSocket," : "",
            cli_ms(o, "decided_us", took));
    if (json_object_get(rtt, "min") == NULL) {
        cli_say(c, "Keep-alives: none answered yet; they go out every 5 s.");
        return CLI_OK;
    }
    cli_say(c, "Keep-alives: %s sent, %s lost;", cli_cell(k, "sent", sent), cli_cell(k, "lost", lost));
    cli_say(c, "RTT %s ms at least, %s median, %s 95th percentile.", cli_ms(rtt, "min", min),
            cli_ms(rtt, "median", median), cli_ms(rtt, "p95", p95));
    return CLI_OK;
}
