/* The workspace: every array of the engine, one after another in the caller's buffer. Invariant: place_work_size is what place_work_lay
 * takes, as both are the same walk. */
#include "placement/place_internal.h"

#include <string.h>

struct carve {
    unsigned char *base; /* NULL: only counting */
    size_t used;
};

static void *take(struct carve *c, size_t n, size_t size)
{
    size_t at = c->used;

    c->used += (n * size + 15) / 16 * 16;
    return c->base != NULL ? c->base + at : NULL;
}

static void lay(struct carve *c, struct place_work *w, size_t nodes, size_t n)
{
    w->n = n;
    w->nodes = nodes;
    w->who = take(c, n, sizeof(*w->who));
    w->node_at = take(c, nodes, sizeof(*w->node_at));
    w->rank_of = take(c, nodes, sizeof(*w->rank_of));
    w->rejects = take(c, nodes, sizeof(*w->rejects));
    w->offered = take(c, nodes, sizeof(*w->offered));
    w->inverse = take(c, nodes, sizeof(*w->inverse));
    w->price = take(c, nodes, sizeof(*w->price));
    w->room = take(c, nodes, sizeof(*w->room));
    w->sum = take(c, nodes, sizeof(*w->sum));
    w->sum_rtt = take(c, nodes, sizeof(*w->sum_rtt));
    w->n_miss = take(c, nodes, sizeof(*w->n_miss));
    w->n_far = take(c, nodes, sizeof(*w->n_far));
    w->here = take(c, nodes, sizeof(*w->here));
    w->col_of = take(c, nodes, sizeof(*w->col_of));
    w->way_to = take(c, nodes, sizeof(*w->way_to));
    w->counted = take(c, nodes, sizeof(*w->counted));
    w->list = take(c, nodes, sizeof(*w->list));
    w->rejected = take(c, nodes, sizeof(*w->rejected));
    w->gain = take(c, nodes, sizeof(*w->gain));
    w->cost = take(c, n * nodes, sizeof(*w->cost));
    w->cell = take(c, n * nodes, sizeof(*w->cell));
    w->flags = take(c, n, sizeof(*w->flags));
    w->nearest = take(c, n, sizeof(*w->nearest));
    w->present = take(c, n, sizeof(*w->present));
    w->home = take(c, n, sizeof(*w->home));
    w->aside = take(c, n, sizeof(*w->aside));
    w->lock = take(c, n, sizeof(*w->lock));
    w->before = take(c, n, sizeof(*w->before));
    w->w = take(c, n * PLACE_STRIDE, sizeof(*w->w));
    w->best = take(c, n, sizeof(*w->best));
    w->group = take(c, PLACE_COLS, sizeof(*w->group));
    w->leave = take(c, PLACE_COLS, sizeof(*w->leave));
    for (size_t i = 0; i < sizeof(w->states) / sizeof(w->states[0]); i++)
        w->states[i] = take(c, n, sizeof(*w->states[i]));
    w->way_done = take(c, nodes, sizeof(*w->way_done));
    w->way = take(c, nodes * PLACE_COLS, sizeof(*w->way)); /* last: mostly untouched */
}

size_t place_work_size(size_t n_nodes, size_t n_participants)
{
    struct place_work w;
    struct carve c = {NULL, 0};

    (void)take(&c, 1, sizeof(w));
    lay(&c, &w, n_nodes, n_participants);
    return c.used;
}

struct place_work *place_work_lay(const struct place_problem *p, const struct place_plan *plan)
{
    struct carve c = {plan->work, 0};
    struct place_work *w = take(&c, 1, sizeof(*w));

    lay(&c, w, p->n_nodes, p->n_participants);
    w->capped = p->policy.cap_worst;
    w->mult = w->n > 1 ? (int64_t)w->n - 1 : 1;
    w->div = w->n > 1 ? (int64_t)w->n * ((int64_t)w->n - 1) : 2;
    return w;
}
