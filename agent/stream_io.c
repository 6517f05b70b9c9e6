/* TCP, and TLS inside it. Invariant: a stream that is `broken` is not watched any more, and its user has been told, once. */
#include "stream_io.h"

#include "sys/clock.h"
#include "tls_stream.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_SIZE = 4096 };

struct stream_io {
    struct sys_poller *poller;
    const struct stream_io_events *events;
    void *user;
    struct sys_watch watch;
    struct tls_stream *tls; /* NULL: plain TCP */
    bool connected, secured, broken;
};

/* Not watched from now on: a hang-up would not let us sleep until it is closed. */
static void stop(struct stream_io *s)
{
    s->broken = true;
    sys_watch_remove(s->poller, &s->watch);
}

static void fail(struct stream_io *s, int err)
{
    stop(s);
    s->events->ended(s->user, -err, clock_mono_us());
}

static void fail_tls(struct stream_io *s, const char *text)
{
    stop(s);
    s->events->tls_failed(s->user, text, clock_mono_us());
}

/* Sends what TLS has to send, and watches for room if there was not enough. */
static int flush_tls(struct stream_io *s)
{
    const uint8_t *bytes;
    size_t len;
    while ((len = tls_stream_output(s->tls, &bytes)) > 0) {
        ssize_t n = sys_tcp_write(s->watch.fd, bytes, len);
        if (n == -EAGAIN)
            break;
        if (n < 0)
            return (int)n;
        tls_stream_sent(s->tls, (size_t)n);
    }
    return sys_watch_set(s->poller, &s->watch, len > 0 ? SYS_READ | SYS_WRITE : SYS_READ);
}

static void handshake(struct stream_io *s)
{
    int done = tls_stream_handshake(s->tls);
    int err = flush_tls(s); /* also the alert that says why we refuse */
    if (done < 0) {
        fail_tls(s, tls_stream_error(s->tls));
    } else if (err < 0) {
        fail(s, err);
    } else if (done == 1) {
        s->secured = true;
        s->events->secured(s->user, clock_mono_us());
    }
}

static void on_connected(struct stream_io *s)
{
    int64_t now = clock_mono_us();
    int err = sys_tcp_connect_result(s->watch.fd);
    if (err == 0)
        err = sys_watch_set(s->poller, &s->watch, SYS_READ);
    if (err < 0) {
        fail(s, err);
        return;
    }
    s->connected = true;
    s->events->connected(s->user, now);
    if (s->tls)
        handshake(s);
}

static void on_bytes(struct stream_io *s, const uint8_t *bytes, size_t len, int64_t now)
{
    if (!s->tls) {
        s->events->bytes(s->user, bytes, len, now);
        return;
    }
    if (tls_stream_feed(s->tls, bytes, len) < 0) {
        fail(s, -ENOMEM);
        return;
    }
    if (!s->secured)
        handshake(s);
    uint8_t plain[READ_SIZE];
    ssize_t n = 0;
    while (s->secured && !s->broken && (n = tls_stream_read(s->tls, plain, sizeof plain)) > 0)
        s->events->bytes(s->user, plain, (size_t)n, now);
    if (n < 0)
        fail(s, (int)n == -EPROTO ? -ECONNRESET : 0);
}

static void read_some(struct stream_io *s)
{
    uint8_t buf[READ_SIZE];
    int64_t now = clock_mono_us();
    ssize_t n = sys_tcp_read(s->watch.fd, buf, sizeof buf);
    if (n > 0)
        on_bytes(s, buf, (size_t)n, now);
    else if (n == 0 && s->tls && !s->secured)
        fail_tls(s, "connection closed during the handshake");
    else if (n != -EAGAIN)
        fail(s, (int)n);
}

static void ready(void *user, unsigned events)
{
    struct stream_io *s = user;
    if (!s->connected) {
        if ((events & SYS_WRITE) != 0)
            on_connected(s);
        return;
    }
    if (s->tls && (events & SYS_WRITE) != 0) {
        int err = flush_tls(s);
        if (err < 0)
            fail(s, err);
    }
    if (!s->broken && (events & SYS_READ) != 0)
        read_some(s);
}

static void destroy(struct stream_io *s)
{
    sys_watch_remove(s->poller, &s->watch);
    sys_close(s->watch.fd);
    tls_stream_destroy(s->tls);
    free(s);
}

int stream_io_open(struct stream_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx,
                   const struct stream_io_target *target, const struct stream_io_events *events, void *user,
                   int64_t *started_us)
{
    *started_us = clock_mono_us();
    struct stream_io *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    *s = (struct stream_io){.poller = poller, .events = events, .user = user, .watch.fd = -1};
    int err = target->transport == TRANSPORT_TLS ? tls_stream_new(&s->tls, tls_ctx, target->tls_name) : 0;
    if (err == 0) {
        *started_us = clock_mono_us();
        int fd = err = sys_tcp_connect(&target->to);
        if (fd >= 0)
            err = sys_watch_add(poller, &s->watch, fd, SYS_WRITE, ready, s);
        s->watch.fd = fd;
    }
    if (err < 0) {
        destroy(s);
        return err;
    }
    *out = s;
    return 0;
}

int stream_io_write(struct stream_io *s, const uint8_t *bytes, size_t len, int64_t *sent_us)
{
    int err = s->broken ? -EPIPE : 0;
    *sent_us = clock_mono_us();
    if (err == 0 && s->tls) {
        err = tls_stream_write(s->tls, bytes, len);
        *sent_us = clock_mono_us();
        if (err == 0)
            err = flush_tls(s);
    } else if (err == 0) {
        ssize_t n = sys_tcp_write(s->watch.fd, bytes, len);
        err = n < 0 ? (int)n : (size_t)n == len ? 0 : -EPIPE;
    }
    if (err < 0 && !s->broken)
        stop(s);
    return err;
}

void stream_io_close(struct stream_io *s)
{
    if (!s)
        return;
    if (s->tls && s->secured && !s->broken) {
        const uint8_t *bytes;
        tls_stream_shut(s->tls);
        size_t len = tls_stream_output(s->tls, &bytes);
        ssize_t n = len > 0 ? sys_tcp_write(s->watch.fd, bytes, len) : 0;
        (void)n; /* a courtesy */
    }
    destroy(s);
}
