/* One connection: route, then frames. Invariant: while `out` holds answers reading is stopped; a timer always runs,
 * but while a session of media is attached and nothing is being written: then the session's end is what ends it. */
#include "stream.h"

#include "media/rtp.h"
#include "route.h"
#include "stun_stream.h"
#include "sys/sockaddr.h"
#include "websocket.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdlib.h>

enum { CLOSE_WAIT_MS = 2000 }; /* for a peer to answer our goodbye */
enum { UNSENT_MOST = 16 * 1024 };
enum writing { WRITING_NOTHING, WRITING_OUT, WRITING_MEDIA };

struct stream {
    struct stream_group *group;
    h2o_socket_t *sock;
    h2o_linklist_t link;
    h2o_timeout_entry_t timer;
    struct timeval connected_at;
    struct stream_media *media; /* NULL: it has asked for no session */
    struct stun_stream stun;
    bool tls, routed;
    uint8_t writing; /* enum writing */
    uint16_t out_len;
    uint8_t out[STREAM_OUT_MAX];
};

static_assert((int)STREAM_OUT_MAX >= (int)STUN_STREAM_ROOM, "room for one answer");

static void on_read(h2o_socket_t *sock, const char *err);

static void stream_free(struct stream *s)
{
    h2o_timeout_unlink(&s->timer);
    h2o_linklist_unlink(&s->link);
    free(s);
}

static void stream_close(struct stream *s, bool hanging)
{
    h2o_socket_t *sock = s->sock;
    stream_media_gone(s->media, hanging);
    h2o_socket_read_stop(sock);
    stream_free(s);
    h2o_socket_close(sock);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
    struct stream *s = H2O_STRUCT_FROM_MEMBER(struct stream, timer, entry);
    stats_add(&s->group->stats->stream_idle, 1);
    stream_close(s, stream_media_attached(s->media));
}

static void to_http(struct stream *s)
{
    struct stream_group *g = s->group;
    h2o_socket_t *sock = s->sock;
    struct addr peer = s->stun.peer;
    struct timeval connected_at = s->connected_at;
    h2o_socket_read_stop(sock);
    stream_free(s);
    stats_add(&g->stats->http_connections, 1);
    g->on_http(g->ctx, sock, &peer, connected_at);
}

static void restart_timer(struct stream *s)
{
    bool attached = stream_media_attached(s->media);
    h2o_timeout_unlink(&s->timer);
    if (!attached || s->writing != WRITING_NOTHING)
        h2o_timeout_link(s->group->loop, attached ? &s->group->hang_timeout : &s->group->idle_timeout,
                         &s->timer);
}

/* ---- media ---- */

static void write_next(struct stream *s);

static void on_attached(void *owner, bool on)
{
    struct stream *s = owner;
    restart_timer(s);
    if (on)
        stream_prepare_for_media(s->sock);
}

static void on_media(void *owner)
{
    write_next(owner);
}

static void on_media_end(void *owner)
{
    stream_close(owner, false);
}

static enum stun_tapped tap(void *ctx, struct slice message, uint8_t *out, size_t *written)
{
    static const struct stream_face face = {on_media, on_attached, on_media_end};
    struct stream *s = ctx;
    const struct stream_place at = {.post = s->group->media,
                                    .face = &face,
                                    .owner = s,
                                    .carrier = s->tls ? MEDIA_TLS : MEDIA_TCP,
                                    .tls = s->tls,
                                    .limits = s->group->limits,
                                    .peer = s->stun.peer};
    return stream_media_message(&s->media, &at, message, out, written);
}

/* ---- messages ---- */

/* Reads whole messages from the input while there is room for another answer. */
static struct stun_stream_turn take_messages(struct stream *s)
{
    h2o_buffer_t **input = &s->sock->input;
    const struct stun_tap look = {tap, s};
    struct stun_stream_turn t = stun_stream_take(&s->stun, (const uint8_t *)(*input)->bytes, (*input)->size,
                                                 &look, s->out + s->out_len, sizeof(s->out) - s->out_len);
    s->out_len = (uint16_t)(s->out_len + t.written);
    stream_count(s->group, s->tls, t.used, t.requests, t.answers);
    if (t.used > 0) {
        h2o_buffer_consume(input, t.used);
        if (!stream_media_attached(s->media))
            restart_timer(s);
    }
    return t;
}

static void on_written(h2o_socket_t *sock, const char *err);

/* Answers, then media, unless a write is under way. */
static void write_next(struct stream *s)
{
    struct node_stats *st = s->group->stats;
    if (s->writing != WRITING_NOTHING)
        return;
    struct slice v = {s->out, s->out_len};
    s->writing = WRITING_OUT;
    if (v.len == 0) {
        v = stream_media_take(s->media);
        s->writing = v.len > 0 ? WRITING_MEDIA : WRITING_NOTHING;
    }
    if (v.len == 0)
        return;
    if (stream_media_attached(s->media))
        restart_timer(s);
    stats_add(s->tls ? &st->tls_bytes_out : &st->tcp_bytes_out, v.len);
    h2o_iovec_t iov = h2o_iovec_init(v.p, v.len);
    h2o_socket_write(s->sock, &iov, 1, on_written);
}

