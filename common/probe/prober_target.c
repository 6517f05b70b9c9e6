/* One target's state machine. Invariant: a status comes only from what was sent to and heard from that very address, and after
 * every call due_us and deadline_us say when the target next wants to act or to be ticked. */
#include "probe/prober_target.h"

#include "core/utf8.h"
#include "probe/prober_message.h"
#include "probe/prober_stats.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool target_is_stream(const struct target *t)
{
    return t->spec.transport != TRANSPORT_UDP;
}

size_t target_attempts(const struct prober_target_spec *s)
{
    return s->websocket ? 2 * s->n_addrs : s->n_addrs;
}

size_t target_address(const struct target *t, size_t attempt)
{
    return t->spec.websocket ? attempt / 2 : attempt;
}

enum framing target_framing(const struct target *t, size_t attempt)
{
    return t->spec.websocket && attempt % 2 == 1 ? FRAMING_WEBSOCKET : FRAMING_STUN;
}

static bool over_tls(const struct target *t)
{
    return t->spec.transport == TRANSPORT_TLS || t->spec.transport == TRANSPORT_PROXY;
}

static size_t samples_wanted(const struct target *t)
{
    return (size_t)t->policy->samples;
}

static int64_t timeout_us(const struct target *t)
{
    return t->policy->timeout_ms * 1000;
}

static bool under_way(const struct attempt *a)
{
    return a->state != ATTEMPT_IDLE && a->state != ATTEMPT_ENDED;
}

/* How much an attempt that failed tells; of several the one that tells most is the result. */
static int status_rank(enum probe_status s)
{
    switch (s) {
    case PROBE_REACHABLE:
        return 4;
    case PROBE_TLS_ERROR:
        return 3;
    case PROBE_REFUSED:
    case PROBE_PROXY_ERROR:
        return 2;
    case PROBE_TIMEOUT:
        return 1;
    default:
        return 0;
    }
}

static void attempt_schedule(struct target *t, const struct attempt *a)
{
    if (a->state == ATTEMPT_CONNECTING || a->state == ATTEMPT_SECURING || a->state == ATTEMPT_UPGRADING)
        t->deadline_us = min64(t->deadline_us, a->deadline_us);
    if (a->state != ATTEMPT_SAMPLING)
        return;
    if (a->n_sent < samples_wanted(t))
        t->due_us = min64(t->due_us, a->next_due_us);
    for (size_t i = 0; a->n_flying > 0 && i < a->n_sent; i++) {
        if (a->samples[i].state == SAMPLE_FLYING) {
            t->deadline_us = min64(t->deadline_us, a->samples[i].sent_us + timeout_us(t));
            break; /* the others were sent later */
        }
    }
}

static void target_schedule(struct target *t)
{
    t->due_us = PROBER_NEVER;
    t->deadline_us = PROBER_NEVER;
    if (t->state != TARGET_RUNNING)
        return;
    t->due_us = t->begin_due_us;
    t->deadline_us = t->node_deadline_us;
    for (size_t i = 0; i < t->next; i++)
        attempt_schedule(t, &t->attempts[i]);
}

static void target_finish(struct target *t)
{
    t->state = TARGET_DONE;
    t->begin_due_us = PROBER_NEVER;
}

static void set_error(struct target *t, enum probe_status status, const char *text)
{
    int rank = status_rank(status);
    if (rank < t->error_rank)
        return;
    t->error_rank = rank;
    snprintf(t->error, sizeof t->error, "%s", text);
    utf8_cut(t->error);
}

/* Is attempt `next` worth making, after those before it? */
static bool next_makes_sense(const struct target *t)
{
    size_t address = target_address(t, t->next);
    if (target_framing(t, t->next) == FRAMING_WEBSOCKET) {
        const struct attempt *plain = &t->attempts[t->next - 1];
        return plain->tls_us != NOT_MEASURED &&
               (plain->status == PROBE_TIMEOUT || plain->status == PROBE_REFUSED);
    }
    if (!t->spec.routes || !t->spec.routes[address].by_name || address == 0)
        return true;
    return t->attempts[t->spec.websocket ? 2 * address - 2 : address - 1].refused_by_proxy;
}

/* An attempt has come to its end: the target too, or the next address begins. */
static void attempt_end(struct target *t, struct attempt *a, enum probe_status status, const char *text,
                        int64_t now_us)
{
    a->state = ATTEMPT_ENDED;
    a->status = a->n_answered > 0 ? PROBE_REACHABLE : status;
    a->n_flying = 0;
    if (a->n_answered > 0) {
        target_finish(t);
        return;
    }
    if (target_framing(t, (size_t)(a - t->attempts)) != FRAMING_WEBSOCKET)
        set_error(t, status, text);
    while (t->next < target_attempts(&t->spec) && !next_makes_sense(t))
        t->next++;
    if (t->next < target_attempts(&t->spec)) {
        t->begin_due_us = now_us;
        return;
    }
    for (size_t i = 0; i < t->next; i++) {
        if (under_way(&t->attempts[i]))
            return;
    }
    target_finish(t);
}

