/* A connection's life. Invariant: it is UP exactly while its ladder_io is, a race begins with the proxies that are
 * known by then, and none sooner after a failure than the pause says. */
#include "connection.h"

#include "core/utf8.h"
#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LADDER_RUNG_TEXT = 32 + ADDR_TEXT_LEN + PROBER_ERROR_TEXT };

/* ---- proxies ---- */

/* A login is for the proxies that we know of, not for whatever a ladder names. */
static struct proxy_identity identity(void *user, const struct proxy_endpoint *proxy)
{
    const struct connection *c = user;
    const struct proxy_table *known = c->finder ? proxy_finder_table(c->finder) : NULL;
    for (size_t i = 0; known && i < known->n; i++) {
        if (proxy_eq(&known->at[i], proxy))
            return proxy_finder_identity(c->finder, c->place.ca_file);
    }
    return (struct proxy_identity){.guard_password = true, .ca_file = c->place.ca_file};
}

/* The ladder's proxy rungs as destinations; which rung each is. */
static size_t destinations(const struct connection *c, struct proxy_destination d[static LADDER_PLACES_MAX],
                           char ip[static LADDER_PLACES_MAX][ADDR_TEXT_LEN],
                           size_t rung[static LADDER_PLACES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct ladder_place *p = &c->ladder[i];
        if (p->transport != TRANSPORT_PROXY)
            continue;
        const char *host = p->tls_name[0] != '\0' ? p->tls_name : addr_format_ip(&p->to, ip[n]);
        d[n] = (struct proxy_destination){.host = host, .ip = p->to, .port = p->to.port};
        rung[n++] = i;
    }
    return n;
}

/* A rung that names no proxy means ours: the first that leads there. False: none leads anywhere. */
static bool take_proxies(struct connection *c)
{
    struct proxy_destination d[LADDER_PLACES_MAX];
    char ip[LADDER_PLACES_MAX][ADDR_TEXT_LEN];
    size_t rung[LADDER_PLACES_MAX], n = destinations(c, d, ip, rung);
    const struct proxy_list *l = proxy_finder_lists(c->finder);
    const struct proxy_table *t = proxy_finder_table(c->finder);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        struct ladder_place *p = &c->ladder[rung[i]];
        any = any || proxy_list_has_proxy(&l[i], t);
        if (!c->ours[rung[i]])
            continue;
        p->proxy[0] = '\0';
        for (size_t k = 0; k < l[i].n && p->proxy[0] == '\0'; k++) {
            if (t->at[l[i].at[k]].kind != PROXY_DIRECT)
                proxy_format(&t->at[l[i].at[k]], p->proxy);
        }
    }
    return any;
}

static void on_found(void *user)
{
    struct connection *c = user;
    c->found = true;
}

/* Does anything depend on which proxies are known: a rung's proxy, or who is given our login? */
static bool must_search(const struct connection *c)
{
    if (c->finder && proxy_finder_identity(c->finder, NULL).login->user[0] != '\0')
        return true;
    for (size_t i = 0; i < c->n; i++) {
        if (c->ours[i])
            return true;
    }
    return false;
}

/* 1: what there is to know is known; 0: it will be, or the time runs out; -errno. */
static int search(struct connection *c, int64_t now_us)
{
    struct proxy_destination d[LADDER_PLACES_MAX];
    char ip[LADDER_PLACES_MAX][ADDR_TEXT_LEN];
    size_t rung[LADDER_PLACES_MAX];
    if (!must_search(c))
        return 1;
    c->found = false;
    c->search_until_us = now_us + PROXY_FINDER_US;
    proxy_finder_follow(c->finder, c->place.finder);
    int rc = proxy_finder_ask(c->finder, d, destinations(c, d, ip, rung), on_found, c);
    if (rc > 0)
        (void)take_proxies(c);
    return rc;
}

/* ---- its life ---- */

