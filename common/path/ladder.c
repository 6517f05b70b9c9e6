/* The race of the rungs. Invariant: at most one place is LEADING, and no place of its rung or a worse one is under way
 * beside it. */
#include "path/ladder_internal.h"
#include "probe/prober_message.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- making ---- */

static bool within(int64_t v, int64_t low, int64_t high)
{
    return v >= low && v <= high;
}

static bool policy_valid(const struct ladder_policy *p)
{
    return within(p->rung_delay_ms, 0, 60000) && within(p->address_delay_ms, 10, 60000) &&
           within(p->grace_ms, 0, 60000) && within(p->resend_ms, 10, 60000) &&
           within(p->framing_ms, 10, 60000) && within(p->rung_timeout_ms, 50, 600000) &&
           within(p->timeout_ms, 50, 600000);
}

static void lay_out(struct ladder *l, const struct ladder_place *places)
{
    ladder_order(places, l->n, l->order);
    for (size_t k = 0; k < l->n; k++) {
        struct place *p = &l->places[l->order[k]];
        p->is = places[l->order[k]];
        p->send_us = p->silent_us = PROBER_NEVER;
        p->out = place_untried;
        if (k == 0 || p->is.transport != l->places[l->order[k - 1]].is.transport)
            l->rungs[l->n_rungs++] = (struct rung){.first = k};
        p->rung = l->n_rungs - 1;
        l->rungs[p->rung].n++;
    }
}

int ladder_new(struct ladder **out, const struct ladder_place *places, size_t n,
               const struct ladder_policy *policy, const uint8_t seed[static PROBER_SEED_LEN], int64_t now_us)
{
    if (n == 0 || n > LADDER_PLACES_MAX || !policy_valid(policy))
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)places[i].transport >= TRANSPORT_COUNT || !addr_is_set(&places[i].to))
            return -EINVAL;
    }
    struct ladder *l = calloc(1, sizeof *l + n * sizeof l->places[0]);
    if (!l)
        return -ENOMEM;
    l->policy = *policy;
    memcpy(l->seed, seed, sizeof l->seed);
    l->n = n;
    l->began_us = now_us;
    l->grace_us = PROBER_NEVER;
    l->leader = LADDER_NONE;
    lay_out(l, places);
    *out = l;
    return 0;
}

void ladder_destroy(struct ladder *l)
{
    if (!l)
        return;
    sodium_memzero(l->seed, sizeof l->seed);
    free(l);
}

/* ---- rungs ---- */

static struct place *place_of(struct ladder *l, const struct rung *r, size_t k)
{
    return &l->places[l->order[r->first + k]];
}

/* The place to begin next, or LADDER_NONE. */
static size_t next_place(const struct ladder *l, const struct rung *r)
{
    for (size_t k = 0; k < r->n; k++) {
        size_t i = l->order[r->first + k];
        if (l->places[i].state == PLACE_IDLE)
            return i;
    }
    return LADDER_NONE;
}

static bool rung_over(const struct ladder *l, const struct rung *r)
{
    if (!r->begun)
        return false;
    for (size_t k = 0; k < r->n; k++) {
        if (l->places[l->order[r->first + k]].state != PLACE_ENDED)
            return false;
    }
    return true;
}

/* The leader makes the rest of the rung unnecessary, for now: what is under way, and what has not begun. */
static void set_rung_aside(struct ladder *l, struct rung *r)
{
    char overtaken[PROBER_ERROR_TEXT], unneeded[PROBER_ERROR_TEXT];
    place_name(&l->places[l->leader], "not waited for: ", " had answered", overtaken);
    place_name(&l->places[l->leader], "not tried: ", " answered first", unneeded);
    for (size_t k = 0; k < r->n; k++) {
        struct place *p = place_of(l, r, k);
        if (place_under_way(p))
            place_set_aside(p, overtaken);
        else if (p->state == PLACE_IDLE)
            place_set_aside(p, unneeded);
    }
}

static void time_out_rung(struct ladder *l, struct rung *r)
{
    for (size_t k = 0; k < r->n; k++) {
        struct place *p = place_of(l, r, k);
        if (place_under_way(p))
            place_time_out(p);
        else if (p->state == PLACE_IDLE)
            place_end(p, "not tried: the time ran out");
    }
}

