/* A network in virtual time for the prober: each address behaves as told, and every random choice comes from a seed. Included by
 * the tests of the prober. */
#ifndef BERTH_TESTS_AGENT_SIM_H
#define BERTH_TESTS_AGENT_SIM_H

#include "check.h"

#include "core/stun.h"
#include "probe/prober.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum sim_kind {
    SIM_ANSWERS,
    SIM_BLACKHOLE,
    SIM_REFUSES,
    SIM_TLS_FAILS,
    SIM_CLOSES,
    SIM_GARBAGE,
    SIM_SILENT,
    SIM_WANTS_WEBSOCKET, /* under TLS: STUN gets no answer, WebSocket does */
    SIM_CLOSES_BUT_FOR_WEBSOCKET,
    SIM_SILENT_NO_WEBSOCKET, /* and refuses the upgrade */
    SIM_PROXY_REFUSES,       /* the proxy, this destination */
    SIM_PROXY_WANTS_NAME,
};

/* How one transport address behaves. */
struct sim_host {
    struct addr at;
    enum transport transport;
    enum sim_kind kind;
    int64_t rtt_us, jitter_us; /* of each round trip: rtt to rtt + jitter */
    unsigned loss, dup;        /* percent of round trips */
    size_t n_sent, n_answers;  /* seen; answers that come in time and only once */
    uint64_t newest;           /* order of the newest answer that has arrived */
};

enum sim_event_kind {
    SIM_DATAGRAM,
    SIM_BOUNCE,
    SIM_CONNECTED,
    SIM_SECURED,
    SIM_UPGRADED,
    SIM_UPGRADE_ERROR,
    SIM_PROXY_ERROR,
    SIM_BYTES,
    SIM_ERROR,
    SIM_TLS_ERROR
};
struct sim_event {
    int64_t at_us;
    uint64_t order;
    enum sim_event_kind kind;
    size_t host, stream;
    uint64_t generation; /* of the stream */
    int error;
    size_t len;
    uint8_t bytes[STUN_BINDING_ANSWER_MAX];
};

enum { SIM_HOSTS = 2048, SIM_EVENTS = 16384, SIM_PACED = 65536 };
struct sim {
    uint64_t random;
    int64_t now_us;
    struct prober *prober;
    struct sim_host hosts[SIM_HOSTS];
    size_t n_hosts;
    struct sim_event events[SIM_EVENTS]; /* not sorted: tests are small */
    size_t n_events;
    uint64_t order;
    size_t stream_host[PROBER_STREAMS_MAX];
    uint64_t stream_generation[PROBER_STREAMS_MAX]; /* odd: open */
    bool stream_websocket[PROBER_STREAMS_MAX];
    size_t n_opened;
    size_t n_open, most_open;
    int64_t paced[SIM_PACED]; /* when each paced action left */
    size_t n_paced;
    size_t n_lost, n_doubled, n_overtaken; /* what the network did to answers */
    int64_t done_us;
    size_t results[PROBER_TARGETS_MAX]; /* in order of their end */
    int64_t result_us[PROBER_TARGETS_MAX];
    size_t n_results;
};