/* Waits before the next race: not at all, or longer each time. */
static void wait_a_while(struct connection *c, bool steady, int64_t now_us)
{
    int64_t pause = 0, most = c->media ? CONNECTION_MEDIA_BACKOFF_MAX_US : CONNECTION_BACKOFF_MAX_US;
    if (steady) {
        c->failures = 0;
    } else {
        pause = CONNECTION_BACKOFF_US;
        for (unsigned i = 0; i < c->failures && pause < most; i++)
            pause *= 2;
        pause = pause < most ? pause : most;
        pause = pause / 2 + (int64_t)randombytes_uniform((uint32_t)(pause / 2));
        c->failures += c->failures < 30;
    }
    c->state = BERTH_CONNECTION_WAITING;
    c->retry_us = now_us + pause;
}

static void on_packet(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us)
{
    const struct connection *c = user;
    c->packet(c->user, bytes, len, rtcp, now_us);
}

static void drop_io(struct connection *c)
{
    struct media_leg_figures f;
    if (c->io && ladder_io_leg(c->io)) {
        media_leg_figures(ladder_io_leg(c->io), 0, &f);
        media_leg_figures_add(&c->before, &f);
    }
    ladder_io_destroy(c->io);
    c->io = NULL;
}

static void race(struct connection *c, int64_t now_us)
{
    struct ladder_io_plan plan = {.places = c->ladder,
                                  .n_places = c->n,
                                  .policy = c->policy,
                                  .keepalive_us = c->keepalive_us,
                                  .identity = identity,
                                  .media = c->media,
                                  .packet = on_packet,
                                  .user = c};
    /* Media waits for it, and here a rung worked: all are begun at once, and the best that answers wins as ever. */
    if (c->media && c->worked_here)
        plan.policy.rung_delay_ms = 1;
    drop_io(c);
    if (ladder_io_new(&c->io, c->place.poller, c->place.tls_ctx, c->place.curl, &plan) < 0) {
        snprintf(c->detail, sizeof c->detail, "out of memory");
        wait_a_while(c, false, now_us);
    }
}

void connection_begin(struct connection *c, const char *why, int64_t now_us)
{
    drop_io(c);
    if (why)
        snprintf(c->detail, sizeof c->detail, "%s", why);
    c->state = BERTH_CONNECTION_RACING;
    c->asked_network = false;
    int rc = search(c, now_us);
    c->searching = rc == 0;
    if (rc > 0) {
        race(c, now_us);
    } else if (rc < 0) {
        snprintf(c->detail, sizeof c->detail, "proxies can't be looked for: %s", berth_strerror(rc));
        wait_a_while(c, false, now_us);
    }
}

/* ": udp 192.0.2.1:5004 port unreachable, tcp ..." behind what the detail says, as far as there is room for whole ones. */
static void detail_add_rungs(struct connection *c)
{
    for (size_t i = 0; c->io && i < c->n; i++) {
        struct ladder_outcome o;
        char to[ADDR_TEXT_LEN], rung[LADDER_RUNG_TEXT];
        if (i > 0 && c->ladder[i].transport == TRANSPORT_PROXY && c->ladder[i].proxy[0] == '\0')
            continue; /* none is known: that is no obstacle */
        ladder_outcome(ladder_io_ladder(c->io), i, &o);
        int n = snprintf(rung, sizeof rung, "%s %s %s %s", i == 0 ? ":" : ",",
                         transport_name(c->ladder[i].transport), addr_format(&c->ladder[i].to, to),
                         o.why[0] != '\0' ? o.why : probe_status_name(o.status));
        size_t len = strlen(c->detail), room = sizeof c->detail - len - 1;
        if (i > 0 && (n < 0 || (size_t)n > room))
            return;
        snprintf(c->detail + len, room + 1, "%.*s", utf8_prefix(rung, room), rung);
    }
}

/* No rung works, and the newest race stays to be looked at. */
static void race_lost(struct connection *c, int64_t now_us)
{
    static const char what[] = "no rung of the ladder works";
    const char *problem = c->finder ? proxy_finder_problem(c->finder) : "";
    snprintf(c->detail, sizeof c->detail, "%s", what);
    if (problem[0] != '\0')
        snprintf(c->detail, sizeof c->detail, "%s; %s: %s", what, proxy_finder_source(c->finder), problem);
    detail_add_rungs(c);
    wait_a_while(c, false, now_us);
}

