/* Rows and their nodes. Invariant: n_rows is TRANSPORTS_PROBED for every node of the list that is probed. */
#include "results.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t results_nodes(const struct results *s)
{
    return s->n_nodes;
}

static struct result_row *reset_row(const struct results *s, struct result_row *row, size_t node,
                                    enum transport transport)
{
    probe_result_init(&row->r);
    row->node = node;
    row->r.transport = transport;
    memcpy(row->r.node, s->list.nodes[node].node, sizeof row->r.node);
    row->error[0] = '\0';
    return row + 1;
}

void results_reset(struct results *s)
{
    for (size_t i = 0; i < s->n_rows; i++)
        reset_row(s, &s->rows[i], s->rows[i].node, s->rows[i].r.transport);
}

/* Rows for `with_proxy` nodes' proxies besides the three of each. */
static int lay_out(struct results *s, size_t with_proxy)
{
    struct result_row *rows = calloc(s->n_nodes * TRANSPORTS_PROBED + with_proxy + 1, sizeof *rows);
    struct result_row *next = rows;
    if (!rows)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_nodes; i++) {
        for (size_t t = 0; t < TRANSPORTS_PROBED; t++)
            next = reset_row(s, next, i, (enum transport)t);
        if (s->routes && s->routes[i].n > 0)
            next = reset_row(s, next, i, TRANSPORT_PROXY);
    }
    free(s->rows);
    s->rows = rows;
    s->n_rows = (size_t)(next - rows);
    return 0;
}

int results_begin(struct results *s, struct nodelist *list)
{
    struct results fresh = {.list = *list};
    fresh.n_nodes = list->n < RESULTS_NODES_MAX ? list->n : RESULTS_NODES_MAX;
    int err = lay_out(&fresh, 0);
    if (err < 0)
        return err;
    results_clear(s);
    *s = fresh;
    *list = (struct nodelist){0};
    return 0;
}

/* A name that a proxy may look up and arrive at the same node. */
static bool is_public_name(const char *name)
{
    struct addr ip;
    return strchr(name, '.') && addr_parse_ip(&ip, name) < 0;
}

static void add_route(struct result_routes *r, const struct addr *at, const struct proxy_endpoint *proxy,
                      bool by_name)
{
    if (r->n == NODE_ADDRESSES_MAX)
        return;
    r->addrs[r->n] = *at;
    r->routes[r->n++] = (struct prober_route){.proxy = proxy, .by_name = by_name};
}

/* Each candidate in its order, to each of the node's TLS addresses; where the IP is refused, by name. */
static void fill_routes(struct results *s, size_t node, const struct proxy_list *list)
{
    const struct node_entry *e = &s->list.nodes[node];
    struct result_routes *r = &s->routes[node];
    for (size_t p = 0; p < list->n; p++) {
        const struct proxy_endpoint *proxy = &s->proxies.at[list->at[p]];
        for (size_t i = 0; proxy->kind != PROXY_DIRECT && i < e->addresses.n[TRANSPORT_TLS]; i++) {
            add_route(r, &e->addresses.at[TRANSPORT_TLS][i], proxy, false);
            if (is_public_name(e->tls_name))
                add_route(r, &e->addresses.at[TRANSPORT_TLS][i], proxy, true);
        }
    }
}

int results_set_proxies(struct results *s, const struct proxy_table *table, const struct proxy_list *lists)
{
    size_t room = PROBER_TARGETS_MAX - s->n_nodes * TRANSPORTS_PROBED, used = 0;
    bool any = false;
    for (size_t i = 0; lists && i < s->n_nodes; i++)
        any = any || proxy_list_has_proxy(&lists[i], table);
    free(s->routes);
    s->routes = any ? calloc(s->n_nodes, sizeof *s->routes) : NULL;
    if (any && !s->routes)
        return -ENOMEM;
    if (any)
        s->proxies = *table;
    for (size_t i = 0; any && i < s->n_nodes && used < room; i++) {
        fill_routes(s, i, &lists[i]);
        used += s->routes[i].n > 0;
    }
    return lay_out(s, used);
}

bool results_has_proxies(const struct results *s)
{
    return s->routes != NULL;
}

void results_clear(struct results *s)
{
    nodelist_clear(&s->list);
    free(s->rows);
    free(s->routes);
    *s = (struct results){0};
}