static void begin_rungs(struct ladder *l, int64_t now_us)
{
    size_t end = l->leader == LADDER_NONE ? l->n_rungs : l->places[l->leader].rung;
    for (size_t i = 0; i < end; i++) {
        struct rung *r = &l->rungs[i];
        const struct rung *before = i > 0 ? &l->rungs[i - 1] : NULL;
        if (!r->begun) {
            if (before && now_us < before->began_us + l->policy.rung_delay_ms * 1000 && !rung_over(l, before))
                return;
            r->begun = true;
            r->began_us = r->next_us = now_us;
        }
        size_t next = next_place(l, r);
        if (next != LADDER_NONE && now_us >= r->next_us) {
            place_begin(&l->places[next], now_us);
            r->next_us = now_us + l->policy.address_delay_ms * 1000;
        }
    }
}

static void decide(struct ladder *l)
{
    l->decided = true;
    for (size_t i = 0; l->leader != LADDER_NONE && i < l->n_rungs; i++)
        set_rung_aside(l, &l->rungs[i]);
}

/* Is there anything better than the leader (or anything at all) that may still answer? */
static bool open_question(const struct ladder *l)
{
    size_t end = l->leader == LADDER_NONE ? l->n_rungs : l->places[l->leader].rung;
    for (size_t i = 0; i < end; i++) {
        if (!rung_over(l, &l->rungs[i]))
            return true;
    }
    return false;
}

/* The leader is gone: what it made unnecessary is needed after all, in the order of before. */
static void race_on(struct ladder *l)
{
    l->leader = LADDER_NONE;
    l->grace_us = PROBER_NEVER;
    l->decided = false;
    for (size_t i = 0; i < l->n; i++) {
        if (!l->places[i].set_aside)
            continue;
        place_reopen(&l->places[i]);
        l->rungs[l->places[i].rung].begun = false;
    }
}

static void fail(struct ladder *l, struct place *p, enum probe_status status, const char *why, int64_t now_us)
{
    bool led = p->state == PLACE_LEADING, ended = place_fail(p, status, why);
    if (led)
        race_on(l);
    if (ended)
        l->rungs[p->rung].next_us = now_us; /* the next address need not wait any longer */
}

static void tick(struct ladder *l, int64_t now_us)
{
    if (l->decided)
        return;
    bool over = now_us >= l->began_us + l->policy.timeout_ms * 1000;
    for (size_t i = 0; i < l->n; i++) {
        struct place *p = &l->places[i];
        if (p->state == PLACE_ASKING && now_us >= p->silent_us)
            fail(l, p, PROBE_TIMEOUT, "no answer to STUN", now_us);
    }
    for (size_t i = 0; i < l->n_rungs; i++) {
        struct rung *r = &l->rungs[i];
        if (over || (r->begun && now_us >= r->began_us + l->policy.rung_timeout_ms * 1000))
            time_out_rung(l, r);
    }
    if (!over)
        begin_rungs(l, now_us);
    if (over || now_us >= l->grace_us || !open_question(l))
        decide(l);
}

void ladder_failed(struct ladder *l, struct place *p, enum probe_status status, const char *why,
                   int64_t now_us)
{
    fail(l, p, status, why, now_us);
    tick(l, now_us);
}

void ladder_answered(struct ladder *l, size_t i, size_t sample, const struct addr *mapped,
                     int64_t received_us)
{
    char why[PROBER_ERROR_TEXT];
    struct place *p = &l->places[i];
    if (l->decided || p->state != PLACE_ASKING || sample >= p->out.sent)
        return;
    p->out.stun_us = ladder_elapsed(p->sent_us[sample], received_us);
    p->out.answered_us = ladder_elapsed(l->began_us, received_us);
    p->out.status = PROBE_REACHABLE;
    p->out.mapped = *mapped;
    p->send_us = p->silent_us = PROBER_NEVER;
    if (l->leader != LADDER_NONE) {
        place_name(p, "answered, and then ", " did, which is better", why);
        place_set_aside(&l->places[l->leader], why);
    } else {
        l->grace_us = received_us + l->policy.grace_ms * 1000;
    }
    l->leader = i;
    p->state = PLACE_LEADING;
    for (size_t k = p->rung; k < l->n_rungs; k++)
        set_rung_aside(l, &l->rungs[k]);
}

/* ---- actions ---- */