/* Where the ladder has a proxy the network is asked for it, as where the controller can't be reached. False: that is of no use. */
static bool ask_network(struct connection *c, int64_t now_us)
{
    if (c->asked_network || !must_search(c) || !proxy_finder_try_network(c->finder))
        return false;
    c->asked_network = true;
    c->searching = search(c, now_us) == 0;
    return c->searching;
}

static void step_search(struct connection *c, int64_t now_us)
{
    if (!c->found && now_us < c->search_until_us)
        return;
    if (!c->found)
        proxy_finder_give_up(c->finder);
    c->searching = false;
    if (take_proxies(c) || !c->asked_network) {
        race(c, now_us);
        return;
    }
    proxy_finder_forget(c->finder);
    race_lost(c, now_us);
}

void connection_hurry(struct connection *c)
{
    if (c->io)
        ladder_io_hurry(c->io);
}

bool connection_network_changed(struct connection *c, int64_t now_us)
{
    if (c->finder)
        proxy_finder_network_changed(c->finder);
    c->failures = 0;
    if (c->io && ladder_io_stands(c->io))
        return false;
    c->worked_here = false;
    connection_begin(c, "the network has changed", now_us);
    return true;
}

void connection_close(struct connection *c)
{
    ladder_io_destroy(c->io);
    proxy_finder_destroy(c->finder);
    if (c->media)
        sodium_memzero(c->media, sizeof *c->media);
    free(c->media);
    *c = (struct connection){0};
}

/* ---- media ---- */

int connection_set_media(struct connection *c, const struct media_leg_plan *media,
                         void (*packet)(void *user, const uint8_t *bytes, size_t len, bool rtcp,
                                        int64_t now_us))
{
    c->media = malloc(sizeof *c->media);
    if (!c->media)
        return -ENOMEM;
    *c->media = *media;
    c->packet = packet;
    return 0;
}

void connection_set_grant(struct connection *c, const struct ticket_grant *grant)
{
    c->media->grant = *grant;
    struct media_leg *leg = c->io ? ladder_io_leg(c->io) : NULL;
    if (leg)
        media_leg_set_grant(leg, grant);
}

void connection_media(const struct connection *c, int64_t now_us, struct media_leg_figures *out)
{
    struct media_leg_figures f = {.rtt_us = -1, .rtt_min_us = -1, .jitter_us = -1};
    if (c->io && ladder_io_leg(c->io))
        media_leg_figures(ladder_io_leg(c->io), now_us, &f);
    *out = f;
    media_leg_figures_add(out, &c->before);
}

int connection_send(struct connection *c, const uint8_t *packet, size_t len)
{
    return c->io ? ladder_io_send(c->io, packet, len) : -ENOTCONN;
}

/* ---- its life, on ---- */

static void judge(struct connection *c, enum ladder_io_state state, int64_t now_us)
{
    if (state == LADDER_IO_UP && c->state == BERTH_CONNECTION_RACING) {
        c->state = BERTH_CONNECTION_UP;
        c->up_since_us = now_us;
        c->came_up++;
        c->worked_here = true;
        c->refusal = 0;
        c->detail[0] = '\0';
    } else if (state == LADDER_IO_FAILED) {
        if (!ask_network(c, now_us))
            race_lost(c, now_us);
    } else if (state == LADDER_IO_LOST) {
        /* Whom media waits for is not kept waiting the first time. */
        bool steady = c->state == BERTH_CONNECTION_UP &&
                      (now_us - c->up_since_us >= CONNECTION_STEADY_US || (c->media && c->failures == 0));
        snprintf(c->detail, sizeof c->detail, "the connection was lost: %s", ladder_io_why(c->io));
        wait_a_while(c, steady, now_us);
        c->failures += steady && c->media;
    } else if (state == LADDER_IO_REFUSED) {
        c->refusal = media_leg_refusal(ladder_io_leg(c->io));
        snprintf(c->detail, sizeof c->detail, "the node refused (%d): %s", c->refusal, ladder_io_why(c->io));
        wait_a_while(c, false, now_us);
    }
}

