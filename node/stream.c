/* One connection: route (TLS only), then frames. Invariant: either a write is outstanding and reading is stopped, or reading goes
 * on and `out_len` is 0; a timer always runs. */
#include "stream.h"

#include "core/frame.h"
#include "core/stun.h"
#include "route.h"

#include <assert.h>
#include <stdlib.h>

struct stream {
    struct stream_group *group;
    h2o_socket_t *sock;
    h2o_linklist_t link;
    h2o_timeout_entry_t timer;
    struct timeval connected_at;
    struct addr peer;
    enum frame_mode mode;
    bool tls, routed;
    size_t out_len;
    uint8_t out[STREAM_OUT_MAX];
};

static_assert(STREAM_OUT_MAX >= FRAME_HEADER_MAX + STUN_BINDING_ANSWER_MAX, "room for one answer");

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
    struct addr peer = s->peer;
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

/* One message in, at most one answer appended to `out`. */
static void answer(struct stream *s, struct slice message)
{
    struct node_stats *st = s->group->stats;
    uint8_t *at = s->out + s->out_len;
    size_t room = sizeof(s->out) - s->out_len;
    size_t head = s->mode == FRAME_RFC4571 ? FRAME_HEADER_MAX : 0;
    size_t len = stun_binding_answer(message.p, message.len, &s->peer, NULL, at + head, room - head);
    stats_add(s->tls ? &st->tls_requests : &st->tcp_requests, 1);
    if (len == 0)
        return;
    frame_header(s->mode, len, at);
    s->out_len += head + len;
    stats_add(s->tls ? &st->tls_answers : &st->tcp_answers, 1);
}

/* Reads whole messages from the input while there is room for another answer. false: the stream is broken. */
static bool take_messages(struct stream *s)
{
    h2o_socket_t *sock = s->sock;
    size_t used = 0;
    ssize_t n = 1;
    while (n > 0 && sizeof(s->out) - s->out_len >= FRAME_HEADER_MAX + STUN_BINDING_ANSWER_MAX) {
        struct slice message = {0};
        n = frame_next(&s->mode, (const uint8_t *)sock->input->bytes + used, sock->input->size - used,
                       &message);
        if (n <= 0)
            break;
        used += (size_t)n;
        if (message.len > 0)
            answer(s, message);
    }
    if (used > 0) {
        struct node_stats *st = s->group->stats;
        stats_add(s->tls ? &st->tls_bytes_in : &st->tcp_bytes_in, used);
        h2o_buffer_consume(&sock->input, used);
        restart_timer(s);
    }
    return n >= 0;
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
    enum route r =
        s->tls ? route_first_bytes((const uint8_t *)s->sock->input->bytes, s->sock->input->size) : ROUTE_STUN;
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
    s->peer = *peer;
    s->mode = FRAME_UNDECIDED;
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

void stream_group_init(struct stream_group *g, h2o_loop_t *loop, int64_t first_ms, int64_t idle_ms)
{
    g->loop = loop;
    h2o_linklist_init_anchor(&g->streams);
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
    while (!h2o_linklist_is_empty(&g->streams))
        stream_close(H2O_STRUCT_FROM_MEMBER(struct stream, link, g->streams.next));
    h2o_timeout_dispose(g->loop, &g->first_timeout);
    h2o_timeout_dispose(g->loop, &g->idle_timeout);
}
