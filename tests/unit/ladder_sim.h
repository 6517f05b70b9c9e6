/* A network in virtual time for the ladder: each address behaves as told, messages are lost, late, doubled and out
 * of order as the seed says. Included by the tests of the ladder. */
#ifndef BERTH_TESTS_LADDER_SIM_H
#define BERTH_TESTS_LADDER_SIM_H

#include "core/frame.h"
#include "core/stun.h"
#include "path/ladder.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum way {
    WAY_ANSWERS,
    WAY_DROPPED,
    WAY_REJECTED, /* ICMP, or a reset */
    WAY_TLS_FAILS,
    WAY_SILENT, /* connects, and says nothing */
    WAY_CLOSES, /* when it hears STUN */
    WAY_GARBAGE,
    WAY_DIES_AFTER_ANSWER, /* resets 20 ms after it */
    WAY_ONLY_WEBSOCKET,    /* STUN right under TLS is not answered */
    WAY_PROXY_REFUSES,
    WAY_PROXY_WANTS_NAME
};

struct host {
    enum way way;
    int64_t rtt_us, jitter_us;
    unsigned loss, dup; /* percent, of datagrams */
};

enum happening { UDP_IN, UDP_BACK, CONNECTED, SECURED, UPGRADED, BYTES, STREAM_OVER, TLS_OVER, PROXY_OVER };
struct pending {
    int64_t at_us;
    uint64_t order;
    enum happening what;
    size_t place;
    unsigned generation;
    int error;
    size_t len;
    uint8_t bytes[STUN_BINDING_ANSWER_MAX + 2];
};

enum { PENDING_MAX = 4096 };
struct world {
    uint64_t random;
    int64_t now_us, began_us;
    struct ladder *ladder;
    struct ladder_place places[LADDER_PLACES_MAX];
    struct host hosts[LADDER_PLACES_MAX];
    size_t n;
    struct pending pending[PENDING_MAX];
    size_t n_pending;
    unsigned generation[LADDER_PLACES_MAX]; /* odd: open */
    bool websocket[LADDER_PLACES_MAX], by_name[LADDER_PLACES_MAX];
    size_t opened, datagrams;
    uint64_t order;
    size_t lost, doubled, overtaken; /* what the network did to answers */
};

static inline uint64_t world_random(struct world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static inline struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert(w);
    w->random = seed * 2654435761u + 88172645463325252u;
    w->now_us = w->began_us = 1000000;
    return w;
}

static inline void world_free(struct world *w)
{
    ladder_destroy(w->ladder);
    free(w);
}

static inline struct host *world_add(struct world *w, enum transport t, const char *address, enum way way,
                                     int64_t rtt_us)
{
    struct ladder_place *p = &w->places[w->n];
    p->transport = t;
    int err = addr_parse(&p->to, address);
    assert(err == 0);
    (void)err;
    if (t >= TRANSPORT_TLS)
        strcpy(p->tls_name, "node.example");
    if (t == TRANSPORT_PROXY)
        strcpy(p->proxy, "http://proxy.example:3128");
    w->hosts[w->n] = (struct host){.way = way, .rtt_us = rtt_us};
    return &w->hosts[w->n++];
}

static inline struct pending *world_push(struct world *w, size_t place, int64_t after_us, enum happening what)
{
    assert(w->n_pending < PENDING_MAX);
    struct pending *e = &w->pending[w->n_pending++];
    *e = (struct pending){.at_us = w->now_us + after_us,
                          .order = ++w->order,
                          .what = what,
                          .place = place,
                          .generation = w->generation[place]};
    return e;
}

static inline int64_t world_rtt(struct world *w, const struct host *h)
{
    return h->rtt_us + (h->jitter_us > 0 ? (int64_t)(world_random(w) % (uint64_t)h->jitter_us) : 0);
}

static inline bool world_chance(struct world *w, unsigned percent)
{
    return world_random(w) % 100 < percent;
}

static inline void world_answer(struct pending *e, const uint8_t *request, size_t len, size_t head)
{
    struct addr source = {.family = ADDR_V4, .port = 4242, .ip = {203, 0, 113, 9}};
    struct stun_binding_opts opts = {0};
    size_t n = stun_binding_answer(request + head, len - head, &source, &opts, e->bytes + head,
                                   sizeof e->bytes - head);
    assert(n > 0);
    if (head > 0)
        frame_header(FRAME_RFC4571, n, e->bytes);
    e->len = head + n;
}

static inline void world_datagram(struct world *w, const struct ladder_action *a)
{
    const struct host *h = &w->hosts[a->place];
    w->datagrams++;
    if (h->way == WAY_REJECTED) {
        struct pending *e = world_push(w, a->place, world_rtt(w, h), UDP_BACK);
        e->len = a->len;
        memcpy(e->bytes, a->bytes, a->len);
    } else if (h->way == WAY_ANSWERS && world_chance(w, h->loss)) {
        w->lost++;
    } else if (h->way == WAY_ANSWERS) {
        bool twice = world_chance(w, h->dup);
        w->doubled += twice;
        for (int copies = twice ? 2 : 1; copies > 0; copies--)
            world_answer(world_push(w, a->place, world_rtt(w, h), UDP_IN), a->bytes, a->len, 0);
    }
}

