/* The workers' threads: loops, listeners, and a graceful end. Invariant: everything a worker owns is made before its
 * thread runs and destroyed by that thread; in between only that thread touches it. */
#include "server.h"

#include "api_ip_ranges.h"
#include "control.h"
#include "ingest.h"
#include "lease.h"
#include "metrics_page.h"
#include "report_cache.h"
#include "request.h"
#include "reviews.h"
#include "serve/http.h"
#include "serve/listener.h"
#include "streams.h"
#include "sys/clock.h"
#include "sys/service.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <h2o/http1.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SERVER_BACKLOG = 1024,
    /* A body up to here is read to its end, so that the client gets to see the 413; beyond, it is refused by its length, unread. */
    SERVER_BODY_MAX = 4 * API_BODY_MAX,
    /* What all that is being received may take in one thread's memory, whoever sends it. */
    SERVER_INPUT_MAX = 128 * 1024 * 1024,
    SERVER_INPUT_AT_FIRST =
        24 * 1024,           /* of a connection: a report of 30 nodes is read by one call, into its place */
    SERVER_INPUTS_KEPT = 64, /* of a worker, for whoever comes next */
    SERVER_INPUT_LOOK_US = 250 * 1000,
    SERVER_HANDSHAKE_US = 10 * 1000 * 1000,
    SERVER_REQUEST_US = 15 * 1000 * 1000, /* headers, body, and idle keep-alive */
    SERVER_LISTENERS_MAX = CONFIG_LIST_MAX + 1,
    SERVER_METRICS_OPEN_MAX = 64,
    SERVER_FDS_RESERVED = 128,          /* health and metrics, files */
    SERVER_FDS_A_THREAD = 16,           /* the database, the loop */
    SERVER_STOP_GRACE_US = 1000 * 1000, /* past the request deadline */
    SERVER_WAIT_MS = 1000,              /* a loop turns at least so often */
    SERVER_ALIVE_US = 10 * 1000 * 1000, /* a worker whose loop hasn't turned for so long is stuck */
    SERVER_HURRY_MS = 50,
};

struct door {
    int fd;                    /* bound by server_start; -1: the listener's by now */
    bool health;               /* health and metrics over clear HTTP, else the API */
    struct listener *listener; /* NULL: not open */
    h2o_accept_ctx_t accept;
    struct thread *thread;
};

struct thread {
    struct server *server;
    struct worker *worker;
    pthread_t id;
    bool started, stopping;
    _Atomic int64_t alive_us; /* when its loop last turned */
    sem_t initialized;        /* the thread has made its parts; `error` tells how that went */
    int error;
    int64_t stop_at_us;
    h2o_multithread_queue_t *queue;
    h2o_multithread_receiver_t stop;
    h2o_multithread_message_t stop_message; /* the only one there ever is */
    struct listener_crowd connections;
    int64_t look_at_us;   /* when to look at what they have sent */
    h2o_context_t health; /* where a door leads there */
    bool has_health;
    size_t n_doors;
    struct door doors[SERVER_LISTENERS_MAX];
    struct listener_stats stats, health_stats;
};

struct server {
    struct controller *ctl;
    struct tls_server *tls;
    h2o_globalconf_t api_conf, health_conf;
    struct listener_sources *sources; /* NULL: no limit by source */
    struct listener_budget budget;    /* of the API's connections */
    size_t n_threads;
    struct thread *threads;
};

/* ---- connections ---- */

static void on_conn(void *ctx, h2o_socket_t *sock, const struct addr *peer, struct timeval connected_at)
{
    struct door *door = ctx;
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, peer);

    if (door->thread->stopping) {
        h2o_socket_close(sock);
        return;
    }
    h2o_socket_setpeername(sock, (struct sockaddr *)&ss, len);
    h2o_http1_accept(&door->accept, sock, connected_at);
}

/* ---- listening ---- */

