/* A connection's life. Invariant: it is UP exactly while its ladder_io is, and no race begins sooner after a failure than the pause says. */
#include "connection.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

static int set(int64_t *figure, int64_t wanted, int64_t least, int64_t most)
{
    if (wanted != 0 && (wanted < least || wanted > most))
        return -EINVAL;
    if (wanted != 0)
        *figure = wanted;
    return 0;
}

static int set_policy(struct connection *c, const struct berth_connect_options *o)
{
    int64_t keepalive_ms = KEEPALIVE_MS;
    struct ladder_policy *p = &c->policy;
    ladder_policy_init(p);
    if (set(&p->rung_delay_ms, o->rung_delay_ms, 1, 60000) < 0 ||
        set(&p->grace_ms, o->grace_ms, 1, 60000) < 0 ||
        set(&p->rung_timeout_ms, o->rung_timeout_ms, 50, 600000) < 0 ||
        set(&p->timeout_ms, o->timeout_ms, 50, 600000) < 0 ||
        set(&keepalive_ms, o->keepalive_ms, KEEPALIVE_LEAST_MS, KEEPALIVE_MOST_MS) < 0)
        return -EINVAL;
    c->keepalive_us = keepalive_ms * 1000;
    return 0;
}

static int copy_text(char *out, size_t cap, const char *text)
{
    int n = snprintf(out, cap, "%s", text ? text : "");
    return n >= 0 && (size_t)n < cap ? 0 : -EINVAL;
}

static int read_rung(struct ladder_place *p, const struct berth_rung *r)
{
    if (r->transport < BERTH_UDP || r->transport > BERTH_PROXY || !r->address ||
        addr_parse(&p->to, r->address) < 0 || p->to.port == 0)
        return -EINVAL;
    p->transport = (enum transport)r->transport;
    int err = copy_text(p->tls_name, sizeof p->tls_name, r->tls_name);
    return err == 0 ? copy_text(p->proxy, sizeof p->proxy, r->proxy) : err;
}

static int read_assignment(struct connection *c, const char *text)
{
    struct doc_error e;
    json_t *j = doc_parse(text, strlen(text), &e);
    ssize_t n = j ? ladder_from_json(j, c->ladder, &e) : -EINVAL;
    json_decref(j);
    c->n = n > 0 ? (size_t)n : 0;
    return n > 0 ? 0 : -EINVAL;
}

int connection_options(struct connection *c, const struct berth_connect_options *o)
{
    if (!o || o->size != sizeof *o || (o->assignment != NULL) == (o->n_rungs > 0) ||
        o->n_rungs > LADDER_PLACES_MAX || (o->n_rungs > 0 && !o->rungs))
        return -EINVAL;
    int err = set_policy(c, o);
    if (err == 0 && o->assignment)
        err = read_assignment(c, o->assignment);
    for (size_t i = 0; err == 0 && i < o->n_rungs; i++)
        err = read_rung(&c->ladder[c->n++], &o->rungs[i]);
    c->changed = o->changed;
    c->user = o->user;
    return err;
}

/* ---- its life ---- */

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

/* Waits before the next race: not at all, or longer each time. */
static void wait_a_while(struct connection *c, bool steady, int64_t now_us)
{
    int64_t pause = 0;
    if (steady) {
        c->failures = 0;
    } else {
        pause = CONNECTION_BACKOFF_US;
        for (unsigned i = 0; i < c->failures && pause < CONNECTION_BACKOFF_MAX_US; i++)
            pause *= 2;
        pause = pause < CONNECTION_BACKOFF_MAX_US ? pause : CONNECTION_BACKOFF_MAX_US;
        pause = pause / 2 + (int64_t)randombytes_uniform((uint32_t)(pause / 2));
        c->failures += c->failures < 30;
    }
    c->state = BERTH_CONNECTION_WAITING;
    c->retry_us = now_us + pause;
}

void connection_race(struct connection *c, const char *why, int64_t now_us)
{
    const struct ladder_io_plan plan = {.places = c->ladder,
                                        .n_places = c->n,
                                        .policy = c->policy,
                                        .keepalive_us = c->keepalive_us,
                                        .identity = identity,
                                        .user = c};
    ladder_io_destroy(c->io);
    c->io = NULL;
    if (why)
        snprintf(c->detail, sizeof c->detail, "%s", why);
    c->state = BERTH_CONNECTION_RACING;
    if (ladder_io_new(&c->io, c->place.poller, c->place.tls_ctx, c->place.curl, &plan) < 0) {
        snprintf(c->detail, sizeof c->detail, "out of memory");
        wait_a_while(c, false, now_us);
    }
}

void connection_close(struct connection *c)
{
    ladder_io_destroy(c->io);
    proxy_finder_destroy(c->finder);
    *c = (struct connection){0};
}

static void judge(struct connection *c, enum ladder_io_state state, int64_t now_us)
{
    if (state == LADDER_IO_UP && c->state == BERTH_CONNECTION_RACING) {
        c->state = BERTH_CONNECTION_UP;
        c->up_since_us = now_us;
        c->came_up++;
        c->detail[0] = '\0';
    } else if (state == LADDER_IO_FAILED) {
        snprintf(c->detail, sizeof c->detail, "no rung of the ladder works");
        wait_a_while(c, false, now_us);
    } else if (state == LADDER_IO_LOST) {
        snprintf(c->detail, sizeof c->detail, "the connection was lost: %s", ladder_io_why(c->io));
        wait_a_while(c, now_us - c->up_since_us >= CONNECTION_STEADY_US, now_us);
    }
}

bool connection_step(struct connection *c, int64_t now_us)
{
    int before = c->state;
    if (c->state == BERTH_CONNECTION_WAITING && now_us >= c->retry_us)
        connection_race(c, NULL, now_us);
    else if (c->state != BERTH_CONNECTION_WAITING)
        judge(c, ladder_io_step(c->io), now_us);
    return c->state != before;
}

int64_t connection_deadline(const struct connection *c)
{
    return c->state == BERTH_CONNECTION_WAITING ? c->retry_us : ladder_io_deadline(c->io);
}

/* ---- what is known ---- */

static void public_winner(const struct connection *c, int64_t now_us, struct berth_connection *out)
{
    struct rtt_stats rtt;
    struct ladder_outcome won;
    const struct ladder *l = ladder_io_ladder(c->io);
    const struct keepalive *k = ladder_io_keepalive(c->io);
    if (!k)
        return;
    out->winner = ladder_winner(l);
    const struct ladder_place *p = ladder_place(l, out->winner);
    ladder_outcome(l, out->winner, &won);
    out->decided_us = won.answered_us;
    out->transport = (int)p->transport;
    out->framing = (int)won.framing;
    addr_format(&p->to, out->address);
    if (addr_is_set(&k->mapped))
        addr_format(&k->mapped, out->mapped_address);
    out->sent = k->sent;
    out->received = k->received;
    out->lost = keepalive_missing(k, now_us);
    out->rtt_last_us = k->last_rtt_us;
    if (keepalive_rtt(k, &rtt)) {
        out->rtt_min_us = rtt.min_us;
        out->rtt_median_us = rtt.median_us;
        out->rtt_p95_us = rtt.p95_us;
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
