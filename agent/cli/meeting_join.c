/* berth meeting join: one participant's assignment, the ladder to climb, and the reasons. */
#include "call.h"
#include "commands.h"
#include "connect.h"
#include "core/doc.h"
#include "driver.h"

#include <string.h>

/* An API key has one dot; a JWT two, and names its agent itself. */
static bool is_api_key(const char *token)
{
    const char *dot = strchr(token, '.');
    return dot != NULL && strchr(dot + 1, '.') == NULL;
}

static enum cli_exit make_body(const struct cli *c, json_t **body)
{
    unsigned bits = 0;
    enum transport transport;
    for (size_t i = 0; i < c->o.capabilities.n; i++) {
        if (transport_parse(c->o.capabilities.v[i], &transport) != 0)
            return cli_fail(c, CLI_USAGE, "--capability is udp, tcp, tls or proxy, not '%.40s'",
                            c->o.capabilities.v[i]);
        bits |= 1u << transport;
    }
    const char *token = call_token_text(c, CALL_TOKEN_OWN);
    const char *agent = c->o.agent == NULL && token != NULL && is_api_key(token) ? c->host : c->o.agent;
    *body = json_pack("{s:s*, s:s*, s:o*}", "agent", agent, "network", c->o.network, "capabilities",
                      bits != 0 ? capabilities_to_json(bits) : NULL);
    return *body != NULL ? CLI_OK : cli_fail(c, CLI_CONTROLLER, "out of memory");
}

static enum cli_exit print_ladder(const struct cli *c, const json_t *ladder)
{
    static const struct table_column columns[] = {
        {"TRY", TABLE_RIGHT, false},
        {"TRANSPORT", TABLE_LEFT, false},
        {"ADDRESS", TABLE_LEFT, false},
        {"TLS NAME", TABLE_LEFT, false},
    };
    struct table *t = table_new(columns, 4, 2);
    json_t *rung;
    size_t i;
    json_array_foreach(ladder, i, rung)
    {
        char nth[24], a[64], b[64], n[64];
        snprintf(nth, sizeof(nth), "%zu", i + 1);
        const char *name = json_object_get(rung, "tls_name") != NULL ? cli_cell(rung, "tls_name", n) : "";
        const char *cells[] = {nth, cli_cell(rung, "transport", a), cli_cell(rung, "address", b), name};
        if (t != NULL)
            table_row(t, cells);
    }
    return cli_print_table(c, t);
}

static enum cli_exit print_candidates(const struct cli *c, const json_t *candidates)
{
    static const struct table_column columns[] = {
        {"CANDIDATE", TABLE_LEFT, true},
        {"OWN RTT ms", TABLE_RIGHT, false},
        {"MEAN MIN RTT ms", TABLE_RIGHT, false},
        {"NOT FOR ALL BECAUSE", TABLE_LEFT, false},
    };
    struct table *t = table_new(columns, 4, 2);
    json_t *candidate;
    size_t i;
    json_array_foreach(candidates, i, candidate)
    {
        char own[64], rtt[64], why[256], node[64];
        cli_rejections(candidate, why, sizeof(why));
        const char *cells[] = {cli_cell(candidate, "node", node), cli_ms(candidate, "rtt_us", own),
                               cli_ms(candidate, "mean_rtt_us", rtt), why};
        if (t != NULL)
            table_row(t, cells);
    }
    return cli_print_table(c, t);
}

/* Why it isn't one of the organisation's own nodes, and what helps. */
static void say_overflow(const struct cli *c, const json_t *why)
{
    const char *overflow = json_string_value(json_object_get(why, "overflow"));
    const char *remedy = json_string_value(json_object_get(why, "remedy"));
    char text[512];
    if (overflow == NULL)
        return;
    snprintf(text, sizeof(text), "Not on a node of its own (%.40s): %.400s", overflow,
             remedy != NULL ? remedy : "");
    cli_say_wrapped(c, text);
}

static void say_costs(const struct cli *c, const char *participant)
{
    char text[512];
    fputc('\n', c->out);
    snprintf(text, sizeof(text),
             "The mean is over everybody's own round trips. What each node would cost this participant, "
             "prices and the ways to the others' nodes included: berth meeting explain %.128s --participant "
             "%.128s",
             c->words.v[0], participant);
    cli_say_wrapped(c, text);
}

