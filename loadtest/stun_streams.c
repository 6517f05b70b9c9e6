/* Connections with one Binding each. Invariant: a stream is in exactly one of: the free list (no descriptor), under way (has a deadline, may
 * be held afterwards), held; counters say how many, and a stream's outcome is counted once, when it leaves "under way". */
#include "stun_streams.h"

#include "core/frame.h"
#include "core/stun.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"
#include "sys/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 256,
    EVENTS = 256,
    SOURCES = 200, /* loopback addresses to come from: ports of one address run out while they wait */
    WAIT_MOST_US = 100000,
    STANDARD_INPUT = 0,
};

enum state { FREE, CONNECTING, HANDSHAKE, ASKED, HELD };

struct stream {
    int fd;
    enum state state;
    uint32_t seq;
    SSL *ssl;
    int64_t meant_us, deadline_us;
    size_t len; /* of what has come */
    uint8_t in[ANSWER_MAX];
};

struct streams {
    struct stun_streams_opts opts;
    struct stun_streams_result result;
    struct schedule schedule;
    int epoll;
    SSL_CTX *ctx;
    SSL_SESSION *session; /* the newest ticket */
    struct stream *all;
    size_t *free, n_free; /* indexes */
    size_t under_way, held;
    uint32_t next_seq;
    bool over; /* standard input has ended */
};

/* ---- one stream ---- */

static void release(struct streams *s, struct stream *c)
{
    SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    *c = (struct stream){.fd = -1};
    s->free[s->n_free++] = (size_t)(c - s->all);
}

static void leave(struct streams *s, struct stream *c)
{
    if (c->state == HELD)
        s->held--;
    else
        s->under_way--;
    if (c->ssl && c->state >= ASKED)
        SSL_shutdown(c->ssl); /* our goodbye, as a client says it; the server's isn't waited for */
    ERR_clear_error();
    release(s, c);
}

static void end(struct streams *s, struct stream *c, uint64_t *counter)
{
    (*counter)++;
    leave(s, c);
}

/* Where the server is on IPv4's loopback, streams come from many addresses of it. */
static int bind_source(int fd, const struct addr *server, uint32_t seq)
{
    int on = 1;
    if (server->family != ADDR_V4 || server->ip[0] != 127)
        return 0;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101 + seq % SOURCES)};
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
        return -errno;
    return 0;
}

static int connect_stream(struct streams *s, struct stream *c)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, &s->opts.server);
    int on = 1;
    c->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int rc = bind_source(c->fd, &s->opts.server, c->seq);
    if (rc == 0 && connect(c->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        rc = -errno;
    return rc;
}

static int start_tls(struct streams *s, struct stream *c)
{
    c->ssl = SSL_new(s->ctx);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
        return -ENOMEM;
    if (s->opts.resume && s->session)
        SSL_set_session(c->ssl, s->session);
    SSL_set_connect_state(c->ssl);
    return 0;
}

static int watch(struct streams *s, struct stream *c)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = (uint64_t)(c - s->all)};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0 ? -errno : 0;
}

/* 0, or -errno: this machine has no more to give. */
static int begin(struct streams *s, int64_t meant_us, int64_t now)
{
    struct stream *c = &s->all[s->free[--s->n_free]];
    c->seq = s->next_seq++;
    c->meant_us = meant_us;
    c->deadline_us = now + STUN_STREAMS_TIMEOUT_US;
    c->state = CONNECTING;
    int rc = connect_stream(s, c);
    if (rc == 0 && s->opts.tls)
        rc = start_tls(s, c);
    if (rc == 0)
        rc = watch(s, c);
    if (rc < 0 && rc != -ECONNREFUSED) {
        release(s, c);
        return rc;
    }
    s->under_way++;
    s->result.opened++;
    if (rc < 0)
        end(s, c, &s->result.failed);
    return 0;
}

static void transaction_id(const struct stream *c, uint8_t id[static STUN_TXID_LEN])
{
    struct wire_wr w = wire_wr_init(id, STUN_TXID_LEN);
    wire_wr_u32(&w, c->seq);
    wire_wr_u64(&w, UINT64_C(0x6265727468206c64)); /* any bytes will do */
}

