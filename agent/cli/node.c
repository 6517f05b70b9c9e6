/* berth node list|show|drain|undrain|weight|delete. */
#include "call.h"
#include "commands.h"
#include "list.h"

#include <stdlib.h>
#include <string.h>

enum { ORG_TEXT_MAX = 40 };

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
        {"SESS", TABLE_RIGHT, false}, {"PKT/S", TABLE_RIGHT, false}, {"PEOPLE", TABLE_RIGHT, false},
    };
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 0);
    json_t *node;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        char state[64], cpu[64] = "-", sessions[64], rate[64], people[64];
        const json_t *load = json_object_get(node, "load"), *share = json_object_get(load, "cpu");
        if (json_is_number(share))
            snprintf(cpu, sizeof(cpu), "%.0f%%", 100 * json_number_value(share));
        const char *is = cli_cell(node, "state", state), *health = text(node, "health");
        if (strcmp(is, "up") == 0 && health != NULL && strcmp(health, "in_service") != 0)
            is = health;
        const char *cells[] = {text(node, "node"),
                               text(node, "cluster"),
                               text(node, "region"),
                               text(node, "org"),
                               is,
                               cpu,
                               cli_cell(load, "sessions", sessions),
                               cli_cell(load, "packets_per_s", rate),
                               cli_cell(node, "participants", people)};
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

/* {"nodes": [...]}. */
static enum cli_exit get_list(const struct cli *c, const char *what, json_t **list)
{
    enum cli_exit code = call(c, CALL_TOKEN_ADMIN, what, "GET", "/v1/nodes", NULL, list);
    if (code != CLI_OK || json_is_array(json_object_get(*list, "nodes")))
        return code;
    json_decref(*list);
    return cli_fail(c, CLI_CONTROLLER, "cannot %s: the answer is no list of nodes", what);
}

enum cli_exit cmd_node_list(struct cli *c)
{
    json_t *list;
    enum cli_exit code = get_list(c, "list the nodes", &list);
    if (code != CLI_OK)
        return code;
    const json_t *nodes = json_object_get(list, "nodes");
    bool operator= json_object_get(json_array_get(nodes, 0), "state") != NULL;
    if (c->o.json)
        code = cli_print_json(c, list);
    else
        code = operator? print_states(c, nodes) : print_places(c, nodes);
    json_decref(list);
    return code;
}

/* ---- one node ---- */

/* The one that the calls on one node mean: --org's, else the cloud's, else the only one. Borrowed; NULL: none. */
static json_t *find(const struct cli *c, const json_t *nodes)
{
    json_t *node, *found = NULL;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        const char *id = text(node, "node"), *org = text(node, "org");
        if (id == NULL || strcmp(id, c->words.v[0]) != 0)
            continue;
        bool meant = org != NULL && strcmp(org, c->o.org != NULL ? c->o.org : "cloud") == 0;
        if (meant || (c->o.org == NULL && found == NULL))
            found = node;
    }
    return found;
}

static void add_line(struct table *t, const char *title, const char *value)
{
    const char *cells[] = {title, value};
    if (t != NULL && value != NULL && strcmp(value, "-") != 0)
        table_row(t, cells);
}

/* "rack a, zone b" */
static void list_labels(const json_t *node, char *out, size_t cap)
{
    json_t *labels = json_object_get(node, "labels"), *value;
    const char *key;
    out[0] = '\0';
    json_object_foreach(labels, key, value)
    {
        size_t len = strlen(out);
        const char *s = json_string_value(value);
        snprintf(out + len, cap - len, "%s%s %s", len > 0 ? ", " : "", key, s != NULL ? s : "?");
    }
}

/* A capacity of 0 is none; an age to the tenth of a second. */
static const char *node_cell(const json_t *node, const char *member, char buf[static 64])
{
    const json_t *v = json_object_get(node, member);
    if (strncmp(member, "capacity", 8) == 0 && json_is_integer(v) && json_integer_value(v) == 0)
        return "no limit";
    if (strcmp(member, "heartbeat_age_s") != 0 || !json_is_number(v))
        return cli_cell(node, member, buf);
    snprintf(buf, 64, "%.1f", json_number_value(v));
    return buf;
}

/* A line for each member that the node has. */
static enum cli_exit print_node(const struct cli *c, const json_t *node)
{
    static const struct {
        const char *member, *title;
    } lines[] = {
        {"node", "node"},
        {"org", "organisation"},
        {"class", "class"},
        {"cluster", "cluster"},
        {"region", "region"},
        {"tls_name", "TLS name"},
        {"state", "state"},
        {"health", "health"},
        {"heartbeat_age_s", "heard, s ago"},
        {"participants", "participants"},
        {"capacity", "capacity"},
        {"capacity_kbps", "capacity, kbit/s"},
        {"weight", "weight"},
    };
    static const char *const load_members[] = {"cpu", "sessions", "packets_per_s", "bandwidth_bps"};
    static const struct table_column columns[] = {{"MEMBER", TABLE_LEFT, false},
                                                  {"VALUE", TABLE_LEFT, false}};
    struct table *t = table_new(columns, 2, 0);
    const json_t *load = json_object_get(node, "load");
    char buf[64], list[2048];
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        add_line(t, lines[i].title, node_cell(node, lines[i].member, buf));
    for (size_t i = 0; i < sizeof(load_members) / sizeof(load_members[0]); i++)
        add_line(t, load_members[i], cli_cell(load, load_members[i], buf));
    list_labels(node, list, sizeof(list));
    add_line(t, "labels", list[0] != '\0' ? list : NULL);
    list_addresses(node, list, sizeof(list));
    add_line(t, "addresses", list);
    return cli_print_table(c, t);
}

