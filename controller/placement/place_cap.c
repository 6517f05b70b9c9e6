/* The cap on the worst-off participant's mean latency, relaxed in stages. Invariant: a plan within a lower stage goes before every plan that
 * isn't, whatever its mean; within a stage the mean decides. What counts is latency as measured or predicted, not the cost: a penalty of one
 * is nobody's latency. */
#include "placement/place_internal.h"

enum {
    CAP_EFFORT = 100000, /* participants times columns times steps ... */
    CAP_STEPS_MIN = 4    /* ... and so many in any case */
};
static const int64_t caps_us[PLACE_CAP_STAGES] = {50000, 100000, 200000};

int64_t place_cap_us(int stage)
{
    return caps_us[stage];
}

int place_cap_stage_of(int64_t worst_us)
{
    int stage = 0;

    while (stage < PLACE_CAP_STAGES && worst_us > caps_us[stage])
        stage++;
    return stage;
}

/* How a plan stands to the cap. */
struct standing {
    int64_t known;    /* participants who have a figure where they are */
    int64_t worst_us; /* the greatest of their means */
    size_t worst;     /* whose; w->n: nobody's */
};

static struct standing standing_of(const struct place_work *w, const struct place_draft *s)
{
    struct place_latency all;
    struct standing out = {.worst_us = -1, .worst = w->n};

    place_latency_count(w, s, &all);
    out.known = all.n;
    for (size_t i = 0; i < w->n; i++) {
        int64_t own = place_latency_own(w, s, &all, i);

        if (own > out.worst_us) {
            out.worst_us = own;
            out.worst = i;
        }
    }
    return out;
}

/* No cap is kept by leaving somebody without a seat, nor on a node that he never measured. */
bool place_cap_better(const struct place_work *w, const struct place_draft *a, const struct place_draft *b)
{
    struct standing sa, sb;

    if (!w->capped)
        return a->cost < b->cost;
    if (a->m[w->k - 1] != b->m[w->k - 1])
        return a->m[w->k - 1] < b->m[w->k - 1];
    sa = standing_of(w, a);
    sb = standing_of(w, b);
    if (sa.known != sb.known)
        return sa.known > sb.known;
    if (place_cap_stage_of(sa.worst_us) != place_cap_stage_of(sb.worst_us))
        return sa.worst_us < sb.worst_us;
    return a->cost < b->cost;
}

/* Moves one participant, or all that share its node, to where the worst-off is best off. */
static bool ease(const struct place_work *w, struct place_draft *s, const struct standing *now,
                 struct place_draft *keep)
{
    size_t i = now->worst, from = s->at[i], best = w->k;
    int64_t least = now->worst_us;
    bool all = false;

    for (size_t k = 0; k + 1 < w->k; k++) {
        if (k == from)
            continue;
        for (int whole = 0; whole < 2; whole++) {
            struct standing then;

            place_draft_copy(w, keep, s);
            if (!(whole ? place_move_all(w, keep, from, k) : place_move_one(w, keep, i, k)))
                continue;
            then = standing_of(w, keep);
            if (then.known >= now->known && then.worst_us < least) {
                least = then.worst_us;
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
    size_t steps = CAP_EFFORT / (w->n * w->k + 1);

    if (!w->capped)
        return;
    steps = steps < CAP_STEPS_MIN ? CAP_STEPS_MIN : steps > w->n ? w->n : steps;
    place_draft_copy(w, &to, s);
    for (size_t step = 0; step < steps; step++) {
        struct standing now = standing_of(w, &to);

        if (place_cap_stage_of(now.worst_us) == 0 || !ease(w, &to, &now, &keep))
            break;
        (void)place_room_make(w, &to);
        if (place_cap_better(w, &to, s))
            place_draft_copy(w, s, &to);
    }
}
