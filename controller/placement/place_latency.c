/* A plan's latencies, penalties and prices apart: what the cap is held against, and what the answer tells. Invariant: whoever has no figure where
 * it is counts for nobody, neither as near nor as far. */
#include "placement/place_internal.h"

#include <string.h>

static int64_t figure(const struct place_work *w, const struct place_draft *s, size_t i)
{
    uint32_t v = place_draft_node(w, s, i);

    return v == PLACE_RANK_NONE ? -1 : place_cell_rtt(w, i * w->nodes + v);
}

/* Its node has no column: the one that it stands on is another's. */
static bool aside(const struct place_work *w, const struct place_draft *s, size_t i)
{
    return w->aside[i] != PLACE_RANK_NONE && s->at[i] == w->home[i];
}

void place_latency_count(const struct place_work *w, const struct place_draft *s, struct place_latency *out)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < w->n; i++) {
        int64_t rtt = figure(w, s, i);

        if (rtt < 0)
            continue;
        out->n++;
        out->sum += rtt;
        out->m[s->at[i]]++;
    }
    for (size_t a = 0; a < w->k; a++) {
        for (size_t k = 0; out->m[a] > 0 && k < w->k; k++)
            out->ways[a] += out->m[k] * w->d[a * PLACE_STRIDE + k];
    }
}

/* `ways`: the round trips from its node to those of all who have a figure, together. */
static int64_t own_latency(const struct place_latency *all, int64_t rtt, int64_t ways)
{
    if (rtt < 0 || all->n < 2)
        return rtt < 0 ? -1 : rtt / 2;
    return ((all->n - 1) * rtt + all->sum - rtt + ways) / (2 * (all->n - 1));
}

int64_t place_latency_own(const struct place_work *w, const struct place_draft *s,
                          const struct place_latency *all, size_t i)
{
    return own_latency(all, figure(w, s, i), all->ways[s->at[i]]);
}

/* ---- those aside, by their nodes ---- */

/* Who is aside is taken off the column where it stands, and counted at its own node: so many in `gain`, the nodes in `list`. */
static size_t count_aside(struct place_work *w, const struct place_draft *s, struct place_latency *all)
{
    size_t n = 0;

    memset(w->gain, 0, w->nodes * sizeof(*w->gain));
    for (size_t i = 0; i < w->n; i++) {
        if (!aside(w, s, i))
            continue;
        if (!w->counted[w->aside[i]])
            w->list[n++] = w->aside[i];
        w->counted[w->aside[i]] = true;
        if (figure(w, s, i) >= 0) {
            all->m[s->at[i]]--;
            w->gain[w->aside[i]]++;
        }
    }
    return n;
}

/* The round trips from node v (by rank) to those of all who have a figure. */
static int64_t ways_from(const struct place_problem *p, struct place_work *w, const struct place_latency *all,
                         size_t n_aside, uint32_t v)
{
    int64_t us = 0;

    for (size_t k = 0; k + 1 < w->k; k++)
        us += all->m[k] > 0 ? all->m[k] * place_node_rtt(p, w, v, w->col[k].node) : 0;
    for (size_t k = 0; k < n_aside; k++)
        us += w->gain[w->list[k]] > 0 ? w->gain[w->list[k]] * place_node_rtt(p, w, v, w->list[k]) : 0;
    return us;
}

void place_latency_all(const struct place_problem *p, struct place_work *w, const struct place_draft *s,
                       struct place_latency *all, int64_t *own)
{
    int64_t *ways = w->sum; /* of nodes: the decision has done with it */
    size_t n;

    place_latency_count(w, s, all);
    memset(w->counted, 0, w->nodes * sizeof(*w->counted));
    n = count_aside(w, s, all);
    for (size_t k = 0; n > 0 && k + 1 < w->k; k++)
        all->ways[k] = ways_from(p, w, all, n, w->col[k].node);
    for (size_t k = 0; k < n; k++)
        ways[w->list[k]] = ways_from(p, w, all, n, w->list[k]);
    for (size_t i = 0; i < w->n; i++)
        own[i] = own_latency(all, figure(w, s, i), aside(w, s, i) ? ways[w->aside[i]] : all->ways[s->at[i]]);
}
