/* berth node list|drain|undrain. */
#include "call.h"
#include "commands.h"

#include <string.h>

static const char *text(const json_t *node, const char *member)
{
    return json_string_value(json_object_get(node, member));
}

/* What the operator sees. */
static enum cli_exit print_states(const struct cli *c, const json_t *nodes)
{
    static const struct table_column columns[] = {
        {"NODE", TABLE_LEFT, true},   {"CLUSTER", TABLE_LEFT, true}, {"REGION", TABLE_LEFT, true},
        {"ORG", TABLE_LEFT, true},    {"STATE", TABLE_LEFT, false},  {"CPU", TABLE_RIGHT, false},
        {"SESS", TABLE_RIGHT, false}, {"PKT/S", TABLE_RIGHT, false},
    };
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 0);
    json_t *node;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        char state[64], cpu[64] = "-", sessions[64], rate[64];
        const json_t *load = json_object_get(node, "load"), *share = json_object_get(load, "cpu");
        if (json_is_number(share))
            snprintf(cpu, sizeof(cpu), "%.0f%%", 100 * json_number_value(share));
        const char *is = cli_cell(node, "state", state);
        const char *cells[] = {text(node, "node"),
                               text(node, "cluster"),
                               text(node, "region"),
                               text(node, "org"),
                               is,
                               cpu,
                               cli_cell(load, "sessions", sessions),
                               cli_cell(load, "packets_per_s", rate)};
        if (t == NULL)
            break;
        table_row(t, cells);
        table_color(t, 4, strcmp(is, "up") == 0 ? TABLE_GOOD : TABLE_BAD);
    }
    return cli_print_table(c, t);
}

/* "udp 192.0.2.1:5004 tcp 192.0.2.1:5004" */
static void list_addresses(const json_t *node, char *out, size_t cap)
{
    static const char *const transports[] = {"udp", "tcp", "tls"};
    const json_t *addresses = json_object_get(node, "addresses");
    json_t *address;
    size_t i;
    out[0] = '\0';
    for (size_t t = 0; t < 3; t++) {
        json_array_foreach(json_object_get(addresses, transports[t]), i, address)
        {
            size_t len = strlen(out);
            const char *s = json_string_value(address);
            snprintf(out + len, cap - len, "%s%s %s", len > 0 ? " " : "", transports[t], s != NULL ? s : "?");
        }
    }
}

/* What an organisation sees: no states, but where they are. */
static enum cli_exit print_places(const struct cli *c, const json_t *nodes)
{
    static const struct table_column columns[] = {
        {"NODE", TABLE_LEFT, true},   {"CLUSTER", TABLE_LEFT, true},    {"REGION", TABLE_LEFT, true},
        {"CLASS", TABLE_LEFT, false}, {"ADDRESSES", TABLE_LEFT, false},
    };
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 0);
    json_t *node;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        char addresses[2048];
        list_addresses(node, addresses, sizeof(addresses));
        const char *cells[] = {text(node, "node"), text(node, "cluster"), text(node, "region"),
                               text(node, "class"), addresses};
        if (t != NULL)
            table_row(t, cells);
    }
    return cli_print_table(c, t);
}

enum cli_exit cmd_node_list(struct cli *c)
{
    json_t *list;
    enum cli_exit code = call(c, CALL_TOKEN_ADMIN, "list the nodes", "GET", "/v1/nodes", NULL, &list);
    if (code != CLI_OK)
        return code;
    const json_t *nodes = json_object_get(list, "nodes");
    if (!json_is_array(nodes)) {
        json_decref(list);
        return cli_fail(c, CLI_CONTROLLER, "cannot list the nodes: the answer is no list of nodes");
    }
    bool operator= json_object_get(json_array_get(nodes, 0), "state") != NULL;
    if (c->o.json)
        code = cli_print_json(c, list);
    else
        code = operator? print_states(c, nodes) : print_places(c, nodes);
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