/* With SO_REUSEPORT a second controller would quietly share the port; a bind without it tells. */
static int probe_free(const struct addr *a)
{
    int fd = a->port != 0 ? socket_listen_tcp(a, false, 1) : -1;

    if (a->port == 0)
        return 0;
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* Binds; the worker's thread makes the listener of it. */
static int door_bind(struct thread *t, const struct addr *a, bool health, struct addr *bound)
{
    int fd = socket_listen_tcp(a, !health, SERVER_BACKLOG), r;

    if (fd < 0)
        return fd;
    r = socket_local_addr(fd, bound);
    if (r != 0) {
        close(fd);
        return r;
    }
    t->doors[t->n_doors++] = (struct door){.fd = fd, .health = health, .thread = t};
    return 0;
}

static int door_open(struct thread *t, struct door *door)
{
    h2o_context_t *http = door->health ? &t->health : &t->worker->http;
    const struct listener_opts opts = {
        .fd = door->fd,
        .tls = door->health ? NULL : t->server->tls,
        .handshake_timeout_us = SERVER_HANDSHAKE_US,
        .max_open = door->health ? SERVER_METRICS_OPEN_MAX : t->server->ctl->options->max_connections,
        .oldest_yields = door->health,
        .on_conn = on_conn,
        .ctx = door,
        .stats = door->health ? &t->health_stats : &t->stats,
        .crowd = &t->connections,
        .sources = door->health ? NULL : t->server->sources,
        .budget = door->health ? NULL : &t->server->budget,
        .log = t->server->ctl->log,
    };
    int r;

    if (door->health && !t->has_health) {
        h2o_context_init(&t->health, t->worker->loop, &t->server->health_conf);
        t->has_health = true;
    }
    door->accept.ctx = http;
    door->accept.hosts = http->globalconf->hosts;
    r = listener_open(&door->listener, t->worker->loop, &opts);
    if (r == 0)
        door->fd = -1;
    return r;
}

static void doors_close(struct thread *t)
{
    for (size_t i = 0; i < t->n_doors; i++) {
        listener_close(t->doors[i].listener);
        if (t->doors[i].fd >= 0)
            close(t->doors[i].fd);
    }
    t->n_doors = 0;
}

static void log_listening(struct server *s, const char *what, const struct addr *a)
{
    char text[ADDR_TEXT_LEN];

    log_event(s->ctl->log, LOG_INFO, "server", "listening", LOG_S("what", what),
              LOG_S("address", addr_format(a, text)));
}

static int listen_failed(struct server *s, const char *text, int r)
{
    log_event(s->ctl->log, LOG_ERROR, "server", "listen_failed", LOG_S("address", text),
              LOG_S("error", strerror(-r)),
              LOG_S("hint", r == -EADDRINUSE ? "another program listens there: end it, or take another port"
                            : r == -EADDRNOTAVAIL ? "this machine has no such address"
                            : r == -EACCES
                                ? "ports below 1024 need CAP_NET_BIND_SERVICE, as the systemd unit grants it"
                                : ""));
    return r;
}

static int listen_api(struct server *s)
{
    const struct options *o = s->ctl->options;

    for (size_t i = 0; i < o->listen.n; i++) {
        struct addr a, bound;
        int r = addr_parse(&a, o->listen.v[i]);
        if (r == 0)
            r = probe_free(&a);
        for (size_t k = 0; k < s->n_threads && r == 0; k++) {
            r = door_bind(&s->threads[k], &a, false, &bound);
            a.port = r == 0 ? bound.port : a.port;
        }
        if (r != 0)
            return listen_failed(s, o->listen.v[i], r);
        log_listening(s, s->tls != NULL ? "https" : "http", &bound);
    }
    return 0;
}

/* The first worker answers for health and metrics, so that a stuck loop shows. */
static int listen_health(struct server *s)
{
    const char *text = s->ctl->options->metrics;
    struct addr a, bound;
    int r;

    if (strcmp(text, "off") == 0)
        return 0;
    r = addr_parse(&a, text);
    if (r == 0)
        r = door_bind(&s->threads[0], &a, true, &bound);
    if (r != 0)
        return listen_failed(s, text, r);
    log_listening(s, "metrics", &bound);
    return 0;
}

/* ---- a worker's life ---- */

static void on_stop(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    struct thread *t = H2O_STRUCT_FROM_MEMBER(struct thread, stop, receiver);

    while (!h2o_linklist_is_empty(messages))
        h2o_linklist_unlink(messages->next);
    if (t->stopping)
        return;
    t->stopping = true;
    t->stop_at_us =
        clock_mono_us() + t->server->ctl->options->request_deadline_ms * 1000 + SERVER_STOP_GRACE_US;
    doors_close(t);
    streams_end(t->worker->streams);
    h2o_context_request_shutdown(&t->worker->http);
    if (t->has_health)
        h2o_context_request_shutdown(&t->health);
    /* What is being answered closes after its answer; what is idle sees its end of input now. */
    listener_crowd_shutdown(&t->connections, SHUT_RD);
}

static void worker_destroy(struct thread *t)
{
    struct worker *w = t->worker;

    doors_close(t);
    streams_close(w->streams);
    reviews_close(w->reviews);
    join_turns_close(&w->joins); /* requests that end from here on must start nothing */
    if (w->ingest != NULL)
        ingest_turn(w->ingest); /* what is under way ends with the database */
    db_destroy(w->db);
    w->db = NULL;
    streams_destroy(w->streams);
    w->streams = NULL;
    ingest_destroy(w->ingest);
    w->ingest = NULL;
    reviews_destroy(w->reviews);
    w->reviews = NULL;
    report_cache_destroy(w->reports);
    w->reports = NULL;
    leases_destroy(w->leases);
    w->leases = NULL;
    ip_ranges_cache_destroy(w->ip_ranges);
    for (int i = 0; i < 8; i++) /* closed sockets are disposed of by the loop */
        (void)h2o_evloop_run(w->loop, 0);
    if (t->has_health)
        http_context_dispose(&t->health);
    http_context_dispose(&w->http);
    h2o_multithread_unregister_receiver(t->queue, &t->stop);
    h2o_multithread_destroy_queue(t->queue);
    (void)h2o_evloop_run(w->loop, 0);
    h2o_evloop_destroy(w->loop);
    w->loop = NULL;
}

/* In the worker's own thread: libh2o's sockets keep to the thread that makes them, whose pools their buffers come from. */
static int worker_init(struct thread *t)
{
    struct worker *w = t->worker;
    const struct db_opts opts = {
        .conninfo = w->ctl->options->database,
        .statement_timeout_us = w->ctl->options->request_deadline_ms * 1000 * 9 / 10,
        .log = w->ctl->log,
        .up = &w->ctl->db_up,
        .served = &w->ctl->db_served,
    };
    int r;

    listener_crowd_init(&t->connections);
    h2o_socket_buffer_prototype._initial_buf.capacity = SERVER_INPUT_AT_FIRST; /* before there is any */
    h2o_socket_buffer_prototype.allocator.max = SERVER_INPUTS_KEPT;
    w->loop = h2o_evloop_create();
    h2o_context_init(&w->http, w->loop, &t->server->api_conf);
    t->queue = h2o_multithread_create_queue(w->loop);
    h2o_multithread_register_receiver(t->queue, &t->stop, on_stop);
    r = db_new(&w->db, w->loop, &opts);
    if (r == 0)
        r = ingest_new(&w->ingest, w);
    if (r == 0)
        r = report_cache_new(&w->reports, REPORT_CACHE_BYTES_MAX);
    if (r == 0)
        r = reviews_new(&w->reviews, w);
    if (r == 0)
        r = leases_new(&w->leases, w);
    if (r == 0)
        r = streams_new(&w->streams, w, t->queue);
    for (size_t i = 0; i < t->n_doors && r == 0; i++)
        r = door_open(t, &t->doors[i]);
    return r;
}

static void relieve(struct thread *t)
{
    size_t ended = listener_crowd_relieve(&t->connections, SERVER_INPUT_MAX);

    if (ended > 0)
        log_event(t->server->ctl->log, LOG_WARN, "server", "too_much_input",
                  LOG_I("worker", t->worker->index), LOG_I("ended", ended));
}

/* One turn of the loop, and what has no timer of its own. */
static void worker_turn(struct thread *t)
{
    struct worker *w = t->worker;
    bool hurry = t->stopping || w->joins.n > 0 || reviews_hurry(w->reviews);
    int wait_ms = join_turns_due(&w->joins) ? 0 : hurry ? SERVER_HURRY_MS : SERVER_WAIT_MS;
    int64_t now;

    atomic_store_explicit(&t->alive_us, clock_mono_us(), memory_order_relaxed);
    (void)h2o_evloop_run(w->loop, wait_ms); /* -1 at EINTR: go on */
    ingest_turn(w->ingest);
    now = clock_mono_us();
    join_turns_expire(&w->joins, now);
    join_turns_step(&w->joins);
    reviews_turn(w->reviews, now);
    streams_turn(w->streams, now);
    if (now >= t->look_at_us) {
        relieve(t);
        leases_turn(w->leases, now);
        report_cache_turn(w->reports, now);
        t->look_at_us = now + SERVER_INPUT_LOOK_US;
    }
}

static void *worker_main(void *arg)
{
    struct thread *t = arg;
    int r = worker_init(t);

    t->error = r;
    atomic_store_explicit(&t->alive_us, clock_mono_us(), memory_order_relaxed);
    sem_post(&t->initialized);
    while (r == 0 && (!t->stopping ||
                      (!h2o_linklist_is_empty(&t->connections.guests) && clock_mono_us() < t->stop_at_us)))
        worker_turn(t);
    listener_crowd_shutdown(&t->connections, SHUT_RDWR);
    for (int i = 0; i < 20 && !h2o_linklist_is_empty(&t->connections.guests); i++)
        (void)h2o_evloop_run(t->worker->loop, 10);
    worker_destroy(t);
    return NULL;
}

/* ---- the whole ---- */

static bool ready(void *ctx, char *reason, size_t cap)
{
    return control_ready(ctx, reason, cap);
}

static void metrics(void *ctx, struct metrics_text *m)
{
    struct server *s = ctx;
    struct listener_totals totals = {0};

    for (size_t i = 0; i < s->n_threads; i++)
        listener_totals_add(&totals, &s->threads[i].stats);
    metrics_page_write(s->ctl, &totals, m);
}

static bool metrics_ready(void *ctx, char *reason, size_t cap)
{
    struct server *s = ctx;
    return control_ready(s->ctl, reason, cap);
}

static void conf_init(struct server *s)
{
    const struct http_limits limits = {.body_max = SERVER_BODY_MAX, .request_timeout_us = SERVER_REQUEST_US};
    const struct health_opts on_api = {.ready = ready, .ctx = s->ctl};
    const struct health_opts on_metrics = {.ready = metrics_ready, .metrics = metrics, .ctx = s};
    h2o_hostconf_t *host;

    http_globalconf_init(&s->api_conf, &limits);
    host = h2o_config_register_host(&s->api_conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    http_register_health(host, &on_api);
    request_register(host);
    http_globalconf_init(&s->health_conf, &limits);
    host = h2o_config_register_host(&s->health_conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    http_register_health(host, &on_metrics);
    http_check_framing(&s->api_conf);
    http_check_framing(&s->health_conf);
}

static size_t thread_count(const struct options *o)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (o->threads > 0)
        return (size_t)o->threads;
    return cores > 0 ? (size_t)cores : 1;
}

/* Starts the thread and waits until it has made its parts. */
static int thread_start(struct thread *t)
{
    int r = -pthread_create(&t->id, NULL, worker_main, t);

    if (r != 0)
        return r;
    while (sem_wait(&t->initialized) != 0) {
        /* EINTR */
    }
    if (t->error == 0) {
        t->started = true;
        return 0;
    }
    pthread_join(t->id, NULL);
    return t->error;
}

int server_start(struct server **out, struct controller *ctl, struct tls_server *tls)
{
    struct server *s = calloc(1, sizeof(*s));
    size_t n = thread_count(ctl->options);
    int r = -ENOMEM;

    if (s == NULL)
        return -ENOMEM;
    s->ctl = ctl;
    s->tls = tls;
    conf_init(s);
    if (ctl->options->max_connections_per_ip > 0) {
        s->sources = listener_sources_new(ctl->options->max_connections_per_ip);
        if (s->sources == NULL)
            goto fail;
    }
    s->threads = calloc(n, sizeof(*s->threads));
    ctl->workers = calloc(n, sizeof(*ctl->workers));
    if (s->threads == NULL || ctl->workers == NULL)
        goto fail;
    s->n_threads = ctl->n_workers = n;
    for (size_t i = 0; i < n; i++) {
        s->threads[i].server = s;
        s->threads[i].worker = &ctl->workers[i];
        ctl->workers[i].ctl = ctl;
        ctl->workers[i].index = i;
        sem_init(&s->threads[i].initialized, 0, 0);
    }
    r = listen_api(s);
    if (r == 0)
        r = listen_health(s);
    s->budget.max = service_spare_fds(SERVER_FDS_RESERVED + SERVER_FDS_A_THREAD * (int64_t)n);
    for (size_t i = 0; i < n && r == 0; i++)
        r = thread_start(&s->threads[i]);
    if (r != 0)
        goto fail;
    *out = s;
    return 0;
fail:
    server_stop(s);
    return r;
}

bool server_is_alive(const struct server *s)
{
    int64_t oldest = clock_mono_us() - SERVER_ALIVE_US;

    for (size_t i = 0; i < s->n_threads; i++)
        if (atomic_load_explicit(&s->threads[i].alive_us, memory_order_relaxed) < oldest)
            return false;
    return true;
}

void server_stop(struct server *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_threads; i++)
        if (s->threads[i].started)
            h2o_multithread_send_message(&s->threads[i].stop, &s->threads[i].stop_message);
    for (size_t i = 0; i < s->n_threads; i++) {
        if (s->threads[i].started)
            pthread_join(s->threads[i].id, NULL);
        else
            doors_close(&s->threads[i]);
        sem_destroy(&s->threads[i].initialized);
    }
    h2o_config_dispose(&s->api_conf);
    h2o_config_dispose(&s->health_conf);
    free(s->sources);
    free(s->threads);
    free(s->ctl->workers);
    s->ctl->workers = NULL;
    s->ctl->n_workers = 0;
    free(s);
}
