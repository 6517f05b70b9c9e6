/* What is done now, given who sits where: newcomers and those who can't stay get a seat; others are moved only for a gain that is worth it.
 * Invariant: whoever can stay is moved only if its own latency falls by the rules' figures, and not again within the interval. */
#include "placement/place_internal.h"

#include <string.h>

enum { GAIN_US = 10000, GAIN_PCT = 33, INTERVAL_US = 60000000, JOIN_US = 5000, JOIN_PCT = 10 };

static int64_t rule(int64_t given, int64_t normal)
{
    return given == 0 ? normal : given < 0 ? 0 : given;
}

struct rules {
    int64_t gain_us, gain_pct, interval_us, join_us, join_pct;
};

static struct rules rules_of(const struct place_problem *p)
{
    const struct place_rules *r = &p->rules;

    return (struct rules){rule(r->gain_us, GAIN_US), rule(r->gain_pct, GAIN_PCT),
                          rule(r->interval_us, INTERVAL_US), rule(r->join_us, JOIN_US),
                          rule(r->join_pct, JOIN_PCT)};
}

static bool moved_lately(const struct place_problem *p, const struct place_work *w, const struct rules *r,
                         size_t i)
{
    int64_t ago = p->participants[w->who[i]].moved_ago_us;

    return ago > 0 && ago < r->interval_us;
}

/* An own cost is twice a one-way latency, n - 1 times. */
static bool worth_it(const struct place_work *w, const struct rules *r, int64_t before, int64_t after)
{
    return before - after >= 2 * w->mult * r->gain_us && (before - after) * 100 >= before * r->gain_pct &&
           before > after;
}

static void seat_newcomers(const struct place_problem *p, struct place_work *w, struct place_draft *s)
{
    (void)p;
    for (size_t i = 0; i < w->n; i++) {
        s->at[i] = w->home[i];
        w->lock[i] = s->at[i] != w->k - 1;
    }
    place_draft_count(w, s);
    place_search_descend(w, s, w->states[2]);
}

/* Takes back from the plan `to` the moves that aren't worth it, until all that are left are. */
static void prune(const struct place_problem *p, struct place_work *w, const struct place_draft *now,
                  struct place_draft *to)
{
    struct rules r = rules_of(p);

    for (size_t pass = 0; pass <= w->n; pass++) {
        bool any = false;

        for (size_t i = 0; i < w->n; i++) {
            size_t stay = w->home[i];

            if (stay == w->k - 1 || stay == to->at[i])
                continue;
            if (!moved_lately(p, w, &r, i) &&
                worth_it(w, &r, place_own_cost(w, now, i), place_own_cost(w, to, i)))
                continue;
            place_draft_move(w, to, i, stay);
            w->lock[i] = 1;
            any = true;
        }
        if (!any)
            return;
    }
}

void place_online(const struct place_problem *p, struct place_work *w, struct place_draft *out)
{
    struct place_draft best = {.at = w->states[3]};

    place_search_best(w, &best, false);
    seat_newcomers(p, w, out);
    w->now = out->cost;
    for (size_t i = 0; i < w->n; i++)
        w->before[i] = w->home[i] != w->k - 1 ? place_own_cost(w, out, i) : -1;
    memset(w->lock, 0, w->n);
    prune(p, w, out, &best);
    if (best.cost < out->cost) {
        memcpy(out->at, best.at, w->n);
        place_draft_count(w, out);
    }
}