bool connection_step(struct connection *c, int64_t now_us)
{
    int before = c->state;
    if (c->state == BERTH_CONNECTION_WAITING && now_us >= c->retry_us)
        connection_begin(c, NULL, now_us);
    else if (c->searching)
        step_search(c, now_us);
    else if (c->state != BERTH_CONNECTION_WAITING)
        judge(c, ladder_io_step(c->io), now_us);
    return c->state != before;
}

int64_t connection_deadline(const struct connection *c)
{
    if (c->state == BERTH_CONNECTION_WAITING)
        return c->retry_us;
    if (c->searching)
        return c->found ? 0 : c->search_until_us;
    return ladder_io_deadline(c->io);
}

/* ---- what is known ---- */

static void public_winner(const struct connection *c, int64_t now_us, struct berth_connection *out)
{
    struct ladder_path path;
    struct ladder_outcome won;
    const struct ladder *l = ladder_io_ladder(c->io);
    if (!ladder_io_path(c->io, now_us, &path))
        return;
    out->winner = ladder_winner(l);
    const struct ladder_place *p = ladder_place(l, out->winner);
    ladder_outcome(l, out->winner, &won);
    out->decided_us = won.answered_us;
    out->transport = (int)p->transport;
    out->framing = (int)won.framing;
    addr_format(&p->to, out->address);
    if (addr_is_set(&path.mapped))
        addr_format(&path.mapped, out->mapped_address);
    out->sent = path.sent;
    out->received = path.received;
    out->lost = path.lost;
    out->rtt_last_us = path.rtt_last_us;
    if (path.has_rtt) {
        out->rtt_min_us = path.rtt.min_us;
        out->rtt_median_us = path.rtt.median_us;
        out->rtt_p95_us = path.rtt.p95_us;
    }
}

void connection_public(const struct connection *c, int64_t now_us, struct berth_connection *out)
{
    *out = (struct berth_connection){.id = c->id,
                                     .state = c->state,
                                     .n_rungs = c->n,
                                     .winner = c->n,
                                     .came_up = c->came_up,
                                     .decided_us = -1,
                                     .retry_in_us = -1,
                                     .transport = -1,
                                     .rtt_min_us = -1,
                                     .rtt_median_us = -1,
                                     .rtt_p95_us = -1,
                                     .rtt_last_us = -1};
    memcpy(out->detail, c->detail, sizeof out->detail);
    if (c->state == BERTH_CONNECTION_WAITING)
        out->retry_in_us = c->retry_us > now_us ? c->retry_us - now_us : 0;
    if (c->io)
        public_winner(c, now_us, out);
}

void connection_rung(const struct connection *c, size_t index, struct berth_rung_result *out)
{
    const struct ladder_place *p = &c->ladder[index];
    struct ladder_outcome o = {.began_us = -1, .connect_us = -1, .tls_us = -1, .stun_us = -1};
    if (c->io)
        ladder_outcome(ladder_io_ladder(c->io), index, &o);
    *out = (struct berth_rung_result){.transport = (int)p->transport,
                                      .status = (int)o.status,
                                      .framing = (int)o.framing,
                                      .won = c->io && ladder_winner(ladder_io_ladder(c->io)) == index,
                                      .began_us = o.began_us,
                                      .connect_us = o.connect_us,
                                      .tls_us = o.tls_us,
                                      .stun_us = o.stun_us,
                                      .sent = (int64_t)o.sent};
    addr_format(&p->to, out->address);
    if (addr_is_set(&o.mapped))
        addr_format(&o.mapped, out->mapped_address);
    memcpy(out->why, o.why, sizeof out->why);
    if (p->transport != TRANSPORT_PROXY && p->transport != TRANSPORT_TLS)
        return;
    memcpy(out->proxy, p->proxy, sizeof out->proxy);
    if (c->io) {
        out->tls_intercepted = ladder_io_intercepted(c->io, index);
        snprintf(out->proxy_auth, sizeof out->proxy_auth, "%s", ladder_io_proxy_auth(c->io, index));
    }
}
