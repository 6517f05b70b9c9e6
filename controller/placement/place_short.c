/* The short list: the nodes that the search over several nodes looks at. Invariant: the best single node and every node that somebody is on
 * are in it (as far as there is room), whatever the number of candidates. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    PASSES_MAX = 30, /* of a descent */
    PASSES_MIN = 4,
    PASSES_EFFORT = 60000, /* participants times columns times passes, on a request's way */
    SINGLES = 4
}; /* best single nodes that are taken in any case */

static bool listed(const struct place_work *w, uint32_t v)
{
    for (size_t k = 0; k < w->k; k++) {
        if (w->col[k].node == v)
            return true;
    }
    return false;
}

static void add(struct place_work *w, uint32_t v)
{
    if (w->k < w->k_max && !listed(w, v))
        w->col[w->k++].node = v;
}

static void add_singles(struct place_work *w, size_t most)
{
    for (size_t n = 0; n < most && w->k < w->k_max; n++) {
        uint32_t best = PLACE_RANK_NONE;

        for (uint32_t v = 0; v < w->nodes; v++) {
            if (w->n_far[v] == 0 && w->room[v] >= 0 && !listed(w, v) &&
                (best == PLACE_RANK_NONE || w->sum[v] < w->sum[best]))
                best = v;
        }
        if (best == PLACE_RANK_NONE)
            return;
        add(w, best);
    }
}

static void add_present(struct place_work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->present[i] != PLACE_RANK_NONE)
            add(w, w->present[i]);
    }
}

/* The one of greatest gain, if any; it has none any more then. */
static uint32_t take_greatest(struct place_work *w)
{
    const int64_t *gain = w->gain;
    int64_t most = 0;
    uint32_t best = PLACE_RANK_NONE;

    for (uint32_t v = 0; v < w->nodes; v++) {
        if (gain[v] > most) {
            most = gain[v];
            best = v;
        }
    }
    if (best != PLACE_RANK_NONE)
        w->gain[best] = 0;
    return best;
}

static void add_by_gain(struct place_work *w)
{
    while (w->k < w->k_max) {
        uint32_t v = take_greatest(w);

        if (v == PLACE_RANK_NONE)
            return;
        add(w, v);
    }
}

/* The most often nearest first. */
static void add_nearest(struct place_work *w)
{
    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t i = 0; i < w->n; i++) {
        if (w->nearest[i] != PLACE_RANK_NONE)
            w->gain[w->nearest[i]]++;
    }
    add_by_gain(w);
}

/* The rest: what saves the participants most against where they'd be on the best single node. */
static void add_savers(struct place_work *w)
{
    int64_t *restrict gain = w->gain;
    size_t nodes = w->nodes;

    if (w->k == w->k_max)
        return;
    memset(gain, 0, nodes * sizeof(*gain));
    for (size_t i = 0; i < w->n; i++) {
        const int32_t *restrict cost = w->cost + i * nodes;
        int32_t with =
            w->k > 0 && cost[w->col[0].node] != PLACE_FAR ? cost[w->col[0].node] : PLACE_NOWHERE_US;

        for (size_t v = 0; v < nodes; v++)
            gain[v] += cost[v] < with ? with - cost[v] : 0;
    }
    for (size_t v = 0; v < nodes; v++)
        gain[v] = w->room[v] > 0 ? gain[v] : 0;
    for (size_t k = 0; k < w->k; k++)
        gain[w->col[k].node] = 0;
    add_by_gain(w);
}

static void fill_column(const struct place_problem *p, struct place_work *w, struct place_col *c)
{
    const struct place_node *n = &p->nodes[w->node_at[c->node]];
    int64_t room = w->room[c->node];

    c->capacity = n->capacity;
    c->assigned = n->assigned;
    c->limit = room > (int64_t)w->n ? (int32_t)w->n : (int32_t)room;
    w->tight = w->tight || room < (int64_t)w->n || place_fill_price(c, (int64_t)w->n) > 0;
}

static void fill_matrix(const struct place_problem *p, struct place_work *w)
{
    size_t nowhere = w->k - 1;

    for (size_t a = 0; a < w->k; a++) {
        w->d[a * PLACE_COLS + a] = 0;
        for (size_t b = 0; b < a; b++) {
            int64_t us = a == nowhere ? 0 : place_node_rtt(p, w, w->col[a].node, w->col[b].node);

            w->d[a * PLACE_COLS + b] = w->d[b * PLACE_COLS + a] = us;
        }
    }
    for (size_t i = 0; i < w->n; i++) {
        const int32_t *cost = w->cost + i * w->nodes;
        int64_t *out = w->w + i * PLACE_COLS;

        for (size_t k = 0; k < nowhere; k++) {
            uint32_t v = w->col[k].node;
            bool can = cost[v] != PLACE_FAR && (w->room[v] > 0 || w->present[i] == v);

            out[k] = can ? w->mult * cost[v] : w->mult * (2 * (int64_t)PLACE_NOWHERE_US);
        }
        out[nowhere] = w->mult * (int64_t)PLACE_NOWHERE_US;
        w->home[i] = (uint8_t)nowhere;
        for (size_t k = 0; k < nowhere; k++) {
            if (w->col[k].node == w->present[i] && out[k] < out[nowhere])
                w->home[i] = (uint8_t)k;
        }
    }
}

void place_short_list(const struct place_problem *p, struct place_work *w, size_t most)
{
    w->k_max = most;
    w->k = 0;
    w->tight = false;
    add_singles(w, SINGLES);
    if (w->nodes <= w->k_max) {
        for (uint32_t v = 0; v < w->nodes; v++) {
            if (w->rejects[v] == 0)
                add(w, v);
        }
    } else {
        add_present(w);
        add_nearest(w);
        add_savers(w);
        add_singles(w, w->k_max);
    }
    for (size_t k = 0; k < w->k; k++)
        fill_column(p, w, &w->col[k]);
    w->col[w->k++] = (struct place_col){.node = PLACE_RANK_NONE, .limit = INT32_MAX};
    fill_matrix(p, w);
    w->passes = PASSES_MAX;
    if (most < PLACE_SHORT && w->n * w->k * PASSES_MAX > PASSES_EFFORT)
        w->passes = (int)(PASSES_EFFORT / (w->n * w->k)) > PASSES_MIN ? (int)(PASSES_EFFORT / (w->n * w->k))
                                                                      : PASSES_MIN;
}
