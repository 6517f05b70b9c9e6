/* The search for a plan over the short list: descents from several starts. Invariant: what it answers costs no more than any of its starts. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    PAIRS_EFFORT = 4000 /* pairs of columns times participants */
};

/* ---- starts ---- */

/* Everybody nowhere. What follows seats them, and place_draft_count makes the rest of the draft. */
static void start_clear(const struct place_work *w, struct place_draft *s)
{
    memset(s->at, (int)(w->k - 1), w->n);
    memset(s->in, 0, sizeof(s->in));
}

static void start_seat(const struct place_work *w, struct place_draft *s, size_t i, size_t k)
{
    s->at[i] = (uint8_t)k;
    s->in[k] += w->home[i] != k;
}

static void start_at(const struct place_work *w, struct place_draft *s, size_t k)
{
    start_clear(w, s);
    for (size_t i = 0; i < w->n; i++) {
        if (place_move_can_sit(w, i, k) && place_move_fits(w, s, i, k))
            start_seat(w, s, i, k);
    }
    place_draft_count(w, s);
}

static void start_nearest(const struct place_work *w, struct place_draft *s)
{
    start_clear(w, s);
    for (size_t i = 0; i < w->n; i++) {
        const int64_t *own = w->w + i * w->stride;
        size_t best = w->k - 1;

        for (size_t k = 0; w->tight && k < w->k; k++) {
            if (own[k] < own[best] && place_move_fits(w, s, i, k))
                best = k;
        }
        start_seat(w, s, i, w->tight ? best : w->best[i]);
    }
    place_draft_count(w, s);
}

static void start_present(const struct place_work *w, struct place_draft *s)
{
    memcpy(s->at, w->home, w->n);
    place_draft_count(w, s);
}

/* With everybody on the nearer of column `a` and each before it: what their seats cost, and how many are on `a`. */
PLACE_WIDE static void pairs_of(const struct place_work *w, size_t a, int64_t *restrict cost,
                                int64_t *restrict m)
{
    size_t n = (a + 3) / 4 * 4;

    memset(cost, 0, n * sizeof(*cost));
    memset(m, 0, n * sizeof(*m));
    for (size_t i = 0; i < w->n; i++) {
        const int64_t *restrict own = w->w + i * w->stride;
        int64_t mine = own[a];

        for (size_t b = 0; b < n; b++) {
            int64_t nearer = -(int64_t)(mine < own[b]);

            cost[b] += (mine & nearer) | (own[b] & ~nearer);
            m[b] -= nearer;
        }
    }
}

/* Everybody on the nearer of two nodes: the best such pair of as many columns as the effort allows. */
static void start_pair(const struct place_work *w, struct place_draft *s)
{
    size_t cols = w->k - 1, pair[2] = {0, 0};
    int64_t least = INT64_MAX, cost[PLACE_STRIDE], m[PLACE_STRIDE];

    while (cols > 2 && cols * cols / 2 * w->n > PAIRS_EFFORT)
        cols--;
    for (size_t a = 1; a < cols; a++) {
        pairs_of(w, a, cost, m);
        for (size_t b = 0; b < a; b++) {
            cost[b] += m[b] * ((int64_t)w->n - m[b]) * w->d[a * PLACE_STRIDE + b];
            if (cost[b] < least) {
                least = cost[b];
                pair[0] = a;
                pair[1] = b;
            }
        }
    }
    start_clear(w, s);
    for (size_t i = 0; i < w->n; i++) {
        const int64_t *own = w->w + i * w->stride;
        size_t k = own[pair[0]] < own[pair[1]] ? pair[0] : pair[1];

        if (place_move_can_sit(w, i, k) && place_move_fits(w, s, i, k))
            start_seat(w, s, i, k);
    }
    place_draft_count(w, s);
}

/* `ended`: `best` is where a descent ended. */
static void try(const struct place_work *w, struct place_draft *best, struct place_draft *s, uint8_t *scratch,
                bool *ended)
{
    bool better = s->cost < best->cost, end;

    if (better)
        place_draft_copy(w, best, s);
    end = place_descend(w, s, scratch, *ended && !better ? best->at : NULL);
    if (s->cost < best->cost) {
        place_draft_copy(w, best, s);
        *ended = end;
    } else if (better || memcmp(s->at, best->at, w->n) == 0) {
        *ended = (better ? memcmp(s->at, best->at, w->n) == 0 : *ended) && end;
    }
}

/* The best single node is the first column, if any node can serve all. */
static bool all_on_first(const struct place_work *w, const struct place_draft *s)
{
    return w->k > 1 && s->m[0] == (int32_t)w->n;
}

void place_search_best(const struct place_work *w, const struct place_rule *r, struct place_draft *best,
                       bool longer)
{
    struct place_draft s = {.at = w->states[1]};
    size_t starts = longer ? w->k - 1 : 1;
    int64_t single = INT64_MAX;
    bool ended = false;

    memset(w->lock, 0, w->n);
    start_present(w, best);
    place_draft_copy(w, &s, best);
    try(w, best, &s, w->states[2], &ended);
    start_nearest(w, &s);
    try(w, best, &s, w->states[2], &ended);
    start_pair(w, &s);
    try(w, best, &s, w->states[2], &ended);
    for (size_t k = 0; k < starts && k + 1 < w->k; k++) {
        start_at(w, &s, k);
        if (k == 0 && all_on_first(w, &s))
            single = s.cost;
        if (longer || s.cost < best->cost)
            try(w, best, &s, w->states[2], &ended);
    }
    if (single < INT64_MAX && !place_real_gain(r, w->div, single, best->cost))
        start_at(w, best, 0);
    place_cap_improve(w, best, w->states[1], w->states[2]);
}
