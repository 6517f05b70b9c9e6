/* A serving thread. Invariant: everything but the atomics, and what its lock is for, is made, used and disposed of
 * by the thread alone. */
#include "worker.h"

#include "media/post.h"
#include "serve/http.h"
#include "stream.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"
#include "udp.h"
#include "websocket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <h2o/http1.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LOOP_WAIT_MS = 1000, /* the watchdog looks at worker_alive_us */
    END_ROUNDS = 20,     /* turns of the loop in which ended connections may say goodbye */
    END_WAIT_MS = 10,
    METRICS_OPEN_MAX = 64,
    UDP_PORTS_MAX = NODE_ADDRESSES_MAX + 2 /* the alternates of behaviour discovery come last */
};
static_assert((int)UDP_PORTS_MAX <= (int)MEDIA_PORTS_MAX, "media can be sent over each");
enum phase { RUNNING, DRAINING, STOPPING };
enum stream_kind { KIND_TCP, KIND_TLS, KIND_COUNT };

/* A listener keeps a pointer to its own. */
struct door {
    struct listener *listener;
    struct listener_stats stats;
};

struct worker {
    struct worker_opts opts;
    pthread_t thread;
    sem_t initialized; /* the thread has made its parts; `error` tells how that went */
    int error;
    int wake_fd; /* an eventfd; the loop has a copy of its own */
    h2o_loop_t *loop;
    h2o_socket_t *wake;
    _Atomic enum phase phase;
    _Atomic int64_t alive_us;
    pthread_mutex_t lock;
    struct worker_settings wanted;
    struct media_keys *new_keys;      /* since the thread's last look; NULL: none */
    struct media_plan_held *new_plan; /* the same */
    _Atomic bool media_drained, media_over;

    struct media_post *media;
    struct udp_batch *batch;
    struct udp_port *udp[UDP_PORTS_MAX];
    struct udp_behaviour behaviour;
    struct door doors[KIND_COUNT][NODE_ADDRESSES_MAX];
    struct door metrics_door;
    struct listener_crowd crowd;
    struct stream_group streams;
    struct limits limits;
    h2o_context_t http, http_metrics;
    h2o_accept_ctx_t accept, accept_metrics;
    bool closed; /* accepts no more */
    struct node_stats stats;
    struct media_figures figures;
};

/* ---- connections ---- */

static void start_http(h2o_accept_ctx_t *accept, h2o_socket_t *sock, const struct addr *peer,
                       struct timeval connected_at)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, peer);
    h2o_socket_setpeername(sock, (struct sockaddr *)&ss, len);
    h2o_http1_accept(accept, sock, connected_at);
}

static void on_http(void *ctx, h2o_socket_t *sock, const struct addr *peer, struct timeval connected_at)
{
    struct worker *w = ctx;
    start_http(&w->accept, sock, peer, connected_at);
}

static void on_metrics_conn(void *ctx, h2o_socket_t *sock, const struct addr *peer,
                            struct timeval connected_at)
{
    struct worker *w = ctx;
    start_http(&w->accept_metrics, sock, peer, connected_at);
}

static void on_stream_conn(void *ctx, h2o_socket_t *sock, const struct addr *peer,
                           struct timeval connected_at)
{
    struct worker *w = ctx;
    stream_accept(&w->streams, sock, peer, connected_at);
}

/* ---- set-up ---- */

static int open_door(struct worker *w, struct door *d, int *fd, bool tls, listener_conn_cb *on_conn)
{
    const struct listener_opts o = {
        .fd = *fd,
        .tls = tls ? w->opts.tls : NULL,
        .handshake_timeout_us = w->opts.handshake_timeout_us,
        .max_open = on_conn == on_stream_conn ? w->opts.max_open : METRICS_OPEN_MAX,
        .oldest_yields = on_conn == on_metrics_conn,
        .on_conn = on_conn,
        .ctx = w,
        .stats = &d->stats,
        .crowd = &w->crowd,
        .sources = on_conn == on_stream_conn ? w->opts.sources : NULL,
        .budget = on_conn == on_stream_conn ? w->opts.budget : NULL,
        .log = w->opts.log,
    };
    int rc = listener_open(&d->listener, w->loop, &o);
    if (rc == 0)
        *fd = -1;
    return rc;
}

