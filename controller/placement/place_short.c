/* The short list: the nodes that the search over several nodes looks at. Invariant: the best node that can take everybody comes first, if
 * there is one; nodes that somebody is on and could stay on are on the list before any that would only be better, and whoever is on one that it
 * has no room for stays there; and it has room for the newcomers wherever nodes have. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    PASSES_MAX = 30, /* of a descent */
    PASSES_MIN = 4,
    PASSES_EFFORT = 60000, /* participants times columns times passes, on a request's way */
    SINGLES = 4,           /* best single nodes that are taken in any case */
    PRESENT_MAX = 48       /* nodes that people are on already, those with most people first */
};

static bool listed(const struct place_work *w, uint32_t v)
{
    return w->col_of[v] != PLACE_COL_NONE;
}

static void add(struct place_work *w, uint32_t v)
{
    if (w->k >= w->k_max || listed(w, v))
        return;
    w->col_of[v] = (uint8_t)w->k;
    w->col[w->k++].node = v;
}

/* Where the greatest stands first; PLACE_RANK_NONE: none is more than 0. */
PLACE_WIDE static uint32_t greatest(const int64_t *restrict gain, size_t nodes)
{
    int64_t most = 0, first = PLACE_RANK_NONE;

    for (size_t v = 0; v < nodes; v++)
        most = gain[v] > most ? gain[v] : most;
    for (size_t v = 0; most > 0 && v < nodes; v++) {
        int64_t at = gain[v] == most ? (int64_t)v : PLACE_RANK_NONE;

        first = at < first ? at : first;
    }
    return (uint32_t)first;
}

/* The one of greatest gain, if any; it has none any more then. */
static uint32_t take_greatest(struct place_work *w)
{
    uint32_t best = greatest(w->gain, w->nodes);

    if (best != PLACE_RANK_NONE)
        w->gain[best] = 0;
    return best;
}

/* Those of least sum; `all`: that can take everybody. */
static void add_singles(struct place_work *w, size_t most, bool all)
{
    if (most == 0 || w->k >= w->k_max)
        return;
    for (uint32_t v = 0; v < w->nodes; v++) {
        int64_t moving = (int64_t)w->n - w->here[v];
        bool can = w->n_far[v] == 0 && (all ? w->room[v] >= moving : w->room[v] > 0 || w->here[v] > 0);

        w->gain[v] = can && !listed(w, v) ? INT64_MAX - w->sum[v] : 0;
    }
    for (size_t n = 0; n < most && w->k < w->k_max; n++) {
        uint32_t best = take_greatest(w);

        if (best == PLACE_RANK_NONE)
            return;
        add(w, best);
    }
}

/* Has no node, or none that it can stay on. */
static bool newcomer(const struct place_work *w, size_t i)
{
    return w->present[i] == PLACE_RANK_NONE || w->cost[i * w->nodes + w->present[i]] == PLACE_FAR;
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

static void add_present(struct place_work *w)
{
    size_t most = w->k_max;

    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t i = 0; i < w->n; i++) {
        if (!newcomer(w, i))
            w->gain[w->present[i]]++;
    }
    w->k_max = w->k + PRESENT_MAX;
    add_by_gain(w);
    w->k_max = most;
}

/* The most often nearest first. */
static void add_nearest(struct place_work *w, bool of_newcomers)
{
    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t i = 0; i < w->n; i++) {
        if (w->nearest[i] != PLACE_RANK_NONE && (!of_newcomers || newcomer(w, i)))
            w->gain[w->nearest[i]]++;
    }
    add_by_gain(w);
}

/* What every node saves participant i, who has `with` otherwise. */
PLACE_WIDE static void add_savings(const struct place_work *w, size_t i, int32_t with)
{
    const int32_t *restrict cost = w->cost + i * w->nodes;
    int64_t *restrict gain = w->gain;
    size_t nodes = w->nodes;

    for (size_t v = 0; v < nodes; v++)
        gain[v] += cost[v] < with ? with - cost[v] : 0;
}

