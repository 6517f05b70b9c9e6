/* A call's decisions. Invariant: what is UP is kept until something else is UP in its place, one question is under
 * way at a time, and questions that lead nowhere come ever less often. */
#include "call.h"

#include <string.h>

static size_t other(const struct call *c)
{
    return 1 - c->main;
}

static int64_t random_below(struct call *c, int64_t n)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (int64_t)(c->random % (uint64_t)n);
}

static bool leg_in_use(const struct call_leg *l)
{
    return l->state == CALL_LEG_CLIMBING || l->state == CALL_LEG_UP || l->state == CALL_LEG_LOST;
}

/* ---- questions ---- */

static int64_t pause_of(struct call *c, unsigned n)
{
    int64_t us = CALL_BACKOFF_US;
    for (unsigned i = 0; i < n && us < CALL_BACKOFF_MAX_US; i++)
        us *= 2;
    us = us < CALL_BACKOFF_MAX_US ? us : CALL_BACKOFF_MAX_US;
    return us / 2 + random_below(c, us / 2);
}

/* A question is wanted no later than that. */
static void ask_by(struct call *c, int64_t at_us)
{
    bool waiting = c->wants_join || c->wants_failure;
    if (!waiting || at_us < c->ask_at_us)
        c->ask_at_us = at_us;
}

static void want_join(struct call *c, int64_t at_us)
{
    if (c->ended)
        return;
    ask_by(c, at_us);
    c->wants_join = true;
}

/* After what a node or a way to it has cost us: at once, but not for ever. */
static int64_t next_attempt(struct call *c, int64_t now_us)
{
    if (c->up_at_us >= 0 && now_us - c->up_at_us >= CALL_STEADY_US)
        c->attempts = 0;
    c->up_at_us = -1;
    unsigned n = c->attempts;
    c->attempts += c->attempts < 30;
    return n < CALL_ATTEMPTS ? now_us : now_us + pause_of(c, n - CALL_ATTEMPTS);
}

/* All that its ladder has was tried: each of its transports is told, the likeliest first. */
static void want_failure(struct call *c, const struct call_leg *l, int64_t now_us)
{
    bool same = strcmp(c->failed_node, l->to.node) == 0;
    if (c->ended || (same && (c->wants_failure || c->asking == CALL_ASK_FAILURE)))
        return;
    memcpy(c->failed_node, l->to.node, sizeof c->failed_node);
    c->failed_transport = l->to.transport;
    c->failed_left = l->to.transports & ~(1u << l->to.transport);
    ask_by(c, next_attempt(c, now_us));
    c->wants_failure = true;
}

/* ---- legs ---- */

static void close_leg(struct call_leg *l)
{
    if (l->state != CALL_LEG_NONE)
        l->close_due = true;
    l->state = CALL_LEG_NONE;
    l->open_due = false;
}

static void open_leg(struct call_leg *l, const struct call_target *to, int64_t now_us)
{
    l->close_due = false; /* OPEN takes the place of what is there */
    l->open_due = true;
    l->stuck = false;
    l->state = CALL_LEG_CLIMBING;
    l->to = *to;
    l->until_us = now_us + CALL_CLIMB_US;
}

static void end(struct call *c, int error)
{
    c->ended = true;
    c->error = error;
    c->wants_join = c->wants_failure = false;
    for (size_t i = 0; i < CALL_LEGS; i++)
        close_leg(&c->legs[i]);
}

/* ---- what happens ---- */

void call_init(struct call *c, uint64_t seed, int64_t now_us)
{
    *c = (struct call){.random = seed | 1, .wants_join = true, .ask_at_us = now_us, .up_at_us = -1};
}

/* The same node as before: it is begun anew only if that may change something. */
static void assigned_again(struct call_leg *l, const struct call_target *to, int64_t now_us)
{
    bool another = l->to.transports != to->transports;
    if (l->state != CALL_LEG_UP && (l->stuck || another))
        open_leg(l, to, now_us);
    else
        l->to = *to;
}