static int open_udp_port(struct worker *w, size_t i, int *fd, const struct stun_place *place)
{
    struct udp_opts o = {.fd = *fd,
                         .batch = w->batch,
                         .limits = &w->limits,
                         .stats = &w->stats,
                         .media = w->media,
                         .port = (uint16_t)i};
    if (place) {
        o.behaviour = &w->behaviour;
        o.place = *place;
    }
    int rc = w->media ? media_post_udp(w->media, (uint16_t)i, *fd) : 0;
    if (rc == 0)
        rc = udp_open(&w->udp[i], w->loop, &o);
    if (rc == 0)
        *fd = -1;
    return rc;
}

static int open_alternates(struct worker *w)
{
    const struct node_behaviour *b = &w->opts.behaviour;
    int rc = 0;
    w->behaviour.rules.response_port = b->response_port;
    for (uint8_t i = 0; i < 2 && rc == 0; i++) {
        const struct stun_place place = {1, i};
        w->behaviour.rules.at[0][i] = w->opts.bound->at[TRANSPORT_UDP][b->primary[i]];
        w->behaviour.rules.at[1][i] = w->opts.alternate[i];
        rc = open_udp_port(w, NODE_ADDRESSES_MAX + i, &w->opts.sockets->alternate[i], &place);
    }
    return rc;
}

static int open_udp(struct worker *w)
{
    const struct node_behaviour *b = &w->opts.behaviour;
    w->batch = udp_batch_new();
    if (!w->batch)
        return -ENOMEM;
    for (size_t i = 0; i < w->opts.bound->n[TRANSPORT_UDP]; i++) {
        const struct stun_place place = {0, i == b->primary[1]};
        bool takes_part = b->on && (i == b->primary[0] || i == b->primary[1]);
        int rc = open_udp_port(w, i, &w->opts.sockets->fd[TRANSPORT_UDP][i], takes_part ? &place : NULL);
        if (rc != 0)
            return rc;
    }
    return b->on ? open_alternates(w) : 0;
}

static int open_all(struct worker *w)
{
    const struct node_addresses *b = w->opts.bound;
    struct thread_sockets *s = w->opts.sockets;
    int rc = open_udp(w);
    for (size_t i = 0; i < b->n[TRANSPORT_TCP] && rc == 0; i++)
        rc = open_door(w, &w->doors[KIND_TCP][i], &s->fd[TRANSPORT_TCP][i], false, on_stream_conn);
    for (size_t i = 0; i < b->n[TRANSPORT_TLS] && rc == 0; i++)
        rc = open_door(w, &w->doors[KIND_TLS][i], &s->fd[TRANSPORT_TLS][i], true, on_stream_conn);
    if (w->opts.metrics_fd && *w->opts.metrics_fd >= 0 && rc == 0)
        rc = open_door(w, &w->metrics_door, w->opts.metrics_fd, false, on_metrics_conn);
    return rc;
}

/* ---- commands ---- */

static void use_settings(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    const struct worker_settings s = w->wanted;
    pthread_mutex_unlock(&w->lock);
    limits_init(&w->limits, w->opts.limits, s.stun_rate, s.stun_rate_prefix);
    stream_group_set_timeouts(&w->streams, s.first_timeout_ms, s.idle_timeout_ms);
}

static void use_media(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    struct media_keys *keys = w->new_keys;
    struct media_plan_held *plan = w->new_plan;
    w->new_keys = NULL;
    w->new_plan = NULL;
    pthread_mutex_unlock(&w->lock);
    if (keys && w->media)
        media_post_use_keys(w->media, keys);
    else
        media_keys_release(keys);
    if (plan && w->media)
        media_post_use_plan(w->media, plan);
    else
        media_plan_release(plan);
    if (w->media)
        media_post_drain(w->media, atomic_load(&w->media_drained) || atomic_load(&w->phase) != RUNNING);
    if (w->media && atomic_load(&w->media_over))
        media_post_end(w->media, MEDIA_END_DRAINED);
}