void results_targets(const struct results *s, struct prober_target_spec *targets)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct result_row *row = &s->rows[i];
        const struct node_entry *node = &s->list.nodes[row->node];
        enum transport t = row->r.transport;
        targets[i] = (struct prober_target_spec){
            .node = row->node, .transport = t, .tls_name = node->tls_name, .keys = &node->tls_spki};
        targets[i].websocket = t == TRANSPORT_TLS || t == TRANSPORT_PROXY;
        if (t == TRANSPORT_PROXY) {
            targets[i].addrs = s->routes[row->node].addrs;
            targets[i].n_addrs = s->routes[row->node].n;
            targets[i].routes = s->routes[row->node].routes;
        } else {
            targets[i].addrs = node->addresses.at[t];
            targets[i].n_addrs = node->addresses.n[t];
        }
    }
}

void results_set(struct results *s, size_t row, const struct prober *p)
{
    struct result_row *out = &s->rows[row];
    struct probe_result r;
    prober_result(p, row, &r, out->error);
    memcpy(r.node, out->r.node, sizeof r.node);
    out->r = r;
}

static void format_addr(const struct addr *a, char out[static BERTH_ADDRESS_TEXT])
{
    out[0] = '\0';
    if (addr_is_set(a))
        addr_format(a, out);
}

_Static_assert((int)BERTH_ADDRESS_TEXT >= (int)ADDR_TEXT_LEN && (int)BERTH_NODE_MAX == (int)NODE_ID_MAX &&
                   (int)BERTH_ERROR_TEXT >= (int)PROBER_ERROR_TEXT,
               "the public fields hold ours");

void results_public(const struct results *s, size_t row, struct berth_result *out)
{
    const struct probe_result *r = &s->rows[row].r;
    *out = (struct berth_result){.node_index = s->rows[row].node,
                                 .transport = (int)r->transport,
                                 .status = (int)r->status,
                                 .rtt_min_us = r->rtt_min_us,
                                 .rtt_median_us = r->rtt_median_us,
                                 .rtt_p95_us = r->rtt_p95_us,
                                 .sent = r->sent,
                                 .received = r->received,
                                 .connect_us = r->connect_us,
                                 .tls_us = r->tls_us,
                                 .framing = (int)r->framing,
                                 .tls_intercepted = r->tls_intercepted};
    memcpy(out->node, r->node, sizeof out->node);
    memcpy(out->error, s->rows[row].error, PROBER_ERROR_TEXT);
    if (r->via_proxy) {
        memcpy(out->proxy, r->proxy_url, sizeof r->proxy_url);
        memcpy(out->proxy_auth, r->proxy_auth, sizeof r->proxy_auth);
    }
    format_addr(&r->address, out->address);
    format_addr(&r->mapped_address, out->mapped_address);
}

size_t results_reachable(const struct results *s)
{
    size_t n = 0, counted = SIZE_MAX;
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].r.status != PROBE_REACHABLE || s->rows[i].node == counted)
            continue;
        counted = s->rows[i].node;
        n++;
    }
    return n;
}

size_t results_mapped(const struct results *s, struct addr out[static REPORT_MAPPED_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_rows && n < REPORT_MAPPED_MAX; i++) {
        struct addr a = s->rows[i].r.mapped_address;
        a.port = 0;
        bool known = !addr_is_set(&a);
        for (size_t k = 0; k < n; k++)
            known = known || addr_ip_eq(&a, &out[k]);
        if (!known)
            out[n++] = a;
    }
    return n;
}

/* The node of row *i and all its rows; *i is then the next node's first. */
static json_t *node_to_json(const struct results *s, size_t *i)
{
    size_t node = s->rows[*i].node;
    json_t *rows = json_array();
    int failed = !rows;
    for (; *i < s->n_rows && s->rows[*i].node == node; (*i)++)
        failed = failed || json_array_append_new(rows, probe_result_to_json(&s->rows[*i].r));
    if (failed) {
        json_decref(rows);
        return NULL;
    }
    return json_pack("{s:s, s:o}", "node", s->list.nodes[node].node, "results", rows);
}

json_t *results_to_json(const struct results *s)
{
    json_t *nodes = json_array();
    int failed = !nodes;
    for (size_t i = 0; i < s->n_rows && !failed;)
        failed = json_array_append_new(nodes, node_to_json(s, &i));
    if (failed) {
        json_decref(nodes);
        return NULL;
    }
    return json_pack("{s:o}", "nodes", nodes);
}
