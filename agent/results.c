/* Rows and their nodes. Invariant: n_rows is TRANSPORTS_PROBED for every node of the list that is probed. */
#include "results.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t results_nodes(const struct results *s)
{
    return s->n_rows / TRANSPORTS_PROBED;
}

void results_reset(struct results *s)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        struct result_row *row = &s->rows[i];
        probe_result_init(&row->r);
        row->r.transport = (enum transport)(i % TRANSPORTS_PROBED);
        memcpy(row->r.node, s->list.nodes[i / TRANSPORTS_PROBED].node, sizeof row->r.node);
        row->error[0] = '\0';
    }
}

int results_begin(struct results *s, struct nodelist *list)
{
    size_t n = list->n < RESULTS_NODES_MAX ? list->n : RESULTS_NODES_MAX;
    struct result_row *rows = calloc(n * TRANSPORTS_PROBED + 1, sizeof *rows);
    if (!rows)
        return -ENOMEM;
    results_clear(s);
    s->list = *list;
    *list = (struct nodelist){0};
    s->rows = rows;
    s->n_rows = n * TRANSPORTS_PROBED;
    results_reset(s);
    return 0;
}

void results_clear(struct results *s)
{
    nodelist_clear(&s->list);
    free(s->rows);
    *s = (struct results){0};
}

void results_targets(const struct results *s, struct prober_target_spec *targets)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct node_entry *node = &s->list.nodes[i / TRANSPORTS_PROBED];
        size_t t = i % TRANSPORTS_PROBED;
        targets[i] = (struct prober_target_spec){.node = i / TRANSPORTS_PROBED,
                                                 .transport = (enum transport)t,
                                                 .addrs = node->addresses.at[t],
                                                 .n_addrs = node->addresses.n[t],
                                                 .tls_name = node->tls_name};
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
    *out = (struct berth_result){.node_index = row / TRANSPORTS_PROBED,
                                 .transport = (int)r->transport,
                                 .status = (int)r->status,
                                 .rtt_min_us = r->rtt_min_us,
                                 .rtt_median_us = r->rtt_median_us,
                                 .rtt_p95_us = r->rtt_p95_us,
                                 .sent = r->sent,
                                 .received = r->received,
                                 .connect_us = r->connect_us,
                                 .tls_us = r->tls_us};
    memcpy(out->node, r->node, sizeof out->node);
    memcpy(out->error, s->rows[row].error, PROBER_ERROR_TEXT);
    format_addr(&r->address, out->address);
    format_addr(&r->mapped_address, out->mapped_address);
}

size_t results_reachable(const struct results *s)
{
    size_t n = 0;
    for (size_t node = 0; node < results_nodes(s); node++) {
        bool reachable = false;
        for (size_t t = 0; t < TRANSPORTS_PROBED; t++)
            reachable = reachable || s->rows[node * TRANSPORTS_PROBED + t].r.status == PROBE_REACHABLE;
        n += reachable;
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

static json_t *node_to_json(const struct results *s, size_t node)
{
    json_t *rows = json_array();
    int failed = !rows;
    for (size_t t = 0; t < TRANSPORTS_PROBED && !failed; t++)
        failed = json_array_append_new(rows, probe_result_to_json(&s->rows[node * TRANSPORTS_PROBED + t].r));
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
    for (size_t i = 0; i < results_nodes(s) && !failed; i++)
        failed = json_array_append_new(nodes, node_to_json(s, i));
    if (failed) {
        json_decref(nodes);
        return NULL;
    }
    return json_pack("{s:o}", "nodes", nodes);
}
