/* berth analytics transports|rtt|calls|new-node: what live reports tell of an organisation as a whole. */
#include "commands.h"
#include "core/transport.h"
#include "list.h"

#include <string.h>

/* A query's text as a URL's: everything but what an id holds is escaped. False: too long. */
static bool add_query(char *path, const char *name, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(path);
    int n;
    if (value == NULL)
        return true;
    n = snprintf(path + len, CALL_PATH_MAX - len, "%c%s=", strchr(path, '?') != NULL ? '&' : '?', name);
    len += (size_t)n;
    for (const char *p = value; *p != '\0'; p++) {
        if (len + 4 > CALL_PATH_MAX)
            return false;
        len += (size_t)snprintf(path + len, CALL_PATH_MAX - len, strchr(plain, *p) != NULL ? "%c" : "%%%02X",
                                (unsigned char)*p);
    }
    return len < CALL_PATH_MAX;
}

static enum cli_exit make_path(const struct cli *c, char path[static CALL_PATH_MAX], const char *base)
{
    snprintf(path, CALL_PATH_MAX, "%s", base);
    if (c->o.all_orgs && c->o.org != NULL)
        return cli_fail(c, CLI_USAGE, "either --org or --all-orgs");
    if (add_query(path, "org", c->o.org) && add_query(path, "by", c->o.by) &&
        add_query(path, "network", c->o.network) && add_query(path, "like", c->o.like) &&
        add_query(path, "lat", c->o.lat) && add_query(path, "lon", c->o.lon))
        return CLI_OK;
    return cli_fail(c, CLI_USAGE, "the options are too long for a call");
}

/* Another organisation, or all, are the operator's to ask about. */
static enum call_token token_of(const struct cli *c)
{
    return c->o.org != NULL || c->o.all_orgs ? CALL_TOKEN_ADMIN : CALL_TOKEN_OWN;
}

static const char *site(const json_t *item)
{
    const char *network = json_string_value(json_object_get(item, "network"));
    return network != NULL ? network : json_string_value(json_object_get(item, "prefix"));
}

/* All pages of it. */
static enum cli_exit get_list(const struct cli *c, const char *what, const char *base, json_t **list)
{
    char path[CALL_PATH_MAX];
    enum cli_exit code = make_path(c, path, base);
    if (code != CLI_OK)
        return code;
    return call_list(c, token_of(c), what, path, list);
}

static enum cli_exit print_json(const struct cli *c, json_t *answer)
{
    enum cli_exit code = cli_print_json(c, answer);
    json_decref(answer);
    return code;
}

static void format_ms(char out[static 32], const json_t *object, const char *member)
{
    const json_t *v = json_object_get(object, member);
    if (json_is_integer(v))
        snprintf(out, 32, "%.1f ms", (double)json_integer_value(v) / 1000);
    else
        snprintf(out, 32, "-");
}

static void say_sampled(const struct cli *c, const json_t *answer)
{
    if (json_is_true(json_object_get(answer, "sampled")))
        cli_say_wrapped(c, "There is more than one answer looks at: these figures are of a part of it.");
}

/* All of a list as a table, or the whole document where --json asks; `row` adds an item. */
static enum cli_exit show_list(const struct cli *c, const char *what, const char *base,
                               const struct table_column *columns, size_t n,
                               void (*row)(struct table *t, const json_t *item))
{
    json_t *list, *item;
    size_t i;
    enum cli_exit code = get_list(c, what, base, &list);
    if (code != CLI_OK)
        return code;
    if (c->o.json)
        return print_json(c, list);
    if (json_array_size(json_object_get(list, "items")) == 0) {
        cli_say(c, "No live report or call says anything of that.");
        json_decref(list);
        return CLI_OK;
    }
    struct table *t = table_new(columns, n, 0);
    json_array_foreach(json_object_get(list, "items"), i, item)
    {
        if (t != NULL)
            row(t, item);
    }
    say_sampled(c, list);
    json_decref(list);
    return cli_print_table(c, t);
}

static void transports_row(struct table *t, const json_t *item)
{
    char agents[64], none[64], share[TRANSPORT_COUNT][32];
    for (int k = 0; k < TRANSPORT_COUNT; k++) {
        const json_t *by =
            json_object_get(json_object_get(item, "transports"), transport_name((enum transport)k));
        if (by != NULL)
            snprintf(share[k], sizeof(share[k]), "%.0f %%",
                     100 * json_number_value(json_object_get(by, "share")));
        else
            snprintf(share[k], sizeof(share[k]), "-");
    }
    const char *cells[] = {site(item),
                           cli_cell(item, "agents", agents),
                           share[TRANSPORT_UDP],
                           share[TRANSPORT_TCP],
                           share[TRANSPORT_TLS],
                           share[TRANSPORT_PROXY],
                           cli_cell(item, "blocked", none)};
    table_row(t, cells);
}

enum cli_exit cmd_analytics_transports(struct cli *c)
{
    static const struct table_column columns[] = {
        {"SITE", TABLE_LEFT, true},   {"AGENTS", TABLE_RIGHT, false}, {"UDP", TABLE_RIGHT, false},
        {"TCP", TABLE_RIGHT, false},  {"TLS", TABLE_RIGHT, false},    {"PROXY", TABLE_RIGHT, false},
        {"NONE", TABLE_RIGHT, false},
    };
    return show_list(c, "analyse transports", "/v1/analytics/transports", columns,
                     sizeof(columns) / sizeof(columns[0]), transports_row);
}

