/* A WebSocket on its socket. Invariant: either a write is outstanding and reading is stopped, or reading goes on and `out` is empty; a
 * timer always runs. */
#include "websocket.h"

#include "core/ws_handshake.h"
#include "serve/http.h"
#include "sys/sockaddr.h"
#include "websocket_upgrade.h"
#include "ws_session.h"

#include <h2o/http1.h>
#include <stdlib.h>

struct ws_connection {
    struct stream_group *group;
    h2o_socket_t *sock; /* NULL until the upgrade is complete */
    h2o_linklist_t link;
    h2o_timeout_entry_t timer;
    bool tls, writing, going_away;
    struct ws_session session;
};

static void ws_connection_free(struct ws_connection *w)
{
    ws_session_dispose(&w->session);
    free(w);
}

static void ws_connection_close(struct ws_connection *w)
{
    h2o_socket_t *sock = w->sock;
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
    ws_connection_close(w);
}

static void restart_timer(struct ws_connection *w, h2o_timeout_t *timeout)
{
    h2o_timeout_unlink(&w->timer);
    h2o_timeout_link(w->group->loop, timeout, &w->timer);
}

static void on_read(h2o_socket_t *sock, const char *err);
static void on_written(h2o_socket_t *sock, const char *err);

static void write_out(struct ws_connection *w)
{
    struct node_stats *st = w->group->stats;
    h2o_iovec_t v = h2o_iovec_init(w->session.out, w->session.out_len);
    stats_add(w->tls ? &st->tls_bytes_out : &st->tcp_bytes_out, v.len);
    h2o_socket_read_stop(w->sock);
    w->writing = true;
    h2o_socket_write(w->sock, &v, 1, on_written);
}

/* Takes what has come, and says goodbye where that is due. */
static void take(struct ws_connection *w)
{
    h2o_buffer_t **input = &w->sock->input;
    enum ws_state before = w->session.state;
    if (w->going_away)
        ws_session_close(&w->session, WS_GOING_AWAY);
    struct ws_turn t = ws_session_take(&w->session, (const uint8_t *)(*input)->bytes, (*input)->size);
    stream_count(w->group, w->tls, t.used, t.requests, t.answers);
    if (t.used > 0)
        h2o_buffer_consume(input, t.used);
    if (t.broken)
        stats_add(&w->group->stats->stream_broken, 1);
    if (w->session.state != before)
        restart_timer(w, &w->group->close_timeout);
    else if (w->session.state == WS_OPEN && t.alive)
        restart_timer(w, &w->group->idle_timeout);
}

static void proceed(struct ws_connection *w)
{
    take(w);
    if (w->session.out_len > 0)
        write_out(w);
    else if (w->session.state == WS_CLOSED)
        ws_connection_close(w);
    else if (!h2o_socket_is_reading(w->sock))
        h2o_socket_read_start(w->sock, on_read);
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    if (err)
        ws_connection_close(sock->data);
    else
        proceed(sock->data);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct ws_connection *w = sock->data;
    w->writing = false;
    w->session.out_len = 0;
    if (err)
        ws_connection_close(w);
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
        http_send_problem(req, 503, "overloaded", "this node takes no new connections now", 1);
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
        w->going_away = true;
        if (!w->writing)
            proceed(w);
    }
}

void websocket_end_all(struct stream_group *g)
{
    while (!h2o_linklist_is_empty(&g->websockets))
        ws_connection_close(H2O_STRUCT_FROM_MEMBER(struct ws_connection, link, g->websockets.next));
}
