/* A home among its thread's sockets. Invariant: whatever is to be sent is sent at the end of the turn in which it
 * was committed, or it is counted as dropped; the home is never called from within one of its own calls. */
#include "post_internal.h"

#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_US = 1000 * 1000, RETRY_MS = 5, SECOND_US = 1000000 };

/* ---- at the end of a turn ---- */

void post_schedule(struct media_post *p)
{
    if (!h2o_timeout_is_linked(&p->flush))
        h2o_timeout_link(p->opts.loop, &p->flush_timeout, &p->flush);
}

static void flush(struct media_post *p)
{
    while (!h2o_linklist_is_empty(&p->dirty)) {
        h2o_linklist_t *first = p->dirty.next;
        h2o_linklist_unlink(first);
        post_stream_flush(H2O_STRUCT_FROM_MEMBER(struct stream_media, dirty, first));
    }
    for (size_t i = 0; i < MEDIA_PORTS_MAX; i++) {
        if (p->udp_dirty[i])
            udp_out_flush(p->udp[i]);
        p->udp_dirty[i] = false;
    }
    size_t threads = media_exchange_parties(p->opts.exchange);
    for (size_t i = 0; i < threads; i++) {
        if (p->ringing[i])
            media_bell_ring(media_exchange_bell(p->opts.exchange, (uint8_t)i));
        p->ringing[i] = false;
    }
}

static void on_flush(h2o_timeout_entry_t *entry)
{
    flush(H2O_STRUCT_FROM_MEMBER(struct media_post, flush, entry));
}

int64_t post_unix_time(const struct media_post *p)
{
    return clock_mono_us() / SECOND_US + media_keys_clock(p->keys);
}

/* ---- to other threads ---- */

struct media_cell *post_cell(struct media_post *p, uint8_t to, bool packet)
{
    struct media_ring *ring = media_exchange_ring(p->opts.exchange, p->opts.thread, to);
    return ring ? media_ring_room(ring, packet) : NULL;
}

void post_push(struct media_post *p, uint8_t to)
{
    media_ring_push(media_exchange_ring(p->opts.exchange, p->opts.thread, to));
    p->ringing[to] = true;
    post_schedule(p);
}

static bool tell(struct media_post *p, const struct deferred *d)
{
    struct media_cell *c = post_cell(p, d->to, false);
    if (!c)
        return false;
    c->kind = d->kind;
    c->reason = d->reason;
    c->path = d->path;
    c->len = 0;
    post_push(p, d->to);
    return true;
}

static bool one_waits(const struct media_post *p, uint8_t to)
{
    for (size_t i = 0; i < p->n_deferred; i++)
        if (p->deferred[i].to == to)
            return true;
    return false;
}

void post_tell(struct media_post *p, uint8_t to, enum media_cell_kind kind, const struct media_path *path,
               enum media_end_reason reason)
{
    const struct deferred d = {*path, to, (uint8_t)kind, (uint8_t)reason};
    if (!one_waits(p, to) && tell(p, &d))
        return;
    if (p->n_deferred < POST_DEFERRED_MAX)
        p->deferred[p->n_deferred++] = d;
    else
        stats_add(&p->opts.stats->media_control_lost, 1);
}

static void tell_deferred(struct media_post *p)
{
    bool full[256] = {false};
    size_t left = 0;
    for (size_t i = 0; i < p->n_deferred; i++) {
        const struct deferred d = p->deferred[i];
        if (full[d.to] || !tell(p, &d)) {
            full[d.to] = true;
            p->deferred[left++] = d;
        }
    }
    p->n_deferred = left;
}

/* ---- flows and streams of this thread ---- */

/* Whose it was hears of it: what comes from there doesn't reach it any more. This thread's own home hears of it only
 * from another's message, so from none of its own calls. */
static void attach_flow(struct media_post *p, const struct media_path *path, uint8_t home)
{
    int before = media_flows_find(p->flows, path);
    if (media_flows_put(p->flows, path, home, clock_mono_us()) != 0)
        stats_add(&p->opts.stats->media_control_lost, 1);
    if (before < 0 || before == home)
        return;
    if (before == p->opts.thread)
        media_home_gone(p->home, path, clock_mono_us());
    else
        post_tell(p, (uint8_t)before, MEDIA_CELL_GONE, path, MEDIA_END_REPLACED);
}