/* After a FAILURE the same node again: by a transport that was tried as well, which it is to be told. */
static bool tell_more(struct call *c, const struct call_target *to, int64_t now_us)
{
    if (strcmp(to->node, c->failed_node) != 0 || (c->failed_left & 1u << to->transport) == 0)
        return false;
    c->failed_transport = to->transport;
    c->failed_left &= ~(1u << to->transport);
    c->wants_failure = true;
    c->ask_at_us = now_us;
    return true;
}

static void go_to(struct call *c, const struct call_target *to, int64_t now_us)
{
    struct call_leg *main = &c->legs[c->main], *next = &c->legs[other(c)];
    if (leg_in_use(main) && strcmp(main->to.node, to->node) == 0) {
        if (next->state != CALL_LEG_OLD)
            close_leg(next);
        assigned_again(main, to, now_us);
        if (c->move_soon)
            want_join(c, now_us + CALL_MOVE_AGAIN_US);
    } else if (leg_in_use(next) && strcmp(next->to.node, to->node) == 0) {
        assigned_again(next, to, now_us);
    } else if (main->state == CALL_LEG_NONE || main->state == CALL_LEG_CLIMBING) {
        open_leg(main, to, now_us);
    } else {
        open_leg(next, to, now_us);
    }
}

void call_assigned(struct call *c, const struct call_target *to, bool answer, int64_t now_us)
{
    enum call_ask asked = answer ? c->asking : CALL_ASK_NOTHING;
    if (answer)
        c->asking = CALL_ASK_NOTHING;
    else
        c->wants_join = false;
    if (c->ended || (asked == CALL_ASK_FAILURE && tell_more(c, to, now_us)))
        return;
    c->wants_failure = c->wants_failure && strcmp(to->node, c->failed_node) == 0;
    c->pauses = 0;
    go_to(c, to, now_us);
}

/* No use to ask again, unless somebody else changes something: what runs goes on. */
static void refused(struct call *c, enum call_ask asked, int status, int64_t retry_after_us, int64_t now_us)
{
    bool token = status == 401 || status == 403;
    if (asked == CALL_ASK_FAILURE) { /* it may not know us any more */
        want_join(c, next_attempt(c, now_us));
    } else if (c->came_up > 0 && token) {
        want_join(c, now_us + CALL_BACKOFF_MAX_US / 2 + random_below(c, CALL_BACKOFF_MAX_US / 2) +
                         retry_after_us);
    } else {
        end(c, BERTH_E_REFUSED);
    }
}

void call_unassigned(struct call *c, int status, int64_t retry_after_us, int64_t now_us)
{
    enum call_ask asked = c->asking;
    bool later = status < 400 || status == 408 || status == 429 || status >= 500;
    int64_t pause = pause_of(c, c->pauses);
    c->asking = CALL_ASK_NOTHING;
    c->pauses += c->pauses < 30;
    pause = pause > retry_after_us ? pause : retry_after_us;
    if (asked == CALL_ASK_LEAVE) {
        c->left = !later || status / 100 == 2;
        c->gone = c->left && c->tell_every_us == 0;
    }
    if (c->left) {
        c->tell_at_us = now_us;
    } else if (c->leaving) {
        c->ask_at_us = asked == CALL_ASK_LEAVE ? now_us + pause : now_us;
    } else if (!later) {
        refused(c, asked, status, retry_after_us, now_us);
    } else {
        c->wants_join = c->wants_join || asked == CALL_ASK_JOIN;
        c->wants_failure = c->wants_failure || asked == CALL_ASK_FAILURE;
        c->ask_at_us = now_us + pause;
    }
}

/* What sent until now is heard for a moment more, if it still works. */
static void retire(struct call_leg *l, int64_t now_us)
{
    if (l->state == CALL_LEG_UP) {
        l->state = CALL_LEG_OLD;
        l->until_us = now_us + CALL_OVERLAP_US;
    } else {
        close_leg(l);
    }
}

void call_leg_up(struct call *c, size_t leg, int64_t now_us)
{
    struct call_leg *l = &c->legs[leg];
    if (!leg_in_use(l))
        return;
    l->state = CALL_LEG_UP;
    l->until_us = INT64_MAX;
    l->stuck = false;
    c->up_at_us = now_us;
    if (leg != c->main) {
        retire(&c->legs[c->main], now_us);
        c->main = leg;
        c->move_soon = false;
    }
    c->came_up++;
    c->moved += c->last_node[0] != '\0' && strcmp(c->last_node, l->to.node) != 0;
    memcpy(c->last_node, l->to.node, sizeof c->last_node);
    if (strcmp(c->failed_node, l->to.node) == 0)
        c->wants_failure = false;
}