static inline uint64_t sim_random(struct sim *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static inline struct sim *sim_new(uint64_t seed)
{
    struct sim *s = calloc(1, sizeof *s);
    assert(s);
    s->random = seed * 2654435761u + 88172645463325252u;
    s->now_us = 1000000;
    return s;
}

static inline void sim_destroy(struct sim *s)
{
    prober_destroy(s->prober);
    free(s);
}

static inline struct addr sim_addr(size_t node, uint16_t port)
{
    struct addr a = {.family = ADDR_V4, .port = port};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(node >> 16);
    a.ip[2] = (uint8_t)(node >> 8);
    a.ip[3] = (uint8_t)node;
    return a;
}

static inline struct sim_host *sim_host(struct sim *s, struct addr at, enum transport t, enum sim_kind kind,
                                        int64_t rtt_us)
{
    assert(s->n_hosts < SIM_HOSTS);
    struct sim_host *h = &s->hosts[s->n_hosts++];
    *h = (struct sim_host){.at = at, .transport = t, .kind = kind, .rtt_us = rtt_us};
    return h;
}

static inline size_t sim_find(const struct sim *s, const struct addr *at, enum transport t)
{
    for (size_t i = 0; i < s->n_hosts; i++) {
        if (s->hosts[i].transport == t && addr_eq(&s->hosts[i].at, at))
            return i;
    }
    return s->n_hosts;
}

static inline struct sim_event *sim_push(struct sim *s, int64_t at_us, enum sim_event_kind kind, size_t host)
{
    assert(s->n_events < SIM_EVENTS);
    struct sim_event *e = &s->events[s->n_events++];
    *e = (struct sim_event){.at_us = at_us, .order = s->order++, .kind = kind, .host = host};
    return e;
}

static inline struct sim_event *sim_push_stream(struct sim *s, int64_t at_us, enum sim_event_kind kind,
                                                size_t stream)
{
    struct sim_event *e = sim_push(s, at_us, kind, s->stream_host[stream]);
    e->stream = stream;
    e->generation = s->stream_generation[stream];
    return e;
}

static inline int64_t sim_rtt(struct sim *s, const struct sim_host *h)
{
    return h->rtt_us + (h->jitter_us > 0 ? (int64_t)(sim_random(s) % (uint64_t)(h->jitter_us + 1)) : 0);
}

static inline void sim_answer(struct sim_event *e, const uint8_t *request)
{
    struct addr us = sim_addr(0x010203, 4444);
    e->len = stun_binding_answer(request, PROBER_MESSAGE_LEN, &us, &(struct stun_binding_opts){0}, e->bytes,
                                 sizeof e->bytes);
    assert(e->len > 0);
}

static inline void sim_udp(struct sim *s, const struct prober_action *a)
{
    size_t i = sim_find(s, &a->to, TRANSPORT_UDP);
    assert(i < s->n_hosts);
    struct sim_host *h = &s->hosts[i];
    h->n_sent++;
    if (h->kind == SIM_REFUSES) {
        struct sim_event *e = sim_push(s, s->now_us + h->rtt_us, SIM_BOUNCE, i);
        memcpy(e->bytes, a->bytes, sizeof a->bytes);
        e->len = sizeof a->bytes;
        e->error = ECONNREFUSED;
        return;
    }
    if (h->kind != SIM_ANSWERS)
        return;
    if (sim_random(s) % 100 < h->loss) {
        s->n_lost++;
        return;
    }
    h->n_answers++;
    sim_answer(sim_push(s, s->now_us + sim_rtt(s, h), SIM_DATAGRAM, i), a->bytes);
    if (sim_random(s) % 100 >= h->dup)
        return;
    s->n_doubled++; /* the network's copy is later than the longest first */
    sim_answer(sim_push(s, s->now_us + h->rtt_us + h->jitter_us + 1 + (int64_t)(sim_random(s) % 90000),
                        SIM_DATAGRAM, i),
               a->bytes);
}

static inline void sim_open(struct sim *s, const struct prober_action *a)
{
    size_t i = sim_find(s, &a->to, a->transport);
    assert(i < s->n_hosts && s->stream_generation[a->stream] % 2 == 0);
    struct sim_host *h = &s->hosts[i];
    s->stream_host[a->stream] = i;
    s->stream_generation[a->stream]++;
    s->stream_websocket[a->stream] = a->framing == FRAMING_WEBSOCKET;
    s->n_opened++;
    s->n_open++;
    s->most_open = s->n_open > s->most_open ? s->n_open : s->most_open;
    if (h->kind == SIM_REFUSES)
        sim_push_stream(s, s->now_us + h->rtt_us, SIM_ERROR, a->stream)->error = ECONNREFUSED;
    else if (h->kind == SIM_PROXY_REFUSES || (h->kind == SIM_PROXY_WANTS_NAME && !a->route->by_name))
        sim_push_stream(s, s->now_us + h->rtt_us, SIM_PROXY_ERROR, a->stream);
    else if (h->kind != SIM_BLACKHOLE)
        sim_push_stream(s, s->now_us + h->rtt_us, SIM_CONNECTED, a->stream);
}

static inline void sim_stream(struct sim *s, const struct prober_action *a)
{
    struct sim_host *h = &s->hosts[s->stream_host[a->stream]];
    assert(s->stream_generation[a->stream] % 2 == 1);
    h->n_sent++;
    bool deaf = h->kind == SIM_SILENT || h->kind == SIM_WANTS_WEBSOCKET || h->kind == SIM_SILENT_NO_WEBSOCKET;
    if ((deaf && !s->stream_websocket[a->stream]) || sim_random(s) % 100 < h->loss)
        return;
    h->n_answers++;
    struct sim_event *e = sim_push_stream(s, s->now_us + sim_rtt(s, h), SIM_BYTES, a->stream);
    sim_answer(e, a->bytes);
    if (h->kind == SIM_GARBAGE)
        memcpy(e->bytes, "HTTP/1.1 400 Bad", 16);
    if (h->kind == SIM_CLOSES || (h->kind == SIM_CLOSES_BUT_FOR_WEBSOCKET && !s->stream_websocket[a->stream]))
        e->kind = SIM_ERROR;
}

static inline void sim_act(struct sim *s, const struct prober_action *a)
{
    if (a->kind == PROBER_CLOSE) {
        assert(s->stream_generation[a->stream] % 2 == 1);
        s->stream_generation[a->stream]++;
        s->n_open--;
        return;
    }
    assert(s->n_paced < SIM_PACED);
    s->paced[s->n_paced++] = s->now_us;
    if (a->kind == PROBER_SEND_UDP)
        sim_udp(s, a);
    else if (a->kind == PROBER_OPEN)
        sim_open(s, a);
    else
        sim_stream(s, a);
}

/* What follows a TCP connect. */
static inline void sim_connected(struct sim *s, size_t stream)
{
    const struct sim_host *h = &s->hosts[s->stream_host[stream]];
    prober_on_connected(s->prober, stream, s->now_us);
    if (h->transport < TRANSPORT_TLS)
        return;
    if (h->kind == SIM_TLS_FAILS)
        sim_push_stream(s, s->now_us + 2 * h->rtt_us, SIM_TLS_ERROR, stream);
    else if (h->kind == SIM_CLOSES)
        sim_push_stream(s, s->now_us + h->rtt_us, SIM_ERROR, stream)->error = ECONNRESET;
    else if (h->kind != SIM_SILENT)
        sim_push_stream(s, s->now_us + 2 * h->rtt_us, SIM_SECURED, stream);
}

static inline void sim_happen(struct sim *s, const struct sim_event *e)
{
    const struct addr *peer = &s->hosts[e->host].at;
    if (e->kind != SIM_DATAGRAM && e->kind != SIM_BOUNCE && s->stream_generation[e->stream] != e->generation)
        return; /* the connection is no more */
    switch (e->kind) {
    case SIM_DATAGRAM:
        s->n_overtaken += e->order < s->hosts[e->host].newest;
        s->hosts[e->host].newest = e->order > s->hosts[e->host].newest ? e->order : s->hosts[e->host].newest;
        prober_on_udp(s->prober, peer, e->bytes, e->len, s->now_us);
        break;
    case SIM_BOUNCE:
        prober_on_udp_error(s->prober, peer, e->bytes, e->len, e->error, s->now_us);
        break;
    case SIM_CONNECTED:
        sim_connected(s, e->stream);
        break;
    case SIM_SECURED:
        prober_on_secured(s->prober, e->stream, s->now_us);
        if (s->stream_websocket[e->stream])
            sim_push_stream(s, s->now_us + s->hosts[e->host].rtt_us,
                            s->hosts[e->host].kind == SIM_SILENT_NO_WEBSOCKET ? SIM_UPGRADE_ERROR
                                                                              : SIM_UPGRADED,
                            e->stream);
        break;
    case SIM_UPGRADED:
        prober_on_upgraded(s->prober, e->stream, s->now_us);
        break;
    case SIM_UPGRADE_ERROR:
        prober_on_websocket_error(s->prober, e->stream, "no WebSocket there: HTTP 404", s->now_us);
        break;
    case SIM_PROXY_ERROR:
        prober_on_proxy_error(s->prober, e->stream, true, "the proxy refuses to connect (403)", s->now_us);
        break;
    case SIM_BYTES: { /* in two pieces, cut anywhere */
        size_t cut = sim_random(s) % e->len;
        prober_on_stream(s->prober, e->stream, e->bytes, cut, s->now_us);
        prober_on_stream(s->prober, e->stream, e->bytes + cut, e->len - cut, s->now_us);
        break;
    }
    case SIM_ERROR:
        prober_on_stream_error(s->prober, e->stream, e->error, s->now_us);
        break;
    case SIM_TLS_ERROR:
        prober_on_tls_error(s->prober, e->stream, "certificate verify failed", s->now_us);
        break;
    }
}

static inline size_t sim_next_event(const struct sim *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->n_events; i++) {
        const struct sim_event *e = &s->events[i], *b = &s->events[best];
        if (e->at_us < b->at_us || (e->at_us == b->at_us && e->order < b->order))
            best = i;
    }
    return best;
}

