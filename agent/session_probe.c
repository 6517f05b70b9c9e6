/* One probe of the session, from names to rows. Invariant: `targets` and `io` live exactly as long as PHASE_PROBE, and borrow from
 * `results`, which does not change meanwhile. */
#include "session_internal.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_resolved(void *user)
{
    struct session *s = user;
    s->resolved = true;
}

void session_resolve(struct session *s, int64_t now_us)
{
    const struct agent_options *o = s->options;
    const char **hosts = calloc(o->n_given + 1, sizeof *hosts);
    int err = -ENOMEM;
    if (hosts) {
        for (size_t i = 0; i < o->n_given; i++)
            hosts[i] = o->given[i].host;
        s->resolved = false;
        err = resolver_new(&s->resolver, s->poller, hosts, o->n_given, on_resolved, s);
    }
    free(hosts);
    if (err < 0) {
        session_probe_failed(s, err, 0, 0, "name lookup could not be started", now_us);
        return;
    }
    struct probe_policy policy;
    probe_policy_init(&policy);
    agent_options_policy(o, &policy);
    s->resolve_deadline_us = now_us + policy.budget_ms * 1000;
    s->phase = PHASE_RESOLVE;
}

/* Which hosts have no address, as "a.example and 3 more: ..."; "" where each has one. */
static void name_unresolved(const struct session *s, char out[static BERTH_ERROR_TEXT])
{
    const struct agent_options *o = s->options;
    const char *first = NULL;
    size_t others = 0;
    for (size_t i = 0; i < o->n_given; i++) {
        if (resolver_get(s->resolver, i)->n > 0)
            continue;
        others += first != NULL;
        first = first ? first : o->given[i].host;
    }
    const char *why = s->resolved ? "no address" : "no address in time";
    if (!first)
        out[0] = '\0';
    else if (others > 0)
        snprintf(out, BERTH_ERROR_TEXT, "%.120s and %zu more: %s", first, others, why);
    else
        snprintf(out, BERTH_ERROR_TEXT, "%.120s: %s", first, why);
}

void session_resolved(struct session *s, int64_t now_us)
{
    const struct agent_options *o = s->options;
    struct nodelist list = {0};
    char unresolved[BERTH_ERROR_TEXT];
    size_t found = 0;
    s->phase = PHASE_REST;
    name_unresolved(s, unresolved);
    probe_policy_init(&list.policy);
    list.n_listed = o->n_given;
    list.nodes = calloc(o->n_given + 1, sizeof *list.nodes);
    int err = list.nodes ? 0 : -ENOMEM;
    for (size_t i = 0; err == 0 && i < o->n_given; i++) {
        const struct resolved *r = resolver_get(s->resolver, i);
        found += r->n > 0;
        given_node_entry(&list.nodes[list.n++], &o->given[i], r->at, r->n);
    }
    resolver_destroy(s->resolver);
    s->resolver = NULL;
    s->etag[0] = '\0';
    if (err == 0)
        err = results_begin(&s->results, &list);
    nodelist_clear(&list);
    if (err == 0 && found == 0)
        err = BERTH_E_RESOLVE;
    if (err == 0 && unresolved[0] != '\0')
        session_log(s, BERTH_LOG_WARN, "resolve_failed", "%s", unresolved);
    if (err < 0)
        session_probe_failed(s, err, 0, 0, err == BERTH_E_RESOLVE ? unresolved : "", now_us);
    else
        session_begin_probe(s, now_us);
}

void session_drop_probe(struct session *s)
{
    probe_io_destroy(s->io);
    s->io = NULL;
    free(s->targets);
    s->targets = NULL;
}

