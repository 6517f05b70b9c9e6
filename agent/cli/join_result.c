/* A call's figures at its end, as JSON and in tables. Invariant: what people see comes from the JSON that machines get. */
#include "join_result.h"

#include "quality.h"

#include <inttypes.h>
#include <string.h>

enum { RETURNS_MAX = 8 }; /* told one by one; of more the newest */

double join_share(int64_t lost, int64_t received)
{
    return lost + received > 0 ? (double)lost / (double)(lost + received) : 0;
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
        .one_way_us = s->rtt_us / 2, .jitter_us = s->jitter_us, .loss = join_share(lost, s->received)};
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

json_t *join_result_json(const struct join_result *r)
{
    const struct berth_call *call = r->call;
    const struct test_media_sum sum = test_media_sum(r->media);
    json_t *sources = json_array();
    for (size_t i = 0; i < r->media->n_sources; i++)
        json_array_append_new(sources, source_json(&r->media->sources[i]));
    json_t *o = json_pack("{s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "ok", r->ok, "agent",
                          r->agent, "meeting", call->meeting, "state", berth_call_state_name(call->state),
                          "came_up", (json_int_t)call->came_up, "moved", (json_int_t)call->moved, "sent",
                          (json_int_t)r->media->sent, "received", (json_int_t)sum.received, "lost",
                          (json_int_t)sum.lost, "sources", sources, "events", story_json(r->story));
    if (r->story->left_out > 0)
        json_object_set_new(o, "events_left_out", json_integer((json_int_t)r->story->left_out));
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
             100 * join_share(json_integer_value(json_object_get(o, "lost")),
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

/* "218" of microseconds; "-". */
static const char *whole_ms(const json_t *o, const char *member, char out[static 64])
{
    const json_t *v = json_object_get(o, member);
    if (!json_is_integer(v))
        return "-";
    snprintf(out, 64, "%" PRId64, (int64_t)((json_integer_value(v) + 500) / 1000));
    return out;
}

static void say_where(const struct cli *c, const json_t *o)
{
    char node[64], transport[64], address[64], agent[64], up[64], suite[64], framing[64], text[512];
    bool websocket = strcmp(cli_cell(o, "framing", framing), "websocket") == 0;
    snprintf(text, sizeof(text), "On %s over %s%s to %s as %s, up after %s ms, %s.",
             cli_cell(o, "node", node), cli_cell(o, "transport", transport), websocket ? " by WebSocket" : "",
             cli_cell(o, "address", address), cli_cell(o, "agent", agent), whole_ms(o, "up_us", up),
             cli_cell(o, "suite", suite));
    cli_say_wrapped(c, text);
}

static void say_sent(const struct cli *c, const json_t *o)
{
    char sent[64], rtt[64];
    if (json_object_get(o, "node_rtt_us") != NULL)
        cli_say(c, "Sent %s packets; the node is %s ms away.", cli_cell(o, "sent", sent),
                cli_ms(o, "node_rtt_us", rtt));
    else
        cli_say(c, "Sent %s packets.", cli_cell(o, "sent", sent));
}

/* Where it went on after a loss, or was moved to. */
static void say_returns(const struct cli *c, const struct story *s)
{
    char line[STORY_LINE_MAX];
    size_t n = 0, told = 0;
    for (size_t i = 0; i < s->n; i++)
        n += story_return_line(&s->events[i], line);
    if (n > RETURNS_MAX || s->left_out > 0)
        cli_say(c, "The newest of what happened (--json tells more):");
    for (size_t i = 0; i < s->n; i++) {
        if (story_return_line(&s->events[i], line) && told++ + RETURNS_MAX >= n)
            cli_say_wrapped(c, line);
    }
}

enum cli_exit join_result_print(const struct cli *c, const struct join_result *r, const json_t *o)
{
    const json_t *sources = json_object_get(o, "sources");
    if (r->call->state == BERTH_CALL_UP)
        say_where(c, o);
    say_sent(c, o);
    say_returns(c, r->story);
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
