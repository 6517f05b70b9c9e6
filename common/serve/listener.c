/* Accepts on one thread's loop and hands sockets over once they are ready for their protocol.
 * Invariant: every accepted socket carries a `struct guest` in on_close from accept until it is disposed of, whoever owns the
 * socket by then; a guest is in the listener's list exactly while its handshake is under way. */
#include "serve/listener.h"

#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SOURCE_CELLS = 1 << 16,
    SOURCE_V6_BITS = 64,   /* one customer's least: addresses within cost nothing */
    ACCEPT_BATCH = 64,     /* a flood of connections must not keep the loop from its other sockets */
    ACCEPT_PAUSE_MS = 100, /* when descriptors or memory have run out */
    PAUSE_TOLD_US = 10 * 1000 * 1000 /* the log hears of pauses so often */
};

struct listener {
    h2o_loop_t *loop;
    h2o_socket_t *sock;
    struct listener_opts opts;
    h2o_timeout_t handshake_timeout;
    h2o_timeout_t pause_timeout;
    h2o_timeout_entry_t pause;
    int64_t pauses, pauses_told_us; /* since then */
    h2o_linklist_t handshakes;
    h2o_linklist_t yielding; /* with oldest_yields: guests that may be ended for others, oldest first */
};

struct listener_sources {
    int64_t max;
    uint8_t seed[crypto_shorthash_KEYBYTES];
    _Atomic int32_t open[SOURCE_CELLS];
};

