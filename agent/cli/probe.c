/* berth probe: one probe, its results, and perhaps a report of them. */
#include "commands.h"
#include "core/doc.h"
#include "driver.h"
#include "result_table.h"
#include "who.h"

#include <string.h>

struct probe {
    struct cli *cli;
    size_t rows; /* finished */
    bool done, delivered;
    struct berth_summary summary;
    struct berth_delivery delivery;
    char proxy_unknown[BERTH_ERROR_TEXT]; /* what was told of it */
};

static void on_result(void *user, struct berth_agent *agent, const struct berth_result *row)
{
    struct probe *p = user;
    p->rows++;
    if (p->cli->progress)
        fprintf(p->cli->err, "\rProbing: %zu of %zu\x1b[K", p->rows, berth_agent_result_count(agent));
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct probe *p = user;
    p->summary = *summary;
    p->done = true;
}

/* Why there may be proxies that were not found: once, though the controller and the nodes are asked for by themselves. */
static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    struct probe *p = user;
    if (strcmp(event, "proxy_unknown") != 0 || strcmp(text, p->proxy_unknown) == 0)
        return;
    snprintf(p->proxy_unknown, sizeof(p->proxy_unknown), "%s", text);
    if (p->cli->progress)
        fputs("\r\x1b[K", p->cli->err);
    cli_fail(p->cli, CLI_OK, "no proxy is known: %s", text);
}

static void on_delivery(void *user, struct berth_agent *agent, const struct berth_delivery *delivery)
{
    struct probe *p = user;
    p->delivery = *delivery;
    p->delivered = true;
}

/* Until the probe has ended, and where it is reported, the controller has answered. */
static int run(struct probe *p, struct driver *s)
{
    unsigned flags = p->cli->o.report ? BERTH_PROBE_REPORT : 0;
    int rc = berth_agent_probe(s->agent, flags);
    while (rc == 0 && !(p->done && (flags == 0 || p->delivered || p->summary.error != 0)))
        rc = driver_step(s, -1);
    if (p->cli->progress)
        fputs("\r\x1b[K", p->cli->err);
    return rc;
}

/* Who reported what, and what came of it. */
static json_t *report_json(const struct probe *p)
{
    char named[AGENT_ID_MAX + 1];
    const struct berth_delivery *d = &p->delivery;
    json_t *j = json_pack("{s:s, s:s, s:b}", "report_id", d->report_id, "agent", who_is(p->cli, named),
                          "stored", d->error == 0);
    if (d->error != 0)
        json_object_set_new(j, "error",
                            json_string(d->detail[0] != '\0' ? d->detail : berth_strerror(d->error)));
    return j;
}

static enum cli_exit print_json(const struct cli *c, const struct probe *p, struct berth_agent *agent)
{
    char *text = NULL;
    if (berth_agent_results_json(agent, &text) != 0)
        return cli_fail(c, CLI_BUT, "out of memory");
    json_t *j = json_loads(text, 0, NULL);
    berth_free(text);
    if (p->delivered)
        json_object_set_new(j, "report", report_json(p));
    enum cli_exit code = cli_print_json(c, j);
    json_decref(j);
    return code;
}

static enum cli_exit print(const struct cli *c, const struct probe *p, struct berth_agent *agent)
{
    if (c->o.json)
        return print_json(c, p, agent);
    enum cli_exit code = result_table_print(c, agent);
    cli_say(c, "Reached %zu of %zu nodes in %.1f s. Times are in milliseconds.", p->summary.reachable,
            p->summary.nodes, (double)p->summary.duration_us / 1e6);
    return code;
}

/* What was asked for and is not so. */
static enum cli_exit judge(const struct cli *c, const struct probe *p, struct berth_agent *agent)
{
    char named[AGENT_ID_MAX + 1];
    enum cli_exit code = CLI_OK;
    if (p->summary.reachable == 0)
        code = cli_fail(c, CLI_BUT, "no node was reached");
    for (size_t i = 0; i < c->o.require.n; i++) {
        enum transport t = TRANSPORT_UDP;
        if (transport_parse(c->o.require.v[i], &t) == 0 && !result_table_reached(agent, (int)t))
            code = cli_fail(c, CLI_BUT, "%s is required, and reached no node", transport_name(t));
    }
    if (p->delivered && p->delivery.error != 0)
        code = driver_fail(c, "the report was not stored", p->delivery.error, p->delivery.http_status,
                           p->delivery.detail);
    else if (p->delivered && !c->o.json)
        cli_say(c, "Reported as agent %s, report %s.", who_is(c, named), p->delivery.report_id);
    return code;
}

static enum cli_exit check_options(const struct cli *c)
{
    enum transport t;
    for (size_t i = 0; i < c->o.require.n; i++) {
        if (transport_parse(c->o.require.v[i], &t) != 0)
            return cli_fail(c, CLI_USAGE, "--require is udp, tcp, tls or proxy, not '%.40s'",
                            c->o.require.v[i]);
    }
    if (c->o.report && c->o.node.n > 0)
        return cli_fail(c, CLI_USAGE, "--report is of the controller's nodes: it can't go with --node");
    return c->o.report ? who_check(c) : CLI_OK;
}

enum cli_exit cmd_probe(struct cli *c)
{
    static const struct berth_callbacks callbacks = {
        .result = on_result, .done = on_done, .delivery = on_delivery, .log = on_log};
    struct probe p = {.cli = c};
    struct driver s = {0};
    enum cli_exit code = check_options(c);
    if (code != CLI_OK)
        return code;
    code = driver_open(&s, c, &callbacks, &p);
    if (code == CLI_OK) {
        int rc = run(&p, &s);
        if (rc != 0)
            code = driver_fail(c, "the probe failed", rc, 0, "");
        else if (p.summary.error != 0)
            code =
                driver_fail(c, "the probe failed", p.summary.error, p.summary.http_status, p.summary.detail);
        else if ((code = print(c, &p, s.agent)) == CLI_OK)
            code = judge(c, &p, s.agent);
    }
    driver_close(&s);
    return code;
}
