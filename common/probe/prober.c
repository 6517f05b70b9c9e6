/* The whole probe: which target acts next, the pace over all of them, the budgets, the transaction ids. Invariant:
 * no two paced actions leave closer than the pace allows (but for PROBER_CATCH_UP_US), and `active` holds exactly
 * the running targets. */
#include "probe/prober_internal.h"
#include "probe/prober_message.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

static bool within(int64_t v, int64_t low, int64_t high)
{
    return v >= low && v <= high;
}

static bool plan_valid(const struct prober_plan *plan)
{
    const struct probe_policy *y = &plan->policy;
    if (plan->n_targets > PROBER_TARGETS_MAX || !within(y->samples, 1, PROBER_SAMPLES_MAX) ||
        !within(y->spacing_ms, 1, 10000) || !within(y->timeout_ms, 1, 60000) ||
        !within(y->node_budget_ms, 1, 3600000) || !within(y->budget_ms, 1, 3600000) ||
        !within(y->pace_per_s, 1, 10000))
        return false;
    for (size_t i = 0; i < plan->n_targets; i++) {
        const struct prober_target_spec *s = &plan->targets[i];
        if (s->n_addrs > NODE_ADDRESSES_MAX || s->transport > TRANSPORT_PROXY ||
            (s->transport == TRANSPORT_PROXY) != (s->routes != NULL) ||
            (s->websocket && s->transport < TRANSPORT_TLS))
            return false;
    }
    return true;
}

static int allocate(struct prober *p, size_t n_attempts, size_t n_streams)
{
    size_t n = p->n_targets + 1; /* never zero bytes */
    p->targets = calloc(n, sizeof *p->targets);
    p->nodes = calloc(n, sizeof *p->nodes);
    p->node_of = calloc(n, sizeof *p->node_of);
    p->active = calloc(n, sizeof *p->active);
    p->finished = calloc(n, sizeof *p->finished);
    p->stream_of = calloc(n, sizeof *p->stream_of);
    p->attempts = calloc(n_attempts + 1, sizeof *p->attempts);
    p->samples = calloc(n_attempts * (size_t)p->policy.samples + 1, sizeof *p->samples);
    p->streams = calloc(n_streams + 1, sizeof *p->streams);
    p->n_streams = n_streams;
    if (!p->targets || !p->nodes || !p->node_of || !p->active || !p->finished || !p->stream_of ||
        !p->attempts || !p->samples || !p->streams)
        return -ENOMEM;
    return 0;
}

static void lay_out_targets(struct prober *p, const struct prober_target_spec *specs)
{
    struct attempt *attempt = p->attempts;
    struct sample *sample = p->samples;
    for (size_t i = 0; i < p->n_targets; i++) {
        struct target *t = &p->targets[i];
        *t = (struct target){.spec = specs[i],
                             .policy = &p->policy,
                             .attempts = attempt,
                             .winner = TARGET_NO_WINNER,
                             .begin_due_us = PROBER_NEVER,
                             .due_us = PROBER_NEVER,
                             .deadline_us = PROBER_NEVER};
        p->node_of[i] = i > 0 && specs[i].node == specs[i - 1].node ? p->node_of[i - 1] : i;
        p->stream_of[i] = p->n_streams;
        for (size_t k = 0; k < target_attempts(&specs[i]); k++) {
            *attempt =
                (struct attempt){.samples = sample, .connect_us = NOT_MEASURED, .tls_us = NOT_MEASURED};
            attempt++;
            sample += p->policy.samples;
        }
    }
}

int prober_new(struct prober **out, const struct prober_plan *plan, int64_t now_us)
{
    if (!plan_valid(plan))
        return -EINVAL;
    struct prober *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    size_t n_attempts = 0, n_streams = 0;
    for (size_t i = 0; i < plan->n_targets; i++) {
        n_attempts += target_attempts(&plan->targets[i]);
        n_streams += plan->targets[i].transport != TRANSPORT_UDP;
    }
    p->policy = plan->policy;
    p->n_targets = plan->n_targets;
    memcpy(p->seed, plan->seed, sizeof p->seed);
    int err = allocate(p, n_attempts, n_streams < PROBER_STREAMS_MAX ? n_streams : PROBER_STREAMS_MAX);
    if (err < 0) {
        prober_destroy(p);
        return err;
    }
    lay_out_targets(p, plan->targets);
    p->pace_interval_us = 1000000 / p->policy.pace_per_s;
    p->pace_next_us = now_us;
    p->budget_deadline_us = now_us + p->policy.budget_ms * 1000;
    *out = p;
    return 0;
}

