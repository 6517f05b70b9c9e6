/* The search for a plan over the short list: descents by four moves (one participant elsewhere; all of a node elsewhere, open or not; a node
 * opened for those whom it brings nearer) from several starts. Invariant: what it answers costs no more than any of its starts, and no column
 * holds more than its limit. */
#include "placement/place_internal.h"

#include <string.h>

enum { PASSES_MAX = 30 }; /* of a descent */

static void copy(const struct place_work *w, struct place_draft *to, const struct place_draft *from)
{
    memcpy(to->at, from->at, w->n);
    memcpy(to->m, from->m, sizeof(to->m));
    memcpy(to->in, from->in, sizeof(to->in));
    memcpy(to->s, from->s, sizeof(to->s));
    to->cost = from->cost;
}

static bool fits(const struct place_work *w, const struct place_draft *s, size_t i, size_t k)
{
    return w->home[i] == k || s->in[k] < w->col[k].limit;
}

/* ---- one participant ---- */

static bool relocate(const struct place_work *w, struct place_draft *s, size_t i)
{
    const int64_t *own = w->w + i * PLACE_COLS, *d = w->d + s->at[i] * PLACE_COLS;
    size_t from = s->at[i], best = from;
    int64_t least = own[from] + s->s[from] + place_fill_saved(w, s, i);

    for (size_t k = 0; k < w->k; k++) {
        int64_t cost = own[k] + s->s[k] - d[k];

        if (cost >= least || k == from || !fits(w, s, i, k))
            continue;
        cost += place_fill_added(w, s, i, k);
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    place_draft_move(w, s, i, best);
    return best != from;
}

static bool relocate_all(const struct place_work *w, struct place_draft *s)
{
    bool any = false;

    for (size_t i = 0; i < w->n; i++) {
        if (!w->lock[i])
            any = relocate(w, s, i) || any;
    }
    return any;
}

/* ---- all of a node ---- */

/* `own[k]`: what the seats on column a would cost on k; `in[k]`: how many of them would be new there. */
static bool sum_of(const struct place_work *w, const struct place_draft *s, size_t a, int64_t *own,
                   int32_t *in)
{
    bool locked = false;

    memset(own, 0, PLACE_COLS * sizeof(*own));
    for (size_t k = 0; k < w->k; k++)
        in[k] = s->m[a];
    for (size_t i = 0; i < w->n; i++) {
        if (s->at[i] != a)
            continue;
        locked = locked || w->lock[i];
        in[w->home[i]]--;
        for (size_t k = 0; k < w->k; k++)
            own[k] += w->w[i * PLACE_COLS + k];
    }
    return !locked;
}

static void move_all(const struct place_work *w, struct place_draft *s, size_t a, size_t b)
{
    for (size_t i = 0; i < w->n; i++) {
        if (s->at[i] == a)
            place_draft_move(w, s, i, b);
    }
}

static bool shift(const struct place_work *w, struct place_draft *s, size_t a)
{
    int64_t own[PLACE_COLS], m = s->m[a], least = 0;
    int32_t in[PLACE_COLS];
    size_t best = a;

    if (m < 2 || !sum_of(w, s, a, own, in))
        return false;
    for (size_t b = 0; b < w->k; b++) {
        int64_t delta = own[b] - own[a] + m * (s->s[b] - m * w->d[a * PLACE_COLS + b] - s->s[a]);

        if (b == a || delta >= least || s->in[b] + in[b] > w->col[b].limit)
            continue;
        delta += w->mult * (place_fill_sum(&w->col[b], s->in[b], s->in[b] + in[b]) -
                            place_fill_sum(&w->col[a], 0, s->in[a]));
        if (delta < least) {
            least = delta;
            best = b;
        }
    }
    if (best == a)
        return false;
    move_all(w, s, a, best);
    return true;
}

static bool shift_any(const struct place_work *w, struct place_draft *s)
{
    bool any = false;

    for (size_t a = 0; a < w->k; a++)
        any = shift(w, s, a) || any;
    return any;
}

/* ---- a node opened ---- */

/* What opening u for all whom it brings nearer would change, by a quick estimate. */
static int64_t opening(const struct place_work *w, const struct place_draft *s, size_t u)
{
    int32_t left[PLACE_COLS];
    int64_t delta = 0, x = 0, in = s->in[u], before = 0, after = 0;

    memcpy(left, s->m, sizeof(left));
    for (size_t i = 0; i < w->n; i++) {
        int64_t gain = w->w[i * PLACE_COLS + u] - w->w[i * PLACE_COLS + s->at[i]];

        if (gain >= 0 || w->lock[i] || (w->home[i] != u && ++in > w->col[u].limit))
            continue;
        delta += gain;
        left[s->at[i]]--;
        x++;
    }
    for (size_t k = 0; k < w->k; k++) {
        int64_t gone = s->m[k] - left[k];

        if (gone == 0)
            continue;
        /* from k's members to everybody, before; to those that stay and to u, after */
        before += gone * s->s[k];
        for (size_t l = 0; l < w->k; l++)
            after += gone * (s->m[l] - left[l]) * w->d[k * PLACE_COLS + l];
    }
    before -= after / 2;
    after = x * s->s[u];
    for (size_t k = 0; k < w->k; k++)
        after -= x * (s->m[k] - left[k]) * w->d[k * PLACE_COLS + u];
    return x == 0 ? 0 : delta + after - before;
}

static void open_for(const struct place_work *w, struct place_draft *s, size_t u)
{
    for (size_t i = 0; i < w->n; i++) {
        if (!w->lock[i] && fits(w, s, i, u) && w->w[i * PLACE_COLS + u] < w->w[i * PLACE_COLS + s->at[i]])
            place_draft_move(w, s, i, u);
    }
}

static bool open_any(const struct place_work *w, struct place_draft *s, uint8_t *scratch)
{
    struct place_draft keep = {.at = scratch};
    int64_t least = 0;
    size_t best = w->k;

    for (size_t u = 0; u + 1 < w->k; u++) {
        int64_t delta = opening(w, s, u);

        if (delta < least) {
            least = delta;
            best = u;
        }
    }
    if (best == w->k)
        return false;
    copy(w, &keep, s);
    open_for(w, s, best);
    if (s->cost < keep.cost)
        return true;
    copy(w, s, &keep);
    return false;
}

void place_search_descend(const struct place_work *w, struct place_draft *s, uint8_t *scratch)
{
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        bool any = relocate_all(w, s);

        any = shift_any(w, s) || any;
        if (!any && !open_any(w, s, scratch))
            return;
    }
}

