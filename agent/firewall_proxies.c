/* Proxies of an examination: who names them, and where they lead. Invariant: the password stays in the finder, which
 * outlives the probe; nothing here copies it. */
#include "firewall_look.h"

#include "results.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct search {
    struct firewall_seen *seen;
    const struct firewall_plan *plan;
    struct sys_poller *poller;
    struct proxy_finder *finder;
    struct curl_loop *curl;
    size_t chosen[FIREWALL_NODES_MAX]; /* their places in the list */
    struct results results;            /* of the chosen nodes; their proxy rows count */
    struct prober_target_spec *targets;
    size_t *row_of; /* target -> row of results */
    bool found;
    size_t n_done, n_targets;
    bool reached; /* the nearest node that was, through a proxy: */
    size_t nearest;
    int64_t nearest_us;
    struct addr nearest_to;
    enum framing nearest_framing;
};

static int take_nodes(struct search *s)
{
    size_t n = firewall_choose_nodes(s->plan->list, s->chosen);
    struct nodelist list = {
        .policy = s->plan->list->policy, .n = n, .nodes = calloc(n + 1, sizeof *list.nodes)};
    if (!list.nodes)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        list.nodes[i] = s->plan->list->nodes[s->chosen[i]];
    int err = results_begin(&s->results, &list);
    nodelist_clear(&list);
    return err;
}

static void on_found(void *user)
{
    bool *found = user;
    *found = true;
}

/* Asks for every chosen node, and makes the results' proxy rows of what comes. */
static int ask_finder(struct search *s)
{
    struct proxy_destination d[FIREWALL_NODES_MAX] = {0};
    char ip[FIREWALL_NODES_MAX][ADDR_TEXT_LEN];
    size_t n = results_nodes(&s->results);
    for (size_t i = 0; i < n; i++)
        d[i] = proxy_destination_of(&s->results.list.nodes[i], ip[i]);
    s->found = false;
    int rc = proxy_finder_ask(s->finder, d, n, on_found, &s->found);
    int64_t until = clock_mono_us() + PROXY_FINDER_US, now;
    while (rc == 0 && !s->found && (now = clock_mono_us()) < until) {
        sys_wait(sys_poller_fd(s->poller), until - now);
        rc = sys_poller_dispatch(s->poller);
    }
    if (rc < 0)
        return rc;
    if (rc == 0 && !s->found)
        proxy_finder_give_up(s->finder);
    const char *problem = proxy_finder_problem(s->finder);
    if (problem[0] != '\0')
        snprintf(s->seen->proxy_problem, sizeof s->seen->proxy_problem, "%s: %s",
                 proxy_finder_source(s->finder), problem);
    return results_set_proxies(&s->results, proxy_finder_table(s->finder), proxy_finder_lists(s->finder));
}

/* ---- the probe through them ---- */

static void note_proxy(struct search *s, const struct prober_target_spec *t, const struct probe_result *r,
                       const char *error, const char *issuer)
{
    struct firewall_proxy *p = &s->seen->proxy;
    if (p->found && (p->status == PROBE_REACHABLE || r->status != PROBE_REACHABLE))
        return;
    *p = (struct firewall_proxy){.looked = true,
                                 .found = true,
                                 .status = r->status,
                                 .intercepted = r->status == PROBE_REACHABLE && r->tls_intercepted};
    snprintf(p->source, sizeof p->source, "%s", proxy_finder_source(s->finder));
    proxy_format(t->routes[0].proxy, p->url);
    snprintf(p->scheme, sizeof p->scheme, "%s", proxy_scheme_name(t->routes[0].proxy->kind));
    if (r->via_proxy) { /* the very one that was tried last */
        memcpy(p->url, r->proxy_url, sizeof p->url);
        memcpy(p->scheme, r->proxy_scheme, sizeof p->scheme);
        memcpy(p->auth, r->proxy_auth, sizeof p->auth);
    }
    snprintf(p->error, sizeof p->error, "%s", error);
    snprintf(p->issuer, sizeof p->issuer, "%s", issuer);
}