void prober_destroy(struct prober *p)
{
    if (!p)
        return;
    sodium_memzero(p->seed, sizeof p->seed);
    free(p->targets);
    free(p->nodes);
    free(p->node_of);
    free(p->active);
    free(p->finished);
    free(p->stream_of);
    free(p->attempts);
    free(p->samples);
    free(p->streams);
    free(p);
}

/* ---- keeping the lists true ---- */

static void close_stream(struct prober *p, size_t target)
{
    size_t i = p->stream_of[target];
    if (i == p->n_streams || p->streams[i].state != STREAM_OPEN)
        return;
    p->streams[i].state = STREAM_CLOSING;
    p->stream_of[target] = p->n_streams;
    p->n_closing++;
}

/* To be called after anything has happened to a target: closes its stream if it is through with it. */
static void settle_stream(struct prober *p, size_t target)
{
    if (target_open_attempt(&p->targets[target]) == target_attempts(&p->targets[target].spec))
        close_stream(p, target);
}

static void tell_finished(struct prober *p, size_t target)
{
    p->finished[p->n_finished++] = target;
}

/* Takes finished targets off the active list, in the order in which they stand there. */
static void sweep_active(struct prober *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n_active; i++) {
        size_t target = p->active[i];
        if (p->targets[target].state == TARGET_DONE) {
            tell_finished(p, target);
            p->n_stream_targets -= target_is_stream(&p->targets[target]);
        } else {
            p->active[kept++] = target;
        }
    }
    p->n_active = kept;
}

void prober_after_event(struct prober *p, size_t target)
{
    settle_stream(p, target);
    if (p->targets[target].state == TARGET_DONE)
        sweep_active(p);
}

static void cut_waiting(struct prober *p, const char *why, int64_t now_us)
{
    target_cut(&p->targets[p->next_waiting], PROBE_UNTESTED, why, now_us);
    tell_finished(p, p->next_waiting++);
}

static void cut_all(struct prober *p, enum probe_status status, const char *why, int64_t now_us)
{
    for (size_t i = 0; i < p->n_active; i++) {
        target_cut(&p->targets[p->active[i]], status, why, now_us);
        settle_stream(p, p->active[i]);
    }
    sweep_active(p);
    while (p->next_waiting < p->n_targets)
        cut_waiting(p, why, now_us);
}

/* Skips waiting targets that can't be tested any more. */
static void skip_waiting(struct prober *p, int64_t now_us)
{
    while (p->next_waiting < p->n_targets) {
        const struct node_clock *c = &p->nodes[p->node_of[p->next_waiting]];
        if (p->targets[p->next_waiting].spec.n_addrs == 0)
            cut_waiting(p, "no address", now_us);
        else if (c->started && c->deadline_us <= now_us)
            cut_waiting(p, "the node's time budget ran out", now_us);
        else
            break;
    }
}

static void tick(struct prober *p, int64_t now_us)
{
    if (now_us >= p->budget_deadline_us) {
        cut_all(p, PROBE_TIMEOUT, "the probe's time budget ran out", now_us);
        return;
    }
    bool done = false;
    for (size_t i = 0; i < p->n_active; i++) {
        struct target *t = &p->targets[p->active[i]];
        if (now_us < t->deadline_us)
            continue;
        target_tick(t, now_us);
        settle_stream(p, p->active[i]);
        done = done || t->state == TARGET_DONE;
    }
    if (done)
        sweep_active(p);
    skip_waiting(p, now_us);
}

/* ---- actions ---- */

static bool take_close(struct prober *p, struct prober_action *a)
{
    for (size_t i = 0; p->n_closing > 0 && i < p->n_streams; i++) {
        struct stream *s = &p->streams[i];
        if (s->state != STREAM_CLOSING)
            continue;
        s->state = STREAM_FREE;
        p->n_closing--;
        *a = (struct prober_action){.kind = PROBER_CLOSE, .stream = i};
        return true;
    }
    return false;
}

static bool waiting_can_start(const struct prober *p)
{
    if (p->next_waiting == p->n_targets)
        return false;
    const struct target *t = &p->targets[p->next_waiting];
    return !target_is_stream(t) || p->n_stream_targets + p->n_closing < p->n_streams;
}

/* The running target that has been due longest; else the next waiting one, so that what has begun keeps its spacing. */
static bool choose_target(struct prober *p, int64_t now_us, size_t *chosen)
{
    int64_t earliest = PROBER_NEVER;
    for (size_t i = 0; i < p->n_active; i++) {
        const struct target *t = &p->targets[p->active[i]];
        if (t->due_us < earliest) {
            earliest = t->due_us;
            *chosen = p->active[i];
        }
    }
    if (earliest <= now_us)
        return true;
    if (!waiting_can_start(p))
        return false;
    *chosen = p->next_waiting++;
    struct node_clock *c = &p->nodes[p->node_of[*chosen]];
    if (!c->started)
        *c = (struct node_clock){.started = true, .deadline_us = now_us + p->policy.node_budget_ms * 1000};
    target_start(&p->targets[*chosen], now_us, c->deadline_us);
    p->active[p->n_active++] = *chosen;
    if (target_is_stream(&p->targets[*chosen]))
        p->n_stream_targets++;
    return true;
}

