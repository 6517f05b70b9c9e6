/* Streams by number, and what the post does with them. Invariant: a stream is in its slot from its first request
 * until it is gone; while a session is attached it has a queue, or ends at the end of this turn; and its home hears
 * of its end. */
#include "post_internal.h"

#include "sys/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 64, SLOT_BITS = 32 };
static_assert((int)STREAM_QUEUE_PACKET >= (int)MEDIA_CELL_BYTES, "what a ring holds fits");

/* ---- numbers ---- */

struct stream_media *post_stream(const struct media_post *p, uint64_t number)
{
    size_t at = (uint32_t)number;
    if (at >= p->n_slots || p->slots[at].generation != number >> SLOT_BITS)
        return NULL;
    return p->slots[at].stream;
}

static bool grow_slots(struct media_post *p)
{
    size_t n = p->n_slots > 0 ? 2 * p->n_slots : SLOTS_FIRST;
    struct stream_slot *slots = n <= POST_STREAMS_MAX ? realloc(p->slots, n * sizeof(*slots)) : NULL;
    if (!slots)
        return false;
    memset(slots + p->n_slots, 0, (n - p->n_slots) * sizeof(*slots));
    p->slots = slots;
    p->free_slot = p->n_slots;
    p->n_slots = n;
    return true;
}

/* A number that no stream of this thread had before; 0: there is no room. */
static uint64_t number_stream(struct media_post *p, struct stream_media *m)
{
    while (p->free_slot < p->n_slots && p->slots[p->free_slot].stream)
        p->free_slot++;
    if (p->free_slot == p->n_slots && !grow_slots(p))
        return 0;
    struct stream_slot *s = &p->slots[p->free_slot];
    s->stream = m;
    s->generation++;
    return (uint64_t)s->generation << SLOT_BITS | p->free_slot;
}

static struct stream_media *make(const struct stream_place *at)
{
    struct stream_media *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->post = at->post;
    m->face = at->face;
    m->owner = at->owner;
    m->tls = at->tls;
    m->path = (struct media_path){
        .carrier = (uint8_t)at->carrier, .thread = at->post->opts.thread, .peer = at->peer};
    m->path.stream = number_stream(at->post, m);
    if (m->path.stream == 0) {
        free(m);
        m = NULL;
    }
    return m;
}

void stream_media_gone(struct stream_media *m, bool hanging)
{
    if (!m)
        return;
    struct media_post *p = m->post;
    struct media_path path = m->path;
    uint8_t home = m->home;
    bool attached = m->attached;
    size_t at = (uint32_t)path.stream;
    p->slots[at].stream = NULL;
    if (at < p->free_slot)
        p->free_slot = at;
    if (h2o_linklist_is_linked(&m->dirty))
        h2o_linklist_unlink(&m->dirty);
    stream_queue_destroy(m->queue);
    free(m->chunk);
    free(m);
    if (!attached)
        return;
    if (home != p->opts.thread)
        post_tell(p, home, MEDIA_CELL_GONE, &path, hanging ? MEDIA_END_HANGING : MEDIA_END_CLOSED);
    else if (hanging)
        media_home_hanging(p->home, &path, clock_mono_us());
    else
        media_home_gone(p->home, &path, clock_mono_us());
}

/* ---- what comes in ---- */

/* false: out of memory. */
static bool need_queue(struct stream_media *m)
{
    if (m->queue)
        return true;
    m->chunk = malloc(STREAM_QUEUE_CHUNK);
    if (m->chunk && stream_queue_new(&m->queue) == 0)
        return true;
    free(m->chunk);
    m->chunk = NULL;
    return false;
}

static bool need_stream(struct stream_media **m, const struct stream_place *at)
{
    if (!*m)
        *m = make(at);
    return *m && need_queue(*m);
}

static void count_request(const struct stream_place *at)
{
    struct node_stats *s = at->post->opts.stats;
    stats_add(at->tls ? &s->tls_requests : &s->tcp_requests, 1);
}

/* Is it for the home that has this stream's session? That counts it itself. */
static bool is_known(const struct stream_media *m, const struct media_request *r)
{
    return r->kind == MEDIA_REQUEST_CONSENT && stream_media_attached(m) && m->home == r->session.bytes[0];
}

/* Others count by where they come from; most of all those whose ticket can't be opened. */
static bool may_ask(const struct stream_media *m, const struct stream_place *at,
                    const struct media_request *r, bool opened)
{
    return is_known(m, r) || limits_allow(at->limits, opened ? LIMITS_STREAMS : LIMITS_STREAMS_FAILED,
                                          &at->peer, clock_mono_us());
}

static enum stun_tapped take_request(struct stream_media **m, const struct stream_place *at,
                                     struct slice message, uint8_t *out, size_t *written)
{
    struct media_post *p = at->post;
    struct media_request r;
    uint8_t answer[MEDIA_MESSAGE_MAX];
    size_t answer_len = 0;
    media_read_request(&r, message.p, message.len);
    if (r.kind == MEDIA_REQUEST_NONE)
        return STUN_TAP_LEFT;
    int home =
        media_route(&r, media_keys_of(p->keys), (unsigned)media_exchange_opts(p->opts.exchange)->threads,
                    post_unix_time(p), answer, &answer_len);
    if (home < 0 && answer_len > 0 && !out)
        return STUN_TAP_NO_ROOM;
    if (!may_ask(*m, at, &r, home >= 0))
        return STUN_TAP_REFUSED;
    if (home < 0 && answer_len <= STUN_BINDING_ANSWER_MAX) {
        memcpy(out, answer, answer_len);
        *written = answer_len;
    } else if (home >= 0 && need_stream(m, at)) {
        struct media_path from = (*m)->path;
        from.known = is_known(*m, &r);
        count_request(at);
        if (post_request(p, &from, &r, home, clock_mono_us()))
            (*m)->waits = home != p->opts.thread;
    }
    return STUN_TAP_TAKEN;
}

