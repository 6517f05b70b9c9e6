/* The cap on the worst-off participant's mean latency, relaxed in stages. Invariant: a plan within a lower stage goes before every plan that
 * isn't, whatever its mean; within a stage the mean decides. */
#include "placement/place_internal.h"

static const int64_t caps_us[PLACE_CAP_STAGES] = {50000, 100000, 200000};

int64_t place_cap_us(int stage)
{
    return caps_us[stage];
}

/* The participant of greatest own cost, of those who have a seat; w->n: nobody. */
static size_t worst_of(const struct place_work *w, const struct place_draft *s, int64_t *cost)
{
    size_t worst = w->n;

    *cost = 0;
    for (size_t i = 0; i < w->n; i++) {
        int64_t own = s->at[i] + 1u == w->k ? 0 : place_own_cost(w, s, i);

        if (own > *cost) {
            *cost = own;
            worst = i;
        }
    }
    return worst;
}

int place_cap_stage(const struct place_work *w, const struct place_draft *s)
{
    int stage = 0;
    int64_t cost;

    (void)worst_of(w, s, &cost);
    while (stage < PLACE_CAP_STAGES && cost > 2 * w->mult * caps_us[stage])
        stage++;
    return stage;
}

bool place_cap_better(const struct place_work *w, const struct place_draft *a, const struct place_draft *b)
{
    if (w->capped) {
        int sa = place_cap_stage(w, a), sb = place_cap_stage(w, b);

        if (sa != sb)
            return sa < sb;
    }
    return a->cost < b->cost;
}

/* Moves one participant, or all that share its node, to where the worst-off is best off. */
static bool ease(const struct place_work *w, struct place_draft *s, size_t i, int64_t worst,
                 struct place_draft *keep)
{
    size_t from = s->at[i], best = w->k;
    int64_t least = worst, cost;
    bool all = false;

    for (size_t k = 0; k + 1 < w->k; k++) {
        if (k == from)
            continue;
        for (int whole = 0; whole < 2; whole++) {
            place_draft_copy(w, keep, s);
            if (!(whole ? place_move_all(w, keep, from, k) : place_move_one(w, keep, i, k)))
                continue;
            (void)worst_of(w, keep, &cost);
            if (cost < least) {
                least = cost;
                best = k;
                all = whole;
            }
        }
    }
    if (best == w->k)
        return false;
    return all ? place_move_all(w, s, from, best) : place_move_one(w, s, i, best);
}

void place_cap_improve(const struct place_work *w, struct place_draft *s, uint8_t *scratch, uint8_t *scratch2)
{
    struct place_draft keep = {.at = scratch}, to = {.at = scratch2};
    int64_t cost;

    if (!w->capped || place_cap_stage(w, s) == 0)
        return;
    place_draft_copy(w, &to, s);
    for (size_t step = 0; step < w->n; step++) {
        size_t i = worst_of(w, &to, &cost);

        if (i == w->n || !ease(w, &to, i, cost, &keep))
            break;
        if (place_cap_better(w, &to, s))
            place_draft_copy(w, s, &to);
    }
}