static size_t free_stream(const struct prober *p)
{
    size_t i = 0;
    while (i < p->n_streams && p->streams[i].state != STREAM_FREE)
        i++;
    assert(i < p->n_streams);
    return i;
}

static void fill_open(struct prober *p, struct prober_action *a, size_t target)
{
    size_t i = free_stream(p);
    p->streams[i].state = STREAM_OPEN;
    p->streams[i].target = target;
    p->streams[i].len = 0;
    p->stream_of[target] = i;
    a->kind = PROBER_OPEN;
    a->stream = i;
}

static void fill_send(const struct prober *p, struct prober_action *a, size_t target)
{
    prober_request_write(p->seed, &(struct sample_name){target, a->attempt, a->sample}, a->bytes);
    a->kind = target_is_stream(&p->targets[target]) ? PROBER_SEND_STREAM : PROBER_SEND_UDP;
    a->stream = p->stream_of[target];
}

static void keep_pace(struct prober *p, int64_t now_us)
{
    int64_t from = now_us - PROBER_CATCH_UP_US;
    p->pace_next_us = (p->pace_next_us > from ? p->pace_next_us : from) + p->pace_interval_us;
}

bool prober_next_action(struct prober *p, int64_t now_us, struct prober_action *a)
{
    tick(p, now_us);
    if (take_close(p, a))
        return true;
    size_t target = 0;
    if (now_us < p->pace_next_us || !choose_target(p, now_us, &target))
        return false;
    struct target *t = &p->targets[target];
    struct target_want w = target_take(t, now_us);
    size_t address = target_address(t, w.attempt);
    *a = (struct prober_action){.transport = t->spec.transport,
                                .to = t->spec.addrs[address],
                                .tls_name = t->spec.tls_name,
                                .framing = target_framing(t, w.attempt),
                                .keys = t->spec.keys,
                                .route = t->spec.routes ? &t->spec.routes[address] : NULL,
                                .target = target,
                                .attempt = w.attempt,
                                .sample = w.sample};
    if (w.open)
        fill_open(p, a, target);
    else
        fill_send(p, a, target);
    keep_pace(p, now_us);
    return true;
}

int64_t prober_deadline(const struct prober *p)
{
    if (p->n_closing > 0)
        return 0;
    if (p->n_active == 0 && p->next_waiting == p->n_targets)
        return PROBER_NEVER;
    int64_t due = waiting_can_start(p) ? p->pace_next_us : PROBER_NEVER;
    int64_t deadline = p->budget_deadline_us;
    for (size_t i = 0; i < p->n_active; i++) {
        const struct target *t = &p->targets[p->active[i]];
        due = t->due_us < due ? t->due_us : due;
        deadline = t->deadline_us < deadline ? t->deadline_us : deadline;
    }
    due = due > p->pace_next_us ? due : p->pace_next_us;
    return due < deadline ? due : deadline;
}

void prober_sent(struct prober *p, const struct prober_action *a, int64_t sent_us)
{
    struct target_want w = {.open = a->kind == PROBER_OPEN, .attempt = a->attempt, .sample = a->sample};
    target_sent(&p->targets[a->target], &w, sent_us);
}

void prober_send_failed(struct prober *p, const struct prober_action *a, int error, int64_t now_us)
{
    struct target *t = &p->targets[a->target];
    if (a->kind == PROBER_SEND_UDP)
        target_bounced(t, a->attempt, a->sample, error, now_us);
    else
        target_stream_error(t, error, now_us);
    prober_after_event(p, a->target);
}

/* ---- the end ---- */

void prober_cancel(struct prober *p, int64_t now_us)
{
    cut_all(p, PROBE_UNTESTED, "cancelled", now_us);
}

bool prober_next_result(struct prober *p, size_t *target)
{
    if (p->n_told == p->n_finished)
        return false;
    *target = p->finished[p->n_told++];
    return true;
}

bool prober_done(const struct prober *p)
{
    return p->n_finished == p->n_targets && p->n_closing == 0;
}

void prober_result(const struct prober *p, size_t target, struct probe_result *r,
                   char error[static PROBER_ERROR_TEXT])
{
    const struct target *t = &p->targets[target];
    target_result(t, r);
    snprintf(error, PROBER_ERROR_TEXT, "%s",
             t->state == TARGET_DONE && r->status != PROBE_REACHABLE ? t->error : "");
}