static inline void sim_act_all(struct sim *s)
{
    struct prober_action a;
    while (prober_next_action(s->prober, s->now_us, &a))
        sim_act(s, &a);
    while (prober_next_result(s->prober, &s->results[s->n_results]))
        s->result_us[s->n_results++] = s->now_us;
}

/* Until the probe is done, or `until_us`. */
static inline void sim_run_until(struct sim *s, int64_t until_us)
{
    for (;;) {
        sim_act_all(s);
        if (prober_done(s->prober))
            break;
        int64_t deadline = prober_deadline(s->prober);
        assert(deadline > s->now_us);
        size_t i = sim_next_event(s);
        int64_t next = s->n_events > 0 && s->events[i].at_us <= deadline ? s->events[i].at_us : deadline;
        assert(next != PROBER_NEVER);
        if (next > until_us) {
            s->now_us = until_us;
            return;
        }
        s->now_us = next;
        if (s->n_events > 0 && s->events[i].at_us <= s->now_us) {
            struct sim_event e = s->events[i];
            s->events[i] = s->events[--s->n_events];
            sim_happen(s, &e);
        }
    }
    s->done_us = s->now_us;
    assert(s->n_open == 0);
}

static inline void sim_run(struct sim *s)
{
    sim_run_until(s, INT64_MAX - 1);
}