static void attempt_check_samples(struct target *t, struct attempt *a, int64_t now_us)
{
    if (a->state == ATTEMPT_SAMPLING && a->n_flying == 0 && a->n_sent == samples_wanted(t))
        attempt_end(t, a, PROBE_TIMEOUT, "no answer to STUN", now_us);
}

void target_start(struct target *t, int64_t now_us, int64_t node_deadline_us)
{
    assert(t->state == TARGET_WAITING && t->spec.n_addrs > 0);
    t->state = TARGET_RUNNING;
    t->node_deadline_us = node_deadline_us;
    t->begin_due_us = now_us;
    target_schedule(t);
}

/* A blackholed address must leave time for those after it. */
static int64_t connect_time_us(const struct target *t, int64_t now_us)
{
    int64_t left = (int64_t)(t->spec.n_addrs - target_address(t, t->next));
    int64_t share = (t->node_deadline_us - now_us) / (left > 0 ? left : 1);
    int64_t most = t->spec.transport == TRANSPORT_PROXY ? 2 * timeout_us(t) : timeout_us(t); /* two hops */
    return min64(most, max64(share, PROBER_CONNECT_LEAST_US));
}

static void take_sample(const struct target *t, struct attempt *a, size_t index, struct target_want *w,
                        int64_t now_us)
{
    w->attempt = index;
    w->sample = a->n_sent;
    a->samples[a->n_sent] = (struct sample){.state = SAMPLE_FLYING, .sent_us = now_us};
    a->n_sent++;
    a->n_flying++;
    a->next_due_us = now_us + t->policy->spacing_ms * 1000;
}

static void begin_attempt(struct target *t, struct target_want *w, int64_t now_us)
{
    size_t index = t->next;
    struct attempt *a = &t->attempts[index];
    a->started_us = now_us;
    if (target_is_stream(t)) {
        a->deadline_us = now_us + connect_time_us(t, now_us);
        a->state = ATTEMPT_CONNECTING;
        t->begin_due_us = PROBER_NEVER;
        w->open = true;
        w->attempt = index;
    } else {
        a->state = ATTEMPT_SAMPLING;
        t->begin_due_us = index + 1 < t->spec.n_addrs ? now_us + PROBER_UDP_OVERLAP_US : PROBER_NEVER;
        take_sample(t, a, index, w, now_us);
    }
    t->next++;
}

struct target_want target_take(struct target *t, int64_t now_us)
{
    struct target_want w = {0};
    assert(t->due_us <= now_us);
    for (size_t i = 0; i < t->next; i++) {
        struct attempt *a = &t->attempts[i];
        if (a->state == ATTEMPT_SAMPLING && a->n_sent < samples_wanted(t) && a->next_due_us <= now_us) {
            take_sample(t, a, i, &w, now_us);
            target_schedule(t);
            return w;
        }
    }
    begin_attempt(t, &w, now_us);
    target_schedule(t);
    return w;
}

void target_sent(struct target *t, const struct target_want *w, int64_t sent_us)
{
    struct attempt *a = &t->attempts[w->attempt];
    if (w->open)
        a->started_us = sent_us;
    else if (a->samples[w->sample].state == SAMPLE_FLYING)
        a->samples[w->sample].sent_us = sent_us;
}

static void lose_samples(struct target *t, struct attempt *a, int64_t now_us)
{
    for (size_t i = 0; a->n_flying > 0 && i < a->n_sent; i++) {
        struct sample *s = &a->samples[i];
        if (s->state == SAMPLE_FLYING && s->sent_us + timeout_us(t) <= now_us) {
            s->state = SAMPLE_LOST;
            a->n_flying--;
        }
    }
}

/* What a deadline that passes in a state means. */
static enum probe_status silence_in(const struct target *t, enum attempt_state state, const char **text)
{
    bool proxy = t->spec.transport == TRANSPORT_PROXY;
    if (state == ATTEMPT_CONNECTING) {
        *text = proxy ? "the proxy did not connect in time" : "no answer to the TCP connect";
        return proxy ? PROBE_PROXY_ERROR : PROBE_TIMEOUT;
    }
    *text =
        state == ATTEMPT_SECURING ? "no answer to the TLS handshake" : "no answer to the WebSocket upgrade";
    return PROBE_TIMEOUT;
}

