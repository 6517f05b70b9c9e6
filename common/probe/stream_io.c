/* TCP or a tunnel, TLS inside it, WebSocket inside that. Invariant: a stream that is `broken` is not watched any
 * more, and its user has been told, once. */
#include "probe/stream_io.h"

#include "probe/tls_stream.h"
#include "probe/tunnel.h"
#include "probe/websocket.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 4096, READS_MAX = 64 };
_Static_assert(WEBSOCKET_MESSAGE_MAX + READ_SIZE <= WEBSOCKET_IN_MAX, "what one read can complete");

struct stream_io {
    struct sys_poller *poller;
    const struct stream_io_events *events;
    void *user;
    struct sys_watch watch;
    struct tls_stream *tls; /* NULL: plain TCP */
    struct tunnel *tunnel;  /* NULL: watch.fd is our own */
    const struct node_spki *keys;
    struct websocket *ws; /* NULL: what goes through TLS is the messages themselves */
    uint8_t *left;        /* plain TCP: what the kernel had no room for, n_left bytes */
    size_t n_left;
    bool connected, secured, broken;
    bool more; /* the tunnel may hold bytes that the poller doesn't see: room to write wakes us as well */
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

static void fail_websocket(struct stream_io *s, const char *text, int64_t now)
{
    stop(s);
    s->events->websocket_failed(s->user, text, now);
}

static ssize_t raw_write(struct stream_io *s, const uint8_t *bytes, size_t len)
{
    return s->tunnel ? tunnel_write(s->tunnel, bytes, len) : sys_tcp_write(s->watch.fd, bytes, len);
}

static ssize_t raw_read(struct stream_io *s, uint8_t *buf, size_t cap)
{
    return s->tunnel ? tunnel_read(s->tunnel, buf, cap) : sys_tcp_read(s->watch.fd, buf, cap);
}

/* Sends what TLS has to send, and watches for room if there was not enough. */
static int flush_tls(struct stream_io *s)
{
    const uint8_t *bytes;
    size_t len;
    while ((len = tls_stream_output(s->tls, &bytes)) > 0) {
        ssize_t n = raw_write(s, bytes, len);
        if (n == -EAGAIN)
            break;
        if (n < 0)
            return (int)n;
        tls_stream_sent(s->tls, (size_t)n);
    }
    if (len > STREAM_IO_LEFT_MAX)
        return -ENOBUFS;
    return sys_watch_set(s->poller, &s->watch, len > 0 || s->more ? SYS_READ | SYS_WRITE : SYS_READ);
}

/* Plain TCP: sends what was left, and watches for room if there was not enough. */
static int flush_plain(struct stream_io *s)
{
    ssize_t n = s->n_left > 0 ? sys_tcp_write(s->watch.fd, s->left, s->n_left) : 0;
    if (n < 0 && n != -EAGAIN)
        return (int)n;
    if (n > 0) {
        s->n_left -= (size_t)n;
        memmove(s->left, s->left + n, s->n_left);
    }
    return sys_watch_set(s->poller, &s->watch, s->n_left > 0 ? SYS_READ | SYS_WRITE : SYS_READ);
}

static int keep_left(struct stream_io *s, const uint8_t *bytes, size_t len)
{
    if (len > STREAM_IO_LEFT_MAX - s->n_left)
        return -ENOBUFS;
    if (!s->left && !(s->left = malloc(STREAM_IO_LEFT_MAX)))
        return -ENOMEM;
    memcpy(s->left + s->n_left, bytes, len);
    s->n_left += len;
    return sys_watch_set(s->poller, &s->watch, SYS_READ | SYS_WRITE);
}

static int write_plain(struct stream_io *s, const uint8_t *bytes, size_t len)
{
    ssize_t n = s->n_left > 0 ? -EAGAIN : sys_tcp_write(s->watch.fd, bytes, len);
    size_t went = n > 0 ? (size_t)n : 0;
    if (n < 0 && n != -EAGAIN)
        return (int)n;
    return went < len ? keep_left(s, bytes + went, len - went) : 0;
}

/* What WebSocket has to send goes into TLS, and out. */
static int flush_websocket(struct stream_io *s)
{
    const uint8_t *bytes;
    size_t len = websocket_output(s->ws, &bytes);
    int err = len > 0 ? tls_stream_write(s->tls, bytes, len) : 0;
    websocket_sent(s->ws, len);
    return err < 0 ? err : flush_tls(s);
}

static void handshake(struct stream_io *s)
{
    int done = tls_stream_handshake(s->tls);
    const char *issuer = done != 0 ? tls_stream_issuer(s->tls, s->keys) : "";
    if (issuer[0] != '\0' && s->events->issuer)
        s->events->issuer(s->user, issuer);
    int err = flush_tls(s); /* also the alert that says why we refuse */
    if (done < 0) {
        fail_tls(s, tls_stream_error(s->tls));
    } else if (err < 0) {
        fail(s, err);
    } else if (done == 1) {
        s->secured = true;
        if (tls_stream_intercepted(s->tls, s->keys))
            s->events->intercepted(s->user);
        s->events->secured(s->user, clock_mono_us());
        if (s->ws && (err = flush_websocket(s)) < 0) /* the request to upgrade */
            fail(s, err);
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

/* The peer's messages, and how it ended if it did: what it said before counts. */
static void on_websocket(struct stream_io *s, const uint8_t *bytes, size_t len, int64_t now)
{
    uint8_t payload[READ_SIZE];
    size_t n;
    bool was_ready = websocket_ready(s->ws);
    int fed = websocket_feed(s->ws, bytes, len);
    int err = fed == 0 ? flush_websocket(s) : fed;
    if (!was_ready && websocket_ready(s->ws))
        s->events->upgraded(s->user, now);
    while (!s->broken && (n = websocket_read(s->ws, payload, sizeof payload)) > 0)
        s->events->bytes(s->user, payload, n, now);
    if (err == 0 || s->broken)
        return;
    if (fed == -EPROTO)
        fail_websocket(s, websocket_error(s->ws), now);
    else if (err == -ENOBUFS)
        fail_websocket(s, "the peer doesn't read the answers that it asks for", now);
    else
        fail(s, fed == -ECONNRESET ? 0 : err);
}

/* Plain text of TLS. */
static void on_plain(struct stream_io *s, const uint8_t *bytes, size_t len, int64_t now)
{
    if (s->ws)
        on_websocket(s, bytes, len, now);
    else
        s->events->bytes(s->user, bytes, len, now);
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
        on_plain(s, plain, (size_t)n, now);
    if (n < 0 && !s->broken)
        fail(s, (int)n == -EPROTO ? -ECONNRESET : 0);
}

/* A tunnel may hold bytes that the poller doesn't see: it is read until it is empty, in turns of READS_MAX. */
static void read_some(struct stream_io *s)
{
    uint8_t buf[READ_SIZE];
    int64_t now = clock_mono_us();
    ssize_t n = 0;
    for (int i = 0; !s->broken && i < (s->tunnel ? READS_MAX : 1); i++) {
        n = raw_read(s, buf, sizeof buf);
        if (n <= 0)
            break;
        on_bytes(s, buf, (size_t)n, now);
    }
    if (s->broken)
        return;
    s->more = s->tunnel && n > 0;
    if (s->more)
        n = flush_tls(s); /* which watches for room */
    if (n == 0 && !s->more && s->tls && !s->secured)
        fail_tls(s, "connection closed during the handshake");
    else if ((n == 0 && !s->more) || (n < 0 && n != -EAGAIN))
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
    if ((events & SYS_WRITE) != 0) {
        int err = s->tls ? flush_tls(s) : flush_plain(s);
        if (err < 0)
            fail(s, err);
    }
    if (!s->broken && ((events & SYS_READ) != 0 || s->more))
        read_some(s);
}

static void destroy(struct stream_io *s)
{
    sys_watch_remove(s->poller, &s->watch);
    if (s->tunnel)
        tunnel_close(s->tunnel);
    else
        sys_close(s->watch.fd);
    tls_stream_destroy(s->tls);
    websocket_destroy(s->ws);
    free(s->left);
    free(s);
}

static void on_tunnel(void *user, struct tunnel *t, const char *error)
{
    struct stream_io *s = user;
    int64_t now = clock_mono_us();
    if (error) {
        stop(s);
        s->events->proxy_failed(s->user, tunnel_refused(t), error, now);
        return;
    }
    int fd = tunnel_fd(t);
    int err = sys_watch_add(s->poller, &s->watch, fd, SYS_READ, ready, s);
    if (err < 0) {
        fail(s, err);
        return;
    }
    s->connected = true;
    s->events->proxy_passed(s->user, tunnel_auth(t));
    s->events->connected(s->user, now);
    handshake(s);
}

static int begin_tunnel(struct stream_io *s, const struct stream_io_target *target)
{
    char ip[ADDR_TEXT_LEN];
    struct addr host = target->to;
    addr_format_ip(&host, ip);
    const struct tunnel_request r = {.proxy = target->proxy,
                                     .host = target->connect_host ? target->connect_host : ip,
                                     .port = target->to.port,
                                     .timeout_ms = target->timeout_ms};
    return tunnel_open(&s->tunnel, target->curl, &r, on_tunnel, s);
}

static int begin_connect(struct stream_io *s, const struct stream_io_target *target)
{
    int fd = sys_tcp_connect(&target->to);
    int err = fd < 0 ? fd : sys_watch_add(s->poller, &s->watch, fd, SYS_WRITE, ready, s);
    s->watch.fd = fd;
    return err;
}

static int make_layers(struct stream_io *s, SSL_CTX *tls_ctx, const struct stream_io_target *target)
{
    char host[HOST_MAX + 16];
    if (target->transport == TRANSPORT_TCP)
        return 0;
    int err = tls_stream_new(&s->tls, tls_ctx, target->tls_name);
    if (err < 0 || target->framing != FRAMING_WEBSOCKET)
        return err;
    bool v6 = strchr(target->tls_name, ':') != NULL;
    snprintf(host, sizeof host, "%s%s%s:%u", v6 ? "[" : "", target->tls_name, v6 ? "]" : "", target->to.port);
    err = tls_stream_offer_http(s->tls);
    return err < 0 ? err : websocket_new(&s->ws, host);
}

int stream_io_open(struct stream_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx,
                   const struct stream_io_target *target, const struct stream_io_events *events, void *user,
                   int64_t *started_us)
{
    *started_us = clock_mono_us();
    struct stream_io *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    *s = (struct stream_io){
        .poller = poller, .events = events, .user = user, .watch.fd = -1, .keys = target->keys};
    int err = make_layers(s, tls_ctx, target);
    if (err == 0) {
        *started_us = clock_mono_us();
        err = target->transport == TRANSPORT_PROXY ? begin_tunnel(s, target) : begin_connect(s, target);
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
    if (err == 0 && s->ws) {
        err = websocket_write(s->ws, bytes, len);
        *sent_us = clock_mono_us();
        if (err == 0)
            err = flush_websocket(s);
    } else if (err == 0 && s->tls) {
        err = tls_stream_write(s->tls, bytes, len);
        *sent_us = clock_mono_us();
        if (err == 0)
            err = flush_tls(s);
    } else if (err == 0) {
        err = write_plain(s, bytes, len);
    }
    if (err < 0 && !s->broken)
        stop(s);
    return err;
}

void stream_io_mark(struct stream_io *s, int dscp)
{
    sys_mark(s->watch.fd, dscp);
}

size_t stream_io_backlog(const struct stream_io *s)
{
    const uint8_t *bytes;
    return s->tls ? tls_stream_output(s->tls, &bytes) : s->n_left;
}

void stream_io_close(struct stream_io *s)
{
    if (!s)
        return;
    if (s->tls && s->secured && !s->broken) {
        const uint8_t *bytes;
        tls_stream_shut(s->tls);
        size_t len = tls_stream_output(s->tls, &bytes);
        ssize_t n = len > 0 ? raw_write(s, bytes, len) : 0;
        (void)n; /* a courtesy */
    }
    destroy(s);
}
