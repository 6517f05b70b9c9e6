/* Which ports of which nodes, and their probe: each a target of its own, so that each has a status of its own.
 * Invariant: a row whose address has no way there is untested, and nothing is sent to it. */
#include "firewall_look.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which nodes ---- */

static bool cluster_chosen(const struct nodelist *l, const size_t *chosen, size_t n, size_t node)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(l->nodes[chosen[i]].cluster, l->nodes[node].cluster) == 0)
            return true;
    }
    return false;
}

static bool node_chosen(const size_t *chosen, size_t n, size_t node)
{
    for (size_t i = 0; i < n; i++) {
        if (chosen[i] == node)
            return true;
    }
    return false;
}

/* One of each cluster, as clusters are where address ranges are; then the others. */
size_t firewall_choose_nodes(const struct nodelist *l, size_t chosen[static FIREWALL_NODES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < l->n && n < FIREWALL_NODES_MAX; i++) {
        if (!cluster_chosen(l, chosen, n, i))
            chosen[n++] = i;
    }
    for (size_t i = 0; i < l->n && n < FIREWALL_NODES_MAX; i++) {
        if (!node_chosen(chosen, n, i))
            chosen[n++] = i;
    }
    return n;
}

/* ---- their rows ---- */

static bool has_row(const struct firewall_seen *seen, enum transport t, const struct addr *to)
{
    for (size_t i = 0; i < seen->n_rows; i++) {
        if (seen->rows[i].r.transport == t && addr_eq(&seen->rows[i].to, to))
            return true;
    }
    return false;
}

static void add_row(struct firewall_seen *seen, size_t node, enum transport t, const struct addr *to,
                    bool served)
{
    if (seen->n_rows == PROBER_TARGETS_MAX || has_row(seen, t, to))
        return;
    struct firewall_row *row = &seen->rows[seen->n_rows++];
    *row = (struct firewall_row){.node = node, .served = served, .to = *to};
    probe_result_init(&row->r);
    row->r.transport = t;
}

/* Somewhere to ask for ports which no node is known to serve: the node's first address. */
static const struct addr *any_address(const struct node_entry *e)
{
    for (size_t t = 0; t < TRANSPORT_PROXY; t++) {
        if (e->addresses.n[t] > 0)
            return &e->addresses.at[t][0];
    }
    return NULL;
}

static void add_asked(struct firewall_seen *seen, const struct firewall_plan *plan, size_t node)
{
    const struct addr *at = any_address(&plan->list->nodes[node]);
    for (size_t i = 0; at && i < plan->n_udp_ports; i++) {
        struct addr to = *at;
        to.port = plan->udp_ports[i];
        add_row(seen, node, TRANSPORT_UDP, &to, false);
    }
}

static void add_local(struct firewall_seen *seen, const struct addr *local)
{
    for (size_t i = 0; i < seen->n_local; i++) {
        if (addr_ip_eq(&seen->local[i], local))
            return;
    }
    if (seen->n_local < FIREWALL_LOCAL_MAX)
        seen->local[seen->n_local++] = *local;
}

int firewall_lay_out(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    size_t chosen[FIREWALL_NODES_MAX];
    size_t n = firewall_choose_nodes(plan->list, chosen);
    seen->rows = calloc(PROBER_TARGETS_MAX, sizeof *seen->rows);
    if (!seen->rows)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct node_addresses *a = &plan->list->nodes[chosen[i]].addresses;
        for (size_t t = 0; t < TRANSPORT_PROXY; t++) {
            for (size_t k = 0; k < a->n[t]; k++)
                add_row(seen, chosen[i], (enum transport)t, &a->at[t][k], true);
        }
    }
    for (size_t i = 0; i < n && i < FIREWALL_ASKED_NODES_MAX; i++)
        add_asked(seen, plan, chosen[i]);
    return 0;
}

/* ---- the probe ---- */

struct examination {
    struct firewall_seen *seen;
    const struct firewall_plan *plan;
    struct prober_target_spec *targets;
    size_t *row_of; /* target -> row */
    size_t n_targets, n_done;
};

