/* berth node list|drain|undrain. */
#include "call.h"
#include "commands.h"

#include <string.h>

static void add_row(struct table *t, const json_t *node)
{
    char state[64], cpu[64], sessions[64], rate[64], org[64];
    const json_t *load = json_object_get(node, "load");
    const char *text = cli_cell(node, "state", state);
    if (json_is_real(json_object_get(load, "cpu")))
        snprintf(cpu, sizeof(cpu), "%.0f%%", 100 * json_real_value(json_object_get(load, "cpu")));
    else
        snprintf(cpu, sizeof(cpu), "-");
    const char *cells[] = {
        json_string_value(json_object_get(node, "node")),
        json_string_value(json_object_get(node, "cluster")),
        json_string_value(json_object_get(node, "region")),
        json_string_value(json_object_get(node, "class")),
        cli_cell(node, "org", org),
        text,
        cpu,
        cli_cell(load, "sessions", sessions),
        cli_cell(load, "packets_per_s", rate),
    };
    table_row(t, cells);
    bool up = strcmp(text, "up") == 0;
    table_color(t, 5, strcmp(text, "-") == 0 ? TABLE_PLAIN : up ? TABLE_GOOD : TABLE_BAD);
}

enum cli_exit cmd_node_list(struct cli *c)
{
    static const struct table_column columns[] = {
        {"NODE", TABLE_LEFT, true},   {"CLUSTER", TABLE_LEFT, true}, {"REGION", TABLE_LEFT, true},
        {"CLASS", TABLE_LEFT, false}, {"ORG", TABLE_LEFT, true},     {"STATE", TABLE_LEFT, false},
        {"CPU", TABLE_RIGHT, false},  {"SESS", TABLE_RIGHT, false},  {"PKT/S", TABLE_RIGHT, false},
    };
    json_t *list, *node;
    size_t i;
    enum cli_exit code = call(c, CALL_TOKEN_ADMIN, "list the nodes", "GET", "/v1/nodes", NULL, &list);
    if (code != CLI_OK)
        return code;
    if (c->o.json) {
        code = cli_print_json(c, list);
    } else {
        struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 0);
        json_array_foreach(json_object_get(list, "nodes"), i, node)
        {
            if (t != NULL)
                add_row(t, node);
        }
        code = cli_print_table(c, t);
    }
    json_decref(list);
    return code;
}

static enum cli_exit set_drain(struct cli *c, bool drain)
{
    char path[CALL_PATH_MAX], rest[64];
    json_t *answer;
    bool org = c->o.org != NULL && strlen(c->o.org) <= 40;
    snprintf(rest, sizeof(rest), "/%s%s%s", drain ? "drain" : "undrain", org ? "?org=" : "",
             org ? c->o.org : "");
    enum cli_exit code = call_path(c, path, "/v1/nodes/", c->words.v[0], rest);
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_ADMIN, drain ? "drain the node" : "undrain the node", "POST", path, NULL,
                    &answer);
    if (code != CLI_OK)
        return code;
    if (c->o.json)
        code = cli_print_json(c, answer);
    else
        cli_say(c, drain ? "%s is drained: it gets no new meetings." : "%s gets meetings again.",
                c->words.v[0]);
    json_decref(answer);
    return code;
}

enum cli_exit cmd_node_drain(struct cli *c)
{
    return set_drain(c, true);
}

enum cli_exit cmd_node_undrain(struct cli *c)
{
    return set_drain(c, false);
}
