/* Sockets for the prober. One UDP socket a family serves all targets: one mapping in a NAT and two descriptors however many nodes
 * there are; answers find their sample by transaction id and source, and the error queue tells which datagram bounced.
 * Invariant: a stream exists from its PROBER_OPEN to its PROBER_CLOSE, and no longer. */
#include "probe_io.h"

#include "sys/clock.h"
#include "tls_stream.h"

#include <errno.h>
#include <stdlib.h>

enum { FAMILIES = 2, RECEIVE_BATCH = 256, STREAM_READ = 4096 };

struct io_stream {
    struct probe_io *io;
    size_t id;
    struct sys_watch watch;
    struct tls_stream *tls; /* NULL: plain TCP */
    bool connected, secured, broken;
};

struct io_socket {
    struct probe_io *io;
    int fd; /* -1: not opened, or it can't be */
    int error;
    struct sys_watch watch;
};

struct probe_io {
    struct sys_poller *poller;
    SSL_CTX *tls_ctx;
    struct prober *prober;
    struct io_socket udp[FAMILIES];
    struct io_stream *streams[PROBER_STREAMS_MAX];
    struct sys_datagram datagram;
};

/* ---- UDP ---- */

static void udp_ready(void *user, unsigned events)
{
    struct io_socket *s = user;
    struct sys_datagram *d = &s->io->datagram;
    for (int i = 0; i < RECEIVE_BATCH && sys_udp_receive(s->fd, d) == 1; i++) {
        if (d->bounced != 0)
            prober_on_udp_error(s->io->prober, &d->peer, d->bytes, d->len, d->bounced, d->received_us);
        else
            prober_on_udp(s->io->prober, &d->peer, d->bytes, d->len, d->received_us);
    }
}

static struct io_socket *udp_socket(struct probe_io *io, const struct addr *to)
{
    struct io_socket *s = &io->udp[to->family == ADDR_V6];
    if (s->fd >= 0 || s->error != 0)
        return s;
    s->io = io;
    int fd = sys_udp_open(to->family);
    int err = fd < 0 ? fd : sys_watch_add(io->poller, &s->watch, fd, SYS_READ, udp_ready, s);
    if (err < 0) {
        sys_close(fd);
        s->error = err == -EAFNOSUPPORT ? -ENETUNREACH : err;
    } else {
        s->fd = fd;
    }
    return s;
}

static void send_udp(struct probe_io *io, const struct prober_action *a)
{
    const struct io_socket *s = udp_socket(io, &a->to);
    int64_t now = clock_mono_us();
    int err = s->fd < 0 ? s->error : sys_udp_send(s->fd, &a->to, a->bytes, sizeof a->bytes);
    prober_sent(io->prober, a, now);
    if (err < 0)
        prober_send_failed(io->prober, a, -err, now);
}

/* ---- streams ---- */

static void stream_destroy(struct io_stream *s)
{
    if (!s)
        return;
    sys_watch_remove(s->io->poller, &s->watch);
    sys_close(s->watch.fd);
    tls_stream_destroy(s->tls);
    free(s);
}

/* The prober is told once; it then closes the stream. Until then it is not watched: a hang-up would not let us sleep. */
static void stream_error(struct io_stream *s, int err)
{
    s->broken = true;
    sys_watch_remove(s->io->poller, &s->watch);
    prober_on_stream_error(s->io->prober, s->id, -err, clock_mono_us());
}

static void stream_tls_error(struct io_stream *s, const char *text)
{
    s->broken = true;
    sys_watch_remove(s->io->poller, &s->watch);
    prober_on_tls_error(s->io->prober, s->id, text, clock_mono_us());
}

/* Sends what TLS has to send, and watches for room if there was not enough. */
static int flush_tls(struct io_stream *s)
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
    return sys_watch_set(s->io->poller, &s->watch, len > 0 ? SYS_READ | SYS_WRITE : SYS_READ);
}

static void stream_handshake(struct io_stream *s)
{
    int done = tls_stream_handshake(s->tls);
    int err = flush_tls(s); /* also the alert that says why we refuse */
    if (done < 0) {
        stream_tls_error(s, tls_stream_error(s->tls));
    } else if (err < 0) {
        stream_error(s, err);
    } else if (done == 1) {
        s->secured = true;
        prober_on_secured(s->io->prober, s->id, clock_mono_us());
    }
}

static void stream_connected(struct io_stream *s)
{
    int64_t now = clock_mono_us();
    int err = sys_tcp_connect_result(s->watch.fd);
    if (err == 0)
        err = sys_watch_set(s->io->poller, &s->watch, SYS_READ);
    if (err < 0) {
        stream_error(s, err);
        return;
    }
    s->connected = true;
    prober_on_connected(s->io->prober, s->id, now);
    if (s->tls)
        stream_handshake(s);
}

static void stream_plain(struct io_stream *s, const uint8_t *bytes, size_t len, int64_t now)
{
    if (!s->tls) {
        prober_on_stream(s->io->prober, s->id, bytes, len, now);
        return;
    }
    if (tls_stream_feed(s->tls, bytes, len) < 0) {
        stream_error(s, -ENOMEM);
        return;
    }
    if (!s->secured)
        stream_handshake(s);
    uint8_t plain[STREAM_READ];
    ssize_t n = 0;
    while (s->secured && !s->broken && (n = tls_stream_read(s->tls, plain, sizeof plain)) > 0)
        prober_on_stream(s->io->prober, s->id, plain, (size_t)n, now);
    if (n < 0)
        stream_error(s, (int)n == -EPROTO ? -ECONNRESET : 0);
}

