/* What a seat's cost is made of, the measure of any assignment, and what no plan can beat. Invariant: the terms add up to the cost that was
 * compared. */
#include "placement/place_internal.h"

#include <string.h>

static struct place_work *work_of(const struct place_plan *plan)
{
    return plan->work;
}

/* Column-free round trip between two of the caller's nodes. */
static int64_t between(const struct place_problem *p, struct place_work *w, size_t a, size_t b)
{
    return a == b ? 0 : place_node_rtt(p, w, w->rank_of[a], w->rank_of[b]);
}

static int64_t seat_cost(const struct place_work *w, size_t i, size_t node, bool bare)
{
    size_t at = i * w->nodes + w->rank_of[node];

    if (bare)
        return place_cell_rtt(w, at);
    return w->cost[at] == PLACE_FAR ? -1 : w->cost[at];
}

int64_t place_cost_of(const struct place_problem *p, const struct place_plan *plan, const size_t *nodes,
                      bool bare)
{
    struct place_work *w = work_of(plan);
    int64_t own = 0, pairs = 0, n = 0;

    for (size_t i = 0; i < w->n; i++) {
        size_t node = nodes[w->who[i]];
        int64_t cost;

        if (node == PLACE_NONE)
            continue;
        cost = seat_cost(w, i, node, bare);
        if (cost < 0)
            return -1;
        own += cost;
        n++;
        for (size_t j = 0; j < i; j++) {
            if (nodes[w->who[j]] != PLACE_NONE)
                pairs += between(p, w, node, nodes[w->who[j]]);
        }
    }
    if (n < 2)
        return own / 2;
    return ((n - 1) * own + pairs) / (n * (n - 1));
}

/* One participant against all after it: the least over both nodes. reach[v] is the least way from i to node v by any node of its own. */
static int64_t bound_from(const struct place_problem *p, struct place_work *w, size_t i, int64_t *reach)
{
    int64_t sum = 0;

    for (size_t v = 0; v < w->nodes; v++) {
        reach[v] = INT64_MAX;
        for (size_t u = 0; u < w->nodes; u++) {
            int64_t way;

            if (w->cost[i * w->nodes + u] == PLACE_FAR || w->rejects[v] != 0)
                continue;
            way = w->cost[i * w->nodes + u] + between(p, w, w->node_at[u], w->node_at[v]);
            if (way < reach[v])
                reach[v] = way;
        }
    }
    for (size_t j = i + 1; j < w->n; j++) {
        int64_t least = INT64_MAX;

        for (size_t v = 0; v < w->nodes; v++) {
            if (reach[v] != INT64_MAX && w->cost[j * w->nodes + v] != PLACE_FAR &&
                reach[v] + w->cost[j * w->nodes + v] < least)
                least = reach[v] + w->cost[j * w->nodes + v];
        }
        sum += least == INT64_MAX ? 0 : least;
    }
    return sum;
}

int64_t place_lower_bound(const struct place_problem *p, const struct place_plan *plan)
{
    struct place_work *w = work_of(plan);
    int64_t sum = 0;

    if (w->n == 1)
        return plan->cost_us;
    for (size_t i = 0; i < w->n; i++)
        sum += bound_from(p, w, i, w->gain);
    return w->n < 2 ? 0 : sum / (int64_t)(w->n * (w->n - 1));
}

/* ---- terms ---- */

static size_t index_of(const struct place_work *w, size_t who)
{
    size_t i = 0;

    while (i < w->n && w->who[i] != who)
        i++;
    return i;
}

/* Where the others are, and what they cost there: n_at nodes by rank in the scratch `list`, and how many are there in `gain`. */
struct company {
    int64_t n, own;
    size_t n_at;
};

static void company_of(struct place_work *w, const struct place_plan *plan, size_t i, struct company *out)
{
    *out = (struct company){0};
    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t j = 0; j < w->n; j++) {
        size_t at = plan->seats[w->who[j]].node;
        uint32_t v;

        if (j == i || at == PLACE_NONE)
            continue;
        v = w->rank_of[at];
        out->own += seat_cost(w, j, at, false);
        out->n++;
        if (w->gain[v]++ == 0)
            w->list[out->n_at++] = (uint32_t)v;
    }
}

/* Why node v (by rank) is not for participant i (by name), or why only for want of better. */
static unsigned rejected(const struct place_problem *p, const struct place_work *w, size_t i, size_t v)
{
    const struct place_participant *who = &p->participants[w->who[i]];
    size_t at = i * w->nodes + v, node = w->node_at[v];
    unsigned r = w->rejects[v];

    if (w->room[v] <= 0 && w->present[i] != v)
        r |= PLACE_FULL;
    if (place_failed_for(p, w->who[i], node))
        return r | PLACE_FAILED; /* what it measured of it before, if anything, no longer counts */
    if (!(w->flags[i] & PLACE_F_MEASURED))
        return place_cell_usable(w, at) == 0 ? r | PLACE_NO_TRANSPORT : r;
    if (place_cell_rtt(w, at) >= 0)
        return r;
    if (!place_spoken_of(who, node))
        return r | ((who->capabilities & w->offered[v]) == 0 ? PLACE_NO_TRANSPORT : PLACE_UNMEASURED);
    return w->cost[at] == PLACE_FAR ? r | PLACE_UNREACHABLE : r;
}

static void terms_at(const struct place_problem *p, struct place_work *w, const struct company *c, size_t i,
                     size_t v, struct place_terms *out)
{
    size_t at = i * w->nodes + v;
    int64_t ways = 0;

    *out = (struct place_terms){.rejected = rejected(p, w, i, v)};
    if (w->cost[at] == PLACE_FAR)
        return;
    place_rank_terms(p, w, i, v, out);
    out->via = (enum transport)place_cell_via(w, at);
    for (size_t k = 0; k < c->n_at; k++) {
        int64_t way = place_node_rtt(p, w, (uint32_t)v, w->list[k]);

        ways += w->gain[w->list[k]] * way;
        out->rejected |= way == PLACE_APART_US ? PLACE_NO_LINK : 0;
    }
    out->others_us = c->n > 0 ? c->own / (2 * c->n) : 0;
    out->nodes_us = c->n > 0 ? ways / (2 * c->n) : 0;
    out->possible = true;
    out->cost_us = w->cost[at] / 2 + out->others_us + out->nodes_us;
}

void place_terms_all(const struct place_problem *p, const struct place_plan *plan, size_t i,
                     struct place_terms *out)
{
    struct place_work *w = work_of(plan);
    size_t at = index_of(w, i);
    struct company c;

    if (at == w->n)
        return;
    company_of(w, plan, at, &c);
    for (size_t v = 0; v < w->nodes; v++)
        terms_at(p, w, &c, at, v, &out[w->node_at[v]]);
}

void place_terms(const struct place_problem *p, const struct place_plan *plan, size_t i, size_t node,
                 struct place_terms *out)
{
    struct place_work *w = work_of(plan);
    size_t at = index_of(w, i);
    struct company c;

    *out = (struct place_terms){.possible = false};
    if (at == w->n || node >= w->nodes)
        return;
    company_of(w, plan, at, &c);
    terms_at(p, w, &c, at, w->rank_of[node], out);
}
