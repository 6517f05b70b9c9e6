/* The connections of a call's legs. Invariant: a leg that is in use has a connection with the newest ticket of its
 * node, and the call hears of each change of it once. */
#include "session_calls.h"

#include "core/utf8.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what comes ---- */

static void on_packet(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us)
{
    struct call_path *p = user;
    struct session_call *k = p->call;
    const struct packet_head h = {.call = k->id, .received_us = now_us, .len = len, .rtcp = rtcp};
    if (k->user.packet && !k->s->events.packet(k->s->user, &h, bytes))
        k->packets_dropped++;
}

static bool is_told(const struct call_path *p, uint32_t ssrc)
{
    for (size_t i = 0; i < p->n_told; i++) {
        if (p->told[i] == ssrc)
            return true;
    }
    return false;
}

/* Each SSRC is told once for each connection; past MEDIA_REFUSED_MAX of them that is enough. */
static void read_news(struct session_call *k, struct call_path *p, int64_t now_us)
{
    uint64_t number;
    const struct media_leg *leg = p->connection->io ? ladder_io_leg(p->connection->io) : NULL;
    const struct media_news *news = leg ? media_leg_news(leg, &number) : NULL;
    if (!news || number == p->news_number)
        return;
    p->news_number = number;
    if (p->leg == k->is.main)
        call_move_soon(&k->is, news->move_soon, now_us);
    for (size_t i = 0; i < news->n_refused; i++) {
        if (p->n_told < MEDIA_REFUSED_MAX && !is_told(p, news->refused[i])) {
            p->told[p->n_told++] = news->refused[i];
            k->s->events.ssrc_refused(k->s->user, k, news->refused[i]);
        }
    }
}

/* ---- open and close ---- */

void call_close_path(struct session_call *k, size_t leg, int64_t now_us)
{
    struct call_path *p = &k->paths[leg];
    if (!p->connection)
        return;
    struct media_leg_figures f;
    connection_media(p->connection, now_us, &f);
    media_leg_figures_add(&k->before, &f);
    if (p->up)
        call_stretch_over(p, k->is.leaving ? CALL_LEFT : k->is.ended ? CALL_ENDED : CALL_MOVED, &f, now_us);
    if (p->connection->io)
        ladder_io_leave(p->connection->io);
    connection_close(p->connection);
    free(p->connection);
    *p = (struct call_path){.call = k, .leg = leg};
}

static int make_connection(struct session_call *k, struct call_path *p, int64_t now_us)
{
    struct session *s = k->s;
    struct connection *c = p->connection;
    struct berth_connect_options o = k->timers;
    struct media_leg_plan plan = {.grant = k->assigned.grant,
                                  .audio_level_ext = k->audio_level_ext,
                                  .transport_wide_ext = k->transport_wide_ext};
    o.assignment = k->assignment;
    o.user = p;
    c->place = session_connection_place(s);
    int err = connection_options(c, &o);
    plan.consent_us = c->keepalive_us;
    if (err == 0 && connection_has_proxies(c))
        err = session_make_finder(s, &c->finder);
    if (err == 0)
        err = connection_set_media(c, &plan, on_packet);
    sodium_memzero(&plan, sizeof plan);
    if (err == 0) {
        p->id = c->id = ++s->last_connection;
        session_connections_begin(s);
        connection_begin(c, NULL, now_us);
    }
    return err;
}

void call_open_path(struct session_call *k, size_t leg, int64_t now_us)
{
    struct call_path *p = &k->paths[leg];
    call_close_path(k, leg, now_us);
    memcpy(p->node, k->assigned.to.node, sizeof p->node);
    p->expected = k->assigned.expected;
    p->connection = calloc(1, sizeof *p->connection);
    int err = p->connection ? make_connection(k, p, now_us) : -ENOMEM;
    if (err == 0)
        return;
    snprintf(k->reason, sizeof k->reason, "no connection could be made: %s", berth_strerror(err));
    if (p->connection)
        connection_close(p->connection);
    free(p->connection);
    p->connection = NULL;
    call_leg_failed(&k->is, leg, now_us);
}

/* ---- their life ---- */

/* Which node it is about: while the call moves there are two. */
static void explain(struct session_call *k, const struct call_path *p)
{
    const char *detail = p->connection->detail;
    const size_t room = sizeof k->reason - 1 - strlen(p->node) - 2;
    snprintf(k->reason, sizeof k->reason, "%s: %.*s", p->node, utf8_prefix(detail, room), detail);
}

/* What its connection has become. */
static void judge(struct session_call *k, struct call_path *p, bool changed, int64_t now_us)
{
    struct connection *c = p->connection;
    bool up = c->state == BERTH_CONNECTION_UP, was_up = p->up;
    p->up = up;
    if (up && !was_up) {
        snprintf(k->suite, sizeof k->suite, "%s", media_leg_suite(ladder_io_leg(c->io)));
        p->news_number = 0;
        call_stretch_up(p, now_us);
        call_leg_up(&k->is, p->leg, now_us);
        return;
    }
    if (was_up && !up) {
        struct media_leg_figures f;
        connection_media(c, now_us, &f);
        call_stretch_over(p, CALL_LOST, &f, now_us);
        call_leg_lost(&k->is, p->leg, f.rtt_min_us, now_us);
    }
    if (!changed || c->state != BERTH_CONNECTION_WAITING)
        return;
    explain(k, p);
    if (c->refusal != 0) {
        int code = c->refusal;
        c->refusal = 0;
        call_leg_refused(&k->is, p->leg, code, now_us);
    } else if (!was_up) {
        call_leg_failed(&k->is, p->leg, now_us);
    }
}

void call_step_paths(struct session_call *k, int64_t now_us)
{
    for (size_t i = 0; i < CALL_LEGS; i++) {
        struct call_path *p = &k->paths[i];
        if (!p->connection)
            continue;
        judge(k, p, connection_step(p->connection, now_us), now_us);
        if (p->up)
            read_news(k, p, now_us);
    }
}

bool call_paths_changed(struct session_call *k, int64_t now_us)
{
    bool any = false;
    for (size_t i = 0; i < CALL_LEGS; i++) {
        struct call_path *p = &k->paths[i];
        struct media_leg_figures f;
        if (p->connection)
            connection_media(p->connection, now_us, &f);
        if (!p->connection || !connection_network_changed(p->connection, now_us))
            continue;
        if (p->up)
            call_stretch_over(p, CALL_LOST, &f, now_us);
        memcpy(k->reason, p->connection->detail, sizeof k->reason);
        p->up = false;
        any = true;
    }
    return any;
}

int64_t call_paths_deadline(const struct session_call *k)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < CALL_LEGS; i++) {
        const struct connection *c = k->paths[i].connection;
        int64_t next = c ? connection_deadline(c) : INT64_MAX;
        at = next < at ? next : at;
    }
    return at;
}

void call_figures(const struct session_call *k, int64_t now_us, struct media_leg_figures *out)
{
    struct media_leg_figures f;
    *out = k->before;
    out->rtt_us = out->rtt_min_us = out->jitter_us = -1;
    for (size_t i = 0; i < CALL_LEGS; i++) {
        if (!k->paths[i].connection)
            continue;
        connection_media(k->paths[i].connection, now_us, &f);
        media_leg_figures_add(out, &f);
        if (i == k->is.main) {
            out->rtt_us = f.rtt_us;
            out->rtt_min_us = f.rtt_min_us;
            out->jitter_us = f.jitter_us;
        }
    }
}
