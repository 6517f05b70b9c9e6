/* berth agent list|show|report|delete: what an organisation's controller keeps of its agents. */
#include "commands.h"
#include "list.h"

#include <string.h>

static const struct table_column columns[] = {
    {"AGENT", TABLE_LEFT, true},
    {"LAST REPORT", TABLE_LEFT, false},
    {"EXPIRES", TABLE_LEFT, false},
    {"NETWORK", TABLE_LEFT, true},
};
static const char *const members[] = {"agent", "last_report_at", "expires_at", "network"};

enum cli_exit cmd_agent_list(struct cli *c)
{
    json_t *list;
    enum cli_exit code = call_list(c, CALL_TOKEN_OWN, "list the agents", "/v1/agents", &list);
    return code == CLI_OK ? list_print(c, list, columns, members, 4) : code;
}

static void print_meetings(const struct cli *c, const json_t *meetings)
{
    static const struct table_column in[] = {{"IN MEETING", TABLE_LEFT, true}};
    struct table *t = table_new(in, 1, 0);
    json_t *meeting;
    size_t i;
    json_array_foreach(meetings, i, meeting)
    {
        const char *cells[] = {json_string_value(meeting)};
        if (t != NULL)
            table_row(t, cells);
    }
    fputc('\n', c->out);
    (void)cli_print_table(c, t);
}

enum cli_exit cmd_agent_show(struct cli *c)
{
    char path[CALL_PATH_MAX];
    json_t *agent;
    enum cli_exit code = call_path(c, path, "/v1/agents/", c->words.v[0], "");
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_OWN, "show the agent", "GET", path, NULL, &agent);
    if (code != CLI_OK)
        return code;
    json_t *meetings = json_incref(json_object_get(agent, "meetings"));
    code = list_print_one(c, agent, columns, members, 4);
    if (code == CLI_OK && !c->o.json && json_array_size(meetings) > 0)
        print_meetings(c, meetings);
    json_decref(meetings);
    return code;
}

static enum cli_exit print_results(const struct cli *c, const json_t *results)
{
    static const struct table_column what[] = {
        {"NODE", TABLE_LEFT, true},   {"VIA", TABLE_LEFT, false},  {"STATUS", TABLE_LEFT, false},
        {"MIN", TABLE_RIGHT, false},  {"MED", TABLE_RIGHT, false}, {"P95", TABLE_RIGHT, false},
        {"CONN", TABLE_RIGHT, false}, {"TLS", TABLE_RIGHT, false}, {"ADDRESS", TABLE_LEFT, false},
    };
    struct table *t = table_new(what, sizeof(what) / sizeof(what[0]), 0);
    json_t *r;
    size_t i;
    json_array_foreach(results, i, r)
    {
        char node[64], via[64], status[64], address[64], ms[5][64];
        const json_t *rtt = json_object_get(r, "rtt_us");
        const char *is = cli_cell(r, "status", status);
        const char *cells[] = {
            cli_cell(r, "node", node),      cli_cell(r, "transport", via), is,
            cli_ms(rtt, "min", ms[0]),      cli_ms(rtt, "median", ms[1]),  cli_ms(rtt, "p95", ms[2]),
            cli_ms(r, "connect_us", ms[3]), cli_ms(r, "tls_us", ms[4]),    cli_cell(r, "address", address)};
        if (t == NULL)
            break;
        table_row(t, cells);
        table_color(t, 2, strcmp(is, "reachable") == 0 ? TABLE_GOOD : TABLE_BAD);
    }
    return cli_print_table(c, t);
}

static enum cli_exit print_report(const struct cli *c, const json_t *report)
{
    char id[64], network[64], measured[64], expires[64];
    cli_say(c, "Report %s of %s", cli_cell(report, "report_id", id), c->words.v[0]);
    cli_say(c, "on network %s,", cli_cell(json_object_get(report, "network"), "id", network));
    cli_say(c, "measured %s, expires %s.", cli_cell(report, "measured_at", measured),
            cli_cell(report, "expires_at", expires));
    fputc('\n', c->out);
    enum cli_exit code = print_results(c, json_object_get(report, "results"));
    if (code == CLI_OK)
        cli_say(c, "Times are in milliseconds.");
    return code;
}

/* "/v1/agents/AGENT/report?network=ID" */
static enum cli_exit report_path(const struct cli *c, char path[static CALL_PATH_MAX])
{
    enum cli_exit code = call_path(c, path, "/v1/agents/", c->words.v[0], "/report");
    if (code == CLI_OK && c->o.network != NULL)
        code = call_path_add(c, path, "?network=", c->o.network);
    return code;
}

enum cli_exit cmd_agent_report(struct cli *c)
{
    char path[CALL_PATH_MAX];
    json_t *report;
    enum cli_exit code = report_path(c, path);
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_OWN, "show the report", "GET", path, NULL, &report);
    if (code != CLI_OK)
        return code;
    code = c->o.json ? cli_print_json(c, report) : print_report(c, report);
    json_decref(report);
    return code;
}

enum cli_exit cmd_agent_delete(struct cli *c)
{
    return list_delete(c, CALL_TOKEN_OWN, "/v1/agents/", "agent", "erased");
}
