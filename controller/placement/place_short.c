/* The short list: the nodes that the search over several nodes looks at. Invariant: the best single node and every node that somebody is on
 * are in it (as far as there is room), whatever the number of candidates. */
#include "placement/place_internal.h"

#include <string.h>

enum { SINGLES = 4 }; /* best single nodes that are taken in any case */

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
            if (w->n_can[v] == w->n && w->room[v] >= 0 && !listed(w, v) &&
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

static uint32_t nearest(const struct place_work *w, size_t i)
{
    const int32_t *cost = w->cost + i * w->nodes;
    uint32_t best = PLACE_RANK_NONE;

    for (uint32_t v = 0; v < w->nodes; v++) {
        if (cost[v] != PLACE_FAR && (best == PLACE_RANK_NONE || cost[v] < cost[best]) &&
            (w->room[v] > 0 || w->present[i] == v))
            best = v;
    }
    return best;
}

/* The most often nearest first. */
static void add_nearest(struct place_work *w)
{
    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t i = 0; i < w->n; i++) {
        uint32_t v = nearest(w, i);

        if (v != PLACE_RANK_NONE)
            w->gain[v]++;
    }
    for (size_t k = w->k; k < w->k_max; k++) {
        uint32_t best = 0;

        for (uint32_t v = 1; v < w->nodes; v++) {
            if (w->gain[v] > w->gain[best])
                best = v;
        }
        if (w->nodes == 0 || w->gain[best] == 0)
            return;
        w->gain[best] = 0;
        add(w, best);
    }
}

/* The rest: what saves the participants most against where they'd be with what is listed so far. */
static void add_savers(struct place_work *w)
{
    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t i = 0; i < w->n; i++) {
        const int32_t *cost = w->cost + i * w->nodes;
        int32_t with = w->k > 0 ? cost[w->col[0].node] : PLACE_FAR;

        for (size_t v = 0; v < w->nodes; v++)
            w->gain[v] += cost[v] < with ? (with == PLACE_FAR ? PLACE_NOWHERE_US : with) - cost[v] : 0;
    }
    for (size_t n = w->k_max; n > w->k;) {
        uint32_t best = PLACE_RANK_NONE;

        for (uint32_t v = 0; v < w->nodes; v++) {
            if (w->gain[v] > 0 && w->room[v] > 0 && (best == PLACE_RANK_NONE || w->gain[v] > w->gain[best]))
                best = v;
        }
        if (best == PLACE_RANK_NONE)
            return;
        w->gain[best] = 0;
        add(w, best);
    }
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
}