static void take_packet(struct stream_media *m, struct media_post *p, struct slice message)
{
    _Alignas(16) uint8_t bytes[RTP_PACKET_MAX]; /* in a frame it isn't aligned */
    if (!m || !m->attached || message.len > sizeof(bytes)) {
        stats_add(&p->opts.stats->media_unknown, 1);
        return;
    }
    memcpy(bytes, message.p, message.len);
    post_packet(p, &m->path, m->home, bytes, message.len, clock_mono_us());
}

/* Behind what the queue holds already. */
static void answer_plainly(struct stream_media *m, const struct stream_place *at, struct slice message)
{
    uint8_t *out = post_stream_room(m, MEDIA_CONTROL);
    count_request(at);
    if (out)
        post_stream_commit(
            m, MEDIA_CONTROL, out,
            stun_binding_answer(message.p, message.len, &at->peer, NULL, out, STUN_BINDING_ANSWER_MAX));
}

enum stun_tapped stream_media_message(struct stream_media **m, const struct stream_place *at,
                                      struct slice message, uint8_t *out, size_t *written)
{
    if (!at->post)
        return STUN_TAP_LEFT;
    if (packet_kind(message.p, message.len) != PACKET_STUN) {
        take_packet(*m, at->post, message);
        return STUN_TAP_TAKEN;
    }
    if (message.len >= MEDIA_REQUEST_LEAST) {
        enum stun_tapped tapped = take_request(m, at, message, out, written);
        if (tapped != STUN_TAP_LEFT)
            return tapped;
    }
    if (!stream_media_attached(*m))
        return STUN_TAP_LEFT;
    answer_plainly(*m, at, message);
    return STUN_TAP_TAKEN;
}

/* ---- what goes out ---- */

static void mark_dirty(struct stream_media *m)
{
    if (!h2o_linklist_is_linked(&m->dirty))
        h2o_linklist_insert(&m->post->dirty, &m->dirty);
    post_schedule(m->post);
}

/* Whose it was hears of it: what comes from there doesn't reach it any more. As with flows, none of its own calls leads here. */
static void leave_home(struct stream_media *m)
{
    struct media_post *p = m->post;
    if (m->home == p->opts.thread)
        media_home_gone(p->home, &m->path, clock_mono_us());
    else
        post_tell(p, m->home, MEDIA_CELL_GONE, &m->path, MEDIA_END_REPLACED);
}

void post_stream_attach(struct stream_media *m, uint8_t home)
{
    bool had = m->attached;
    m->attached_us = clock_mono_us();
    if (had && m->home == home)
        return;
    if (had)
        leave_home(m);
    m->attached = true;
    m->home = home;
    if (!had)
        m->face->attached(m->owner, true);
    if (!need_queue(m)) { /* its home hears of it when it has ended */
        m->doomed = true;
        mark_dirty(m);
    }
}

void post_stream_detach(struct stream_media *m, uint8_t home)
{
    if (!m->attached || m->home != home)
        return;
    m->attached = false;
    m->face->attached(m->owner, false);
    mark_dirty(m); /* what was said last is written, and then the queue goes */
}

void post_streams_sweep(struct media_post *p, int64_t now_us)
{
    const size_t part = (p->n_slots + MEDIA_FLOWS_PARTS - 1) / MEDIA_FLOWS_PARTS, begin = p->swept * part;
    for (size_t i = begin; i < begin + part && i < p->n_slots; i++) {
        struct stream_media *m = p->slots[i].stream;
        if (m && m->attached && now_us - m->attached_us >= MEDIA_STALE_US)
            post_stream_detach(m, m->home);
    }
    p->swept = (p->swept + 1) % MEDIA_FLOWS_PARTS;
}

uint8_t *post_stream_room(struct stream_media *m, enum media_class c)
{
    return m->queue ? stream_queue_room(m->queue, c) : NULL;
}

void post_stream_commit(struct stream_media *m, enum media_class c, const uint8_t *bytes, size_t len)
{
    struct media_post *p = m->post;
    post_count_out(p, bytes, len, m->tls ? &p->opts.stats->tls_answers : &p->opts.stats->tcp_answers);
    m->waits = false;
    stream_queue_commit(m->queue, c, len);
    stats_add(&p->opts.stats->media_slow, stream_queue_dropped(m->queue) - m->dropped);
    m->dropped = stream_queue_dropped(m->queue);
    if (len > 0)
        mark_dirty(m);
}

void post_stream_flush(struct stream_media *m)
{
    if (m->doomed)
        m->face->end(m->owner);
    else
        m->face->write(m->owner);
}

bool stream_media_attached(const struct stream_media *m)
{
    return m && m->attached;
}

static void drop_queue(struct stream_media *m)
{
    stream_queue_destroy(m->queue);
    free(m->chunk);
    m->queue = NULL;
    m->chunk = NULL;
    m->dropped = 0;
}

struct slice stream_media_take(struct stream_media *m)
{
    size_t len = m && m->queue ? stream_queue_take(m->queue, m->chunk, STREAM_QUEUE_CHUNK) : 0;
    if (len > 0)
        return (struct slice){m->chunk, len};
    if (m && !m->attached && !m->waits)
        drop_queue(m);
    return (struct slice){NULL, 0};
}