void post_attach(struct media_post *p, const struct media_path *path, uint8_t home)
{
    if (path->carrier == MEDIA_UDP) {
        attach_flow(p, path, home);
        return;
    }
    struct stream_media *m = post_stream(p, path->stream);
    if (m)
        post_stream_attach(m, home);
    else if (home != p->opts.thread) /* it ended while the request was on its way */
        post_tell(p, home, MEDIA_CELL_GONE, path, MEDIA_END_CLOSED);
}

void post_detach(struct media_post *p, const struct media_path *path, uint8_t home)
{
    if (path->carrier == MEDIA_UDP) {
        media_flows_remove(p->flows, path, home);
        return;
    }
    struct stream_media *m = post_stream(p, path->stream);
    if (m)
        post_stream_detach(m, home);
}

/* ---- what comes in ---- */

bool post_request(struct media_post *p, const struct media_path *from, const struct media_request *r,
                  int home, int64_t now_us)
{
    const size_t len = r->msg.len;
    if (home == p->opts.thread) {
        media_home_request(p->home, from, r, now_us, post_unix_time(p));
        return true;
    }
    struct media_cell *c = len <= MEDIA_CELL_BYTES ? post_cell(p, (uint8_t)home, true) : NULL;
    if (!c) {
        stats_add(&p->opts.stats->media_ring_full, 1);
        return false;
    }
    c->kind = MEDIA_CELL_STUN;
    c->path = *from;
    c->at_us = now_us;
    c->len = len;
    memcpy(c->bytes, r->msg.bytes, len);
    post_push(p, (uint8_t)home);
    return true;
}

void post_packet(struct media_post *p, const struct media_path *from, uint8_t home, uint8_t *bytes,
                 size_t len, int64_t now_us)
{
    stats_add(&p->opts.stats->media_packets_in, 1);
    stats_add(&p->opts.stats->media_bytes_in, len);
    if (len > RTP_PACKET_MAX) {
        stats_add(&p->opts.stats->media_unknown, 1);
        return;
    }
    if (home == p->opts.thread) {
        media_home_packet(p->home, from, bytes, len, now_us);
        return;
    }
    struct media_cell *c = post_cell(p, home, true);
    if (!c) {
        stats_add(&p->opts.stats->media_ring_full, 1);
        return;
    }
    c->kind = MEDIA_CELL_PACKET;
    c->path = *from;
    c->at_us = now_us;
    c->len = len;
    memcpy(c->bytes, bytes, len);
    post_push(p, home);
}

void media_post_packet(struct media_post *p, const struct media_path *from, uint8_t *bytes, size_t len,
                       int64_t now_us)
{
    int home = media_flows_find(p->flows, from);
    if (home < 0)
        stats_add(&p->opts.stats->media_unknown, 1);
    else
        post_packet(p, from, (uint8_t)home, bytes, len, now_us);
}

enum media_asked media_post_ask(struct media_post *p, const struct media_path *from, const uint8_t *bytes,
                                size_t len, struct limits *limits, int64_t now_us)
{
    struct media_request r;
    uint8_t answer[MEDIA_MESSAGE_MAX];
    size_t answer_len = 0;
    media_read_request(&r, bytes, len);
    if (r.kind == MEDIA_REQUEST_NONE)
        return MEDIA_ASKED_NOTHING;
    struct media_path asked = *from;
    int at = media_flows_find(p->flows, from);
    asked.known = r.kind == MEDIA_REQUEST_CONSENT && at >= 0 && at == r.session.bytes[0];
    if (!asked.known && !limits_allow(limits, LIMITS_DATAGRAMS, &from->peer, now_us))
        return MEDIA_ASKED_TOO_OFTEN;
    int home =
        media_route(&r, media_keys_of(p->keys), (unsigned)media_exchange_opts(p->opts.exchange)->threads,
                    post_unix_time(p), answer, &answer_len);
    if (home >= 0) {
        asked.taken = at >= 0 && at != home ? (uint8_t)(at + 1) : 0;
        (void)!post_request(p, &asked, &r, home, now_us);
    } else if (answer_len > 0 && p->udp[from->port]) {
        memcpy(udp_out_room(p->udp[from->port]), answer, answer_len);
        stats_add(&p->opts.stats->udp_answers, 1);
        p->udp_dirty[from->port] = udp_out_commit(p->udp[from->port], from, MEDIA_CONTROL, answer_len);
        post_schedule(p);
    }
    return MEDIA_ASKED_SESSION;
}

