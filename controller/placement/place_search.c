/* The search for a plan over the short list: descents by four moves (one participant elsewhere; all of a node elsewhere, open or not; a node
 * opened for those whom it brings nearer) from several starts. Invariant: what it answers costs no more than any of its starts, and no column
 * holds more than its limit. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    PAIRS_EFFORT = 4000 /* pairs of columns times participants */
};

static bool fits(const struct place_work *w, const struct place_draft *s, size_t i, size_t k)
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

        if (cost >= least || k == from || !fits(w, s, i, k))
            continue;
        cost += place_fill_added(w, s, i, k);
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    return best;
}

bool place_search_relocate(const struct place_work *w, struct place_draft *s, size_t i)
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
        if (place_search_relocate(w, s, i++)) {
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

static bool can_sit(const struct place_work *w, size_t i, size_t k)
{
    return w->w[i * w->stride + k] < w->w[i * w->stride + w->k - 1];
}

bool place_search_move(const struct place_work *w, struct place_draft *s, size_t i, size_t to)
{
    if (w->lock[i] || !can_sit(w, i, to) || !fits(w, s, i, to))
        return false;
    place_draft_move(w, s, i, to);
    return true;
}

bool place_search_move_all(const struct place_work *w, struct place_draft *s, size_t from, size_t to)
{
    int64_t in = s->in[to];

    for (size_t i = 0; i < w->n; i++) {
        if (s->at[i] != from)
            continue;
        in += w->home[i] != to;
        if (w->lock[i] || !can_sit(w, i, to) || in > w->col[to].limit)
            return false;
    }
    move_all(w, s, from, to);
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
        if (delta < least) {
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
        if (!w->lock[i] && fits(w, s, i, u) && w->w[i * w->stride + u] < w->w[i * w->stride + s->at[i]])
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

/* `known`: a state where a descent ended, if any. Returns whether this one came to an end too. */
static bool descend(const struct place_work *w, struct place_draft *s, uint8_t *scratch, const uint8_t *known)
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
        if (!open_any(w, s, scratch))
            return true;
        still = 0;
        shifted = true;
    }
    return false;
}

void place_search_descend(const struct place_work *w, struct place_draft *s, uint8_t *scratch)
{
    (void)descend(w, s, scratch, NULL);
}

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
        if (can_sit(w, i, k) && fits(w, s, i, k))
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
            if (own[k] < own[best] && fits(w, s, i, k))
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

        if (can_sit(w, i, k) && fits(w, s, i, k))
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
    end = descend(w, s, scratch, *ended && !better ? best->at : NULL);
    if (s->cost < best->cost) {
        place_draft_copy(w, best, s);
        *ended = end;
    } else if (better || memcmp(s->at, best->at, w->n) == 0) {
        *ended = (better ? memcmp(s->at, best->at, w->n) == 0 : *ended) && end;
    }
}

static bool real_gain(const struct place_rule *r, int64_t scale, int64_t without, int64_t with)
{
    return without - with >= r->join_us * scale || (without - with) * 100 >= without * r->join_pct;
}

/* The best open column for participant i but for its own. */
static size_t best_other(const struct place_work *w, const struct place_draft *s, size_t i)
{
    size_t from = s->at[i], best = from;
    int64_t least = 0;

    for (size_t k = 0; k + 1 < w->k; k++) {
        int64_t delta;

        if (k == from || s->m[k] == 0 || !fits(w, s, i, k))
            continue;
        delta = place_draft_delta(w, s, i, k);
        if (best == from || delta < least) {
            best = k;
            least = delta;
        }
    }
    return best;
}

/* Does anybody on column k lose in earnest when it is closed? Leaves it closed if not. */
static void close_if_needless(const struct place_work *w, const struct place_rule *r, struct place_draft *s,
                              size_t k, struct place_draft *keep)
{
    place_draft_copy(w, keep, s);
    for (size_t i = 0; i < w->n; i++) {
        int64_t with;
        size_t other;

        if (keep->at[i] != k)
            continue;
        with = place_own_cost(w, keep, i);
        other = best_other(w, s, i);
        place_draft_move(w, s, i, other);
        if (other == k || real_gain(r, 2 * w->mult, place_own_cost(w, s, i), with)) {
            place_draft_copy(w, s, keep);
            return;
        }
    }
}

/* Several nodes only for a real gain: where all who were there are on one node, closes what was opened beside it, the least used first, if
 * nobody would miss it. */
void place_search_close(const struct place_work *w, const struct place_rule *r, struct place_draft *s,
                        uint8_t *scratch)
{
    struct place_draft keep = {.at = scratch};
    bool used[PLACE_COLS] = {false};
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++) {
        n += !used[w->home[i]] && w->home[i] + 1u < w->k;
        used[w->home[i]] = true;
    }
    if (n > 1)
        return;
    for (int32_t m = 1; m <= (int32_t)w->n; m++) {
        for (size_t k = 0; k + 1 < w->k; k++) {
            if (!used[k] && s->m[k] == m)
                close_if_needless(w, r, s, k, &keep);
        }
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
    if (single < INT64_MAX && !real_gain(r, w->div, single, best->cost))
        start_at(w, best, 0);
    place_cap_improve(w, best, w->states[1], w->states[2]);
}