static void on_result(void *user, struct prober *p, size_t target)
{
    struct examination *e = user;
    struct firewall_row *row = &e->seen->rows[e->row_of[target]];
    prober_result(p, target, &row->r, row->error);
    snprintf(row->issuer, sizeof row->issuer, "%s", prober_issuer(p, target));
    firewall_tell(e->plan, "ports", ++e->n_done, e->n_targets);
}

static int64_t next_deadline(const struct probe_io *io, const struct probe_io_proxy *through)
{
    int64_t deadline = probe_io_deadline(io);
    int64_t curl = through ? curl_loop_deadline(through->curl) : INT64_MAX;
    return curl < deadline ? curl : deadline;
}

static int run_to_its_end(struct probe_io *io, struct sys_poller *poller,
                          const struct probe_io_proxy *through,
                          void (*result)(void *user, struct prober *p, size_t target), void *user)
{
    struct prober *p = probe_io_prober(io);
    int err = 0;
    while (err == 0) {
        size_t target;
        if (through)
            curl_loop_step(through->curl, clock_mono_us());
        probe_io_step(io);
        while (prober_next_result(p, &target))
            result(user, p, target);
        if (prober_done(p))
            break;
        int64_t deadline = next_deadline(io, through), left = deadline - clock_mono_us();
        sys_wait(sys_poller_fd(poller), deadline == PROBER_NEVER ? -1 : left > 0 ? left : 0);
        err = sys_poller_dispatch(poller);
    }
    return err;
}

int firewall_run_probe(const struct firewall_plan *plan, struct sys_poller *poller,
                       const struct prober_target_spec *targets, size_t n,
                       const struct probe_io_proxy *through,
                       void (*result)(void *user, struct prober *p, size_t target), void *user)
{
    struct prober_plan probe = {.policy = plan->list->policy, .targets = targets, .n_targets = n};
    struct probe_io *io = NULL;
    if (probe.policy.samples < FIREWALL_SAMPLES)
        probe.policy.samples = FIREWALL_SAMPLES;
    randombytes_buf(probe.seed, sizeof probe.seed);
    int err = probe_io_new(&io, poller, plan->tls_ctx, &probe);
    sodium_memzero(probe.seed, sizeof probe.seed);
    if (err < 0)
        return err;
    if (through)
        probe_io_use_proxies(io, through);
    err = run_to_its_end(io, poller, through, result, user);
    probe_io_destroy(io);
    return err;
}

/* Targets for the rows to which there is a way; each its own node, so that none uses up another's time. */
static void make_targets(struct examination *e)
{
    for (size_t i = 0; i < e->seen->n_rows; i++) {
        struct firewall_row *row = &e->seen->rows[i];
        struct addr local;
        if (sys_local_address(&row->to, &local) < 0) {
            snprintf(row->error, sizeof row->error, "no route");
            continue;
        }
        add_local(e->seen, &local);
        e->row_of[e->n_targets] = i;
        e->targets[e->n_targets++] =
            (struct prober_target_spec){.node = i,
                                        .transport = row->r.transport,
                                        .addrs = &row->to,
                                        .n_addrs = 1,
                                        .tls_name = e->plan->list->nodes[row->node].tls_name,
                                        .keys = &e->plan->list->nodes[row->node].tls_spki,
                                        .websocket = row->r.transport == TRANSPORT_TLS};
    }
}

int firewall_probe(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    struct examination e = {.seen = seen, .plan = plan};
    struct sys_poller *poller = NULL;
    int err = -ENOMEM;
    e.targets = calloc(seen->n_rows + 1, sizeof *e.targets);
    e.row_of = calloc(seen->n_rows + 1, sizeof *e.row_of);
    if (!e.targets || !e.row_of)
        goto out;
    make_targets(&e);
    err = sys_poller_new(&poller);
    if (err == 0)
        err = firewall_run_probe(plan, poller, e.targets, e.n_targets, NULL, on_result, &e);
out:
    sys_poller_destroy(poller);
    free(e.targets);
    free(e.row_of);
    return err;
}