/* "/v1/nodes/NODE", what follows, and which organisation's. */
static enum cli_exit node_path(const struct cli *c, char path[static CALL_PATH_MAX], const char *rest)
{
    char tail[64];
    bool org = c->o.org != NULL;
    if (org && strlen(c->o.org) > ORG_TEXT_MAX)
        return cli_fail(c, CLI_USAGE, "--org: '%.80s' is no organisation's id", c->o.org);
    snprintf(tail, sizeof(tail), "%s%s%s", rest, org ? "?org=" : "", org ? c->o.org : "");
    return call_path(c, path, "/v1/nodes/", c->words.v[0], tail);
}

/* Those of which the round trip is known. */
static enum cli_exit print_rtts(const struct cli *c, const json_t *peers)
{
    static const struct table_column columns[] = {{"OTHER NODE", TABLE_LEFT, true},
                                                  {"CLUSTER", TABLE_LEFT, true},
                                                  {"ROUND TRIP", TABLE_RIGHT, false},
                                                  {"TOLD, S AGO", TABLE_RIGHT, false}};
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 0);
    json_t *peer;
    size_t i;
    json_array_foreach(peers, i, peer)
    {
        const json_t *us = json_object_get(peer, "rtt_us");
        char rtt[64], age[64];
        if (t == NULL || !json_is_integer(us))
            continue;
        snprintf(rtt, sizeof(rtt), "%.1f ms", (double)json_integer_value(us) / 1000);
        const char *cells[] = {text(peer, "node"), text(peer, "cluster"), rtt,
                               cli_cell(peer, "rtt_age_s", age)};
        table_row(t, cells);
    }
    fputc('\n', c->out);
    return cli_print_table(c, t);
}

/* Adds the peers to the node, as "peers". */
static enum cli_exit get_peers(const struct cli *c, json_t *node)
{
    char path[CALL_PATH_MAX];
    json_t *answer;
    enum cli_exit code = node_path(c, path, "/peers");
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_ADMIN, "show the round trips", "GET", path, NULL, &answer);
    if (code != CLI_OK)
        return code;
    json_object_set(node, "peers", json_object_get(answer, "nodes"));
    json_decref(answer);
    return CLI_OK;
}

static enum cli_exit show(const struct cli *c, json_t *node)
{
    enum cli_exit code = c->o.rtt ? get_peers(c, node) : CLI_OK;
    if (code == CLI_OK)
        code = c->o.json ? cli_print_json(c, node) : print_node(c, node);
    if (code == CLI_OK && c->o.rtt && !c->o.json)
        code = print_rtts(c, json_object_get(node, "peers"));
    return code;
}

enum cli_exit cmd_node_show(struct cli *c)
{
    json_t *list;
    enum cli_exit code = get_list(c, "show the node", &list);
    if (code != CLI_OK)
        return code;
    json_t *node = find(c, json_object_get(list, "nodes"));
    if (node == NULL)
        code = cli_fail(c, CLI_CONTROLLER, "no node '%.80s' is listed%s%.40s; see berth node list",
                        c->words.v[0], c->o.org != NULL ? " for the organisation " : "",
                        c->o.org != NULL ? c->o.org : "");
    else
        code = show(c, node);
    json_decref(list);
    return code;
}

static void say_drained(const struct cli *c, bool drain)
{
    if (!drain) {
        cli_say(c, "%s gets meetings again.", c->words.v[0]);
        return;
    }
    char text[512];
    snprintf(
        text, sizeof(text),
        "%.64s takes nobody new, and who is there is moved. That is done when PEOPLE is 0: berth node list. "
        "Who can't be moved: berth event list --open (stranded).",
        c->words.v[0]);
    cli_say_wrapped(c, text);
}

static enum cli_exit set_drain(struct cli *c, bool drain)
{
    char path[CALL_PATH_MAX];
    json_t *answer;
    enum cli_exit code = node_path(c, path, drain ? "/drain" : "/undrain");
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_ADMIN, drain ? "drain the node" : "undrain the node", "POST", path, NULL,
                    &answer);
    if (code != CLI_OK)
        return code;
    if (c->o.json)
        code = cli_print_json(c, answer);
    else
        say_drained(c, drain);
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

enum cli_exit cmd_node_weight(struct cli *c)
{
    char path[CALL_PATH_MAX], *end;
    double weight = strtod(c->words.v[1], &end);
    json_t *answer;
    if (end == c->words.v[1] || *end != '\0')
        return cli_fail(c, CLI_USAGE, "a weight is a number from 0.1 to 10, not '%.40s'", c->words.v[1]);
    enum cli_exit code = node_path(c, path, "/weight");
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_ADMIN, "weigh the node", "POST", path, json_pack("{s:f}", "weight", weight),
                    &answer);
    if (code != CLI_OK)
        return code;
    if (c->o.json)
        code = cli_print_json(c, answer);
    else
        cli_say(c, "%s has the weight %g.", c->words.v[0], weight);
    json_decref(answer);
    return code;
}

enum cli_exit cmd_node_delete(struct cli *c)
{
    char path[CALL_PATH_MAX];
    enum cli_exit code = node_path(c, path, "");
    return code == CLI_OK ? list_delete_at(c, CALL_TOKEN_ADMIN, path, "node", "deleted") : code;
}