static inline void sim_start(struct sim *s, const struct probe_policy *policy,
                             const struct prober_target_spec *targets, size_t n)
{
    struct prober_plan plan = {.policy = *policy, .targets = targets, .n_targets = n};
    for (size_t i = 0; i < sizeof plan.seed; i++)
        plan.seed[i] = (uint8_t)sim_random(s);
    int err = prober_new(&s->prober, &plan, s->now_us);
    assert(err == 0);
    (void)err;
}

static inline struct probe_result sim_result(const struct sim *s, size_t target)
{
    struct probe_result r;
    char error[PROBER_ERROR_TEXT];
    prober_result(s->prober, target, &r, error);
    return r;
}

static inline struct probe_policy sim_policy(void)
{
    struct probe_policy p;
    probe_policy_init(&p);
    return p;
}

static inline struct prober_target_spec sim_target(size_t node, enum transport t, const struct addr *addrs,
                                                   size_t n)
{
    return (struct prober_target_spec){
        .node = node, .transport = t, .addrs = addrs, .n_addrs = n, .tls_name = "n"};
}

/* One target at the given hosts' addresses, run to its end. */
static inline struct probe_result sim_probe_one(struct sim *s, enum transport t, const struct addr *addrs,
                                                size_t n)
{
    struct probe_policy policy = sim_policy();
    struct prober_target_spec spec = sim_target(0, t, addrs, n);
    sim_start(s, &policy, &spec, 1);
    sim_run(s);
    assert_int_equal(s->n_results, 1);
    return sim_result(s, 0);
}

/* Never more in any second than the pace, but for what a late loop may catch up. */
static inline void sim_check_pace(const struct sim *s, const struct probe_policy *p)
{
    size_t first = 0;
    int64_t allowed = p->pace_per_s + PROBER_CATCH_UP_US * p->pace_per_s / 1000000 + 1;
    for (size_t i = 0; i < s->n_paced; i++) {
        while (s->paced[i] - s->paced[first] >= 1000000)
            first++;
        assert_true((int64_t)(i - first + 1) <= allowed);
    }
}

#endif