void call_leg_lost(struct call *c, size_t leg, int64_t rtt_us, int64_t now_us)
{
    struct call_leg *l = &c->legs[leg];
    if (l->state == CALL_LEG_OLD) {
        close_leg(l);
    } else if (l->state == CALL_LEG_UP) {
        l->state = CALL_LEG_LOST;
        l->until_us =
            now_us + (rtt_us * CALL_RACE_RTTS > CALL_RACE_US ? rtt_us * CALL_RACE_RTTS : CALL_RACE_US);
    } else if (l->state == CALL_LEG_CLIMBING) { /* it answered, and did not shake hands */
        call_leg_failed(c, leg, now_us);
    }
}

void call_leg_failed(struct call *c, size_t leg, int64_t now_us)
{
    struct call_leg *l = &c->legs[leg];
    if (!leg_in_use(l)) {
        if (l->state == CALL_LEG_OLD)
            close_leg(l);
        return;
    }
    if (l->state == CALL_LEG_UP)
        l->state = CALL_LEG_LOST;
    l->until_us = INT64_MAX;
    l->stuck = true;
    want_failure(c, l, now_us);
}

void call_leg_refused(struct call *c, size_t leg, int code, int64_t now_us)
{
    enum { FORBIDDEN = 403 }; /* whoever goes on would take turns with the other for ever */
    struct call_leg *l = &c->legs[leg];
    if (code == FORBIDDEN && leg_in_use(l)) {
        end(c, BERTH_E_TAKEN_OVER);
        return;
    }
    if (code != 401 && code != 437 && code != 438) {
        call_leg_failed(c, leg, now_us);
        return;
    }
    if (!leg_in_use(l))
        return;
    if (l->state == CALL_LEG_UP)
        l->state = CALL_LEG_LOST;
    l->until_us = INT64_MAX;
    l->stuck = true;
    want_join(c, next_attempt(c, now_us));
}

void call_move_soon(struct call *c, bool soon, int64_t now_us)
{
    if (soon && !c->move_soon && !leg_in_use(&c->legs[other(c)]))
        want_join(c, now_us + random_below(c, CALL_MOVE_SPREAD_US));
    c->move_soon = soon;
}

void call_ask_again(struct call *c, int64_t now_us)
{
    want_join(c, now_us);
}

void call_network_changed(struct call *c, int64_t now_us)
{
    for (size_t i = 0; i < CALL_LEGS; i++) {
        struct call_leg *l = &c->legs[i];
        if (l->state == CALL_LEG_UP)
            l->state = CALL_LEG_LOST;
        if (leg_in_use(l))
            l->until_us = now_us + CALL_CLIMB_US; /* not the node's fault */
    }
    c->pauses = c->attempts = 0;
    want_join(c, now_us);
}

void call_leave(struct call *c, int64_t now_us)
{
    bool others = c->ended && c->error == BERTH_E_TAKEN_OVER; /* it is another's place in the meeting now */
    end(c, 0);
    c->left = c->left || others;
    c->gone = c->gone || (others && c->tell_every_us == 0);
    c->tell_at_us = others ? now_us : c->tell_at_us;
    c->leaving = true;
    c->leave_until_us = now_us + CALL_LEAVE_US;
    c->pauses = 0;
    c->ask_at_us = now_us;
}

/* Those who joined together needn't tell together. */
static int64_t next_telling(struct call *c, int64_t now_us)
{
    return now_us + c->tell_every_us / 2 + random_below(c, c->tell_every_us / 2);
}

void call_tell_every(struct call *c, int64_t seconds, int64_t now_us)
{
    int64_t every_us = seconds < CALL_TELL_MIN_S   ? 0
                       : seconds > CALL_TELL_MAX_S ? (int64_t)CALL_TELL_MAX_S * 1000000
                                                   : seconds * 1000000;
    if (every_us == c->tell_every_us)
        return;
    c->tell_every_us = every_us;
    if (every_us > 0)
        c->tell_at_us = next_telling(c, now_us);
}

