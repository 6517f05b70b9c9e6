/* The moves of the search, and the descent by them: one participant elsewhere; all of a node elsewhere, open or not; a node opened for those whom
 * it brings nearer. Invariant: no move makes a plan dearer, puts more on a column than its limit, or anybody where he can't sit. */
#include "placement/place_internal.h"

#include <string.h>

bool place_move_fits(const struct place_work *w, const struct place_draft *s, size_t i, size_t k)
{
    return w->home[i] == k || s->in[k] < w->col[k].limit;
}

/* ---- one participant ---- */

/* The least that participant i would add anywhere, room and its price apart. */
static inline int64_t least_way(const struct place_work *w, const struct place_draft *s, size_t i)
{
    const int64_t *restrict own = w->w + i * w->stride, *restrict d = w->d + s->at[i] * PLACE_STRIDE;
    const int64_t *restrict to = s->s;
    int64_t least = INT64_MAX;

    for (size_t k = 0; k < w->stride; k++) {
        int64_t cost = own[k] + to[k] - d[k];

        least = cost < least ? cost : least;
    }
    return least;
}

/* The first participant from `i` on, before `end`, who may be better off elsewhere: most are not. */
PLACE_WIDE static size_t next_restless(const struct place_work *w, const struct place_draft *s, size_t i,
                                       size_t end)
{
    for (; i < end; i++) {
        size_t at = s->at[i];
        int64_t now = w->w[i * w->stride + at] + s->s[at];

        now += w->tight ? place_fill_saved(w, s, i) : 0;
        if (!w->lock[i] && least_way(w, s, i) < now)
            break;
    }
    return i;
}

