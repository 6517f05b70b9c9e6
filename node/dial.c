/* One link that this node dials: the race, the handshake, what its home is told of it, and its packets on the way
 * in. Invariant: a home hears of a link before any of its packets, and of each end once, from here or from itself. */
#include "dialer_internal.h"
#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICKETS_AGAIN_US = 30 * 1000 * 1000, /* between questions for new tickets */
    REFUSED_QUIETLY = 4,                 /* times: the other node hears of the plan by just that */
};

/* ---- to the homes ---- */

static struct media_cell *cell_for(const struct dialer *d, const struct dial *x, bool packet)
{
    return media_ring_room(media_exchange_ring(d->opts.exchange, d->self, x->home), packet);
}

static void push(struct dialer *d, const struct dial *x)
{
    media_ring_push(media_exchange_ring(d->opts.exchange, d->self, x->home));
    d->ringing[x->home] = true;
}

bool dial_tell_gone(struct dialer *d, struct dial *x)
{
    struct media_cell *c = x->gone != 0 ? cell_for(d, x, false) : NULL;
    if (x->gone == 0)
        return true;
    if (!c)
        return false;
    c->kind = MEDIA_CELL_GONE;
    c->reason = MEDIA_END_CONSENT_LOST;
    c->path = x->path;
    c->path.stream = x->gone;
    c->len = 0;
    x->gone = 0;
    push(d, x);
    return true;
}

static const struct ladder_place *winner(const struct dial *x)
{
    const struct ladder *l = ladder_io_ladder(x->io);
    return ladder_place(l, ladder_winner(l));
}

enum transport dial_transport(const struct dial *x)
{
    return winner(x)->transport;
}

static void log_up(const struct dialer *d, const struct dial *x)
{
    const struct ladder_place *won = winner(x);
    char address[ADDR_TEXT_LEN];
    log_event(d->opts.log, LOG_INFO, "links", "link_up", LOG_S("org", x->order.org),
              LOG_S("meeting", x->order.meeting), LOG_S("peer", x->order.peer.who),
              LOG_S("transport", transport_name(won->transport)),
              LOG_S("address", addr_format(&won->to, address)),
              LOG_S("suite", media_leg_suite(ladder_io_leg(x->io))),
              LOG_I("after_us", clock_mono_us() - x->began_us));
}

/* Of the newest handshake. False: its ring is full. */
static bool tell_keys(struct dialer *d, struct dial *x)
{
    struct media_leg_keys keys = {0};
    uint64_t n = media_leg_keys(ladder_io_leg(x->io), &keys);
    struct media_cell *c = n != x->n_keys ? cell_for(d, x, false) : NULL;
    struct media_link link = {.suite = keys.suite, .sends = keys.sends, .receives = keys.receives};
    if (c) {
        memcpy(link.org, x->order.org, sizeof(link.org));
        memcpy(link.meeting, x->order.meeting, sizeof(link.meeting));
        memcpy(link.who, x->order.peer.who, sizeof(link.who));
        c->kind = MEDIA_CELL_LINKED;
        c->path = x->path;
        c->len = sizeof(link);
        memcpy(c->bytes, &link, sizeof(link));
        push(d, x);
        if (x->n_keys == 0) {
            x->up_us = clock_mono_us();
            x->failing = false;
            d->counts.up++;
            log_up(d, x);
        }
        x->n_keys = n;
        x->held_us = clock_mono_us();
    }
    sodium_memzero(&keys, sizeof(keys));
    sodium_memzero(&link, sizeof(link));
    return n == x->n_keys;
}

/* ---- one link ---- */

static void on_packet(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us)
{
    struct dial *x = user;
    struct dialer *d = x->dialer;
    (void)rtcp;
    stats_add(&d->stats.media_packets_in, 1);
    stats_add(&d->stats.media_bytes_in, len);
    struct media_cell *c = x->n_keys > 0 && len <= RTP_PACKET_MAX ? cell_for(d, x, true) : NULL;
    if (!c) {
        stats_add(x->n_keys > 0 ? &d->stats.media_ring_full : &d->stats.media_unknown, 1);
        return;
    }
    c->kind = MEDIA_CELL_PACKET;
    c->path = x->path;
    c->at_us = now_us;
    c->len = len;
    memcpy(c->bytes, bytes, len);
    x->packets_in++;
    push(d, x);
}

static struct proxy_identity identity(void *user, const struct proxy_endpoint *proxy)
{
    const struct dialer *d = ((const struct dial *)user)->dialer;
    (void)proxy;
    return (struct proxy_identity){.login = &d->proxy.login, .ca_file = d->opts.ca};
}

static size_t add_places(struct ladder_place *places, size_t n, const struct link_order *o,
                         enum transport from, enum transport as, const char *proxy)
{
    for (size_t i = 0; i < o->addresses.n[from] && n < LADDER_PLACES_MAX; i++) {
        struct ladder_place *p = &places[n++];
        *p = (struct ladder_place){.transport = as, .to = o->addresses.at[from][i]};
        if (from == TRANSPORT_TLS)
            memcpy(p->tls_name, o->tls_name, sizeof(p->tls_name));
        if (proxy)
            snprintf(p->proxy, sizeof(p->proxy), "%s", proxy);
    }
    return n;
}