static void proceed(struct stream *s)
{
    h2o_socket_t *sock = s->sock;
    struct node_stats *st = s->group->stats;
    struct stun_stream_turn t = take_messages(s);
    if (t.broken && s->out_len == 0) { /* what was right before the break is answered first */
        stats_add(t.refused ? &st->stream_limited : &st->stream_broken, 1);
        stream_close(s, false);
        return;
    }
    if (s->out_len > 0)
        h2o_socket_read_stop(sock);
    else if (!h2o_socket_is_reading(sock))
        h2o_socket_read_start(sock, on_read);
    write_next(s);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct stream *s = sock->data;
    if (s->writing == WRITING_OUT)
        s->out_len = 0;
    s->writing = WRITING_NOTHING;
    if (err) {
        stream_close(s, false);
        return;
    }
    if (stream_media_attached(s->media))
        restart_timer(s);
    if (h2o_socket_is_reading(sock))
        write_next(s);
    else
        proceed(s); /* the input may hold messages that had to wait */
}

static void route(struct stream *s)
{
    enum route_http http = s->tls ? ROUTE_HTTP_ANY : ROUTE_HTTP_GET;
    enum route r = route_first_bytes((const uint8_t *)s->sock->input->bytes, s->sock->input->size, http);
    switch (r) {
    case ROUTE_MORE:
        if (!h2o_socket_is_reading(s->sock))
            h2o_socket_read_start(s->sock, on_read);
        return;
    case ROUTE_HTTP:
        to_http(s);
        return;
    case ROUTE_BROKEN:
        stats_add(&s->group->stats->stream_broken, 1);
        stream_close(s, false);
        return;
    case ROUTE_STUN:
        s->routed = true;
        proceed(s);
        return;
    }
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct stream *s = sock->data;
    if (err)
        stream_close(s, false);
    else if (!s->routed)
        route(s);
    else
        proceed(s);
}

void stream_accept(struct stream_group *g, h2o_socket_t *sock, const struct addr *peer,
                   struct timeval connected_at)
{
    struct stream *s = malloc(sizeof(*s)); /* `out` needs no zeroes */
    if (!s) {
        h2o_socket_close(sock);
        return;
    }
    s->group = g;
    s->sock = sock;
    s->link = (h2o_linklist_t){0};
    s->timer = (h2o_timeout_entry_t){.cb = on_timeout};
    s->connected_at = connected_at;
    s->stun = (struct stun_stream){.peer = *peer};
    s->tls = sock->ssl != NULL;
    s->media = NULL;
    s->routed = false;
    s->writing = WRITING_NOTHING;
    s->out_len = 0;
    sock->data = s;
    h2o_linklist_insert(&g->streams, &s->link);
    h2o_timeout_link(g->loop, &g->first_timeout, &s->timer);
    if (sock->input->size > 0)
        route(s); /* no read event will tell of what is here already */
    else
        h2o_socket_read_start(sock, on_read);
}

void stream_prepare_for_media(h2o_socket_t *sock)
{
    int most = UNSENT_MOST;
    socket_mark(h2o_socket_get_fd(sock), DSCP_STREAM);
    (void)setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof(most));
}

void stream_count(struct stream_group *g, bool tls, size_t bytes_in, unsigned requests, unsigned answers)
{
    struct node_stats *st = g->stats;
    stats_add(tls ? &st->tls_bytes_in : &st->tcp_bytes_in, bytes_in);
    stats_add(tls ? &st->tls_requests : &st->tcp_requests, requests);
    stats_add(tls ? &st->tls_answers : &st->tcp_answers, answers);
}

void stream_group_init(struct stream_group *g, h2o_loop_t *loop, int64_t first_ms, int64_t idle_ms)
{
    g->loop = loop;
    g->going_away = g->ended = false;
    h2o_linklist_init_anchor(&g->streams);
    h2o_linklist_init_anchor(&g->websockets);
    h2o_timeout_init(loop, &g->close_timeout, CLOSE_WAIT_MS);
    h2o_timeout_init(loop, &g->hang_timeout, STREAM_HANG_MS);
    h2o_timeout_init(loop, &g->first_timeout, (uint64_t)first_ms);
    h2o_timeout_init(loop, &g->idle_timeout, (uint64_t)idle_ms);
}

void stream_group_set_timeouts(struct stream_group *g, int64_t first_ms, int64_t idle_ms)
{
    g->first_timeout.timeout = (uint64_t)first_ms;
    g->idle_timeout.timeout = (uint64_t)idle_ms;
}

void stream_group_dispose(struct stream_group *g)
{
    g->ended = true;
    while (!h2o_linklist_is_empty(&g->streams))
        stream_close(H2O_STRUCT_FROM_MEMBER(struct stream, link, g->streams.next), false);
    websocket_end_all(g);
    h2o_timeout_dispose(g->loop, &g->close_timeout);
    h2o_timeout_dispose(g->loop, &g->hang_timeout);
    h2o_timeout_dispose(g->loop, &g->first_timeout);
    h2o_timeout_dispose(g->loop, &g->idle_timeout);
}