void post_count_out(struct media_post *p, const uint8_t *bytes, size_t len, _Atomic uint64_t *answers)
{
    if (len == 0)
        return;
    if (packet_kind(bytes, len) == PACKET_STUN) {
        stats_add(answers, 1);
        return;
    }
    stats_add(&p->opts.stats->media_packets_out, 1);
    stats_add(&p->opts.stats->media_bytes_out, len);
}

/* ---- from other threads ---- */

static void send_from_cell(struct media_post *p, const struct media_cell *c)
{
    struct stream_media *m = post_stream(p, c->path.stream);
    enum media_class cls = (enum media_class)c->cls;
    uint8_t *room = m ? post_stream_room(m, cls) : NULL;
    if (!room)
        return;
    memcpy(room, c->bytes, c->len);
    post_stream_commit(m, cls, room, c->len);
}

static void take_link(struct media_post *p, struct media_cell *c)
{
    struct media_link link;
    memcpy(&link, c->bytes, sizeof(link));
    sodium_memzero(c->bytes, sizeof(link));
    media_home_linked(p->home, &c->path, &link, clock_mono_us());
    sodium_memzero(&link, sizeof(link));
}

static void take_cell(struct media_post *p, uint8_t from, struct media_cell *c)
{
    switch ((enum media_cell_kind)c->kind) {
    case MEDIA_CELL_STUN:
        media_home_stun(p->home, &c->path, c->bytes, c->len, c->at_us, post_unix_time(p));
        return;
    case MEDIA_CELL_PACKET:
        media_home_packet(p->home, &c->path, c->bytes, c->len, c->at_us);
        return;
    case MEDIA_CELL_SEND:
        send_from_cell(p, c);
        return;
    case MEDIA_CELL_ATTACH:
        post_attach(p, &c->path, from);
        return;
    case MEDIA_CELL_DETACH:
        post_detach(p, &c->path, from);
        return;
    case MEDIA_CELL_GONE:
        if (c->reason == MEDIA_END_HANGING)
            media_home_hanging(p->home, &c->path, clock_mono_us());
        else
            media_home_gone(p->home, &c->path, clock_mono_us());
        return;
    case MEDIA_CELL_LINKED:
        take_link(p, c);
        return;
    case MEDIA_CELL_STANDS:
    case MEDIA_CELL_FELL: /* never a home's */
        return;
    }
}

/* Each ring has its share of the turn, and another one the first word each time: who floods one holds up neither the
 * others nor the loop. */
bool post_take_cells(struct media_post *p)
{
    const size_t threads = media_exchange_parties(p->opts.exchange);
    const size_t share = threads < POST_CELLS_A_TURN ? POST_CELLS_A_TURN / threads : 1;
    bool more = false;
    for (size_t i = 0; i < threads; i++) {
        uint8_t from = (uint8_t)((p->first_ring + i) % threads);
        struct media_ring *ring = media_exchange_ring(p->opts.exchange, from, p->opts.thread);
        struct media_cell *c;
        size_t n = 0;
        for (; ring && n < share && (c = media_ring_peek(ring)); n++) {
            take_cell(p, from, c);
            media_ring_pop(ring);
        }
        more = more || n == share;
    }
    p->first_ring = (p->first_ring + 1) % threads;
    return more;
}

static void on_bell(h2o_socket_t *sock, const char *err)
{
    struct media_post *p = sock->data;
    struct media_bell *bell = media_exchange_bell(p->opts.exchange, p->opts.thread);
    (void)err;
    media_bell_hear(bell);
    if (post_take_cells(p)) /* the others of the loop have their turn first */
        media_bell_ring(bell);
}

/* ---- the loop ---- */

int32_t media_post_wait_ms(const struct media_post *p, int64_t now_us, int32_t most_ms)
{
    int64_t due = media_home_deadline(p->home);
    int64_t ms = due <= now_us ? 0 : due == INT64_MAX ? most_ms : (due - now_us + 999) / 1000;
    if (p->n_deferred > 0 && ms > RETRY_MS)
        ms = RETRY_MS;
    return ms < most_ms ? (int32_t)ms : most_ms;
}