static void fill_request(struct ladder *l, struct place *p, struct ladder_action *a, int64_t now_us)
{
    struct sample_name name = {.target = a->place, .attempt = p->attempt, .sample = p->out.sent};
    size_t head = 0;
    a->kind = place_is_stream(p) ? LADDER_SEND_STREAM : LADDER_SEND_UDP;
    if (place_is_stream(p))
        head = frame_header(FRAME_RFC4571, PROBER_MESSAGE_LEN, a->bytes);
    prober_request_write(l->seed, &name, a->bytes + head);
    a->len = head + PROBER_MESSAGE_LEN;
    a->sample = p->out.sent;
    p->sent_us[p->out.sent++] = now_us;
    p->send_us = PROBER_NEVER;
    if (!place_is_stream(p) && p->out.sent < LADDER_SAMPLES_MAX)
        p->send_us = now_us + ((l->policy.resend_ms * 1000) << a->sample);
}

/* The action that the place has now, if any. */
static bool take_action(struct ladder *l, struct place *p, struct ladder_action *a, int64_t now_us)
{
    a->is = &p->is;
    a->framing = p->out.framing;
    a->by_name = p->by_name;
    if (p->close_due) {
        p->close_due = p->has_stream = false;
        a->kind = LADDER_CLOSE;
        return true;
    }
    if (p->open_due) {
        p->open_due = false;
        p->has_stream = true;
        p->phase_us = now_us;
        a->kind = LADDER_OPEN;
        return true;
    }
    if (p->state != PLACE_ASKING || now_us < p->send_us || p->out.sent == LADDER_SAMPLES_MAX)
        return false;
    fill_request(l, p, a, now_us);
    return true;
}

bool ladder_next_action(struct ladder *l, int64_t now_us, struct ladder_action *a)
{
    tick(l, now_us);
    for (size_t i = 0; i < l->n; i++) {
        *a = (struct ladder_action){.place = i};
        if (take_action(l, &l->places[i], a, now_us))
            return true;
    }
    return false;
}

static int64_t begin_deadline(const struct ladder *l)
{
    int64_t at = PROBER_NEVER;
    size_t end = l->leader == LADDER_NONE ? l->n_rungs : l->places[l->leader].rung;
    for (size_t i = 0; i < end; i++) {
        const struct rung *r = &l->rungs[i];
        if (!r->begun)
            return i == 0 ? 0 : min64(at, l->rungs[i - 1].began_us + l->policy.rung_delay_ms * 1000);
        if (!rung_over(l, r))
            at = min64(at, r->began_us + l->policy.rung_timeout_ms * 1000);
        if (next_place(l, r) != LADDER_NONE)
            at = min64(at, r->next_us);
    }
    return at;
}

int64_t ladder_deadline(const struct ladder *l)
{
    int64_t at = PROBER_NEVER;
    for (size_t i = 0; i < l->n; i++) {
        const struct place *p = &l->places[i];
        if (p->close_due || p->open_due)
            return 0;
        if (p->state == PLACE_ASKING)
            at = min64(at, min64(p->send_us, p->silent_us));
    }
    if (l->decided)
        return PROBER_NEVER;
    at = min64(at, min64(l->grace_us, l->began_us + l->policy.timeout_ms * 1000));
    return min64(at, begin_deadline(l));
}

void ladder_sent(struct ladder *l, const struct ladder_action *a, int64_t sent_us)
{
    struct place *p = &l->places[a->place];
    if (a->kind == LADDER_OPEN)
        p->phase_us = sent_us;
    else if (a->kind != LADDER_CLOSE)
        p->sent_us[a->sample] = sent_us;
}

/* ---- what came of it ---- */

bool ladder_done(const struct ladder *l)
{
    if (!l->decided)
        return false;
    for (size_t i = 0; i < l->n; i++) {
        if (l->places[i].close_due)
            return false;
    }
    return true;
}

size_t ladder_winner(const struct ladder *l)
{
    return l->decided ? l->leader : LADDER_NONE;
}

const struct ladder_place *ladder_place(const struct ladder *l, size_t place)
{
    return place < l->n ? &l->places[place].is : NULL;
}

void ladder_outcome(const struct ladder *l, size_t place, struct ladder_outcome *out)
{
    *out = l->places[place].out;
    if (out->begun)
        out->began_us = ladder_elapsed(l->began_us, out->began_us);
}