static void rtt_row(struct table *t, const json_t *item)
{
    const json_t *rtt = json_object_get(item, "rtt_us");
    char cell[4][64], least[32], median[32], p95[32];
    format_ms(least, rtt, "min");
    format_ms(median, rtt, "median");
    format_ms(p95, rtt, "p95");
    const char *cells[] = {cli_cell(item, "node", cell[0]),
                           cli_cell(item, "region", cell[1]),
                           cli_cell(item, "agents", cell[2]),
                           cli_cell(item, "reached", cell[3]),
                           least,
                           median,
                           p95};
    table_row(t, cells);
}

enum cli_exit cmd_analytics_rtt(struct cli *c)
{
    static const struct table_column columns[] = {
        {"NODE", TABLE_LEFT, true},    {"REGION", TABLE_LEFT, true},  {"AGENTS", TABLE_RIGHT, false},
        {"REACH", TABLE_RIGHT, false}, {"LEAST", TABLE_RIGHT, false}, {"MEDIAN", TABLE_RIGHT, false},
        {"P95", TABLE_RIGHT, false},
    };
    return show_list(c, "analyse round trips", "/v1/analytics/rtt", columns,
                     sizeof(columns) / sizeof(columns[0]), rtt_row);
}

static void calls_row(struct table *t, const json_t *item)
{
    const json_t *rtt = json_object_get(item, "rtt_us"), *error = json_object_get(item, "error_us");
    const json_t *lost = json_object_get(item, "loss");
    char cell[4][64], median[32], mean[32], off[32], loss[32] = "-";
    format_ms(median, rtt, "median");
    format_ms(mean, error, "mean");
    format_ms(off, error, "mean_abs");
    if (lost != NULL)
        snprintf(loss, sizeof(loss), "%.1f %%", 100 * json_number_value(lost));
    const char *cells[] = {cli_cell(item, "node", cell[0]),
                           cli_cell(item, "transport", cell[1]),
                           cli_cell(item, "calls", cell[2]),
                           median,
                           loss,
                           cli_cell(item, "compared", cell[3]),
                           mean,
                           off};
    table_row(t, cells);
}

enum cli_exit cmd_analytics_calls(struct cli *c)
{
    static const struct table_column columns[] = {
        {"NODE", TABLE_LEFT, true},     {"VIA", TABLE_LEFT, false},   {"CALLS", TABLE_RIGHT, false},
        {"RTT", TABLE_RIGHT, false},    {"LOST", TABLE_RIGHT, false}, {"COMPARED", TABLE_RIGHT, false},
        {"LONGER", TABLE_RIGHT, false}, {"OFF", TABLE_RIGHT, false},
    };
    return show_list(c, "tell what calls measured", "/v1/analytics/calls", columns,
                     sizeof(columns) / sizeof(columns[0]), calls_row);
}

static void say_gain(const struct cli *c, const json_t *answer)
{
    char text[256], now[32], then[32];
    long long helped = json_integer_value(json_object_get(answer, "helped"));
    int n = snprintf(text, sizeof(text), "A node there would help %lld of %lld agents", helped,
                     (long long)json_integer_value(json_object_get(answer, "agents")));
    format_ms(now, answer, "rtt_now_us");
    format_ms(then, answer, "rtt_then_us");
    if (helped > 0)
        snprintf(text + n, sizeof(text) - (size_t)n, ": from %s to some %s, at the median.", now, then);
    else
        snprintf(text + n, sizeof(text) - (size_t)n, ".");
    cli_say_wrapped(c, text);
    cli_say_wrapped(c, "Estimated from round trips to the nodes that are there; see berth help analytics "
                       "new-node.");
    say_sampled(c, answer);
}

enum cli_exit cmd_analytics_new_node(struct cli *c)
{
    static const struct table_column columns[] = {
        {"SITE", TABLE_LEFT, true},  {"AGENTS", TABLE_RIGHT, false}, {"HELPED", TABLE_RIGHT, false},
        {"NOW", TABLE_RIGHT, false}, {"THEN", TABLE_RIGHT, false},   {"GAIN", TABLE_RIGHT, false},
    };
    char path[CALL_PATH_MAX];
    json_t *answer, *item;
    size_t i;
    enum cli_exit code = make_path(c, path, "/v1/analytics/new-node");
    if ((c->o.network != NULL) + (c->o.like != NULL) + (c->o.lat != NULL || c->o.lon != NULL) != 1)
        return cli_fail(c, CLI_USAGE, "say where: --like NODE, --network ID, or --lat and --lon");
    if (code == CLI_OK)
        code = call(c, token_of(c), "tell whom a new node would help", "GET", path, NULL, &answer);
    if (code != CLI_OK)
        return code;
    if (c->o.json)
        return print_json(c, answer);
    say_gain(c, answer);
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 0);
    json_array_foreach(json_object_get(answer, "sites"), i, item)
    {
        char cell[2][64], now[32], then[32], gain[32];
        format_ms(now, item, "rtt_now_us");
        format_ms(then, item, "rtt_then_us");
        format_ms(gain, item, "gain_us");
        const char *cells[] = {
            site(item), cli_cell(item, "agents", cell[0]), cli_cell(item, "helped", cell[1]), now, then,
            gain};
        if (t != NULL)
            table_row(t, cells);
    }
    json_decref(answer);
    return cli_print_table(c, t);
}