static enum cli_exit print_assignment(const struct cli *c, const json_t *a)
{
    char participant[64], node[64], cluster[64], transport[64], reason[64], text[384];
    const json_t *why = json_object_get(a, "why");
    snprintf(text, sizeof(text), "%.128s goes to %.64s (cluster %.64s), over %.16s.",
             cli_cell(a, "participant", participant), cli_cell(a, "node", node),
             cli_cell(a, "cluster", cluster), cli_cell(a, "transport", transport));
    cli_say_wrapped(c, text);
    cli_say_wrapped(c,
                    cli_cell(why, json_object_get(why, "sentence") != NULL ? "sentence" : "reason", reason));
    say_overflow(c, why);
    fputc('\n', c->out);
    enum cli_exit code = print_ladder(c, json_object_get(a, "ladder"));
    if (code == CLI_OK && json_array_size(json_object_get(why, "candidates")) > 0) {
        fputc('\n', c->out);
        code = print_candidates(c, json_object_get(why, "candidates"));
    }
    if (code == CLI_OK && json_array_size(json_object_get(why, "candidates")) > 1)
        say_costs(c, cli_cell(a, "participant", participant));
    return code;
}

/* ---- probing first ---- */

struct first_probe {
    bool done, delivered;
    struct berth_summary summary;
    struct berth_delivery delivery;
};

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct first_probe *p = user;
    p->summary = *summary;
    p->done = true;
}

static void on_delivery(void *user, struct berth_agent *agent, const struct berth_delivery *delivery)
{
    struct first_probe *p = user;
    p->delivery = *delivery;
    p->delivered = true;
}

/* Reports what this network lets through, and names it in `network`. */
static enum cli_exit probe_first(struct cli *c, char network[static BERTH_NETWORK_ID_TEXT])
{
    static const struct berth_callbacks callbacks = {.done = on_done, .delivery = on_delivery};
    struct first_probe p = {0};
    struct driver s;
    enum cli_exit code = driver_open(&s, c, &callbacks, &p);
    int rc = code == CLI_OK ? berth_agent_probe(s.agent, BERTH_PROBE_REPORT) : 0;
    while (code == CLI_OK && rc == 0 && !p.delivered && !(p.done && p.summary.error != 0))
        rc = driver_step(&s, -1);
    if (code == CLI_OK && (rc != 0 || p.summary.error != 0))
        code = driver_fail(c, "the probe failed", rc != 0 ? rc : p.summary.error, p.summary.http_status,
                           p.summary.detail);
    else if (code == CLI_OK && p.delivery.error != 0)
        code = driver_fail(c, "the report was not stored", p.delivery.error, p.delivery.http_status,
                           p.delivery.detail);
    else if (code == CLI_OK && berth_agent_network_id(s.agent, network) == 0)
        c->o.network = network;
    driver_close(&s);
    return code;
}

/* Where this network was reported of within two hours, by whatever command: the assignment then goes by that report,
 * though there is a newer one of another network. */
static enum cli_exit name_network(struct cli *c, char network[static BERTH_NETWORK_ID_TEXT])
{
    static const struct berth_callbacks none = {0};
    struct driver s;
    enum cli_exit code = driver_open(&s, c, &none, NULL);
    if (code == CLI_OK && berth_agent_network_id(s.agent, network) == 0)
        c->o.network = network;
    driver_close(&s);
    return code;
}

enum cli_exit cmd_meeting_join(struct cli *c)
{
    char network[BERTH_NETWORK_ID_TEXT];
    char path[CALL_PATH_MAX];
    json_t *body = NULL, *answer = NULL;
    enum cli_exit code = call_path(c, path, "/v1/meetings/", c->words.v[0], "/participants");
    if (code == CLI_OK && c->o.probe_first)
        code = probe_first(c, network);
    else if (code == CLI_OK && c->o.network == NULL)
        code = name_network(c, network);
    if (code == CLI_OK)
        code = make_body(c, &body);
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_OWN, "join the meeting", "POST", path, body, &answer);
    if (code != CLI_OK)
        return code;
    enum cli_exit connected = c->o.connect ? connect_assignment(c, answer) : CLI_OK;
    code = c->o.json ? cli_print_json(c, answer) : print_assignment(c, answer);
    if (code == CLI_OK && json_object_get(answer, "connection") != NULL && !c->o.json)
        code = connect_print(c, answer);
    json_decref(answer);
    return connected != CLI_OK ? connected : code;
}
