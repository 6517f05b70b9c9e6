/* Sockets for the prober. One UDP socket a family serves all targets; answers find their sample by transaction id
 * and source, and the error queue tells which datagram bounced. Invariant: a stream exists from its PROBER_OPEN to
 * its PROBER_CLOSE, and no longer. */
#include "probe/probe_io.h"

#include "probe/stream_shell.h"
#include "probe/udp_io.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

struct probe_io {
    struct sys_poller *poller;
    SSL_CTX *tls_ctx;
    struct probe_io_proxy proxy;
    int64_t timeout_ms;
    struct prober *prober;
    struct udp_io udp;
    struct stream_shell streams[PROBER_STREAMS_MAX];
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

static void on_stream(void *user, size_t id, const struct shell_event *e)
{
    struct prober *p = ((struct probe_io *)user)->prober;
    switch (e->kind) {
    case SHELL_CONNECTED:
        prober_on_connected(p, id, e->now_us);
        break;
    case SHELL_SECURED:
        prober_on_secured(p, id, e->now_us);
        break;
    case SHELL_UPGRADED:
        prober_on_upgraded(p, id, e->now_us);
        break;
    case SHELL_BYTES:
        prober_on_stream(p, id, e->bytes, e->len, e->now_us);
        break;
    case SHELL_ENDED:
        prober_on_stream_error(p, id, e->error, e->now_us);
        break;
    case SHELL_TLS_FAILED:
        prober_on_tls_error(p, id, e->text, e->now_us);
        break;
    case SHELL_WEBSOCKET_FAILED:
        prober_on_websocket_error(p, id, e->text, e->now_us);
        break;
    case SHELL_PROXY_PASSED:
        prober_note_auth(p, id, e->text);
        break;
    case SHELL_PROXY_FAILED:
        prober_on_proxy_error(p, id, e->refused, e->text, e->now_us);
        break;
    case SHELL_INTERCEPTED:
        prober_note_intercepted(p, id);
        break;
    case SHELL_ISSUER:
        prober_note_issuer(p, id, e->text);
        break;
    }
}

static int open_target(struct probe_io *io, const struct prober_action *a, int64_t *started_us)
{
    struct proxy_hop hop;
    struct stream_io_target target = {.transport = a->transport,
                                      .to = a->to,
                                      .tls_name = a->tls_name,
                                      .keys = a->keys,
                                      .framing = a->framing};
    if (a->route) {
        target.proxy = proxy_hop_set(&hop, a->route->proxy, &io->proxy.who);
        target.connect_host = a->route->by_name ? a->tls_name : NULL;
        target.curl = io->proxy.curl;
        target.timeout_ms = 2 * io->timeout_ms; /* the prober gives up before */
    }
    return stream_shell_open(&io->streams[a->stream], io->poller, io->tls_ctx, &target, started_us);
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
        stream_shell_init(&io->streams[i], i, on_stream, io);
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
        stream_shell_close(&io->streams[i]);
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
            stream_shell_close(&io->streams[a.stream]);
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
