/* One connection: route, then frames. Invariant: either a write is outstanding and reading is stopped, or reading goes
 * on and `out_len` is 0; a timer always runs. */
#include "stream.h"

#include "route.h"
#include "stun_stream.h"
#include "websocket.h"

#include <assert.h>
#include <stdlib.h>

enum { CLOSE_WAIT_MS = 2000 }; /* for a peer to answer our goodbye */

struct stream {
    struct stream_group *group;
    h2o_socket_t *sock;
    h2o_linklist_t link;
    h2o_timeout_entry_t timer;
    struct timeval connected_at;
    struct stun_stream stun;
    bool tls, routed;
    size_t out_len;
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

static void stream_close(struct stream *s)
{
    h2o_socket_t *sock = s->sock;
    h2o_socket_read_stop(sock);
    stream_free(s);
    h2o_socket_close(sock);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
    struct stream *s = H2O_STRUCT_FROM_MEMBER(struct stream, timer, entry);
    stats_add(&s->group->stats->stream_idle, 1);
    stream_close(s);
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
    h2o_timeout_unlink(&s->timer);
    h2o_timeout_link(s->group->loop, &s->group->idle_timeout, &s->timer);
}

/* Reads whole messages from the input while there is room for another answer. false: the stream is broken. */
static bool take_messages(struct stream *s)
{
    h2o_buffer_t **input = &s->sock->input;
    struct stun_stream_turn t = stun_stream_take(&s->stun, (const uint8_t *)(*input)->bytes, (*input)->size,
                                                 s->out + s->out_len, sizeof(s->out) - s->out_len);
    s->out_len += t.written;
    stream_count(s->group, s->tls, t.used, t.requests, t.answers);
    if (t.used > 0) {
        h2o_buffer_consume(input, t.used);
        restart_timer(s);
    }
    return !t.broken;
}

static void on_written(h2o_socket_t *sock, const char *err);

static void proceed(struct stream *s)
{
    h2o_socket_t *sock = s->sock;
    if (!take_messages(s) && s->out_len == 0) { /* what was right before the break is answered first */
        stats_add(&s->group->stats->stream_broken, 1);
        stream_close(s);
        return;
    }
    if (s->out_len == 0) {
        if (!h2o_socket_is_reading(sock))
            h2o_socket_read_start(sock, on_read);
        return;
    }
    struct node_stats *st = s->group->stats;
    stats_add(s->tls ? &st->tls_bytes_out : &st->tcp_bytes_out, s->out_len);
    h2o_socket_read_stop(sock);
    h2o_iovec_t v = h2o_iovec_init(s->out, s->out_len);
    h2o_socket_write(sock, &v, 1, on_written);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct stream *s = sock->data;
    s->out_len = 0;
    if (err)
        stream_close(s);
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
        stream_close(s);
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
        stream_close(s);
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
    s->routed = false;
    s->out_len = 0;
    sock->data = s;
    h2o_linklist_insert(&g->streams, &s->link);
    h2o_timeout_link(g->loop, &g->first_timeout, &s->timer);
    if (sock->input->size > 0)
        route(s); /* no read event will tell of what is here already */
    else
        h2o_socket_read_start(sock, on_read);
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
        stream_close(H2O_STRUCT_FROM_MEMBER(struct stream, link, g->streams.next));
    websocket_end_all(g);
    h2o_timeout_dispose(g->loop, &g->close_timeout);
    h2o_timeout_dispose(g->loop, &g->first_timeout);
    h2o_timeout_dispose(g->loop, &g->idle_timeout);
}
