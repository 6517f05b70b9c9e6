/* Sockets for the ladder and for what it ends on. Invariant: once the race is won only the winner's stream is open,
 * every message from the peer passes through `heard` and every one to it through `say`, and either the keep-alive or
 * the media's leg listens. */
#include "path/ladder_io.h"

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
    struct ladder_io_plan plan; /* without its places and media */
    bool with_media;
    struct media_leg_plan media;
    struct media_leg *leg;
    struct ladder *ladder;
    enum ladder_io_state state;
    struct ladder_place winner; /* UP */
    size_t winner_at;
    struct addr local, mapped; /* when it came up: our address towards it, and the one that it sees */
    struct keepalive keepalive;
    const char *why;
    struct udp_io udp;
    _Alignas(4) uint8_t packet[FRAME_PAYLOAD_MAX]; /* one that has come or is to go, in SRTP's hands */
    size_t len; /* of buf: bytes of an unfinished frame of the winner's stream */
    uint8_t buf[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
    struct io_stream streams[LADDER_PLACES_MAX];
};

/* The race is won, and the path not lost. */
static bool has_path(const struct ladder_io *io)
{
    return io->state == LADDER_IO_UP || io->state == LADDER_IO_SHAKING;
}

static void lose(struct ladder_io *io, const char *why)
{
    if (!has_path(io))
        return;
    io->state = LADDER_IO_LOST;
    io->why = why;
}

/* ---- the connection that stands ---- */

