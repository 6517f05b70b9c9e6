/* A WebSocket on its socket. Invariant: while the session's `out` holds something reading is stopped; a timer always
 * runs, but while a session of media is attached and nothing is being written: then the session's end is what ends
 * it. */
#include "websocket.h"

#include "core/ws_handshake.h"
#include "media/stream_queue.h"
#include "probe/websocket.h"
#include "serve/http.h"
#include "sys/sockaddr.h"
#include "websocket_upgrade.h"
#include "ws_session.h"

#include <h2o/http1.h>
#include <stdlib.h>

enum writing { WRITING_NOTHING, WRITING_OUT, WRITING_MEDIA };

struct ws_connection {
    struct stream_group *group;
    h2o_socket_t *sock; /* NULL until the upgrade is complete */
    h2o_linklist_t link;
    h2o_timeout_entry_t timer;
    bool tls, going_away;
    uint8_t writing; /* enum writing */
    uint8_t media_head[WS_HEADER_MAX];
    struct stream_media *media; /* NULL: it has asked for no session */
    struct ws_session session;
};

static void ws_connection_free(struct ws_connection *w)
{
    ws_session_dispose(&w->session);
    free(w);
}

static void ws_connection_close(struct ws_connection *w, bool hanging)
{
    h2o_socket_t *sock = w->sock;
    stream_media_gone(w->media, hanging);
    h2o_timeout_unlink(&w->timer);
    h2o_linklist_unlink(&w->link);
    ws_connection_free(w);
    h2o_socket_read_stop(sock);
    h2o_socket_close(sock);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
    struct ws_connection *w = H2O_STRUCT_FROM_MEMBER(struct ws_connection, timer, entry);
    if (w->session.state == WS_OPEN)
        stats_add(&w->group->stats->stream_idle, 1);
    ws_connection_close(w, stream_media_attached(w->media));
}

static void restart_timer(struct ws_connection *w, h2o_timeout_t *timeout)
{
    h2o_timeout_unlink(&w->timer);
    h2o_timeout_link(w->group->loop, timeout, &w->timer);
}

/* ---- media ---- */

/* With a session attached the peer has only to take what is written; a goodbye has its own time. */
static void restart_media_timer(struct ws_connection *w)
{
    if (w->session.state != WS_OPEN)
        return;
    h2o_timeout_unlink(&w->timer);
    if (w->writing != WRITING_NOTHING)
        h2o_timeout_link(w->group->loop, &w->group->hang_timeout, &w->timer);
}

static void write_next(struct ws_connection *w);

static void on_attached(void *owner, bool on)
{
    struct ws_connection *w = owner;
    if (on) {
        stream_prepare_for_media(w->sock);
        restart_media_timer(w);
    } else {
        restart_timer(w, &w->group->idle_timeout);
        w->going_away = w->group->going_away;
    }
}

static void on_media(void *owner)
{
    write_next(owner);
}

static void on_media_end(void *owner)
{
    ws_connection_close(owner, false);
}

static enum stun_tapped tap(void *ctx, struct slice message, uint8_t *out, size_t *written)
{
    static const struct stream_face face = {on_media, on_attached, on_media_end};
    struct ws_connection *w = ctx;
    const struct stream_place at = {.post = w->group->media,
                                    .face = &face,
                                    .owner = w,
                                    .carrier = MEDIA_WEBSOCKET,
                                    .tls = w->tls,
                                    .limits = w->group->limits,
                                    .peer = w->session.stun.peer};
    return stream_media_message(&w->media, &at, message, out, written);
}

/* ---- messages ---- */

static void on_read(h2o_socket_t *sock, const char *err);
static void on_written(h2o_socket_t *sock, const char *err);

_Static_assert((int)STREAM_QUEUE_CHUNK <= (int)WEBSOCKET_MESSAGE_MAX, "agents take no longer messages");

/* What is to be written of media, as one message; after our goodbye nothing is. */
static size_t media_frame(struct ws_connection *w, h2o_iovec_t v[static 2])
{
    struct slice frames = w->session.state == WS_OPEN ? stream_media_take(w->media) : (struct slice){NULL, 0};
    if (frames.len == 0)
        return 0;
    v[0] = h2o_iovec_init(w->media_head, ws_frames_binary_header(w->media_head, frames.len));
    v[1] = h2o_iovec_init(frames.p, frames.len);
    return 2;
}

/* Answers, then media, unless a write is under way. */
static void write_next(struct ws_connection *w)
{
    struct node_stats *st = w->group->stats;
    h2o_iovec_t v[2] = {{(char *)w->session.out, w->session.out_len}, {NULL, 0}};
    size_t n = 1;
    if (w->writing != WRITING_NOTHING)
        return;
    w->writing = WRITING_OUT;
    if (v[0].len == 0) {
        n = media_frame(w, v);
        w->writing = n > 0 ? WRITING_MEDIA : WRITING_NOTHING;
    }
    if (n == 0)
        return;
    if (stream_media_attached(w->media))
        restart_media_timer(w);
    stats_add(w->tls ? &st->tls_bytes_out : &st->tcp_bytes_out, v[0].len + v[1].len);
    h2o_socket_write(w->sock, v, n, on_written);
}

