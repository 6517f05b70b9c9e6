/* The calls of a session. Invariant: a call keeps its place until the caller has left it and the controller was
 * told, or the time for that is over, and the stream is followed as long as there is one. */
#include "session_calls.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

static struct session_call *find(const struct session *s, uint64_t id)
{
    for (size_t i = 0; i < CALL_PLACES; i++) {
        if (id != 0 && s->calls[i] && s->calls[i]->id == id && !s->calls[i]->is.leaving)
            return s->calls[i];
    }
    return NULL;
}

size_t session_call_count(const struct session *s)
{
    size_t n = 0;
    for (size_t i = 0; i < CALL_PLACES; i++)
        n += s->calls[i] != NULL;
    return n;
}

static void drop(struct session *s, size_t i)
{
    struct session_call *k = s->calls[i];
    for (size_t leg = 0; leg < CALL_LEGS; leg++)
        call_close_path(k, leg, clock_mono_us());
    rest_client_destroy(k->rest);
    call_stretches_move(&s->untold, &k->stretches);
    free(k->assignment);
    sodium_memzero(k, sizeof *k);
    free(k);
    s->calls[i] = NULL;
    session_follow_for_calls(s, clock_mono_us());
    (void)session_listen(s);
}

/* A free place; one that is only being left makes room. -1: none. */
static int find_place(struct session *s)
{
    int oldest = -1;
    size_t live = 0;
    for (int i = 0; i < CALL_PLACES; i++) {
        const struct session_call *k = s->calls[i];
        live += k && !k->is.leaving;
        if (!k || (k->is.leaving && (oldest < 0 || (s->calls[oldest] && k->id < s->calls[oldest]->id))))
            oldest = oldest >= 0 && !s->calls[oldest] ? oldest : i;
    }
    if (live >= BERTH_CALLS_MAX)
        return -1;
    if (oldest >= 0 && s->calls[oldest])
        drop(s, (size_t)oldest);
    return oldest;
}

/* ---- what the caller asks for ---- */

static int read_options(struct session_call *k, const struct berth_join_options *o)
{
    struct connection *trial = calloc(1, sizeof *trial);
    static const struct berth_rung rung = {BERTH_UDP, "127.0.0.1:1", NULL, NULL};
    if (!trial)
        return -ENOMEM;
    k->timers = (struct berth_connect_options){.size = sizeof k->timers,
                                               .rung_delay_ms = o->rung_delay_ms,
                                               .grace_ms = o->grace_ms,
                                               .rung_timeout_ms = o->rung_timeout_ms,
                                               .timeout_ms = o->timeout_ms,
                                               .keepalive_ms = o->keepalive_ms};
    struct berth_connect_options tried = k->timers;
    tried.rungs = &rung;
    tried.n_rungs = 1;
    int err = connection_options(trial, &tried);
    free(trial);
    if (o->audio_level_ext < 0 || o->audio_level_ext > 14 || o->transport_wide_ext < 0 ||
        o->transport_wide_ext > 14 || (o->audio_level_ext > 0 && o->audio_level_ext == o->transport_wide_ext))
        err = -EINVAL;
    k->audio_level_ext = (uint8_t)o->audio_level_ext;
    k->transport_wide_ext = (uint8_t)o->transport_wide_ext;
    k->user = (struct session_call_user){
        .packet = o->packet, .changed = o->changed, .ssrc_refused = o->ssrc_refused, .user = o->user};
    return err;
}

static int begin(struct session_call *k, const struct berth_join_options *o, int64_t now_us)
{
    uint64_t seed;
    randombytes_buf(&seed, sizeof seed);
    int err = read_options(k, o);
    if (err == 0)
        err = rest_client_new(&k->rest, k->s->curl);
    if (err < 0)
        return err;
    snprintf(k->meeting, sizeof k->meeting, "%s", o->meeting);
    call_init(&k->is, seed, now_us);
    k->began_us = now_us;
    k->up_us = -1;
    for (size_t i = 0; i < CALL_LEGS; i++)
        k->paths[i] = (struct call_path){.call = k, .leg = i};
    return o->assignment ? call_take(k, o->assignment, false, now_us) : 0;
}