/* One whole message from the peer. */
static void heard(struct ladder_io *io, const uint8_t *bytes, size_t len, int64_t now_us)
{
    if (!io->leg) {
        (void)keepalive_heard(&io->keepalive, bytes, len, now_us);
        return;
    }
    if (len > sizeof io->packet)
        return;
    memcpy(io->packet, bytes, len);
    enum packet_kind kind = media_leg_heard(io->leg, io->packet, &len, now_us);
    if (kind == PACKET_RTP || kind == PACKET_RTCP)
        io->plan.packet(io->plan.user, io->packet, len, kind == PACKET_RTCP, now_us);
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
    while (len > 0 && has_path(io)) {
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

/* ---- media ---- */

static void keep_media(struct ladder_io *io)
{
    uint8_t message[MEDIA_MESSAGE_MAX];
    size_t len = 0;
    int64_t sent;
    while (has_path(io) && (len = media_leg_next(io->leg, clock_mono_us(), message)) > 0) {
        if (io->winner.transport == TRANSPORT_UDP)
            udp_io_mark(&io->udp, io->winner.to.family, DSCP_AUDIO);
        int err = say(io, message, len, &sent);
        media_leg_sent(io->leg, sent);
        if (err < 0 && io->winner.transport != TRANSPORT_UDP)
            lose(io, prober_error_text(-err, true));
    }
    if (!has_path(io))
        return;
    enum media_leg_state state = media_leg_state(io->leg);
    if (state == MEDIA_LEG_UP) {
        io->state = LADDER_IO_UP;
    } else if (state == MEDIA_LEG_LOST) {
        lose(io, media_leg_why(io->leg));
    } else if (state == MEDIA_LEG_REFUSED) {
        io->state = LADDER_IO_REFUSED;
        io->why = media_leg_why(io->leg);
    }
}

static int start_media(struct ladder_io *io, const struct ladder_outcome *won)
{
    uint8_t seed[MEDIA_LEG_SEED_LEN];
    io->media.reliable = io->winner.transport != TRANSPORT_UDP;
    if (io->media.reliable && io->streams[io->winner_at].shell.stream)
        stream_io_mark(io->streams[io->winner_at].shell.stream, DSCP_STREAM);
    io->media.rtt_us = won->stun_us;
    randombytes_buf(seed, sizeof seed);
    int err = media_leg_new(&io->leg, &io->media, seed, clock_mono_us());
    sodium_memzero(seed, sizeof seed);
    return err;
}

/* Is there room on the stream? What is written and can't be kept would end it. */
static bool has_room(const struct ladder_io *io, size_t len, size_t kept_free)
{
    enum { OVERHEAD = 128 }; /* of TLS and WebSocket */
    const struct stream_io *s = io->streams[io->winner_at].shell.stream;
    return s && stream_io_backlog(s) + len + OVERHEAD <= STREAM_IO_LEFT_MAX - kept_free;
}

enum {
    KEPT_FREE = 4096,
    KEPT_FREE_OF_VIDEO = STREAM_IO_LEFT_MAX / 2
}; /* for consent checks and pongs; for audio */

/* A whole packet of SRTP or SRTCP. */
static int send_packet(struct ladder_io *io, const uint8_t *bytes, size_t len, bool video)
{
    bool stream = io->winner.transport != TRANSPORT_UDP;
    int64_t sent;
    if (!stream)
        udp_io_mark(&io->udp, io->winner.to.family, video ? DSCP_VIDEO : DSCP_AUDIO);
    int err = say(io, bytes, len, &sent);
    if (err < 0 && stream)
        lose(io, prober_error_text(-err, true));
    return err == 0 ? 0 : stream ? -ENOTCONN : -EAGAIN;
}

size_t ladder_io_pass(struct ladder_io *io, const struct slice *packets, size_t n, bool video)
{
    size_t passed = 0;
    if (io->state != LADDER_IO_UP || !io->leg)
        return 0;
    if (io->winner.transport == TRANSPORT_UDP) {
        udp_io_mark(&io->udp, io->winner.to.family, video ? DSCP_VIDEO : DSCP_AUDIO);
        return udp_io_send_many(&io->udp, &io->winner.to, packets, n);
    }
    for (size_t i = 0; i < n && io->state == LADDER_IO_UP; i++)
        passed += packets[i].len <= RTP_PACKET_MAX &&
                  has_room(io, packets[i].len, video ? KEPT_FREE_OF_VIDEO : KEPT_FREE) &&
                  send_packet(io, packets[i].p, packets[i].len, video) == 0;
    return passed;
}

int ladder_io_send(struct ladder_io *io, const uint8_t *packet, size_t len)
{
    bool video, stream = io->winner.transport != TRANSPORT_UDP;
    if (io->state != LADDER_IO_UP || !io->leg)
        return -ENOTCONN;
    if (len > RTP_PACKET_MAX - SRTP_OVERHEAD)
        return -EMSGSIZE;
    if (stream && !has_room(io, len + SRTP_OVERHEAD, KEPT_FREE))
        return -EAGAIN;
    memcpy(io->packet, packet, len);
    int err = media_leg_protect(io->leg, io->packet, &len, clock_mono_us(), &video);
    return err < 0 ? err : send_packet(io, io->packet, len, video);
}

void ladder_io_leave(struct ladder_io *io)
{
    enum { COPIES = 2 }; /* of a datagram, which may be lost */
    uint8_t message[MEDIA_MESSAGE_MAX];
    int64_t sent;
    size_t len = io->state == LADDER_IO_UP && io->leg ? media_leg_leave(io->leg, message) : 0;
    for (int i = 0; len > 0 && i < (io->winner.transport == TRANSPORT_UDP ? COPIES : 1); i++)
        (void)!say(io, message, len, &sent);
}

struct media_leg *ladder_io_leg(const struct ladder_io *io)
{
    return io->leg;
}

/* ---- UDP ---- */

/* One of our datagrams came back: nobody is there. Of packets that anybody could make up it is only asked about. */
static void bounced(struct ladder_io *io, const struct sys_datagram *d)
{
    struct sample_name unused;
    if (d->bounced != ECONNREFUSED)
        return;
    if (io->leg ? media_leg_is_ours(io->leg, d->bytes, d->len)
                : prober_request_read(io->keepalive.seed, d->bytes, d->len, &unused))
        lose(io, "port unreachable");
    else if (io->leg)
        media_leg_hurry(io->leg, clock_mono_us());
}

static void on_datagram(void *user, const struct sys_datagram *d)
{
    struct ladder_io *io = user;
    bool up = has_path(io) && io->winner.transport == TRANSPORT_UDP;
    if (io->state == LADDER_IO_RACING && d->bounced == 0)
        ladder_on_udp(io->ladder, &d->peer, d->bytes, d->len, d->received_us);
    else if (io->state == LADDER_IO_RACING)
        ladder_on_udp_error(io->ladder, &d->peer, d->bytes, d->len, d->bounced, d->received_us);
    else if (!up || !addr_eq(&d->peer, &io->winner.to))
        return;
    else if (d->bounced == 0)
        heard(io, d->bytes, d->len, d->received_us);
    else
        bounced(io, d);
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
    io->state = io->with_media ? LADDER_IO_SHAKING : LADDER_IO_UP;
    io->winner = *winner;
    ladder_outcome(io->ladder, io->winner_at, &out);
    io->mapped = out.mapped;
    if (sys_local_address(&winner->to, &io->local) < 0)
        io->local = (struct addr){0}; /* behind a proxy: there may be no way there but the proxy's */
    const uint8_t *rest;
    _Static_assert(sizeof io->buf >= FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX, "an unfinished frame");
    io->len = ladder_rest(io->ladder, io->winner_at, &rest);
    memcpy(io->buf, rest, io->len);
    if (io->with_media) {
        if (start_media(io, &out) < 0)
            lose(io, "out of memory");
        return;
    }
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
    io->with_media = plan->media != NULL;
    if (io->with_media)
        io->media = *plan->media;
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
    io->plan.media = NULL;
    if (err < 0) {
        sodium_memzero(&io->media, sizeof io->media);
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
    media_leg_destroy(io->leg);
    sodium_memzero(io->keepalive.seed, sizeof io->keepalive.seed);
    sodium_memzero(&io->media, sizeof io->media);
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
    if (io->leg)
        keep_media(io);
    else if (io->state == LADDER_IO_UP)
        stay_alive(io);
    return io->state;
}

int64_t ladder_io_deadline(const struct ladder_io *io)
{
    if (io->state == LADDER_IO_RACING)
        return ladder_deadline(io->ladder);
    if (!has_path(io))
        return 0;
    return io->leg ? media_leg_deadline(io->leg) : keepalive_deadline(&io->keepalive);
}

void ladder_io_hurry(struct ladder_io *io)
{
    if (io->leg)
        media_leg_hurry(io->leg, clock_mono_us());
    else if (io->state == LADDER_IO_UP)
        keepalive_hurry(&io->keepalive, clock_mono_us());
}

bool ladder_io_stands(const struct ladder_io *io)
{
    struct addr local;
    struct ladder_path path;
    if (io->state != LADDER_IO_UP || !ladder_io_path(io, clock_mono_us(), &path) ||
        !(io->leg ? media_leg_stands(io->leg) : keepalive_stands(&io->keepalive)) ||
        !addr_eq(&path.mapped, &io->mapped))
        return false;
    if (sys_local_address(&io->winner.to, &local) < 0)
        local = (struct addr){0};
    return addr_eq(&local, &io->local);
}

const struct ladder *ladder_io_ladder(const struct ladder_io *io)
{
    return io->ladder;
}

static void keepalive_path(const struct keepalive *k, int64_t now_us, struct ladder_path *out)
{
    *out = (struct ladder_path){.sent = k->sent,
                                .received = k->received,
                                .lost = keepalive_missing(k, now_us),
                                .rtt_last_us = k->last_rtt_us,
                                .mapped = k->mapped};
    out->has_rtt = keepalive_rtt(k, &out->rtt);
}

static void media_path(const struct media_leg *l, int64_t now_us, struct ladder_path *out)
{
    struct media_leg_figures f;
    media_leg_figures(l, now_us, &f);
    *out = (struct ladder_path){.sent = f.asked,
                                .received = f.answered,
                                .lost = f.missing,
                                .rtt_last_us = f.rtt_us,
                                .has_rtt = f.answered > 0,
                                .rtt = f.rtt,
                                .mapped = f.mapped};
}

bool ladder_io_path(const struct ladder_io *io, int64_t now_us, struct ladder_path *out)
{
    if (io->leg)
        media_path(io->leg, now_us, out);
    else if (io->winner_at != LADDER_NONE && !io->with_media)
        keepalive_path(&io->keepalive, now_us, out);
    else
        return false;
    return true;
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