/* The rest: what saves the participants most against where they'd be on the best single node. */
static void add_savers(struct place_work *w)
{
    int64_t *restrict gain = w->gain;
    size_t nodes = w->nodes;

    if (w->k >= w->k_max)
        return;
    memset(gain, 0, nodes * sizeof(*gain));
    for (size_t i = 0; i < w->n; i++) {
        int32_t with = w->k > 0 ? w->cost[i * nodes + w->col[0].node] : PLACE_FAR;

        add_savings(w, i, with != PLACE_FAR ? with : PLACE_NOWHERE_US);
    }
    for (size_t v = 0; v < nodes; v++)
        gain[v] = w->room[v] > 0 ? gain[v] : 0;
    for (size_t k = 0; k < w->k; k++)
        gain[w->col[k].node] = 0;
    add_by_gain(w);
}

/* What most can use, at the least cost, of the nodes with room that aren't listed. */
static uint32_t best_with_room(const struct place_work *w)
{
    uint32_t best = PLACE_RANK_NONE;

    for (uint32_t v = 0; v < w->nodes; v++) {
        if (w->rejects[v] == 0 && w->room[v] > 0 && w->n_far[v] < w->n && !listed(w, v) &&
            (best == PLACE_RANK_NONE || w->sum[v] < w->sum[best]))
            best = v;
    }
    return best;
}

static int64_t at_most(int64_t n, int64_t most)
{
    return n < most ? n : most;
}

/* The list grows until there is room for all newcomers; and where most of it is full, by their nearest. */
static void add_room(struct place_work *w)
{
    int64_t wanted = 0;
    size_t full = 0;

    for (size_t i = 0; i < w->n; i++)
        wanted += newcomer(w, i);
    if (wanted == 0)
        return;
    for (size_t k = 0; k < w->k; k++) {
        full += w->room[w->col[k].node] == 0;
        wanted -= at_most(w->room[w->col[k].node], wanted);
    }
    w->k_max = PLACE_SHORT;
    if (wanted > 0 || full > w->k / 2)
        add_nearest(w, true);
    while (wanted > 0 && w->k < w->k_max) {
        uint32_t v = best_with_room(w);

        if (v == PLACE_RANK_NONE)
            return;
        add(w, v);
        wanted -= at_most(w->room[v], wanted);
    }
}