static bool ask(struct stream *c)
{
    uint8_t id[STUN_TXID_LEN], bytes[ANSWER_MAX];
    struct stun_writer w;
    size_t len;
    transaction_id(c, id);
    stun_begin(&w, bytes, sizeof(bytes), STUN_REQUEST, STUN_BINDING, id);
    if (stun_finish(&w, &len) != 0)
        return false;
    return c->ssl ? SSL_write(c->ssl, bytes, (int)len) == (int)len
                  : send(c->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Bytes read, 0: none there yet, -1: the stream has ended. */
static ssize_t take(struct stream *c)
{
    uint8_t *to = c->in + c->len;
    size_t room = sizeof(c->in) - c->len;
    if (c->ssl) {
        int n = SSL_read(c->ssl, to, (int)room);
        if (n > 0)
            return n;
        int why = SSL_get_error(c->ssl, n);
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    ssize_t n = recv(c->fd, to, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return n > 0 ? n : -1;
}

static bool is_right(struct stun_faults *wrong, const struct stream *c, struct slice message)
{
    struct stun_msg m;
    struct addr local;
    uint8_t id[STUN_TXID_LEN];
    transaction_id(c, id);
    if (!stun_answer_read(wrong, &m, message.p, message.len))
        return false;
    if (memcmp(m.txid, id, sizeof(id)) != 0) {
        stun_faults_add(wrong, STUN_FAULT_TRANSACTION);
        return false;
    }
    if (socket_local_addr(c->fd, &local) < 0)
        local = (struct addr){0};
    return stun_answer_is_right(wrong, &m, NULL, &local);
}

static void answered(struct streams *s, struct stream *c)
{
    int64_t took = clock_mono_us() - c->meant_us;
    histogram_add(&s->result.latency, took);
    if (c->ssl && SSL_session_reused(c->ssl))
        s->result.resumed++;
    if (!s->opts.hold) {
        end(s, c, &s->result.answered);
        return;
    }
    s->result.answered++;
    s->under_way--;
    s->held++;
    c->state = HELD;
    c->len = 0;
}

static void read_answer(struct streams *s, struct stream *c)
{
    for (;;) {
        ssize_t n = take(c);
        if (n == 0)
            return;
        if (n < 0 || c->state == HELD) {
            end(s, c, c->state == HELD ? &s->result.lost : &s->result.failed);
            return;
        }
        c->len += (size_t)n;
        enum frame_mode mode = FRAME_STUN;
        struct slice message;
        ssize_t whole = frame_next(&mode, c->in, c->len, &message);
        if (whole == 0)
            continue;
        if (whole < 0)
            stun_faults_add(&s->result.wrong, STUN_FAULT_BROKEN);
        if (whole > 0 && is_right(&s->result.wrong, c, message))
            answered(s, c);
        else
            leave(s, c);
        return;
    }
}

/* As far as it goes now. */
static void advance(struct streams *s, struct stream *c, uint32_t events)
{
    if (c->state == CONNECTING && (events & (EPOLLERR | EPOLLHUP))) {
        end(s, c, &s->result.failed);
        return;
    }
    if (c->state == CONNECTING && (events & EPOLLOUT))
        c->state = c->ssl ? HANDSHAKE : ASKED;
    else if (c->state == CONNECTING)
        return;
    else if (c->state >= ASKED) {
        read_answer(s, c);
        return;
    }
    if (c->state == HANDSHAKE) {
        int rc = SSL_do_handshake(c->ssl);
        int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rc);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
            return;
        if (rc != 1) {
            end(s, c, &s->result.failed);
            return;
        }
        c->state = ASKED;
    }
    if (!ask(c))
        end(s, c, &s->result.failed);
}

/* ---- all ---- */

/* How many to begin now: those of the schedule that are due, or as many as there is room for. */
static size_t wanted(const struct streams *s, int64_t now)
{
    if (s->opts.hold) {
        size_t left = (size_t)s->opts.connections - s->result.opened; /* one that failed isn't tried again */
        size_t room = s->under_way < STUN_STREAMS_OPENING ? STUN_STREAMS_OPENING - s->under_way : 0;
        return left < room ? left : room;
    }
    return s->opts.rate > 0 ? schedule_due(&s->schedule, now, s->n_free) : s->n_free;
}

static int64_t wait_us(const struct streams *s, int64_t now, int64_t end_us)
{
    int64_t wait = end_us - now < WAIT_MOST_US ? end_us - now : WAIT_MOST_US;
    if (s->opts.rate > 0 && s->n_free > 0 && schedule_peek_us(&s->schedule) - now < wait)
        wait = schedule_peek_us(&s->schedule) - now;
    return wait > 0 ? wait : 0;
}

static void give_up_silent(struct streams *s, int64_t now)
{
    for (size_t i = 0; i < (size_t)s->opts.connections; i++) {
        struct stream *c = &s->all[i];
        if (c->state != FREE && c->state != HELD && c->deadline_us <= now)
            end(s, c, &s->result.failed);
    }
}

static void tell_held(const struct streams *s, bool *told)
{
    if (*told || !s->opts.hold || s->under_way > 0 || s->result.opened < (uint64_t)s->opts.connections)
        return;
    *told = true;
    if (s->opts.held)
        s->opts.held(s->opts.ctx, s->held);
}

static int turn(struct streams *s, int64_t now, int64_t end_us)
{
    struct epoll_event events[EVENTS];
    int64_t wait = wait_us(s, now, end_us);
    const struct timespec t = {wait / 1000000, wait % 1000000 * 1000};
    int n = epoll_pwait2(s->epoll, events, EVENTS, &t, NULL);
    if (n < 0 && errno != EINTR)
        return -errno;
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == UINT64_MAX) {
            char byte;
            s->over |= read(STANDARD_INPUT, &byte, 1) == 0;
            continue;
        }
        struct stream *c = &s->all[events[i].data.u64];
        if (c->state != FREE)
            advance(s, c, events[i].events);
    }
    return 0;
}

static int loop(struct streams *s, int64_t end_us)
{
    bool told = false;
    int64_t now, looked_us = 0;
    while ((now = clock_mono_us()) < end_us && !s->over) {
        for (size_t n = wanted(s, now); n > 0; n--) {
            int rc = begin(s, s->opts.rate > 0 ? schedule_take_us(&s->schedule) : now, now);
            if (rc < 0)
                return rc;
        }
        int rc = turn(s, now, end_us);
        if (rc < 0)
            return rc;
        if (now - looked_us >= STUN_STREAMS_TIMEOUT_US / 10) {
            give_up_silent(s, now);
            looked_us = now;
        }
        tell_held(s, &told);
    }
    return 0;
}

/* TLS 1.3 sends its tickets after the handshake; the newest is kept. */
static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct streams *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(s->session);
    s->session = session;
    return 1; /* it is ours now */
}