/* Takes what has come, and says goodbye where that is due. */
static void take(struct ws_connection *w)
{
    h2o_buffer_t **input = &w->sock->input;
    enum ws_state before = w->session.state;
    const struct stun_tap look = {tap, w};
    if (w->going_away)
        ws_session_close(&w->session, WS_GOING_AWAY);
    struct ws_turn t = ws_session_take(&w->session, (const uint8_t *)(*input)->bytes, (*input)->size, &look);
    stream_count(w->group, w->tls, t.used, t.requests, t.answers);
    if (t.used > 0)
        h2o_buffer_consume(input, t.used);
    if (t.broken)
        stats_add(t.refused ? &w->group->stats->stream_limited : &w->group->stats->stream_broken, 1);
    if (w->session.state != before)
        restart_timer(w, &w->group->close_timeout);
    else if (w->session.state == WS_OPEN && t.alive && !stream_media_attached(w->media))
        restart_timer(w, &w->group->idle_timeout);
}

static void proceed(struct ws_connection *w)
{
    take(w);
    if (w->session.out_len == 0 && w->session.state == WS_CLOSED) {
        ws_connection_close(w, false);
        return;
    }
    if (w->session.out_len > 0)
        h2o_socket_read_stop(w->sock);
    else if (!h2o_socket_is_reading(w->sock))
        h2o_socket_read_start(w->sock, on_read);
    write_next(w);
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    if (err)
        ws_connection_close(sock->data, false);
    else
        proceed(sock->data);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct ws_connection *w = sock->data;
    if (w->writing == WRITING_OUT)
        w->session.out_len = 0;
    w->writing = WRITING_NOTHING;
    if (err) {
        ws_connection_close(w, false);
        return;
    }
    if (stream_media_attached(w->media))
        restart_media_timer(w);
    if (h2o_socket_is_reading(sock))
        write_next(w);
    else
        proceed(w); /* the input may hold messages that had to wait */
}

/* ---- beginning ---- */

/* The answer to the upgrade is on its way; sock NULL: the connection is gone. */
static void on_upgraded(void *user, h2o_socket_t *sock, size_t request_len)
{
    struct ws_connection *w = user;
    struct stream_group *g = w->group;
    if (!sock || g->ended) {
        ws_connection_free(w);
        if (sock)
            h2o_socket_close(sock);
        return;
    }
    h2o_buffer_consume(&sock->input, request_len);
    w->sock = sock;
    w->tls = sock->ssl != NULL;
    w->timer.cb = on_timeout;
    w->going_away = g->going_away;
    sock->data = w;
    h2o_linklist_insert(&g->websockets, &w->link);
    h2o_timeout_link(g->loop, &g->first_timeout, &w->timer);
    stats_add(&g->stats->websockets, 1);
    proceed(w);
}

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    struct stream_group *g = h2o_context_get_handler_context(req->conn->ctx, handler);
    if (!h2o_memis(req->path_normalized.base, req->path_normalized.len, H2O_STRLIT(WEBSOCKET_PATH)))
        return -1; /* a longer path: not ours */
    if (!websocket_check_request(req))
        return 0; /* it has been answered */
    struct ws_connection *w = g->going_away ? NULL : calloc(1, sizeof(*w));
    struct sockaddr_storage ss = {0};
    struct addr peer;
    (void)req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&ss);
    addr_from_sockaddr(&peer, (struct sockaddr *)&ss);
    if (!w || ws_session_init(&w->session, &peer) != 0) {
        free(w);
        http_send_problem(req, 503, "overloaded", "this node takes no new connections now");
        return 0;
    }
    w->group = g;
    websocket_accept_request(req);
    h2o_http1_upgrade(req, NULL, 0, on_upgraded, w);
    return 0;
}

h2o_handler_t *websocket_register(h2o_hostconf_t *host)
{
    h2o_pathconf_t *path = h2o_config_register_path(host, WEBSOCKET_PATH, 0);
    h2o_handler_t *handler = h2o_create_handler(path, sizeof(*handler));
    handler->on_req = on_request;
    return handler;
}

void websocket_attach(h2o_handler_t *handler, h2o_context_t *http, struct stream_group *g)
{
    h2o_context_set_handler_context(http, handler, g);
}

/* ---- end ---- */

void websocket_drain_all(struct stream_group *g)
{
    h2o_linklist_t *at, *next;
    g->going_away = true;
    for (at = g->websockets.next; at != &g->websockets; at = next) {
        struct ws_connection *w = H2O_STRUCT_FROM_MEMBER(struct ws_connection, link, at);
        next = at->next; /* it may end here */
        if (stream_media_attached(w->media))
            continue; /* its session is asked to go elsewhere first */
        w->going_away = true;
        if (w->writing == WRITING_NOTHING)
            proceed(w);
    }
}

void websocket_end_all(struct stream_group *g)
{
    while (!h2o_linklist_is_empty(&g->websockets))
        ws_connection_close(H2O_STRUCT_FROM_MEMBER(struct ws_connection, link, g->websockets.next), false);
}