/* Newcomers who could sit on none of the list, for what is theirs: one node each, the nearest with a seat. */
static void add_for_stranded(struct place_work *w)
{
    for (size_t i = 0; i < w->n && w->k < w->k_max; i++) {
        bool can = !newcomer(w, i) || w->nearest[i] == PLACE_RANK_NONE;

        for (size_t k = 0; !can && k < w->k; k++)
            can = w->cost[i * w->nodes + w->col[k].node] != PLACE_FAR && w->room[w->col[k].node] > 0;
        if (!can)
            add(w, w->nearest[i]);
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

/* Where the search is told that participant i is: on its node, or, if that is off the list, on the nearest that isn't, with the cost of its
 * own, and no other to go to. */
static size_t home_of(const struct place_problem *p, struct place_work *w, size_t i)
{
    size_t best = 0;

    if (newcomer(w, i) || w->k == 1)
        return w->k - 1;
    if (listed(w, w->present[i]))
        return w->col_of[w->present[i]];
    for (size_t k = 1; k + 1 < w->k; k++) {
        if (place_node_rtt(p, w, w->present[i], w->col[k].node) <
            place_node_rtt(p, w, w->present[i], w->col[best].node))
            best = k;
    }
    w->aside[i] = w->present[i];
    return best;
}

/* The first column of least cost; nowhere, if it is as good. */
static uint8_t best_of(const int64_t *seats, size_t nowhere)
{
    size_t best = nowhere;

    for (size_t k = 0; k < nowhere; k++)
        best = seats[k] < seats[best] ? k : best;
    return (uint8_t)best;
}

static void fill_seats(const struct place_problem *p, struct place_work *w, size_t i)
{
    const int32_t *cost = w->cost + i * w->nodes;
    int64_t *out = w->w + i * w->stride, none = w->mult * (2 * (int64_t)PLACE_NOWHERE_US);
    size_t nowhere = w->k - 1, home;

    w->aside[i] = PLACE_RANK_NONE;
    w->home[i] = (uint8_t)(home = home_of(p, w, i));
    for (size_t k = 0; k < nowhere; k++) {
        int32_t us = cost[w->col[k].node];

        out[k] = us != PLACE_FAR && (w->col[k].limit > 0 || k == home) ? w->mult * us : none;
    }
    for (size_t k = nowhere; k < w->stride; k++)
        out[k] = 2 * none;
    out[nowhere] = w->mult * (int64_t)PLACE_NOWHERE_US;
    if (w->aside[i] != PLACE_RANK_NONE) {
        for (size_t k = 0; k < nowhere; k++)
            out[k] = none;
        out[home] = w->mult * cost[w->present[i]];
    }
    w->best[i] = best_of(out, nowhere);
}

/* More than `most` only for those that people are on, and for room: a meeting on so many nodes opens others for want of seats alone. */
static void choose(struct place_work *w, size_t most)
{
    w->k_max = most;
    add_singles(w, 1, true);
    add_singles(w, SINGLES - w->k, false);
    if (w->nodes - w->n_rejected <= most) {
        for (uint32_t v = 0; v < w->nodes; v++) {
            if (w->rejects[v] == 0)
                add(w, v);
        }
        return;
    }
    add_present(w);
    add_nearest(w, true);
    add_nearest(w, false);
    add_savers(w);
    add_singles(w, w->k_max, false);
    add_room(w);
    w->k_max = PLACE_SHORT;
    add_for_stranded(w);
}

void place_short_list(const struct place_problem *p, struct place_work *w, size_t most)
{
    w->k = 0;
    w->tight = false;
    memset(w->col_of, PLACE_COL_NONE, w->nodes);
    choose(w, most);
    for (size_t k = 0; k < w->k; k++)
        fill_column(p, w, &w->col[k]);
    w->col[w->k++] = (struct place_col){.node = PLACE_RANK_NONE, .limit = INT32_MAX};
    w->stride = (w->k + 3) / 4 * 4;
    place_nodes_matrix(p, w);
    for (size_t i = 0; i < w->n; i++)
        fill_seats(p, w, i);
    w->passes = PASSES_MAX;
    if (most < PLACE_SHORT && w->n * w->k * PASSES_MAX > PASSES_EFFORT)
        w->passes = (int)(PASSES_EFFORT / (w->n * w->k)) > PASSES_MIN ? (int)(PASSES_EFFORT / (w->n * w->k))
                                                                      : PASSES_MIN;
}

/* The node off the list that is best for participant i, beside the node that most are on; PLACE_RANK_NONE. */
static uint32_t best_off_list(const struct place_problem *p, struct place_work *w, size_t i, uint32_t most)
{
    uint32_t best = PLACE_RANK_NONE;
    int64_t least = INT64_MAX;

    for (uint32_t v = 0; v < w->nodes; v++) {
        int64_t cost = w->cost[i * w->nodes + v];

        if (listed(w, v) || cost == PLACE_FAR || w->gain[v] >= w->room[v])
            continue;
        cost += most != PLACE_RANK_NONE ? place_node_rtt(p, w, v, most) : 0;
        if (cost < least) {
            least = cost;
            best = v;
        }
    }
    return best;
}

void place_short_rest(const struct place_problem *p, struct place_work *w, struct place_draft *s)
{
    size_t nowhere = w->k - 1, main = 0;
    bool any = false;

    if (s->m[nowhere] == 0)
        return;
    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t k = 1; k < nowhere; k++)
        main = s->m[k] > s->m[main] ? k : main;
    for (size_t i = 0; i < w->n; i++) {
        uint32_t v = s->at[i] == nowhere ? best_off_list(p, w, i, w->col[main].node) : PLACE_RANK_NONE;

        if (v == PLACE_RANK_NONE || nowhere == 0)
            continue;
        w->gain[v]++;
        w->aside[i] = v;
        w->home[i] = s->at[i] = (uint8_t)main;
        w->w[i * w->stride + main] = w->mult * w->cost[i * w->nodes + v];
        any = true;
    }
    if (any)
        place_draft_count(w, s);
}