/* ---- starts ---- */

static void start_at(const struct place_work *w, struct place_draft *s, size_t k)
{
    size_t nowhere = w->k - 1;

    for (size_t i = 0; i < w->n; i++) {
        if (!w->lock[i])
            s->at[i] = (uint8_t)nowhere;
    }
    place_draft_count(w, s);
    for (size_t i = 0; k != nowhere && i < w->n; i++) {
        if (!w->lock[i] && w->w[i * PLACE_COLS + k] < w->w[i * PLACE_COLS + nowhere] && fits(w, s, i, k))
            place_draft_move(w, s, i, k);
    }
}

static void start_nearest(const struct place_work *w, struct place_draft *s)
{
    start_at(w, s, w->k - 1);
    for (size_t i = 0; i < w->n; i++) {
        const int64_t *own = w->w + i * PLACE_COLS;
        size_t best = w->k - 1;

        for (size_t k = 0; k < w->k; k++) {
            if (own[k] < own[best] && fits(w, s, i, k))
                best = k;
        }
        if (!w->lock[i])
            place_draft_move(w, s, i, best);
    }
}

static void start_present(const struct place_work *w, struct place_draft *s)
{
    start_at(w, s, w->k - 1);
    for (size_t i = 0; i < w->n; i++) {
        if (!w->lock[i])
            place_draft_move(w, s, i, w->home[i]);
    }
}

static void try(const struct place_work *w, struct place_draft *best, struct place_draft *s, uint8_t *scratch)
{
    place_search_descend(w, s, scratch);
    if (s->cost < best->cost)
        copy(w, best, s);
}

void place_search_best(const struct place_work *w, struct place_draft *best, bool longer)
{
    struct place_draft s = {.at = w->states[1]};

    memset(w->lock, 0, w->n);
    start_present(w, best);
    copy(w, &s, best);
    try(w, best, &s, w->states[2]);
    start_nearest(w, &s);
    try(w, best, &s, w->states[2]);
    for (size_t k = 0; k + 1 < w->k; k++) {
        if (!longer && k > 1)
            break;
        start_at(w, &s, k);
        if (s.cost < best->cost)
            copy(w, best, &s);
        try(w, best, &s, w->states[2]);
    }
}
