/* What is done now, given who sits where: newcomers and those who can't stay get a seat; others are moved only for a gain that is worth it.
 * Invariant: whoever can stay is moved only if its own latency falls by the rules' figures, and not again within the interval. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    GAIN_US = 10000,
    GAIN_PCT = 33,
    INTERVAL_US = 60000000,
    JOIN_US = 5000,
    JOIN_PCT = 10,
    ROUNDS = 2,
    ALONE_SHARE = 2
};

static int64_t rule(int64_t given, int64_t normal)
{
    return given == 0 ? normal : given < 0 ? 0 : given;
}

struct place_rule place_rule_of(const struct place_problem *p)
{
    const struct place_rules *r = &p->rules;

    return (struct place_rule){rule(r->gain_us, GAIN_US), rule(r->gain_pct, GAIN_PCT),
                               rule(r->interval_us, INTERVAL_US), rule(r->join_us, JOIN_US),
                               rule(r->join_pct, JOIN_PCT)};
}

static bool moved_lately(const struct place_problem *p, const struct place_work *w,
                         const struct place_rule *r, size_t i)
{
    int64_t ago = p->participants[w->who[i]].moved_ago_us;

    return ago > 0 && ago < r->interval_us;
}

/* Who is on a node by measurements that have expired, or by a prediction, stays; who was put there by guess follows the others. */
static bool may_move(const struct place_problem *p, const struct place_work *w, size_t i)
{
    return p->participants[w->who[i]].measured || p->participants[w->who[i]].guessed;
}

/* An own cost is twice a one-way latency, n - 1 times. Of what all moves together gain it, its own is to bring a part: else it would be moved
 * for what others' moves do. */
static bool worth_it(const struct place_work *w, const struct place_rule *r, const struct place_draft *s,
                     size_t i)
{
    int64_t before = w->before[i], gain = before - place_own_cost(w, s, i);
    int64_t alone = place_own_gain(w, s, i, w->home[i]);

    return gain >= 2 * w->mult * r->gain_us && gain * 100 >= before * r->gain_pct && gain > 0 &&
           alone >= 2 * w->mult * r->gain_us / ALONE_SHARE && alone > 0;
}

static void seat_newcomers(struct place_work *w, struct place_draft *s)
{
    size_t newcomers = 0, last = 0;

    for (size_t i = 0; i < w->n; i++) {
        s->at[i] = w->home[i];
        w->lock[i] = s->at[i] != w->k - 1;
        newcomers += !w->lock[i];
        last = w->lock[i] ? last : i;
    }
    place_draft_count(w, s);
    if (newcomers == 1)
        place_move_best(w, s, last);
    else if (newcomers > 1)
        place_descend(w, s, w->states[2], NULL);
}

/* Takes back from the plan `to` the moves that aren't worth it, until all that are left are. Those who stay are locked. */
static void prune(const struct place_problem *p, struct place_work *w, const struct place_rule *r,
                  struct place_draft *to)
{
    size_t nowhere = w->k - 1;
    bool any = true;

    memset(w->lock, 0, w->n);
    while (any) {
        any = false;
        for (size_t i = 0; i < w->n; i++) {
            if (w->home[i] == nowhere || w->lock[i])
                continue;
            if (w->home[i] != to->at[i] && may_move(p, w, i) && worth_it(w, r, to, i)) {
                if (!moved_lately(p, w, r, i))
                    continue;
                w->flags[i] |= PLACE_F_LATELY;
            }
            any = any || w->home[i] != to->at[i];
            w->lock[i] = w->home[i] != to->at[i];
            place_draft_move(w, to, i, w->home[i]);
        }
    }
    for (size_t i = 0; i < w->n; i++)
        w->lock[i] = w->home[i] != nowhere && to->at[i] == w->home[i];
}

/* Makes of a plan that knows no rules the best that the rules allow near it, and takes that if it is better. */
static void bend(const struct place_problem *p, struct place_work *w, const struct place_rule *r,
                 struct place_draft *to, struct place_draft *out)
{
    for (int round = 0; round < ROUNDS; round++) {
        prune(p, w, r, to);
        if (place_cap_better(w, to, out))
            place_draft_copy(w, out, to);
        place_descend(w, to, w->states[2], NULL);
    }
    prune(p, w, r, to);
    if (place_cap_better(w, to, out))
        place_draft_copy(w, out, to);
}

void place_online(const struct place_problem *p, struct place_work *w, struct place_draft *out)
{
    struct place_draft to = {.at = w->states[3]};
    struct place_rule r = place_rule_of(p);
    bool settled = false;

    place_search_best(w, &r, &to, false);
    seat_newcomers(w, out);
    place_close(w, &r, out, w->states[2]);
    (void)place_room_make(w, out);
    place_cap_improve(w, out, w->states[1], w->states[2]);
    for (size_t i = 0; i < w->n; i++) {
        settled = settled || w->home[i] != w->k - 1;
        w->before[i] = w->home[i] != w->k - 1 ? place_own_cost(w, out, i) : -1;
    }
    w->now = settled ? out->cost : -1;
    if (!settled) {
        place_draft_copy(w, out, &to);
        return;
    }
    if (w->capped || out->cost - to.cost >= w->mult * r.gain_us) /* less isn't worth anybody's move */
        bend(p, w, &r, &to, out);
}