void media_post_step(struct media_post *p, int64_t now_us)
{
    if (p->n_deferred > 0)
        tell_deferred(p);
    if (media_home_deadline(p->home) <= now_us)
        media_home_step(p->home, now_us);
    if (now_us - p->looked_us >= LOOK_US) {
        p->looked_us = now_us;
        media_figures_look(p->opts.figures, p->home);
        media_flows_sweep(p->flows, now_us);
        post_streams_sweep(p, now_us);
    }
}

/* ---- beginning and end ---- */

static int64_t random64(void *ctx)
{
    int64_t n;
    (void)ctx;
    randombytes_buf(&n, sizeof(n));
    return n;
}

static void random_bytes(void *ctx, uint8_t *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
}

static int make_home(struct media_post *p)
{
    const struct media_exchange_opts *x = media_exchange_opts(p->opts.exchange);
    struct media_opts o = {
        .home = p->opts.thread,
        .homes = (uint8_t)x->threads,
        .random64 = random64,
        .random = random_bytes,
        .sink = post_sink(p),
        .legs_max = x->capacity,
        .legs = media_exchange_legs(p->opts.exchange),
    };
    memcpy(o.nonce_key, media_exchange_nonce_key(p->opts.exchange), sizeof(o.nonce_key));
    int rc = media_home_new(&p->home, &o);
    sodium_memzero(o.nonce_key, sizeof(o.nonce_key));
    return rc;
}

static int hear_bell(struct media_post *p)
{
    int fd = fcntl(media_exchange_bell(p->opts.exchange, p->opts.thread)->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    p->bell = h2o_evloop_socket_create(p->opts.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    p->bell->data = p;
    h2o_socket_read_start(p->bell, on_bell);
    return 0;
}

int media_post_new(struct media_post **out, const struct media_post_opts *opts)
{
    struct media_post *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->opts = *opts;
    opts->figures->stats = opts->stats;
    opts->figures->log = media_exchange_opts(opts->exchange)->log;
    p->flush.cb = on_flush;
    h2o_linklist_init_anchor(&p->dirty);
    h2o_timeout_init(opts->loop, &p->flush_timeout, 0);
    int rc = media_flows_new(&p->flows, MEDIA_FLOWS_MAX);
    if (rc == 0)
        rc = make_home(p);
    if (rc == 0)
        rc = hear_bell(p);
    if (rc != 0) {
        media_post_destroy(p);
        return rc;
    }
    *out = p;
    return 0;
}

void media_post_forget_udp(struct media_post *p, uint16_t port)
{
    udp_out_destroy(p->udp[port]);
    p->udp[port] = NULL;
    p->udp_dirty[port] = false;
}

int media_post_udp(struct media_post *p, uint16_t port, int fd)
{
    return port < MEDIA_PORTS_MAX ? udp_out_new(&p->udp[port], fd, p->opts.stats) : -EINVAL;
}

void media_post_use_plan(struct media_post *p, struct media_plan_held *plan)
{
    media_home_set_plan(p->home, media_plan_of(plan));
    media_plan_release(p->plan);
    p->plan = plan;
}

void media_post_use_keys(struct media_post *p, struct media_keys *keys)
{
    media_home_set_keys(p->home, media_keys_of(keys));
    media_keys_release(p->keys);
    p->keys = keys;
}

void media_post_drain(struct media_post *p, bool on)
{
    media_home_drain(p->home, on);
}

void media_post_end(struct media_post *p, enum media_end_reason why)
{
    media_home_remove_all(p->home, why);
    media_figures_look(p->opts.figures, p->home);
    flush(p);
}

void media_post_destroy(struct media_post *p)
{
    if (!p)
        return;
    if (p->bell) {
        h2o_socket_read_stop(p->bell);
        h2o_socket_close(p->bell);
    }
    h2o_timeout_unlink(&p->flush);
    h2o_timeout_dispose(p->opts.loop, &p->flush_timeout);
    media_home_destroy(p->home);
    media_flows_destroy(p->flows);
    media_keys_release(p->keys);
    media_plan_release(p->plan);
    for (size_t i = 0; i < MEDIA_PORTS_MAX; i++)
        udp_out_destroy(p->udp[i]);
    free(p->slots);
    free(p);
}

uint8_t media_post_thread(const struct media_post *p)
{
    return p->opts.thread;
}