void target_tick(struct target *t, int64_t now_us)
{
    if (t->state != TARGET_RUNNING || now_us < t->deadline_us)
        return;
    for (size_t i = 0; i < t->next && t->state == TARGET_RUNNING; i++) {
        struct attempt *a = &t->attempts[i];
        if (under_way(a) && a->state != ATTEMPT_SAMPLING && a->deadline_us <= now_us) {
            const char *text;
            enum probe_status status = silence_in(t, a->state, &text);
            attempt_end(t, a, status, text, now_us);
        }
        lose_samples(t, a, now_us);
        attempt_check_samples(t, a, now_us);
    }
    if (t->state == TARGET_RUNNING && t->node_deadline_us <= now_us)
        target_cut(t, PROBE_TIMEOUT, "the node's time budget ran out", now_us);
    target_schedule(t);
}

static void choose_winner(struct target *t, size_t attempt)
{
    t->winner = (int)attempt;
    t->begin_due_us = PROBER_NEVER;
    for (size_t i = 0; i < t->next; i++) {
        if (i != attempt) {
            t->attempts[i].state = ATTEMPT_ENDED;
            t->attempts[i].n_flying = 0;
        }
    }
}

void target_answered(struct target *t, size_t attempt, size_t sample, const struct addr *mapped,
                     int64_t received_us)
{
    struct attempt *a = &t->attempts[attempt];
    struct sample *s = &a->samples[sample];
    if (t->state != TARGET_RUNNING || a->state != ATTEMPT_SAMPLING || s->state != SAMPLE_FLYING)
        return;
    if (received_us - s->sent_us >= timeout_us(t))
        return; /* too late, even if the clock has not told yet */
    s->state = SAMPLE_ANSWERED;
    s->rtt_us = max64(received_us - s->sent_us, 0);
    a->n_flying--;
    a->n_answered++;
    a->status = PROBE_REACHABLE;
    if (addr_is_set(mapped))
        a->mapped = *mapped;
    if (t->winner == TARGET_NO_WINNER)
        choose_winner(t, attempt);
    attempt_check_samples(t, a, received_us);
    target_schedule(t);
}

void target_bounced(struct target *t, size_t attempt, size_t sample, int error, int64_t now_us)
{
    struct attempt *a = &t->attempts[attempt];
    struct sample *s = &a->samples[sample];
    if (t->state != TARGET_RUNNING || a->state != ATTEMPT_SAMPLING || s->state != SAMPLE_FLYING)
        return;
    bool no_socket = error == EMFILE || error == ENFILE;
    if (prober_own_shortage(error) && !no_socket)
        return; /* our own shortage says nothing of the path: lost, in time */
    s->state = SAMPLE_LOST;
    a->n_flying--;
    if (a->n_answered == 0)
        attempt_end(t, a, no_socket ? PROBE_UNTESTED : PROBE_REFUSED,
                    prober_error_text(error, target_is_stream(t)), now_us);
    else
        attempt_check_samples(t, a, now_us);
    target_schedule(t);
}

size_t target_open_attempt(const struct target *t)
{
    if (t->state == TARGET_RUNNING && target_is_stream(t) && t->next > 0 &&
        under_way(&t->attempts[t->next - 1]))
        return t->next - 1;
    return target_attempts(&t->spec);
}

static struct attempt *open_attempt(struct target *t)
{
    size_t i = target_open_attempt(t);
    return i < target_attempts(&t->spec) ? &t->attempts[i] : NULL;
}

static void begin_sampling(struct attempt *a, int64_t now_us)
{
    a->state = ATTEMPT_SAMPLING;
    a->next_due_us = now_us;
}

void target_connected(struct target *t, int64_t now_us)
{
    struct attempt *a = open_attempt(t);
    if (!a || a->state != ATTEMPT_CONNECTING)
        return;
    a->connect_us = max64(now_us - a->started_us, 0);
    if (over_tls(t)) {
        a->state = ATTEMPT_SECURING;
        a->started_us = now_us;
        a->deadline_us = now_us + timeout_us(t);
    } else {
        begin_sampling(a, now_us);
    }
    target_schedule(t);
}

void target_secured(struct target *t, int64_t now_us)
{
    struct attempt *a = open_attempt(t);
    if (!a || a->state != ATTEMPT_SECURING)
        return;
    a->tls_us = max64(now_us - a->started_us, 0);
    if (target_framing(t, target_open_attempt(t)) == FRAMING_WEBSOCKET) {
        a->state = ATTEMPT_UPGRADING;
        a->deadline_us = now_us + timeout_us(t);
    } else {
        begin_sampling(a, now_us);
    }
    target_schedule(t);
}

