/* A libh2o loop with a listener on loopback, and clients in the same thread. */
#ifndef BERTH_TESTS_SERVE_LOOP_H
#define BERTH_TESTS_SERVE_LOOP_H

#include "check.h"
#include "serve/listener.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVE_DEADLINE_US = 60 * 1000 * 1000, SERVE_ACCEPTED_MAX = 16 };

struct serve_loop {
    h2o_loop_t *loop;
    struct listener *listener;
    struct listener_stats stats;
    struct listener_crowd crowd;
    struct addr at;
    /* What on_conn was given; sockets are the test's. */
    size_t n;
    h2o_socket_t *sock[SERVE_ACCEPTED_MAX];
    struct addr peer[SERVE_ACCEPTED_MAX];
};

static inline void serve_on_conn(void *ctx, h2o_socket_t *sock, const struct addr *peer, struct timeval at)
{
    struct serve_loop *s = ctx;
    assert_true(s->n < SERVE_ACCEPTED_MAX);
    assert_true(at.tv_sec > 1700000000);
    s->peer[s->n] = *peer;
    s->sock[s->n++] = sock;
}

/* `opts` lacks fd, ctx, stats, crowd, and on_conn where it is to be serve_on_conn. */
static inline void serve_open(struct serve_loop *s, struct listener_opts opts)
{
    const struct addr any = {.family = ADDR_V4, .ip = {127, 0, 0, 1}};
    memset(s, 0, sizeof(*s));
    s->loop = h2o_evloop_create();
    listener_crowd_init(&s->crowd);
    opts.fd = socket_listen_tcp(&any, false, 64);
    assert_true(opts.fd >= 0);
    assert_int_equal(socket_local_addr(opts.fd, &s->at), 0);
    opts.stats = &s->stats;
    opts.crowd = &s->crowd;
    if (!opts.on_conn) {
        opts.on_conn = serve_on_conn;
        opts.ctx = s;
    }
    assert_int_equal(listener_open(&s->listener, s->loop, &opts), 0);
}

static inline void serve_turn(struct serve_loop *s)
{
    (void)h2o_evloop_run(s->loop, 5);
}

/* Turns the loop until the condition holds. */
#define SERVE_UNTIL(s, condition)                                   \
    do {                                                            \
        int64_t serve_until_ = clock_mono_us() + SERVE_DEADLINE_US; \
        while (!(condition)) {                                      \
            serve_turn(s);                                          \
            if (clock_mono_us() > serve_until_)                     \
                fail_msg("not in time: %s", #condition);            \
        }                                                           \
    } while (0)

static inline void serve_close(struct serve_loop *s)
{
    listener_close(s->listener);
    for (size_t i = 0; i < s->n; i++)
        if (s->sock[i])
            h2o_socket_close(s->sock[i]);
    SERVE_UNTIL(s, h2o_linklist_is_empty(&s->crowd.guests));
    serve_turn(s);
    h2o_evloop_destroy(s->loop);
}

/* A connected client; the kernel completes the connection before anybody accepts. */
static inline int serve_connect(const struct serve_loop *s)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, &s->at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
    return fd;
}

/* Has the peer ended this connection? */
static inline bool serve_is_ended(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

#endif