static void on_result(void *user, struct prober *p, size_t target)
{
    struct search *s = user;
    struct firewall_row row = {
        .node = s->results.rows[s->row_of[target]].node, .served = true, .to = s->targets[target].addrs[0]};
    prober_result(p, target, &row.r, row.error);
    row.r.transport = TRANSPORT_PROXY;
    if (row.r.status == PROBE_REACHABLE && (!s->reached || row.r.rtt_median_us < s->nearest_us)) {
        s->reached = true;
        s->nearest = target;
        s->nearest_us = row.r.rtt_median_us;
        s->nearest_to = row.r.address;
        s->nearest_framing = row.r.framing;
    }
    snprintf(row.issuer, sizeof row.issuer, "%s", prober_issuer(p, target));
    note_proxy(s, &s->targets[target], &row.r, row.error, row.issuer);
    if (s->seen->n_rows < PROBER_TARGETS_MAX)
        s->seen->rows[s->seen->n_rows++] = row;
    firewall_tell(s->plan, "the proxy", ++s->n_done, s->n_targets);
}

/* Where nothing could be measured without it: through the proxy, along the routes that lead to where the answer came from. */
static void measure_through(struct search *s, const struct probe_io_proxy *through)
{
    const struct firewall_throughput *found = &s->seen->throughput;
    const struct prober_target_spec *t = &s->targets[s->nearest];
    for (size_t i = 0; s->reached && i < t->n_addrs && found->up_bps < 0 && found->down_bps < 0; i++) {
        struct proxy_hop hop;
        if (!addr_eq(&t->addrs[i], &s->nearest_to))
            continue;
        const struct stream_io_target target = {.transport = TRANSPORT_PROXY,
                                                .to = t->addrs[i],
                                                .tls_name = t->tls_name,
                                                .framing = s->nearest_framing,
                                                .proxy =
                                                    proxy_hop_set(&hop, t->routes[i].proxy, &through->who),
                                                .connect_host = t->routes[i].by_name ? t->tls_name : NULL,
                                                .curl = s->curl,
                                                .timeout_ms = s->plan->list->policy.timeout_ms};
        firewall_tell(s->plan, "throughput", i + 1, 0);
        firewall_measure(s->seen, s->poller, s->plan->tls_ctx, &target, s->nearest_us);
    }
}

static int probe_through(struct search *s)
{
    const struct probe_io_proxy through = {.curl = s->curl,
                                           .who = proxy_finder_identity(s->finder, s->plan->ca_file)};
    int err = -ENOMEM;
    s->targets = calloc(s->results.n_rows + 1, sizeof *s->targets);
    s->row_of = calloc(s->results.n_rows + 1, sizeof *s->row_of);
    if (!s->targets || !s->row_of)
        goto out;
    results_targets(&s->results, s->targets);
    s->n_targets = s->n_done = 0;
    for (size_t i = 0; i < s->results.n_rows; i++) { /* the proxies' alone */
        if (s->targets[i].transport != TRANSPORT_PROXY)
            continue;
        s->row_of[s->n_targets] = i;
        s->targets[s->n_targets++] = s->targets[i];
    }
    err = firewall_run_probe(s->plan, s->poller, s->targets, s->n_targets, &through, on_result, s);
    if (err == 0)
        measure_through(s, &through);
out:
    free(s->targets);
    free(s->row_of);
    return err;
}

/* ---- the whole ---- */

static bool reached(const struct firewall_seen *seen)
{
    for (size_t i = 0; i < seen->n_rows; i++) {
        if (seen->rows[i].r.status == PROBE_REACHABLE)
            return true;
    }
    return false;
}

static int search(struct search *s)
{
    firewall_tell(s->plan, "for proxies", 0, 0);
    int err = take_nodes(s);
    if (err == 0)
        err = ask_finder(s);
    if (err == 0 && !results_has_proxies(&s->results) && !reached(s->seen) &&
        proxy_finder_try_network(s->finder))
        err = ask_finder(s);
    s->seen->proxy.looked = err == 0;
    return err == 0 && results_has_proxies(&s->results) ? probe_through(s) : err;
}

int firewall_probe_proxies(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    struct search s = {.seen = seen, .plan = plan};
    int err = sys_poller_new(&s.poller);
    if (err == 0)
        err = proxy_finder_new(&s.finder, s.poller, plan->proxy);
    if (err == 0)
        err = curl_loop_new(&s.curl, s.poller);
    if (err == 0)
        err = search(&s);
    results_clear(&s.results);
    curl_loop_destroy(s.curl);
    proxy_finder_destroy(s.finder);
    sys_poller_destroy(s.poller);
    return err;
}