/* The best column for participant i, the others where they are; its own where none is better. */
static size_t best_column(const struct place_work *w, const struct place_draft *s, size_t i)
{
    const int64_t *own = w->w + i * w->stride, *d = w->d + s->at[i] * PLACE_STRIDE;
    size_t best = s->at[i];
    int64_t least = own[best] + s->s[best];

    for (size_t k = 0; k < w->k; k++) {
        int64_t cost = own[k] + s->s[k] - d[k];

        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    return best;
}

/* The same where room is short or has a price. */
static size_t best_with_room(const struct place_work *w, const struct place_draft *s, size_t i)
{
    const int64_t *own = w->w + i * w->stride, *d = w->d + s->at[i] * PLACE_STRIDE;
    size_t from = s->at[i], best = from;
    int64_t least = own[from] + s->s[from] + place_fill_saved(w, s, i);

    for (size_t k = 0; k < w->k; k++) {
        int64_t cost = own[k] + s->s[k] - d[k];

        if (cost >= least || k == from || !place_move_fits(w, s, i, k))
            continue;
        cost += place_fill_added(w, s, i, k);
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    return best;
}

bool place_move_best(const struct place_work *w, struct place_draft *s, size_t i)
{
    size_t from = s->at[i], best = w->tight ? best_with_room(w, s, i) : best_column(w, s, i);

    place_draft_move(w, s, i, best);
    return best != from;
}

/* `still`: how many in a row, up to where it begins and around, were looked at since somebody last moved; nothing is to be found any more when
 * all were. */
static bool relocate_all(const struct place_work *w, struct place_draft *s, size_t *still)
{
    bool any = false;
    size_t i = 0;

    while (i < w->n && *still < w->n) {
        size_t left = w->n - *still, end = left < w->n - i ? i + left : w->n;
        size_t next = next_restless(w, s, i, end);

        *still += next - i;
        i = next;
        if (i == end)
            continue;
        (*still)++;
        if (place_move_best(w, s, i++)) {
            *still = 1;
            any = true;
        }
    }
    return any;
}

/* ---- all of a node ---- */

/* What the seats on every column together would cost on each, where they are at home, and whether all of them may go. */
PLACE_WIDE static void group_all(const struct place_work *w, const struct place_draft *s)
{
    for (size_t a = 0; a < w->k; a++) {
        if (s->m[a] > 0)
            memset(&w->group[a], 0, sizeof(w->group[a]));
    }
    for (size_t i = 0; i < w->n; i++) {
        struct place_group *g = &w->group[s->at[i]];
        int64_t *restrict own = g->own;
        const int64_t *restrict one = w->w + i * w->stride;

        for (size_t k = 0; k < w->stride; k++)
            own[k] += one[k];
        g->home[w->home[i]]++;
        g->locked |= w->lock[i];
    }
}

/* All of column a have gone to b, which may have been empty. */
static void group_join(const struct place_work *w, size_t a, size_t b, bool empty)
{
    for (size_t k = 0; k < w->k; k++) {
        w->group[b].own[k] = w->group[a].own[k] + (empty ? 0 : w->group[b].own[k]);
        w->group[b].home[k] = w->group[a].home[k] + (empty ? 0 : w->group[b].home[k]);
    }
    w->group[b].locked = !empty && w->group[b].locked;
}

static void move_all(const struct place_work *w, struct place_draft *s, size_t a, size_t b)
{
    for (size_t i = 0; i < w->n; i++) {
        if (s->at[i] == a)
            place_draft_move(w, s, i, b);
    }
}

bool place_move_can_sit(const struct place_work *w, size_t i, size_t k)
{
    return w->w[i * w->stride + k] < w->w[i * w->stride + w->k - 1];
}

bool place_move_one(const struct place_work *w, struct place_draft *s, size_t i, size_t to)
{
    if (w->lock[i] || !place_move_can_sit(w, i, to) || !place_move_fits(w, s, i, to))
        return false;
    place_draft_move(w, s, i, to);
    return true;
}

bool place_move_all(const struct place_work *w, struct place_draft *s, size_t from, size_t to)
{
    int64_t in = s->in[to];

    for (size_t i = 0; i < w->n; i++) {
        if (s->at[i] != from)
            continue;
        in += w->home[i] != to;
        if (w->lock[i] || !place_move_can_sit(w, i, to) || in > w->col[to].limit)
            return false;
    }
    move_all(w, s, from, to);
    return true;
}

/* Looked at last, as hardly anything gets so far. */
static bool all_can_sit(const struct place_work *w, const struct place_draft *s, size_t a, size_t b)
{
    for (size_t i = 0; i < w->n; i++) {
        if (s->at[i] == a && !place_move_can_sit(w, i, b))
            return false;
    }
    return true;
}

static bool shift(const struct place_work *w, struct place_draft *s, size_t a)
{
    const struct place_group *g = &w->group[a];
    int64_t m = s->m[a], least = 0;
    size_t best = a;
    bool empty;

    if (m < 2 || g->locked)
        return false;
    for (size_t b = 0; b < w->k; b++) {
        int64_t delta = g->own[b] - g->own[a] + m * (s->s[b] - m * w->d[a * PLACE_STRIDE + b] - s->s[a]);
        int64_t in = s->in[b] + m - g->home[b];

        if (b == a || delta >= least || in > w->col[b].limit)
            continue;
        delta +=
            w->mult * (place_fill_sum(&w->col[b], s->in[b], in) - place_fill_sum(&w->col[a], 0, s->in[a]));
        if (delta < least && all_can_sit(w, s, a, b)) {
            least = delta;
            best = b;
        }
    }
    if (best == a)
        return false;
    empty = s->m[best] == 0;
    move_all(w, s, a, best);
    group_join(w, a, best, empty);
    return true;
}

static bool shift_any(const struct place_work *w, struct place_draft *s)
{
    bool any = false;

    group_all(w, s);
    for (size_t a = 0; a < w->k; a++)
        any = shift(w, s, a) || any;
    return any;
}

/* ---- a node opened ---- */

/* For every column: whom opening it would bring nearer, and what their own seats save. */
PLACE_WIDE static void leavers(const struct place_work *w, const struct place_draft *s)
{
    for (size_t a = 0; a < w->k; a++) {
        if (s->m[a] > 0)
            memset(&w->leave[a], 0, sizeof(w->leave[a]));
    }
    for (size_t i = 0; i < w->n; i++) {
        const int64_t *restrict own = w->w + i * w->stride;
        int64_t *restrict saved = w->leave[s->at[i]].saved;
        int64_t *restrict gone = w->leave[s->at[i]].gone;
        int64_t now = own[s->at[i]];

        if (w->lock[i] || own[w->best[i]] == now)
            continue;
        for (size_t u = 0; u < w->stride; u++) {
            int64_t nearer = -(int64_t)(own[u] < now);

            saved[u] += (own[u] - now) & nearer;
            gone[u] -= nearer;
        }
    }
}

/* The same of one column that may be full. */
static void leavers_with_room(const struct place_work *w, const struct place_draft *s, size_t u)
{
    int64_t in = s->in[u];

    for (size_t a = 0; a < w->k; a++)
        w->leave[a].gone[u] = 0, w->leave[a].saved[u] = 0;
    for (size_t i = 0; i < w->n; i++) {
        int64_t gain = w->w[i * w->stride + u] - w->w[i * w->stride + s->at[i]];
        bool goes = (gain < 0) & !w->lock[i];

        if (goes && w->home[i] != u)
            goes = ++in <= w->col[u].limit;
        w->leave[s->at[i]].gone[u] += goes;
        w->leave[s->at[i]].saved[u] += goes ? gain : 0;
    }
}

/* What opening u for all whom it brings nearer would change, but for the price of room. */
static int64_t opening(const struct place_work *w, const struct place_draft *s, const size_t *open, size_t n,
                       size_t u)
{
    const int64_t *d = w->d + u * PLACE_STRIDE;
    int64_t delta = 0, x = 0;

    if (w->tight)
        leavers_with_room(w, s, u);
    for (size_t a = 0; a < n; a++) {
        x += w->leave[open[a]].gone[u];
        delta += w->leave[open[a]].saved[u];
    }
    /* To everybody, before; to those that stay and not among themselves, after. */
    delta += x * s->s[u];
    for (size_t a = 0; a < n; a++) {
        size_t from = open[a];
        int64_t gone = w->leave[from].gone[u], among = 0;

        if (gone == 0)
            continue;
        for (size_t b = 0; b < n; b++)
            among += w->leave[open[b]].gone[u] * w->d[from * PLACE_STRIDE + open[b]];
        delta -= gone * (s->s[from] + x * d[from]) - gone * among / 2;
    }
    return delta;
}

static void open_for(const struct place_work *w, struct place_draft *s, size_t u)
{
    for (size_t i = 0; i < w->n; i++) {
        if (!w->lock[i] && place_move_fits(w, s, i, u) &&
            w->w[i * w->stride + u] < w->w[i * w->stride + s->at[i]])
            place_draft_move(w, s, i, u);
    }
}

static bool open_any(const struct place_work *w, struct place_draft *s, uint8_t *scratch)
{
    struct place_draft keep = {.at = scratch};
    size_t best = w->k, open[PLACE_COLS], n = 0;
    int64_t least = 0;

    for (size_t k = 0; k < w->k; k++) {
        if (s->m[k] > 0)
            open[n++] = k;
    }
    if (!w->tight)
        leavers(w, s);
    for (size_t u = 0; u + 1 < w->k; u++) {
        int64_t delta = opening(w, s, open, n, u);

        if (delta < least) {
            least = delta;
            best = u;
        }
    }
    if (best == w->k)
        return false;
    place_draft_copy(w, &keep, s);
    open_for(w, s, best);
    if (s->cost < keep.cost)
        return true;
    place_draft_copy(w, s, &keep);
    return false;
}

/* ---- the descent ---- */

bool place_descend(const struct place_work *w, struct place_draft *s, uint8_t *scratch, const uint8_t *known)
{
    size_t still = 0;
    bool shifted = true;

    for (int pass = 0; pass < w->passes; pass++) {
        bool any = relocate_all(w, s, &still);

        if (known != NULL && memcmp(s->at, known, w->n) == 0)
            return true;
        if (any || shifted) {
            shifted = shift_any(w, s);
            still = shifted ? 0 : still;
        }
        if (any || shifted)
            continue;
        if (!open_any(w, s, scratch) && !place_room_make(w, s))
            return true;
        still = 0;
        shifted = true;
    }
    return false;
}