static int begin(struct dialer *d, struct dial *x, size_t slot, int64_t now_us)
{
    struct ladder_place *places = calloc(LADDER_PLACES_MAX, sizeof(*places));
    struct media_leg_plan media = {
        .grant = x->order.grant, .rtt_us = -1, .consent_us = MEDIA_CONSENT_MS * 1000, .link = true};
    struct ladder_io_plan plan = {
        .places = places, .identity = identity, .media = &media, .packet = on_packet, .user = x};
    if (!places)
        return -ENOMEM;
    memcpy(media.shared, x->order.peer.shared, sizeof(media.shared));
    for (int t = TRANSPORT_UDP; t <= TRANSPORT_TLS; t++)
        plan.n_places =
            add_places(places, plan.n_places, &x->order, (enum transport)t, (enum transport)t, NULL);
    if (d->proxy.url[0] != '\0')
        plan.n_places =
            add_places(places, plan.n_places, &x->order, TRANSPORT_TLS, TRANSPORT_PROXY, d->proxy.url);
    ladder_policy_init(&plan.policy);
    x->began_us = now_us;
    x->n_keys = x->packets_in = x->packets_out = 0;
    x->path = (struct media_path){.carrier = MEDIA_DIALLED, .thread = d->self};
    x->path.stream = ++d->generation << DIAL_SLOT_BITS | slot;
    int rc = ladder_io_new(&x->io, d->poller, d->tls, d->curl, &plan);
    sodium_memzero(&media, sizeof(media));
    free(places);
    return rc;
}

static void wait_a_while(struct dial *x, int64_t now_us)
{
    if (x->n_keys > 0 && now_us - x->up_us >= DIAL_STEADY_US)
        backoff_reset(&x->backoff);
    x->due_us = now_us + backoff_next(&x->backoff, randombytes_random());
}

void dial_drop(struct dial *x, const char *why, bool told)
{
    struct dialer *d = x->dialer;
    int64_t now = clock_mono_us();
    if (!x->io)
        return;
    if (x->n_keys > 0) {
        log_event(d->opts.log, LOG_INFO, "links", "link_down", LOG_S("org", x->order.org),
                  LOG_S("meeting", x->order.meeting), LOG_S("peer", x->order.peer.who),
                  LOG_S("transport", transport_name(dial_transport(x))), LOG_S("reason", why),
                  LOG_I("seconds", (now - x->up_us) / 1000000), LOG_I("packets_in", x->packets_in),
                  LOG_I("packets_out", x->packets_out));
        x->gone = told ? 0 : x->path.stream;
    }
    wait_a_while(x, now);
    ladder_io_leave(x->io);
    ladder_io_destroy(x->io);
    x->io = NULL;
    x->n_keys = 0;
    (void)dial_tell_gone(d, x);
}

/* Why no rung works: what the last one says. */
static const char *no_way(const struct dial *x, struct ladder_outcome *out)
{
    const struct ladder *l = ladder_io_ladder(x->io);
    size_t n = 0;
    while (n < LADDER_PLACES_MAX && ladder_place(l, n))
        n++;
    if (n == 0)
        return "it has no address";
    ladder_outcome(l, n - 1, out);
    return out->why;
}

static void log_failure(const struct dialer *d, struct dial *x, const char *why)
{
    log_event(d->opts.log, x->failing ? LOG_DEBUG : LOG_WARN, "links", "link_failed",
              LOG_S("org", x->order.org), LOG_S("meeting", x->order.meeting),
              LOG_S("peer", x->order.peer.who), LOG_S("error", why),
              LOG_S("hint", "participants of the two nodes don't hear each other until it works: look at "
                            "the firewalls between the two"));
    x->failing = true;
}

/* It has ended by itself, or never began. */
static void fell(struct dialer *d, struct dial *x, enum ladder_io_state state)
{
    struct ladder_outcome out = {.why = ""};
    const char *why = state == LADDER_IO_FAILED ? no_way(x, &out) : ladder_io_why(x->io);
    int code = state == LADDER_IO_REFUSED ? media_leg_refusal(ladder_io_leg(x->io)) : 0;
    int64_t now = clock_mono_us();
    bool was_up = x->n_keys > 0;
    d->counts.lost += was_up;
    d->counts.refused += !was_up && state == LADDER_IO_REFUSED;
    d->counts.failed += !was_up && state != LADDER_IO_REFUSED;
    if (code == 401 && now >= d->tickets_us) {
        d->tickets_us = now + TICKETS_AGAIN_US;
        d->opts.tickets_wanted(d->opts.ctx);
    }
    if (state == LADDER_IO_REFUSED && !was_up && x->backoff.failures < REFUSED_QUIETLY)
        log_event(d->opts.log, LOG_DEBUG, "links", "link_refused", LOG_S("meeting", x->order.meeting),
                  LOG_S("peer", x->order.peer.who), LOG_I("code", code));
    else if (!was_up)
        log_failure(d, x, why);
    dial_drop(x, why, false);
}

int64_t dial_step(struct dial *x, size_t slot, int64_t now_us)
{
    struct dialer *d = x->dialer;
    if (!dial_tell_gone(d, x))
        return now_us + DIAL_RETRY_US;
    if (!x->io) {
        int64_t due = x->due_us > x->stands_until_us ? x->due_us : x->stands_until_us;
        if (now_us < due)
            return due;
        if (begin(d, x, slot, now_us) != 0) {
            log_failure(d, x, "no address, no memory or no descriptors");
            wait_a_while(x, now_us);
            return x->due_us;
        }
    }
    if (x->n_keys > 0 && now_us - x->held_us >= DIAL_HELD_US) {
        dial_drop(x, "its home has no such link", true);
        return x->due_us;
    }
    if (x->n_keys > 0 && ladder_io_deadline(x->io) > now_us)
        return ladder_io_deadline(x->io);
    enum ladder_io_state state = ladder_io_step(x->io);
    if (state == LADDER_IO_FAILED || state == LADDER_IO_LOST || state == LADDER_IO_REFUSED) {
        fell(d, x, state);
        return now_us;
    }
    if (state == LADDER_IO_UP && !tell_keys(d, x))
        return now_us + DIAL_RETRY_US;
    return ladder_io_deadline(x->io);
}
