/* Sockets for the prober. One UDP socket a family serves all targets; answers find their sample by transaction id and source, and the
 * error queue tells which datagram bounced.
 * Invariant: a stream exists from its PROBER_OPEN to its PROBER_CLOSE, and no longer. */
#include "probe_io.h"

#include "stream_io.h"
#include "sys/clock.h"
#include "udp_io.h"

#include <errno.h>
#include <stdlib.h>

struct io_stream {
    struct probe_io *io;
    size_t id;
    struct stream_io *stream; /* NULL: none, or it could not be opened */
};

struct probe_io {
    struct sys_poller *poller;
    SSL_CTX *tls_ctx;
    struct probe_io_proxy proxy;
    int64_t timeout_ms;
    struct prober *prober;
    struct udp_io udp;
    struct io_stream streams[PROBER_STREAMS_MAX];
};

/* ---- UDP ---- */

static void on_datagram(void *user, const struct sys_datagram *d)
{
    struct probe_io *io = user;
    if (d->bounced != 0)
        prober_on_udp_error(io->prober, &d->peer, d->bytes, d->len, d->bounced, d->received_us);
    else
        prober_on_udp(io->prober, &d->peer, d->bytes, d->len, d->received_us);
}

static void send_udp(struct probe_io *io, const struct prober_action *a)
{
    int64_t sent;
    int err = udp_io_send(&io->udp, &a->to, a->bytes, sizeof a->bytes, &sent);
    prober_sent(io->prober, a, sent);
    if (err < 0)
        prober_send_failed(io->prober, a, -err, sent);
}

/* ---- streams ---- */

static void on_connected(void *user, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_connected(s->io->prober, s->id, now_us);
}

static void on_secured(void *user, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_secured(s->io->prober, s->id, now_us);
}

static void on_bytes(void *user, const uint8_t *bytes, size_t len, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_stream(s->io->prober, s->id, bytes, len, now_us);
}

static void on_ended(void *user, int error, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_stream_error(s->io->prober, s->id, error, now_us);
}

static void on_tls_failed(void *user, const char *text, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_tls_error(s->io->prober, s->id, text, now_us);
}

static void on_upgraded(void *user, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_upgraded(s->io->prober, s->id, now_us);
}

static void on_upgrade_failed(void *user, const char *text, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_upgrade_error(s->io->prober, s->id, text, now_us);
}

static void on_proxy_passed(void *user, const char *auth)
{
    const struct io_stream *s = user;
    prober_note_auth(s->io->prober, s->id, auth);
}

static void on_proxy_failed(void *user, bool refused, const char *text, int64_t now_us)
{
    const struct io_stream *s = user;
    prober_on_proxy_error(s->io->prober, s->id, refused, text, now_us);
}

static void on_intercepted(void *user)
{
    const struct io_stream *s = user;
    prober_note_intercepted(s->io->prober, s->id);
}

static void on_issuer(void *user, const char *name)
{
    const struct io_stream *s = user;
    prober_note_issuer(s->io->prober, s->id, name);
}

static int open_target(struct probe_io *io, const struct prober_action *a, int64_t *started_us)
{
    static const struct stream_io_events events = {
        .connected = on_connected,
        .secured = on_secured,
        .bytes = on_bytes,
        .ended = on_ended,
        .tls_failed = on_tls_failed,
        .upgraded = on_upgraded,
        .upgrade_failed = on_upgrade_failed,
        .proxy_passed = on_proxy_passed,
        .proxy_failed = on_proxy_failed,
        .intercepted = on_intercepted,
        .issuer = on_issuer,
    };
    char url[PROXY_URL_MAX + 1];
    struct rest_proxy proxy;
    struct stream_io_target target = {.transport = a->transport,
                                      .to = a->to,
                                      .tls_name = a->tls_name,
                                      .keys = a->keys,
                                      .framing = a->framing};
    if (a->route) {
        proxy = (struct rest_proxy){.url = proxy_format(a->route->proxy, url),
                                    .user = io->proxy.login->user,
                                    .password = io->proxy.login->password,
                                    .guard_password = io->proxy.guard_password,
                                    .ca_file = io->proxy.ca_file};
        target.proxy = &proxy;
        target.connect_host = a->route->by_name ? a->tls_name : NULL;
        target.curl = io->proxy.curl;
        target.timeout_ms = 2 * io->timeout_ms; /* the prober gives up before */
    }
    struct io_stream *s = &io->streams[a->stream];
    return stream_io_open(&s->stream, io->poller, io->tls_ctx, &target, &events, s, started_us);
}

static void open_stream(struct probe_io *io, const struct prober_action *a)
{
    int64_t started;
    int err = open_target(io, a, &started);
    prober_sent(io->prober, a, started);
    if (err == -EINVAL && a->transport != TRANSPORT_TCP)
        prober_on_tls_error(io->prober, a->stream, "no valid name to verify", started);
    else if (err < 0)
        prober_send_failed(io->prober, a, -err, started);
}

static void send_stream(struct probe_io *io, const struct prober_action *a)
{
    int64_t sent;
    int err = stream_io_write(io->streams[a->stream].stream, a->bytes, sizeof a->bytes, &sent);
    prober_sent(io->prober, a, sent);
    if (err < 0)
        prober_send_failed(io->prober, a, -err, sent);
}

static void close_stream(struct probe_io *io, size_t id)
{
    stream_io_close(io->streams[id].stream);
    io->streams[id].stream = NULL;
}

/* ---- the whole ---- */

int probe_io_new(struct probe_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx,
                 const struct prober_plan *plan)
{
    struct probe_io *io = calloc(1, sizeof *io);
    if (!io)
        return -ENOMEM;
    io->poller = poller;
    io->timeout_ms = plan->policy.timeout_ms;
    udp_io_init(&io->udp, poller, on_datagram, io);
    for (size_t i = 0; i < PROBER_STREAMS_MAX; i++)
        io->streams[i] = (struct io_stream){.io = io, .id = i};
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

void probe_io_use_proxies(struct probe_io *io, const struct probe_io_proxy *proxy)
{
    io->proxy = *proxy;
}

void probe_io_destroy(struct probe_io *io)
{
    if (!io)
        return;
    for (size_t i = 0; i < PROBER_STREAMS_MAX; i++)
        stream_io_close(io->streams[i].stream);
    udp_io_close(&io->udp);
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