/* What follows a socket from accept to close. `listener` is set during the handshake only. */
struct guest {
    struct listener_stats *stats;
    _Atomic int32_t *source; /* its cell, or NULL */
    struct listener_budget *budget;
    h2o_linklist_t in_crowd, in_yielding;
    SSL_CTX *ctx; /* libh2o makes the SSL late and keeps only a bare pointer to this */
    struct listener *listener;
    h2o_socket_t *sock;
    h2o_linklist_t link;
    h2o_timeout_entry_t timer;
    struct timeval connected_at;
    struct addr peer;
    int alert; /* of SSL_CB_ALERT: what ended the handshake; 0: none */
    bool alert_sent;
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void on_socket_close(void *data)
{
    struct guest *g = data;
    atomic_fetch_sub_explicit(&g->stats->open, 1, memory_order_relaxed);
    if (g->source)
        atomic_fetch_sub_explicit(g->source, 1, memory_order_relaxed);
    if (g->budget)
        atomic_fetch_sub_explicit(&g->budget->open, 1, memory_order_relaxed);
    if (h2o_linklist_is_linked(&g->in_crowd))
        h2o_linklist_unlink(&g->in_crowd);
    if (h2o_linklist_is_linked(&g->in_yielding))
        h2o_linklist_unlink(&g->in_yielding);
    SSL_CTX_free(g->ctx);
    free(g);
}

void listener_tls_info(const SSL *ssl, int where, int ret)
{
    if ((where & SSL_CB_ALERT) == 0)
        return;
    BIO *bio = SSL_get_rbio(ssl);
    if (!bio || strcmp(BIO_method_name(bio), "h2o_socket") != 0)
        return;
    const h2o_socket_t *sock = BIO_get_data(bio);
    if (!sock || sock->on_close.cb != on_socket_close)
        return;
    struct guest *g = sock->on_close.data;
    if (!g->listener) /* the handshake is over: the alert is its owner's affair */
        return;
    g->alert = ret;
    g->alert_sent = (where & SSL_CB_WRITE) != 0;
}

static void handshake_end(struct guest *g)
{
    h2o_timeout_unlink(&g->timer);
    h2o_linklist_unlink(&g->link);
    g->listener = NULL;
}

/* Why a handshake failed, at debug level: scanners would fill the log. */
static void log_failure(struct log *log, const struct guest *g, const char *err)
{
    char text[TLS_ERROR_TEXT], peer[ADDR_TEXT_LEN];
    tls_error_text(NULL, text); /* also empties the queue, which the next connection on this thread shares */
    if (!log_enabled(log, LOG_DEBUG))
        return;
    log_event(log, LOG_DEBUG, "listener", "handshake_failed", LOG_S("peer", addr_format(&g->peer, peer)),
              LOG_S("error", err), LOG_S("detail", text),
              LOG_S("alert", g->alert ? SSL_alert_desc_string_long(g->alert) : "none"),
              LOG_S("alert_by", g->alert_sent ? "us" : "peer"));
}

/* The client's next segment must not wait for our delayed acknowledgement: a client without TCP_NODELAY would send its
 * request only after it, 40 ms later. */
static void quick_ack(h2o_socket_t *sock)
{
    int on = 1;
    (void)setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static void on_handshake(h2o_socket_t *sock, const char *err)
{
    struct guest *g = sock->data;
    struct listener *l = g->listener;
    handshake_end(g);
    if (err) {
        count(&l->opts.stats->tls_failed);
        log_failure(l->opts.log, g, err);
        h2o_socket_close(sock);
        ERR_clear_error();
        return;
    }
    count(&l->opts.stats->tls_ok);
    if (sock->input->size == 0)
        quick_ack(sock);
    struct addr peer = g->peer;
    l->opts.on_conn(l->opts.ctx, sock, &peer, g->connected_at);
}

/* Ends a handshake that hasn't ended by itself. There is no TLS session yet that could be told of the end. */
static void handshake_abort(struct guest *g)
{
    h2o_socket_t *sock = g->sock;
    handshake_end(g);
    h2o_socket_read_stop(sock);
    h2o_socket_close(sock);
    ERR_clear_error(); /* SSL_shutdown before the handshake's end leaves an error behind */
}

static void on_handshake_timeout(h2o_timeout_entry_t *entry)
{
    struct guest *g = H2O_STRUCT_FROM_MEMBER(struct guest, timer, entry);
    count(&g->stats->tls_timeout);
    handshake_abort(g);
}

static struct timeval wall_now(void)
{
    int64_t us = clock_wall_us();
    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

/* Takes a place for the source; NULL in *cell where places aren't counted. false: it has all of its own. */
static bool take_place(struct listener_sources *t, const struct addr *peer, _Atomic int32_t **cell)
{
    *cell = NULL;
    if (!t)
        return true;
    struct addr key = addr_prefix(peer, peer->family == ADDR_V6 ? SOURCE_V6_BITS : 32);
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, key.ip, sizeof(key.ip), t->seed);
    _Atomic int32_t *place = &t->open[hash % SOURCE_CELLS];
    if (atomic_fetch_add_explicit(place, 1, memory_order_relaxed) >= t->max) {
        atomic_fetch_sub_explicit(place, 1, memory_order_relaxed);
        return false;
    }
    *cell = place;
    return true;
}

/* Of the listening socket, whose connections inherit them: calls less for each. libh2o has no time-out for writing.
 * The kernel's ends a connection whose data stays unacknowledged, or whose window stays shut; until then it would
 * take some megabytes of answers that nobody reads. */
static void set_tcp_options(int fd, const struct listener_opts *opts)
{
    int64_t stall_us = opts->stall_timeout_us > 0 ? opts->stall_timeout_us : LISTENER_STALL_US;
    unsigned stall_ms = (unsigned)(stall_us / 1000);
    int on = 1, unsent = LISTENER_UNSENT_MOST;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof(stall_ms));
}

/* false: out of memory; the socket is closed. */
static bool welcome(struct listener *l, int fd, const struct addr *from)
{
    _Atomic int32_t *source;
    if (!take_place(l->opts.sources, from, &source)) {
        count(&l->opts.stats->refused_source);
        close(fd);
        return true;
    }
    struct guest *g = calloc(1, sizeof(*g));
    if (!g) {
        if (source)
            atomic_fetch_sub_explicit(source, 1, memory_order_relaxed);
        close(fd);
        return false;
    }
    g->stats = l->opts.stats;
    g->source = source;
    g->budget = l->opts.budget;
    if (g->budget)
        atomic_fetch_add_explicit(&g->budget->open, 1, memory_order_relaxed);
    g->connected_at = wall_now();
    g->peer = *from;
    h2o_socket_t *sock = h2o_evloop_socket_create(l->loop, fd, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    sock->on_close.cb = on_socket_close;
    sock->on_close.data = g;
    g->sock = sock;
    if (l->opts.crowd)
        h2o_linklist_insert(&l->opts.crowd->guests, &g->in_crowd);
    if (l->opts.oldest_yields)
        h2o_linklist_insert(&l->yielding, &g->in_yielding);
    count(&g->stats->accepted);
    atomic_fetch_add_explicit(&g->stats->open, 1, memory_order_relaxed);
    if (!l->opts.tls) {
        l->opts.on_conn(l->opts.ctx, sock, from, g->connected_at);
        return true;
    }
    g->ctx = tls_server_ctx(l->opts.tls);
    g->listener = l;
    g->timer.cb = on_handshake_timeout;
    sock->data = g;
    h2o_timeout_link(l->loop, &l->handshake_timeout, &g->timer);
    h2o_linklist_insert(&l->handshakes, &g->link);
    h2o_socket_ssl_handshake(sock, g->ctx, NULL, on_handshake);
    return true;
}

/* Out of descriptors or memory, a readable listening socket would spin the loop; so it rests. */
static void pause_accepting(struct listener *l, int error)
{
    int64_t now = clock_mono_us();
    l->pauses++;
    if (l->pauses_told_us == 0 || now - l->pauses_told_us >= PAUSE_TOLD_US) {
        log_event(l->opts.log, LOG_WARN, "listener", "accept_paused", LOG_S("error", strerror(error)),
                  LOG_I("times", l->pauses), LOG_I("pause_ms", ACCEPT_PAUSE_MS));
        l->pauses = 0;
        l->pauses_told_us = now;
    }
    h2o_socket_read_stop(l->sock);
    h2o_timeout_link(l->loop, &l->pause_timeout, &l->pause);
}

static bool is_exhaustion(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Threads that share a budget may pass it by one each. */
static bool is_full(const struct listener *l)
{
    const struct listener_budget *b = l->opts.budget;
    return atomic_load_explicit(&l->opts.stats->open, memory_order_relaxed) >= l->opts.max_open ||
           (b && atomic_load_explicit(&b->open, memory_order_relaxed) >= b->max);
}

/* Ends a guest in favour of the next; its owner sees it in the loop. false: there is none that may be ended. */
static bool make_room(struct listener *l)
{
    h2o_linklist_t *at = l->yielding.next;
    while (at != &l->yielding &&
           h2o_socket_is_writing(H2O_STRUCT_FROM_MEMBER(struct guest, in_yielding, at)->sock))
        at = at->next;
    if (at == &l->yielding)
        at = l->yielding.next;
    if (at == &l->yielding)
        return false;
    h2o_linklist_unlink(at);
    (void)shutdown(h2o_socket_get_fd(H2O_STRUCT_FROM_MEMBER(struct guest, in_yielding, at)->sock), SHUT_RDWR);
    return true;
}

static void on_acceptable(h2o_socket_t *lsock, const char *err)
{
    struct listener *l = lsock->data;
    (void)err;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage ss = {0};
        socklen_t len = sizeof(ss);
        int fd =
            accept4(h2o_socket_get_fd(lsock), (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && is_exhaustion(errno)) {
            pause_accepting(l, errno);
            return;
        }
        if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
            return;
        if (fd < 0)
            continue;
        if (is_full(l) && !make_room(l)) {
            count(&l->opts.stats->refused_full);
            close(fd);
            continue;
        }
        struct addr peer;
        addr_from_sockaddr(&peer, (struct sockaddr *)&ss);
        if (!welcome(l, fd, &peer)) {
            pause_accepting(l, ENOMEM);
            return;
        }
    }
}

static void on_pause_end(h2o_timeout_entry_t *entry)
{
    struct listener *l = H2O_STRUCT_FROM_MEMBER(struct listener, pause, entry);
    h2o_socket_read_start(l->sock, on_acceptable);
}

struct listener_sources *listener_sources_new(int64_t max_per_source)
{
    struct listener_sources *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->max = max_per_source;
    randombytes_buf(t->seed, sizeof(t->seed));
    return t;
}

void listener_crowd_init(struct listener_crowd *c)
{
    h2o_linklist_init_anchor(&c->guests);
}

void listener_crowd_shutdown(struct listener_crowd *c, int how)
{
    for (h2o_linklist_t *at = c->guests.next; at != &c->guests; at = at->next) {
        const struct guest *g = H2O_STRUCT_FROM_MEMBER(struct guest, in_crowd, at);
        (void)shutdown(h2o_socket_get_fd(g->sock), how);
    }
}

/* libh2o gives memory to an input that holds something, and to no other. */
static size_t input_bytes(h2o_linklist_t *at)
{
    const h2o_buffer_t *input = H2O_STRUCT_FROM_MEMBER(struct guest, in_crowd, at)->sock->input;
    return input->bytes != NULL ? input->capacity : 0;
}

size_t listener_crowd_relieve(struct listener_crowd *c, size_t bytes_max)
{
    size_t bytes = 0, n = 0, ended = 0;
    for (h2o_linklist_t *at = c->guests.next; at != &c->guests; at = at->next) {
        bytes += input_bytes(at);
        n += input_bytes(at) > 0;
    }
    if (bytes <= bytes_max)
        return 0;
    for (h2o_linklist_t *at = c->guests.next; at != &c->guests; at = at->next) {
        if (input_bytes(at) <= bytes_max / n)
            continue;
        (void)shutdown(h2o_socket_get_fd(H2O_STRUCT_FROM_MEMBER(struct guest, in_crowd, at)->sock),
                       SHUT_RDWR);
        ended++;
    }
    return ended;
}

void listener_totals_add(struct listener_totals *total, const struct listener_stats *s)
{
    total->accepted += atomic_load_explicit(&s->accepted, memory_order_relaxed);
    total->refused_full += atomic_load_explicit(&s->refused_full, memory_order_relaxed);
    total->refused_source += atomic_load_explicit(&s->refused_source, memory_order_relaxed);
    total->tls_ok += atomic_load_explicit(&s->tls_ok, memory_order_relaxed);
    total->tls_failed += atomic_load_explicit(&s->tls_failed, memory_order_relaxed);
    total->tls_timeout += atomic_load_explicit(&s->tls_timeout, memory_order_relaxed);
    total->open += atomic_load_explicit(&s->open, memory_order_relaxed);
}

int listener_open(struct listener **out, h2o_loop_t *loop, const struct listener_opts *opts)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->loop = loop;
    l->opts = *opts;
    l->pause.cb = on_pause_end;
    h2o_linklist_init_anchor(&l->handshakes);
    h2o_linklist_init_anchor(&l->yielding);
    h2o_timeout_init(loop, &l->handshake_timeout, (uint64_t)(opts->handshake_timeout_us / 1000));
    h2o_timeout_init(loop, &l->pause_timeout, ACCEPT_PAUSE_MS);
    set_tcp_options(opts->fd, opts);
    l->sock = h2o_evloop_socket_create(loop, opts->fd, H2O_SOCKET_FLAG_DONT_READ);
    l->sock->data = l;
    h2o_socket_read_start(l->sock, on_acceptable);
    *out = l;
    return 0;
}

void listener_close(struct listener *l)
{
    if (!l)
        return;
    while (!h2o_linklist_is_empty(&l->handshakes))
        handshake_abort(H2O_STRUCT_FROM_MEMBER(struct guest, link, l->handshakes.next));
    while (!h2o_linklist_is_empty(&l->yielding))
        h2o_linklist_unlink(l->yielding.next);
    h2o_timeout_unlink(&l->pause);
    h2o_socket_read_stop(l->sock);
    h2o_socket_close(l->sock);
    h2o_timeout_dispose(l->loop, &l->pause_timeout);
    h2o_timeout_dispose(l->loop, &l->handshake_timeout);
    free(l);
}
