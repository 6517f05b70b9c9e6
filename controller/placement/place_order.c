/* The order in which everything is looked at: participants by name, nodes by id. Invariant: what follows sees the same sequence whatever
 * the order of the input. */
#include "placement/place_internal.h"

#include "core/order.h"

#include <string.h>

static int by_agent(const void *ctx, size_t a, size_t b)
{
    const struct place_problem *p = ctx;

    return strcmp(p->participants[a].agent, p->participants[b].agent);
}

static int by_id(const void *ctx, size_t a, size_t b)
{
    const struct place_problem *p = ctx;

    return strcmp(p->nodes[a].id, p->nodes[b].id);
}

void place_order_all(const struct place_problem *p, struct place_work *w)
{
    order_sort(w->who, w->n, by_agent, p);
    order_sort(w->node_at, w->nodes, by_id, p);
    for (size_t v = 0; v < w->nodes; v++)
        w->rank_of[w->node_at[v]] = (uint32_t)v;
}