static inline void world_open(struct world *w, const struct ladder_action *a)
{
    struct host *h = &w->hosts[a->place];
    assert(w->generation[a->place] % 2 == 0);
    w->generation[a->place]++;
    w->opened++;
    w->websocket[a->place] = a->framing == FRAMING_WEBSOCKET;
    w->by_name[a->place] = a->by_name;
    int64_t rtt = world_rtt(w, h);
    if (h->way == WAY_DROPPED)
        return;
    if (h->way == WAY_REJECTED) {
        world_push(w, a->place, rtt, STREAM_OVER)->error = ECONNREFUSED;
        return;
    }
    if (h->way == WAY_PROXY_REFUSES || (h->way == WAY_PROXY_WANTS_NAME && !a->by_name)) {
        world_push(w, a->place, rtt, PROXY_OVER);
        return;
    }
    world_push(w, a->place, rtt, CONNECTED);
    if (a->is->transport < TRANSPORT_TLS)
        return;
    world_push(w, a->place, rtt * 2, h->way == WAY_TLS_FAILS ? TLS_OVER : SECURED);
    if (w->websocket[a->place])
        world_push(w, a->place, rtt * 3, UPGRADED);
}

static inline void world_message(struct world *w, const struct ladder_action *a)
{
    struct host *h = &w->hosts[a->place];
    int64_t rtt = world_rtt(w, h);
    assert(w->generation[a->place] % 2 == 1);
    if (h->way == WAY_CLOSES) {
        world_push(w, a->place, rtt, STREAM_OVER);
    } else if (h->way == WAY_GARBAGE) {
        struct pending *e = world_push(w, a->place, rtt, BYTES);
        e->len = 24;
        memcpy(e->bytes, "HTTP/1.1 400 Bad Request", 24);
    } else if (h->way == WAY_ANSWERS || h->way == WAY_DIES_AFTER_ANSWER || h->way == WAY_PROXY_WANTS_NAME ||
               (h->way == WAY_ONLY_WEBSOCKET && w->websocket[a->place])) {
        world_answer(world_push(w, a->place, rtt, BYTES), a->bytes, a->len, 2);
        if (h->way == WAY_DIES_AFTER_ANSWER)
            world_push(w, a->place, rtt + 20000, STREAM_OVER)->error = ECONNRESET;
    }
}

static inline void world_do(struct world *w, const struct ladder_action *a)
{
    switch (a->kind) {
    case LADDER_SEND_UDP:
        world_datagram(w, a);
        break;
    case LADDER_OPEN:
        world_open(w, a);
        break;
    case LADDER_SEND_STREAM:
        world_message(w, a);
        break;
    case LADDER_CLOSE:
        assert(w->generation[a->place] % 2 == 1);
        w->generation[a->place]++;
        break;
    }
}

/* Is an answer to an earlier request of the same place still on its way? */
static inline bool world_overtakes(const struct world *w, const struct pending *e)
{
    for (size_t i = 0; i < w->n_pending; i++) {
        const struct pending *o = &w->pending[i];
        if (o->what == UDP_IN && o->place == e->place && o->order < e->order)
            return true;
    }
    return false;
}

static inline void world_happen(struct world *w, const struct pending *e)
{
    struct ladder *l = w->ladder;
    const struct addr *at = &w->places[e->place].to;
    if (e->what == UDP_IN) {
        w->overtaken += world_overtakes(w, e);
        ladder_on_udp(l, at, e->bytes, e->len, w->now_us);
    } else if (e->what == UDP_BACK)
        ladder_on_udp_error(l, at, e->bytes, e->len, ECONNREFUSED, w->now_us);
    else if (e->generation != w->generation[e->place])
        return; /* of a connection that is closed */
    else if (e->what == CONNECTED)
        ladder_on_connected(l, e->place, w->now_us);
    else if (e->what == SECURED)
        ladder_on_secured(l, e->place, w->now_us);
    else if (e->what == UPGRADED)
        ladder_on_upgraded(l, e->place, w->now_us);
    else if (e->what == STREAM_OVER)
        ladder_on_stream_error(l, e->place, e->error, w->now_us);
    else if (e->what == TLS_OVER)
        ladder_on_tls_error(l, e->place, "self-signed certificate", w->now_us);
    else if (e->what == PROXY_OVER)
        ladder_on_proxy_error(l, e->place, true, "the proxy refuses to connect (403)", w->now_us);
    else
        for (size_t i = 0; i < e->len; i++) /* streams have no messages */
            ladder_on_stream(l, e->place, e->bytes + i, 1, w->now_us);
}

static inline size_t world_next(const struct world *w)
{
    size_t first = w->n_pending;
    for (size_t i = 0; i < w->n_pending; i++) {
        if (first == w->n_pending || w->pending[i].at_us < w->pending[first].at_us)
            first = i;
    }
    return first;
}

/* Runs to the decision; microseconds that it took. */
static inline int64_t world_run(struct world *w, const struct ladder_policy *policy)
{
    uint8_t seed[PROBER_SEED_LEN];
    struct ladder_action a;
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)world_random(w);
    int err = ladder_new(&w->ladder, w->places, w->n, policy, seed, w->now_us);
    assert(err == 0);
    (void)err;
    for (int steps = 0;; steps++) {
        assert(steps < 100000);
        while (ladder_next_action(w->ladder, w->now_us, &a)) {
            world_do(w, &a);
            ladder_sent(w->ladder, &a, w->now_us);
        }
        if (ladder_done(w->ladder))
            return w->now_us - w->began_us;
        size_t i = world_next(w);
        int64_t at = ladder_deadline(w->ladder);
        assert(at > w->now_us);
        if (i < w->n_pending && w->pending[i].at_us <= at) {
            struct pending e = w->pending[i];
            w->pending[i] = w->pending[--w->n_pending];
            w->now_us = e.at_us;
            world_happen(w, &e);
        } else {
            w->now_us = at;
        }
    }
}

#endif
