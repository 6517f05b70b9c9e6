/* Sockets for the ladder and for what it ends on. Invariant: once UP, only the winner's stream is open, every message from the peer passes
 * through `heard` and every one to it through `say`: media has its place there, beside the keep-alive. */
#include "ladder_io.h"

#include "core/frame.h"
#include "probe/prober_message.h"
#include "probe/stream_shell.h"
#include "probe/udp_io.h"
#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct io_stream {
    struct stream_shell shell;
    const char *auth;
    bool intercepted;
};

struct ladder_io {
    struct sys_poller *poller;
    SSL_CTX *tls_ctx;
    struct curl_loop *curl;
    struct ladder_io_plan plan; /* without its places */
    struct ladder *ladder;
    enum ladder_io_state state;
    struct ladder_place winner; /* UP */
    size_t winner_at;
    struct addr local, mapped; /* when it came up: our address towards it, and the one that it sees */
    struct keepalive keepalive;
    const char *why;
    struct udp_io udp;
    size_t len; /* of buf: bytes of an unfinished frame of the winner's stream */
    uint8_t buf[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
    struct io_stream streams[LADDER_PLACES_MAX];
};

static void lose(struct ladder_io *io, const char *why)
{
    if (io->state != LADDER_IO_UP)
        return;
    io->state = LADDER_IO_LOST;
    io->why = why;
}

/* ---- the connection that stands ---- */

/* One whole message from the peer. */
static void heard(struct ladder_io *io, const uint8_t *bytes, size_t len, int64_t now_us)
{
    (void)keepalive_heard(&io->keepalive, bytes, len, now_us); /* nobody else listens yet */
}

/* One whole message to the peer. */
static int say(struct ladder_io *io, const uint8_t *bytes, size_t len, int64_t *sent_us)
{
    uint8_t frame[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
    if (io->winner.transport == TRANSPORT_UDP)
        return udp_io_send(&io->udp, &io->winner.to, bytes, len, sent_us);
    size_t head = frame_header(FRAME_RFC4571, len, frame);
    memcpy(frame + head, bytes, len);
    return stream_io_write(io->streams[io->winner_at].shell.stream, frame, head + len, sent_us);
}

static void stream_heard(struct ladder_io *io, const uint8_t *bytes, size_t len, int64_t now_us)
{
    enum frame_mode mode = FRAME_RFC4571;
    while (len > 0 && io->state == LADDER_IO_UP) {
        size_t room = sizeof io->buf - io->len, n = len < room ? len : room, at = 0;
        ssize_t used = 0;
        struct slice message;
        memcpy(io->buf + io->len, bytes, n);
        io->len += n;
        bytes += n;
        len -= n;
        while (at < io->len && (used = frame_next(&mode, io->buf + at, io->len - at, &message)) > 0) {
            at += (size_t)used;
            heard(io, message.p, message.len, now_us);
        }
        memmove(io->buf, io->buf + at, io->len - at);
        io->len -= at;
        if (used < 0 || n == 0)
            lose(io, "the peer sent what is no frame");
    }
}

static void stay_alive(struct ladder_io *io)
{
    uint8_t request[PROBER_MESSAGE_LEN];
    int64_t sent;
    if (keepalive_next(&io->keepalive, clock_mono_us(), request)) {
        int err = say(io, request, sizeof request, &sent);
        keepalive_sent(&io->keepalive, sent);
        if (err < 0 && io->winner.transport != TRANSPORT_UDP)
            lose(io, prober_error_text(-err, true));
    }
    if (keepalive_lost(&io->keepalive, clock_mono_us()))
        lose(io, "the keep-alive gets no answer");
}

/* ---- UDP ---- */

static void on_datagram(void *user, const struct sys_datagram *d)
{
    struct ladder_io *io = user;
    struct sample_name unused;
    bool up = io->state == LADDER_IO_UP && io->winner.transport == TRANSPORT_UDP;
    if (io->state == LADDER_IO_RACING && d->bounced == 0)
        ladder_on_udp(io->ladder, &d->peer, d->bytes, d->len, d->received_us);
    else if (io->state == LADDER_IO_RACING)
        ladder_on_udp_error(io->ladder, &d->peer, d->bytes, d->len, d->bounced, d->received_us);
    else if (!up || !addr_eq(&d->peer, &io->winner.to))
        return;
    else if (d->bounced == 0)
        heard(io, d->bytes, d->len, d->received_us);
    else if (d->bounced == ECONNREFUSED && prober_request_read(io->keepalive.seed, d->bytes, d->len, &unused))
        lose(io, "port unreachable");
}

/* ---- streams: to the ladder while it races, then the winner's ---- */

static void winner_event(struct ladder_io *io, const struct shell_event *e)
{
    switch (e->kind) {
    case SHELL_BYTES:
        stream_heard(io, e->bytes, e->len, e->now_us);
        break;
    case SHELL_ENDED:
        lose(io, prober_error_text(e->error, true));
        break;
    case SHELL_TLS_FAILED:
        lose(io, "TLS broke");
        break;
    case SHELL_WEBSOCKET_FAILED:
        lose(io, "the WebSocket ended");
        break;
    default:
        break;
    }
}

static void on_stream(void *user, size_t place, const struct shell_event *e)
{
    struct ladder_io *io = user;
    struct ladder *l = io->ladder;
    if (io->state != LADDER_IO_RACING) {
        winner_event(io, e);
        return;
    }
    switch (e->kind) {
    case SHELL_CONNECTED:
        ladder_on_connected(l, place, e->now_us);
        break;
    case SHELL_SECURED:
        ladder_on_secured(l, place, e->now_us);
        break;
    case SHELL_UPGRADED:
        ladder_on_upgraded(l, place, e->now_us);
        break;
    case SHELL_BYTES:
        ladder_on_stream(l, place, e->bytes, e->len, e->now_us);
        break;
    case SHELL_ENDED:
        ladder_on_stream_error(l, place, e->error, e->now_us);
        break;
    case SHELL_TLS_FAILED:
        ladder_on_tls_error(l, place, e->text, e->now_us);
        break;
    case SHELL_WEBSOCKET_FAILED:
        ladder_on_upgrade_error(l, place, e->text, e->now_us);
        break;
    case SHELL_PROXY_PASSED:
        io->streams[place].auth = e->text;
        break;
    case SHELL_PROXY_FAILED:
        ladder_on_proxy_error(l, place, e->refused, e->text, e->now_us);
        break;
    case SHELL_INTERCEPTED:
        io->streams[place].intercepted = true;
        break;
    case SHELL_ISSUER:
        break;
    }
}

/* ---- the race ---- */

/* NULL, or why the place's proxy can't be taken. */
static const char *set_hop(const struct ladder_io *io, const struct ladder_place *place,
                           struct proxy_hop *hop)
{
    struct proxy_endpoint p;
    struct proxy_identity who = {.guard_password = true};
    if (place->proxy[0] == '\0')
        return "no proxy is known";
    if (proxy_url_parse(&p, NULL, place->proxy) < 0)
        return "that is no proxy's URL";
    if (io->plan.identity)
        who = io->plan.identity(io->plan.user, &p);
    proxy_hop_set(hop, &p, &who);
    return NULL;
}

static void open_stream(struct ladder_io *io, const struct ladder_action *a)
{
    struct proxy_hop hop;
    const char *why = NULL;
    struct stream_io_target target = {
        .transport = a->is->transport, .to = a->is->to, .tls_name = a->is->tls_name, .framing = a->framing};
    if (a->is->transport == TRANSPORT_PROXY) {
        why = set_hop(io, a->is, &hop);
        target.proxy = &hop.proxy;
        target.connect_host = a->by_name ? a->is->tls_name : NULL;
        target.curl = io->curl;
        target.timeout_ms = 2 * io->plan.policy.rung_timeout_ms; /* the ladder gives up before */
    }
    int64_t started = clock_mono_us();
    if (why) {
        ladder_on_proxy_error(io->ladder, a->place, false, why, started);
        return;
    }
    int err = stream_shell_open(&io->streams[a->place].shell, io->poller, io->tls_ctx, &target, &started);
    ladder_sent(io->ladder, a, started);
    if (err == -EINVAL && a->is->transport != TRANSPORT_TCP)
        ladder_on_tls_error(io->ladder, a->place, "no valid name to verify", started);
    else if (err < 0)
        ladder_send_failed(io->ladder, a, -err, started);
}

static void send_request(struct ladder_io *io, const struct ladder_action *a)
{
    int64_t sent;
    int err = a->kind == LADDER_SEND_UDP
                  ? udp_io_send(&io->udp, &a->is->to, a->bytes, a->len, &sent)
                  : stream_io_write(io->streams[a->place].shell.stream, a->bytes, a->len, &sent);
    ladder_sent(io->ladder, a, sent);
    if (err < 0)
        ladder_send_failed(io->ladder, a, -err, sent);
}

static void do_action(struct ladder_io *io, const struct ladder_action *a)
{
    switch (a->kind) {
    case LADDER_SEND_UDP:
    case LADDER_SEND_STREAM:
        send_request(io, a);
        break;
    case LADDER_OPEN:
        open_stream(io, a);
        break;
    case LADDER_CLOSE:
        stream_shell_close(&io->streams[a->place].shell);
        break;
    }
}

static void end_race(struct ladder_io *io, const struct ladder_place *winner)
{
    uint8_t seed[PROBER_SEED_LEN];
    struct ladder_outcome out;
    io->winner_at = ladder_winner(io->ladder);
    if (io->winner_at == LADDER_NONE) {
        io->state = LADDER_IO_FAILED;
        return;
    }
    io->state = LADDER_IO_UP;
    io->winner = *winner;
    ladder_outcome(io->ladder, io->winner_at, &out);
    io->mapped = out.mapped;
    if (sys_local_address(&winner->to, &io->local) < 0)
        io->local = (struct addr){0}; /* behind a proxy: there may be no way there but the proxy's */
    const uint8_t *rest;
    _Static_assert(sizeof io->buf >= FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX, "an unfinished frame");
    io->len = ladder_rest(io->ladder, io->winner_at, &rest);
    memcpy(io->buf, rest, io->len);
    randombytes_buf(seed, sizeof seed);
    keepalive_start(&io->keepalive, seed, io->plan.keepalive_us, &out.mapped, clock_mono_us());
    sodium_memzero(seed, sizeof seed);
}

/* ---- the whole ---- */

int ladder_io_new(struct ladder_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx, struct curl_loop *curl,
                  const struct ladder_io_plan *plan)
{
    uint8_t seed[PROBER_SEED_LEN];
    struct ladder_io *io = calloc(1, sizeof *io);
    if (!io)
        return -ENOMEM;
    io->poller = poller;
    io->curl = curl;
    io->plan = *plan;
    io->winner_at = LADDER_NONE;
    io->why = "";
    for (size_t i = 0; i < LADDER_PLACES_MAX; i++) {
        stream_shell_init(&io->streams[i].shell, i, on_stream, io);
        io->streams[i].auth = "";
    }
    randombytes_buf(seed, sizeof seed);
    int err = ladder_new(&io->ladder, plan->places, plan->n_places, &plan->policy, seed, clock_mono_us());
    sodium_memzero(seed, sizeof seed);
    io->plan.places = NULL;
    if (err < 0) {
        free(io);
        return err;
    }
    udp_io_init(&io->udp, poller, on_datagram, io);
    SSL_CTX_up_ref(tls_ctx);
    io->tls_ctx = tls_ctx;
    *out = io;
    return 0;
}

void ladder_io_destroy(struct ladder_io *io)
{
    if (!io)
        return;
    for (size_t i = 0; i < LADDER_PLACES_MAX; i++)
        stream_shell_close(&io->streams[i].shell);
    udp_io_close(&io->udp);
    ladder_destroy(io->ladder);
    SSL_CTX_free(io->tls_ctx);
    sodium_memzero(io->keepalive.seed, sizeof io->keepalive.seed);
    free(io);
}

enum ladder_io_state ladder_io_step(struct ladder_io *io)
{
    enum { ACTIONS_MAX = 64 }; /* then others have their turn */
    struct ladder_action a;
    for (int i = 0; io->state == LADDER_IO_RACING && i < ACTIONS_MAX &&
                    ladder_next_action(io->ladder, clock_mono_us(), &a);
         i++)
        do_action(io, &a);
    if (io->state == LADDER_IO_RACING && ladder_done(io->ladder))
        end_race(io, ladder_place(io->ladder, ladder_winner(io->ladder)));
    if (io->state == LADDER_IO_UP)
        stay_alive(io);
    return io->state;
}

int64_t ladder_io_deadline(const struct ladder_io *io)
{
    if (io->state == LADDER_IO_RACING)
        return ladder_deadline(io->ladder);
    return io->state == LADDER_IO_UP ? keepalive_deadline(&io->keepalive) : 0;
}

void ladder_io_hurry(struct ladder_io *io)
{
    if (io->state == LADDER_IO_UP)
        keepalive_hurry(&io->keepalive, clock_mono_us());
}

bool ladder_io_stands(const struct ladder_io *io)
{
    struct addr local;
    if (io->state != LADDER_IO_UP || !keepalive_stands(&io->keepalive) ||
        !addr_eq(&io->keepalive.mapped, &io->mapped))
        return false;
    if (sys_local_address(&io->winner.to, &local) < 0)
        local = (struct addr){0};
    return addr_eq(&local, &io->local);
}

const struct ladder *ladder_io_ladder(const struct ladder_io *io)
{
    return io->ladder;
}

const struct keepalive *ladder_io_keepalive(const struct ladder_io *io)
{
    return io->winner_at != LADDER_NONE ? &io->keepalive : NULL;
}

const char *ladder_io_why(const struct ladder_io *io)
{
    return io->why;
}

const char *ladder_io_proxy_auth(const struct ladder_io *io, size_t place)
{
    return io->streams[place].auth;
}

bool ladder_io_intercepted(const struct ladder_io *io, size_t place)
{
    return io->streams[place].intercepted;
}