int session_join(struct session *s, const struct berth_join_options *o, int64_t now_us, uint64_t *id)
{
    if (!o || o->size != sizeof *o || !s->options->controller || !o->meeting ||
        !id_valid(o->meeting, BERTH_MEETING_TEXT - 1))
        return -EINVAL;
    int at = find_place(s);
    if (at < 0)
        return -EMFILE;
    struct session_call *k = calloc(1, sizeof *k);
    if (!k)
        return -ENOMEM;
    s->calls[at] = k;
    k->s = s;
    int err = begin(k, o, now_us);
    if (err == 0)
        err = session_follow_for_calls(s, now_us);
    if (err < 0) {
        drop(s, (size_t)at);
        return err;
    }
    *id = k->id = ++s->last_call;
    (void)session_listen(s);
    return 0;
}

int session_leave(struct session *s, uint64_t id, int64_t now_us)
{
    struct session_call *k = find(s, id);
    if (!k)
        return -ENOENT;
    call_leave(&k->is, now_us);
    session_step_calls(s, now_us); /* the node hears of it at once */
    return 0;
}

int session_send(struct session *s, uint64_t id, const void *packet, size_t len)
{
    struct session_call *k = find(s, id);
    if (!k)
        return -ENOENT;
    if (len > BERTH_PACKET_MAX)
        return -EMSGSIZE;
    struct connection *c = k->paths[k->is.main].connection;
    int err = c ? connection_send(c, packet, len) : -ENOTCONN;
    k->send_dropped += err < 0;
    return err;
}

/* ---- what happens ---- */

static void tell(struct session_call *k)
{
    int state = call_state(&k->is), transport = -1;
    const struct connection *c = k->paths[k->is.main].connection;
    const char *node = k->is.legs[k->is.main].to.node;
    if (state == BERTH_CALL_UP && c)
        transport =
            (int)ladder_place(ladder_io_ladder(c->io), ladder_winner(ladder_io_ladder(c->io)))->transport;
    bool same_node = strcmp(node, k->told_node) == 0;
    bool same = state == k->told_state && transport == k->told_transport && same_node;
    bool news = state != BERTH_CALL_UP && strcmp(k->reason, k->told_reason) != 0;
    if (k->is.leaving || (same && !news))
        return;
    if (state == BERTH_CALL_UP) {
        bool moved = k->told_state == BERTH_CALL_UP && !same_node;
        snprintf(k->reason, sizeof k->reason, "%s", moved ? k->assigned.why : "");
        k->error = k->http_status = 0;
        if (k->up_us < 0)
            k->up_us = clock_mono_us() - k->began_us;
    }
    k->told_state = state;
    k->told_transport = transport;
    memcpy(k->told_node, node, sizeof k->told_node);
    memcpy(k->told_reason, k->reason, sizeof k->told_reason);
    k->s->events.call(k->s->user, k);
}

static void step(struct session_call *k, int64_t now_us)
{
    enum { ACTIONS_MAX = 16 }; /* then others have their turn */
    enum call_action a = CALL_DO_OPEN;
    size_t leg;
    call_step_paths(k, now_us);
    if (k->ask_due)
        call_ask(k, now_us);
    for (int i = 0; i < ACTIONS_MAX && a != CALL_DO_NOTHING; i++) {
        a = call_next(&k->is, now_us, &leg);
        if (a == CALL_DO_OPEN)
            call_open_path(k, leg, now_us);
        else if (a == CALL_DO_CLOSE)
            call_close_path(k, leg, now_us);
        else if (a == CALL_DO_ASK)
            call_ask(k, now_us);
        tell(k);
    }
}

void session_step_calls(struct session *s, int64_t now_us)
{
    if (s->stepping_calls)
        return; /* a way that is found at once, for a call that is being stepped: its question is due, and comes next */
    s->stepping_calls = true;
    for (size_t i = 0; i < CALL_PLACES; i++) {
        if (s->calls[i])
            step(s->calls[i], now_us);
        if (s->calls[i] && s->calls[i]->is.gone)
            drop(s, i);
    }
    s->stepping_calls = false;
}

static int64_t deadline(const struct session_call *k)
{
    const struct session *s = k->s;
    int64_t at = call_deadline(&k->is), paths = call_paths_deadline(k);
    if (k->ask_due && (s->route_known || s->phase == PHASE_REST))
        return 0;
    return paths < at ? paths : at;
}

int64_t session_calls_deadline(const struct session *s)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < CALL_PLACES; i++) {
        int64_t next = s->calls[i] ? deadline(s->calls[i]) : INT64_MAX;
        at = next < at ? next : at;
    }
    return at;
}

void session_close_calls(struct session *s)
{
    for (size_t i = 0; i < CALL_PLACES; i++) {
        if (s->calls[i])
            drop(s, i);
    }
}

/* ---- what others say ---- */