static void stream_read(struct io_stream *s)
{
    uint8_t buf[STREAM_READ];
    int64_t now = clock_mono_us();
    ssize_t n = sys_tcp_read(s->watch.fd, buf, sizeof buf);
    if (n > 0)
        stream_plain(s, buf, (size_t)n, now);
    else if (n == 0 && s->tls && !s->secured)
        stream_tls_error(s, "connection closed during the handshake");
    else if (n != -EAGAIN)
        stream_error(s, (int)n);
}

static void stream_ready(void *user, unsigned events)
{
    struct io_stream *s = user;
    if (!s->connected) {
        if ((events & SYS_WRITE) != 0)
            stream_connected(s);
        return;
    }
    if (s->tls && (events & SYS_WRITE) != 0) {
        int err = flush_tls(s);
        if (err < 0)
            stream_error(s, err);
    }
    if (!s->broken && (events & SYS_READ) != 0)
        stream_read(s);
}

static void open_stream(struct probe_io *io, const struct prober_action *a)
{
    int err = -ENOMEM;
    struct io_stream *s = calloc(1, sizeof *s);
    int64_t now = clock_mono_us();
    if (!s)
        goto out;
    s->io = io;
    s->id = a->stream;
    s->watch.fd = -1;
    io->streams[a->stream] = s;
    err = a->transport == TRANSPORT_TLS ? tls_stream_new(&s->tls, io->tls_ctx, a->tls_name) : 0;
    if (err < 0)
        goto out;
    now = clock_mono_us();
    int fd = err = sys_tcp_connect(&a->to);
    if (fd >= 0) {
        s->watch.fd = fd;
        err = sys_watch_add(io->poller, &s->watch, fd, SYS_WRITE, stream_ready, s);
        s->watch.fd = fd;
    }
out:
    prober_sent(io->prober, a, now);
    if (err == -EINVAL && a->transport == TRANSPORT_TLS)
        prober_on_tls_error(io->prober, a->stream, "no valid name to verify", now);
    else if (err < 0)
        prober_send_failed(io->prober, a, -err, now);
}

static void send_stream(struct probe_io *io, const struct prober_action *a)
{
    struct io_stream *s = io->streams[a->stream];
    int64_t now = clock_mono_us();
    int err;
    if (s->tls) {
        err = tls_stream_write(s->tls, a->bytes, sizeof a->bytes);
        now = clock_mono_us();
        if (err == 0)
            err = flush_tls(s);
    } else {
        ssize_t n = sys_tcp_write(s->watch.fd, a->bytes, sizeof a->bytes);
        err = n < 0 ? (int)n : n == sizeof a->bytes ? 0 : -EPIPE;
    }
    prober_sent(io->prober, a, now);
    if (err < 0 && !s->broken) {
        s->broken = true;
        sys_watch_remove(io->poller, &s->watch);
        prober_send_failed(io->prober, a, -err, now);
    }
}

static void close_stream(struct probe_io *io, size_t id)
{
    struct io_stream *s = io->streams[id];
    io->streams[id] = NULL;
    if (s && s->tls && s->secured && !s->broken) {
        const uint8_t *bytes;
        tls_stream_shut(s->tls);
        size_t len = tls_stream_output(s->tls, &bytes);
        ssize_t n = len > 0 ? sys_tcp_write(s->watch.fd, bytes, len) : 0;
        (void)n; /* a courtesy */
    }
    stream_destroy(s);
}

/* ---- the whole ---- */

int probe_io_new(struct probe_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx,
                 const struct prober_plan *plan)
{
    struct probe_io *io = calloc(1, sizeof *io);
    if (!io)
        return -ENOMEM;
    io->poller = poller;
    for (size_t i = 0; i < FAMILIES; i++)
        io->udp[i].fd = -1;
    int err = prober_new(&io->prober, plan, clock_mono_us());
    if (err < 0) {
        free(io);
        return err;
    }
    SSL_CTX_up_ref(tls_ctx);
    io->tls_ctx = tls_ctx;
    *out = io;
    return 0;
}

void probe_io_destroy(struct probe_io *io)
{
    if (!io)
        return;
    for (size_t i = 0; i < PROBER_STREAMS_MAX; i++)
        stream_destroy(io->streams[i]);
    for (size_t i = 0; i < FAMILIES; i++) {
        sys_watch_remove(io->poller, &io->udp[i].watch);
        sys_close(io->udp[i].fd);
    }
    prober_destroy(io->prober);
    SSL_CTX_free(io->tls_ctx);
    free(io);
}

void probe_io_step(struct probe_io *io)
{
    enum { ACTIONS_MAX = 64 }; /* then others have their turn */
    struct prober_action a;
    for (int i = 0; i < ACTIONS_MAX && prober_next_action(io->prober, clock_mono_us(), &a); i++) {
        switch (a.kind) {
        case PROBER_SEND_UDP:
            send_udp(io, &a);
            break;
        case PROBER_OPEN:
            open_stream(io, &a);
            break;
        case PROBER_SEND_STREAM:
            send_stream(io, &a);
            break;
        case PROBER_CLOSE:
            close_stream(io, a.stream);
            break;
        }
    }
}

int64_t probe_io_deadline(const struct probe_io *io)
{
    return prober_deadline(io->prober);
}

struct prober *probe_io_prober(struct probe_io *io)
{
    return io->prober;
}