void target_upgraded(struct target *t, int64_t now_us)
{
    struct attempt *a = open_attempt(t);
    if (!a || a->state != ATTEMPT_UPGRADING)
        return;
    begin_sampling(a, now_us);
    target_schedule(t);
}

void target_stream_failed(struct target *t, enum probe_status why, const char *text, int64_t now_us)
{
    struct attempt *a = open_attempt(t);
    if (!a)
        return;
    /* Whatever ends a connection in the middle of the handshake denies TLS, not TCP: that was there. */
    if (a->state == ATTEMPT_SECURING && why == PROBE_REFUSED)
        why = PROBE_TLS_ERROR;
    if (a->state == ATTEMPT_CONNECTING && why != PROBE_UNTESTED && t->spec.transport == TRANSPORT_PROXY)
        why = PROBE_PROXY_ERROR;
    attempt_end(t, a, why, text, now_us);
    target_schedule(t);
}

void target_stream_error(struct target *t, int error, int64_t now_us)
{
    enum probe_status status = PROBE_REFUSED;
    if (error == ETIMEDOUT)
        status = PROBE_TIMEOUT;
    else if (prober_own_shortage(error))
        status = PROBE_UNTESTED;
    target_stream_failed(t, status, prober_error_text(error, target_is_stream(t)), now_us);
}

void target_cut(struct target *t, enum probe_status status, const char *why, int64_t now_us)
{
    if (t->state == TARGET_DONE)
        return;
    for (size_t i = 0; i < t->next; i++) {
        struct attempt *a = &t->attempts[i];
        if (!under_way(a))
            continue;
        lose_samples(t, a, now_us);
        if (a->n_answered > 0)
            a->n_sent -= a->n_flying; /* not waited for: neither received nor lost */
        a->n_flying = 0;
        a->state = ATTEMPT_ENDED;
        a->status = a->n_answered > 0 ? PROBE_REACHABLE : status;
        if (a->n_answered == 0)
            set_error(t, status, why);
    }
    if (t->next == 0)
        set_error(t, PROBE_UNTESTED, why);
    target_finish(t);
    target_schedule(t);
}

/* The attempt that speaks for the target: the one that was answered, else the one that tells most, else the last. */
static const struct attempt *telling_attempt(const struct target *t, size_t *index)
{
    const struct attempt *best = NULL;
    for (size_t i = 0; i < t->next; i++) {
        const struct attempt *a = &t->attempts[i];
        if (target_framing(t, i) == FRAMING_WEBSOCKET && a->status != PROBE_REACHABLE)
            continue; /* only the second way: it takes nothing from what the first one met */
        if (!best || status_rank(a->status) >= status_rank(best->status)) {
            best = a;
            *index = i;
        }
    }
    return best;
}

static void set_route(const struct target *t, size_t address, const struct attempt *a, struct probe_result *r)
{
    r->tls_intercepted = a->tls_intercepted;
    if (!t->spec.routes)
        return;
    const struct proxy_endpoint *proxy = t->spec.routes[address].proxy;
    r->via_proxy = true;
    proxy_format(proxy, r->proxy_url);
    snprintf(r->proxy_scheme, sizeof r->proxy_scheme, "%s", proxy_scheme_name(proxy->kind));
    snprintf(r->proxy_auth, sizeof r->proxy_auth, "%s", a->proxy_auth ? a->proxy_auth : "");
}

void target_result(const struct target *t, struct probe_result *r)
{
    size_t index = 0;
    probe_result_init(r);
    r->transport = t->spec.transport;
    const struct attempt *a = t->state == TARGET_DONE ? telling_attempt(t, &index) : NULL;
    if (!a || a->status == PROBE_UNTESTED)
        return;
    r->status = a->status;
    r->address = t->spec.addrs[target_address(t, index)];
    set_route(t, target_address(t, index), a, r);
    r->sent = (int64_t)a->n_sent;
    r->received = (int64_t)a->n_answered;
    r->connect_us = a->connect_us;
    r->tls_us = a->tls_us;
    r->mapped_address = a->mapped;
    if (a->status != PROBE_REACHABLE)
        return;
    r->framing = target_framing(t, index);
    int64_t rtt[PROBER_SAMPLES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < samples_wanted(t); i++) {
        if (a->samples[i].state == SAMPLE_ANSWERED)
            rtt[n++] = a->samples[i].rtt_us;
    }
    struct rtt_stats stats;
    rtt_stats_of(&stats, rtt, n);
    r->rtt_min_us = stats.min_us;
    r->rtt_median_us = stats.median_us;
    r->rtt_p95_us = stats.p95_us;
}