void session_calls_event(struct session *s, int kind, const char *data, int64_t now_us)
{
    struct call_assignment a;
    int err = kind == BERTH_EVENT_ASSIGNMENT ? call_assignment_read(&a, data) : -EINVAL;
    for (size_t i = 0; i < CALL_PLACES; i++) {
        struct session_call *k = s->calls[i];
        if (!k || k->is.leaving)
            continue;
        bool missed = kind == BERTH_EVENT_RESET || err == -ENOMEM; /* what may be of this call */
        if (err == 0 && strcmp(a.meeting, k->meeting) == 0)
            missed = call_take(k, data, false, now_us) == -ENOMEM;
        if (missed)
            call_ask_again(&k->is, now_us);
    }
}

void session_calls_hurry(struct session *s)
{
    for (size_t i = 0; i < CALL_PLACES; i++) {
        for (size_t leg = 0; s->calls[i] && leg < CALL_LEGS; leg++) {
            if (s->calls[i]->paths[leg].connection)
                connection_hurry(s->calls[i]->paths[leg].connection);
        }
    }
}

void session_calls_network_changed(struct session *s, int64_t now_us)
{
    for (size_t i = 0; i < CALL_PLACES; i++) {
        struct session_call *k = s->calls[i];
        if (!k)
            continue;
        rest_client_forget(k->rest);
        if (call_paths_changed(k, now_us))
            call_network_changed(&k->is, now_us);
        tell(k);
    }
}

void session_calls_token_changed(struct session *s, int64_t now_us)
{
    for (size_t i = 0; i < CALL_PLACES; i++) {
        struct session_call *k = s->calls[i];
        if (k && call_state(&k->is) != BERTH_CALL_UP)
            call_ask_again(&k->is, now_us);
    }
}

/* ---- what is known ---- */

bool session_call_listener(const struct session *s, uint64_t id, struct session_call_user *out)
{
    const struct session_call *k = find(s, id);
    if (k)
        *out = k->user;
    return k != NULL;
}

const struct connection *session_call_connection(const struct session *s, uint64_t id)
{
    for (size_t i = 0; i < CALL_PLACES; i++) {
        for (size_t leg = 0; s->calls[i] && leg < CALL_LEGS; leg++) {
            if (s->calls[i]->paths[leg].connection && s->calls[i]->paths[leg].id == id)
                return s->calls[i]->paths[leg].connection;
        }
    }
    return NULL;
}

static void public_connection(const struct session_call *k, int64_t now_us, struct berth_call *out)
{
    struct berth_connection c;
    const struct call_path *p = &k->paths[k->is.main];
    if (!p->connection)
        return;
    connection_public(p->connection, now_us, &c);
    out->connection = p->id;
    out->transport = c.transport;
    out->framing = c.framing;
    memcpy(out->address, c.address, sizeof out->address);
    memcpy(out->mapped_address, c.mapped_address, sizeof out->mapped_address);
}

void session_call_public(const struct session_call *k, int64_t now_us, struct berth_call *out)
{
    struct media_leg_figures f;
    call_figures(k, now_us, &f);
    *out = (struct berth_call){.id = k->id,
                               .state = call_state(&k->is),
                               .error = k->is.ended ? k->is.error : k->error,
                               .http_status = k->http_status,
                               .up_us = k->up_us,
                               .came_up = k->is.came_up,
                               .moved = k->is.moved,
                               .transport = -1,
                               .packets_sent = f.packets_sent,
                               .bytes_sent = f.bytes_sent,
                               .packets_received = f.packets_received,
                               .bytes_received = f.bytes_received,
                               .packets_lost = f.packets_lost,
                               .packets_refused = f.packets_refused,
                               .packets_dropped = k->packets_dropped,
                               .send_dropped = k->send_dropped,
                               .consents_sent = f.asked,
                               .consents_answered = f.answered,
                               .jitter_us = f.jitter_us,
                               .rtt_us = f.rtt_us,
                               .rtt_min_us = f.rtt_min_us};
    memcpy(out->meeting, k->meeting, sizeof out->meeting);
    memcpy(out->node, k->is.legs[k->is.main].to.node, sizeof out->node);
    memcpy(out->suite, k->suite, sizeof out->suite);
    /* While it is UP: what was told with it, not what another leg meets meanwhile. */
    memcpy(out->reason, out->state == BERTH_CALL_UP ? k->told_reason : k->reason, sizeof out->reason);
    public_connection(k, now_us, out);
}

const struct session_call *session_call(const struct session *s, uint64_t id)
{
    return find(s, id);
}