static int set_up(struct streams *s)
{
    size_t n = (size_t)s->opts.connections;
    s->all = calloc(n, sizeof(*s->all));
    s->free = calloc(n, sizeof(*s->free));
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!s->all || !s->free)
        return -ENOMEM;
    if (s->epoll < 0)
        return -errno;
    for (size_t i = n; i > 0; i--) {
        s->all[i - 1].fd = -1;
        s->free[s->n_free++] = i - 1;
    }
    struct epoll_event input = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    if (s->opts.hold && epoll_ctl(s->epoll, EPOLL_CTL_ADD, STANDARD_INPUT, &input) < 0 && errno != EPERM)
        return -errno; /* EPERM: a file or /dev/null, which ends nothing */
    if (!s->opts.tls)
        return 0;
    s->ctx = SSL_CTX_new(TLS_client_method()); /* whom it talks to isn't asked: load, not trust */
    if (!s->ctx)
        return -ENOMEM;
    SSL_CTX_set_mode(s->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_app_data(s->ctx, s);
    if (s->opts.resume) {
        SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(s->ctx, on_ticket);
    }
    return 0;
}

static void tear_down(struct streams *s)
{
    for (size_t i = 0; s->all && i < (size_t)s->opts.connections; i++) {
        SSL_free(s->all[i].ssl);
        if (s->all[i].fd >= 0)
            close(s->all[i].fd);
    }
    SSL_SESSION_free(s->session);
    SSL_CTX_free(s->ctx);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s->free);
    free(s->all);
}

int stun_streams_run(const struct stun_streams_opts *opts, struct stun_streams_result *out)
{
    struct streams s = {.opts = *opts, .epoll = -1};
    int rc = set_up(&s);
    if (rc == 0) {
        int64_t start = clock_mono_us(), end_us = start + opts->seconds * 1000000;
        if (opts->rate > 0)
            schedule_init(&s.schedule, opts->arrivals, opts->rate, opts->seed, start);
        rc = loop(&s, end_us);
        s.result.elapsed_us = clock_mono_us() - start;
        if (opts->rate > 0)
            s.result.missed = schedule_skip(&s.schedule, end_us);
    }
    if (rc == 0)
        *out = s.result;
    tear_down(&s);
    return rc;
}