static int start_io(struct session *s)
{
    struct prober_plan plan = {.policy = s->results.list.policy, .n_targets = s->results.n_rows};
    s->targets = calloc(s->results.n_rows, sizeof *s->targets);
    if (!s->targets)
        return -ENOMEM;
    results_targets(&s->results, s->targets);
    agent_options_policy(s->options, &plan.policy);
    plan.targets = s->targets;
    randombytes_buf(plan.seed, sizeof plan.seed);
    int err = probe_io_new(&s->io, s->poller, s->tls_ctx, &plan);
    sodium_memzero(plan.seed, sizeof plan.seed);
    if (err == 0 && results_has_proxies(&s->results))
        probe_io_use_proxies(
            s->io, &(struct probe_io_proxy){.curl = s->curl,
                                            .who = proxy_finder_identity(s->finder, s->options->ca_file)});
    return err;
}

void session_start_probe(struct session *s, int64_t now_us)
{
    int err = BERTH_E_NO_NODES;
    if (s->results.n_rows > 0) {
        session_network_id(s, s->local_network, NULL, 0);
        err = start_io(s);
    }
    if (err < 0) {
        session_drop_probe(s);
        session_probe_failed(s, err, 0, 0, "", now_us);
        return;
    }
    s->began_us = now_us;
    s->phase = PHASE_PROBE;
}

static int keep_report(struct session *s, const char *network_id, int64_t now_us)
{
    const struct agent_options *o = s->options;
    struct kept_report made = {0};
    const struct report_head head = {
        .agent_id = agent_options_name(o), .network_id = network_id, .measured_at_us = session_wall_us(s)};
    int err = kept_report_make(&made, &head, &s->results, &s->untold);
    if (err < 0) {
        session_log(s, BERTH_LOG_ERROR, "report_failed", "%s", berth_strerror(err));
        return err;
    }
    session_give_up_report(s, BERTH_E_REPLACED);
    s->kept = made;
    s->untold.n = 0;
    s->reported =
        (struct known_network){.until_wall_us = clock_wall_us() + (int64_t)REPORT_LIFETIME_S * 1000000};
    memcpy(s->reported.local, s->local_network, sizeof s->reported.local);
    snprintf(s->reported.id, sizeof s->reported.id, "%s", network_id);
    schedule_keep(&s->schedule, now_us + (int64_t)REPORT_LIFETIME_S * 1000000, now_us);
    return 0;
}

static void end_probe(struct session *s, int64_t now_us)
{
    struct probe_policy policy = s->results.list.policy;
    struct addr mapped[REPORT_MAPPED_MAX];
    struct berth_summary summary = {.nodes = results_nodes(&s->results),
                                    .reachable = results_reachable(&s->results),
                                    .results = s->results.n_rows,
                                    .left_out = s->results.list.n_listed - results_nodes(&s->results),
                                    .addresses_left_out = s->results.list.n_addresses_left_out,
                                    .duration_us = now_us - s->began_us};
    int kept = 0;
    session_drop_probe(s);
    s->phase = PHASE_REST;
    agent_options_policy(s->options, &policy);
    session_network_id(s, summary.network_id, mapped, results_mapped(&s->results, mapped));
    schedule_probed(&s->schedule, policy.reprobe_after_s * 1000000, now_us, clock_wall_us());
    if (s->cancelled)
        summary.error = -ECANCELED;
    else if (s->reporting)
        kept = keep_report(s, summary.network_id, now_us);
    session_log(s, BERTH_LOG_INFO, "probe_done", "%zu of %zu nodes reachable in %lld ms", summary.reachable,
                summary.nodes, (long long)(summary.duration_us / 1000));
    s->events.done(s->user, &summary);
    if (kept < 0) /* `done` promises a delivery */
        s->events.delivery(
            s->user,
            &(struct berth_delivery){.error = kept, .measured_at_us = session_wall_us(s), .retry_in_us = -1});
}

bool session_step_probe(struct session *s, int64_t now_us)
{
    size_t row;
    struct prober *p = probe_io_prober(s->io);
    if (s->cancelled)
        prober_cancel(p, now_us);
    probe_io_step(s->io);
    while (prober_next_result(p, &row)) {
        results_set(&s->results, row, p);
        s->events.result(s->user, row);
    }
    if (!prober_done(p))
        return false;
    end_probe(s, clock_mono_us());
    return true;
}