/* The metrics door stays open until the end: who watches wants to see the drain. */
static void close_doors(struct worker *w)
{
    if (w->closed)
        return;
    w->closed = true;
    for (int k = 0; k < KIND_COUNT; k++) {
        for (size_t i = 0; i < NODE_ADDRESSES_MAX; i++) {
            listener_close(w->doors[k][i].listener);
            w->doors[k][i].listener = NULL;
        }
    }
    h2o_context_request_shutdown(&w->http);
    websocket_drain_all(&w->streams);
}

static void on_wake(h2o_socket_t *sock, const char *err)
{
    struct worker *w = sock->data;
    uint64_t n;
    (void)err;
    if (read(h2o_socket_get_fd(sock), &n, sizeof(n)) < 0)
        return;
    use_settings(w);
    use_media(w);
    if (atomic_load(&w->phase) != RUNNING)
        close_doors(w);
}

static void wake(struct worker *w)
{
    uint64_t one = 1;
    (void)!write(w->wake_fd, &one, sizeof(one)); /* only fails when a wake-up is pending */
}

/* ---- the thread ---- */

static void turn(struct worker *w, int32_t wait_ms)
{
    int64_t now = clock_mono_us();
    atomic_store_explicit(&w->alive_us, now, memory_order_relaxed);
    if (w->media)
        wait_ms = media_post_wait_ms(w->media, now, wait_ms);
    (void)h2o_evloop_run(w->loop, wait_ms); /* -1: interrupted, or a socket just gone; go on */
    if (w->media)
        media_post_step(w->media, clock_mono_us());
}

static void close_all(struct worker *w)
{
    close_doors(w);
    if (w->media)
        media_post_end(w->media, atomic_load(&w->media_over) ? MEDIA_END_DRAINED : MEDIA_END_NODE_STOPPED);
    for (size_t i = 0; i < UDP_PORTS_MAX; i++) {
        if (w->media)
            media_post_forget_udp(w->media, (uint16_t)i);
        udp_close(w->udp[i]);
        w->udp[i] = NULL;
    }
    listener_close(w->metrics_door.listener);
    w->metrics_door.listener = NULL;
    stream_group_dispose(&w->streams);
    listener_crowd_shutdown(&w->crowd, SHUT_RDWR);
    for (int i = 0; i < END_ROUNDS && !h2o_linklist_is_empty(&w->crowd.guests); i++)
        turn(w, END_WAIT_MS);
    media_post_destroy(w->media);
    w->media = NULL;
}

static void init_http(struct worker *w)
{
    h2o_context_init(&w->http, w->loop, w->opts.http);
    h2o_context_init(&w->http_metrics, w->loop, w->opts.http_metrics);
    w->accept = (h2o_accept_ctx_t){.ctx = &w->http, .hosts = w->opts.http->hosts};
    w->accept_metrics = (h2o_accept_ctx_t){.ctx = &w->http_metrics, .hosts = w->opts.http_metrics->hosts};
}

static int init_media(struct worker *w)
{
    const struct media_post_opts o = {.exchange = w->opts.media,
                                      .thread = w->opts.thread,
                                      .loop = w->loop,
                                      .stats = &w->stats,
                                      .figures = &w->figures};
    int rc = w->opts.media ? media_post_new(&w->media, &o) : 0;
    w->streams.media = w->media;
    w->streams.limits = &w->limits;
    return rc;
}