void call_told(struct call *c, bool again, int64_t now_us)
{
    c->asking = CALL_ASK_NOTHING;
    c->gone = c->gone || c->left;
    if (!again)
        c->tell_every_us = 0;
    else if (c->tell_every_us > 0)
        c->tell_at_us = next_telling(c, now_us);
}

/* ---- what is to be done ---- */

static void look_at_legs(struct call *c, int64_t now_us)
{
    for (size_t i = 0; i < CALL_LEGS; i++) {
        struct call_leg *l = &c->legs[i];
        if (now_us < l->until_us)
            continue;
        if (l->state == CALL_LEG_OLD)
            close_leg(l);
        else if (l->state == CALL_LEG_CLIMBING || l->state == CALL_LEG_LOST)
            call_leg_failed(c, i, now_us);
    }
}

static bool may_tell(const struct call *c)
{
    return c->tell_every_us > 0 && c->asking == CALL_ASK_NOTHING && (c->left || !c->leaving);
}

/* Nothing waits while something is told: what is due takes its place, and that is told again. */
static enum call_ask next_question(const struct call *c, int64_t now_us)
{
    bool free = c->asking == CALL_ASK_NOTHING || c->asking == CALL_ASK_TELL;
    if (free && now_us >= c->ask_at_us) {
        if (c->leaving && !c->left)
            return CALL_ASK_LEAVE;
        if (c->wants_failure)
            return CALL_ASK_FAILURE;
        if (c->wants_join)
            return CALL_ASK_JOIN;
    }
    return may_tell(c) && now_us >= c->tell_at_us ? CALL_ASK_TELL : CALL_ASK_NOTHING;
}

enum call_action call_next(struct call *c, int64_t now_us, size_t *leg)
{
    look_at_legs(c, now_us);
    for (size_t i = 0; i < CALL_LEGS; i++) {
        struct call_leg *l = &c->legs[i];
        enum call_action a = l->open_due ? CALL_DO_OPEN : l->close_due ? CALL_DO_CLOSE : CALL_DO_NOTHING;
        l->open_due = l->close_due = false;
        *leg = i;
        if (a != CALL_DO_NOTHING)
            return a;
    }
    if (c->leaving && now_us >= c->leave_until_us)
        c->gone = true;
    enum call_ask next = c->gone ? CALL_ASK_NOTHING : next_question(c, now_us);
    if (next == CALL_ASK_NOTHING)
        return CALL_DO_NOTHING;
    if (c->asking == CALL_ASK_TELL)
        c->tell_at_us = next_telling(c, now_us);
    c->asking = next;
    c->wants_failure = c->wants_failure && next != CALL_ASK_FAILURE;
    c->wants_join = c->wants_join && next != CALL_ASK_JOIN;
    return CALL_DO_ASK;
}

int64_t call_deadline(const struct call *c)
{
    int64_t at = c->leaving ? c->leave_until_us : INT64_MAX;
    for (size_t i = 0; i < CALL_LEGS; i++) {
        const struct call_leg *l = &c->legs[i];
        if (l->open_due || l->close_due || c->gone)
            return 0;
        if (l->state != CALL_LEG_NONE && l->until_us < at)
            at = l->until_us;
    }
    bool wants = (c->leaving && !c->left) || c->wants_join || c->wants_failure;
    bool free = c->asking == CALL_ASK_NOTHING || c->asking == CALL_ASK_TELL;
    if (wants && free && c->ask_at_us < at)
        at = c->ask_at_us;
    if (may_tell(c) && c->tell_at_us < at)
        at = c->tell_at_us;
    return at;
}

int call_state(const struct call *c)
{
    const struct call_leg *l = &c->legs[c->main];
    if (c->ended)
        return BERTH_CALL_ENDED;
    if (l->state == CALL_LEG_UP)
        return BERTH_CALL_UP;
    if (c->came_up > 0)
        return BERTH_CALL_LOST;
    return l->state == CALL_LEG_NONE ? BERTH_CALL_JOINING : BERTH_CALL_CONNECTING;
}
