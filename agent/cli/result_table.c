/* Probe results as a table. */
#include "result_table.h"

#include <inttypes.h>
#include <string.h>

const char *result_table_ms(int64_t us, char buf[static RESULT_MS_TEXT])
{
    double ms = (double)us / 1000;
    if (us < 0)
        snprintf(buf, RESULT_MS_TEXT, "-");
    else
        snprintf(buf, RESULT_MS_TEXT, "%.*f", us < 9995 ? 2 : us < 99950 ? 1 : 0, ms);
    return buf;
}

static void add_section(struct table *t, struct berth_agent *agent, size_t index)
{
    struct berth_node_info n;
    char text[4 * BERTH_NODE_MAX + 64];
    if (berth_agent_node(agent, index, &n) != 0)
        return;
    if (n.cluster[0] == '\0' && n.region[0] == '\0')
        snprintf(text, sizeof(text), "%s", n.node);
    else
        snprintf(text, sizeof(text), "%s (%s %s, region %s)", n.node, n.mesh ? "mesh" : "cloud", n.cluster,
                 n.region);
    table_section(t, text);
}

/* How the node sees us, and what is between. */
static const char *seen_as(const struct berth_result *r, char *out, size_t cap)
{
    snprintf(out, cap, "%s%s%s%s%s", r->mapped_address, r->proxy[0] != '\0' ? ", through " : "", r->proxy,
             r->framing == BERTH_FRAMING_WEBSOCKET ? ", by WebSocket" : "",
             r->tls_intercepted ? ", TLS is intercepted" : "");
    return out;
}

static void add_row(struct table *t, const struct berth_result *r)
{
    char ms[5][RESULT_MS_TEXT], got[48] = "-", seen[2 * BERTH_PROXY_TEXT];
    if (r->sent > 0)
        snprintf(got, sizeof(got), "%" PRId64 "/%" PRId64, r->received, r->sent);
    const char *cells[] = {
        berth_transport_name(r->transport),
        berth_status_name(r->status),
        result_table_ms(r->rtt_min_us, ms[0]),
        result_table_ms(r->rtt_median_us, ms[1]),
        result_table_ms(r->rtt_p95_us, ms[2]),
        result_table_ms(r->connect_us, ms[3]),
        result_table_ms(r->tls_us, ms[4]),
        got,
        r->status == BERTH_REACHABLE ? seen_as(r, seen, sizeof(seen)) : r->error,
    };
    table_row(t, cells);
    bool untested = r->status == BERTH_UNTESTED;
    table_color(t, 1, r->status == BERTH_REACHABLE ? TABLE_GOOD : untested ? TABLE_DIM : TABLE_BAD);
}

enum cli_exit result_table_print(const struct cli *c, struct berth_agent *agent)
{
    static const struct table_column columns[] = {
        {"VIA", TABLE_LEFT, false},
        {"STATUS", TABLE_LEFT, false},
        {"MIN", TABLE_RIGHT, false},
        {"MED", TABLE_RIGHT, false},
        {"P95", TABLE_RIGHT, false},
        {"CONN", TABLE_RIGHT, false},
        {"TLS", TABLE_RIGHT, false},
        {"GOT", TABLE_RIGHT, false},
        {"SEEN AS, OR WHY NOT", TABLE_LEFT, false},
    };
    size_t n = berth_agent_result_count(agent), node = SIZE_MAX;
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 2);
    for (size_t i = 0; i < n && t != NULL; i++) {
        struct berth_result r;
        if (berth_agent_result(agent, i, &r) != 0)
            continue;
        if (r.node_index != node)
            add_section(t, agent, r.node_index);
        node = r.node_index;
        add_row(t, &r);
    }
    return cli_print_table(c, t);
}

bool result_table_reached(struct berth_agent *agent, int transport)
{
    size_t n = berth_agent_result_count(agent);
    struct berth_result r;
    for (size_t i = 0; i < n; i++) {
        if (berth_agent_result(agent, i, &r) == 0 && r.transport == transport && r.status == BERTH_REACHABLE)
            return true;
    }
    return false;
}