static int init_wake(struct worker *w)
{
    int fd = fcntl(w->wake_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    w->wake = h2o_evloop_socket_create(w->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    w->wake->data = w;
    h2o_socket_read_start(w->wake, on_wake);
    return 0;
}

/* In the thread itself: libh2o's sockets keep to the thread that makes them, whose pools their buffers come from. */
static int init(struct worker *w)
{
    const struct worker_settings *s = &w->opts.settings;
    listener_crowd_init(&w->crowd);
    w->loop = h2o_evloop_create();
    init_http(w);
    w->streams.stats = &w->stats;
    w->streams.on_http = on_http;
    w->streams.ctx = w;
    websocket_attach(w->opts.websocket, &w->http, &w->streams);
    stream_group_init(&w->streams, w->loop, s->first_timeout_ms, s->idle_timeout_ms);
    use_settings(w);
    int rc = init_wake(w);
    if (rc == 0)
        rc = init_media(w);
    return rc == 0 ? open_all(w) : rc;
}

static void dispose(struct worker *w)
{
    close_all(w);
    if (w->wake) {
        h2o_socket_read_stop(w->wake);
        h2o_socket_close(w->wake);
    }
    http_context_dispose(&w->http);
    http_context_dispose(&w->http_metrics);
    (void)h2o_evloop_run(w->loop, 0); /* frees the sockets that were closed */
    h2o_evloop_destroy(w->loop);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    int rc = w->error = init(w);
    sem_post(&w->initialized);
    while (rc == 0 && atomic_load(&w->phase) != STOPPING)
        turn(w, LOOP_WAIT_MS);
    dispose(w);
    return NULL;
}

/* Starts the thread and waits until it has made its parts. */
static int start(struct worker *w)
{
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = w->wake_fd < 0 ? -errno : -pthread_create(&w->thread, NULL, run, w);
    if (rc != 0)
        return rc;
    while (sem_wait(&w->initialized) != 0) {
        /* EINTR */
    }
    if (w->error != 0)
        pthread_join(w->thread, NULL);
    return w->error;
}

int worker_start(struct worker **out, const struct worker_opts *opts)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->opts = *opts;
    w->wanted = opts->settings;
    w->alive_us = clock_mono_us();
    pthread_mutex_init(&w->lock, NULL);
    sem_init(&w->initialized, 0, 0);
    int rc = start(w);
    if (rc != 0) {
        worker_destroy(w);
        return rc;
    }
    *out = w;
    return 0;
}

void worker_set(struct worker *w, const struct worker_settings *s)
{
    pthread_mutex_lock(&w->lock);
    w->wanted = *s;
    pthread_mutex_unlock(&w->lock);
    wake(w);
}

void worker_set_media_keys(struct worker *w, struct media_keys *keys)
{
    pthread_mutex_lock(&w->lock);
    struct media_keys *old = w->new_keys;
    w->new_keys = keys;
    pthread_mutex_unlock(&w->lock);
    media_keys_release(old);
    wake(w);
}

void worker_set_media_plan(struct worker *w, struct media_plan_held *plan)
{
    pthread_mutex_lock(&w->lock);
    struct media_plan_held *old = w->new_plan;
    w->new_plan = plan;
    pthread_mutex_unlock(&w->lock);
    media_plan_release(old);
    wake(w);
}

void worker_drain_media(struct worker *w, bool on)
{
    atomic_store(&w->media_drained, on);
    wake(w);
}

void worker_end_media(struct worker *w)
{
    atomic_store(&w->media_over, true);
    wake(w);
}

void worker_drain(struct worker *w)
{
    atomic_store(&w->phase, DRAINING);
    wake(w);
}

void worker_stop(struct worker *w)
{
    atomic_store(&w->phase, STOPPING);
    wake(w);
    pthread_join(w->thread, NULL);
}

void worker_destroy(struct worker *w)
{
    if (!w)
        return;
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    media_keys_release(w->new_keys);
    media_plan_release(w->new_plan);
    free(w->batch);
    sem_destroy(&w->initialized);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* ---- read by others ---- */

int64_t worker_open_connections(const struct worker *w)
{
    struct listener_totals t = {0};
    for (int k = 0; k < KIND_COUNT; k++)
        for (size_t i = 0; i < NODE_ADDRESSES_MAX; i++)
            listener_totals_add(&t, &w->doors[k][i].stats);
    return t.open;
}

int64_t worker_alive_us(const struct worker *w)
{
    return atomic_load_explicit(&w->alive_us, memory_order_relaxed);
}

void worker_totals(const struct worker *w, struct node_totals *counters, struct listener_totals *tcp,
                   struct listener_totals *tls)
{
    stats_sum(counters, &w->stats);
    for (size_t i = 0; i < NODE_ADDRESSES_MAX; i++) {
        listener_totals_add(tcp, &w->doors[KIND_TCP][i].stats);
        listener_totals_add(tls, &w->doors[KIND_TLS][i].stats);
    }
}

void worker_sessions(const struct worker *w, int64_t total[static MEDIA_CARRIERS])
{
    media_figures_sessions(&w->figures, total);
}
