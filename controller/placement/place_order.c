/* The order in which everything is looked at: participants by name, nodes by id. Invariant: what follows sees the same sequence whatever
 * the order of the input. Callers mostly sort already, so being in order is looked at first. */
#include "placement/place_internal.h"

#include <string.h>

static const char *name_of(const struct place_problem *p, bool nodes, size_t i)
{
    return nodes ? p->nodes[i].id : p->participants[i].agent;
}

static int compare(const struct place_problem *p, bool nodes, size_t a, size_t b)
{
    return strcmp(name_of(p, nodes, a), name_of(p, nodes, b));
}

/* A heap sort: no recursion, no scratch, and qsort knows no context. */
static void sift_down(const struct place_problem *p, bool nodes, size_t *order, size_t root, size_t n)
{
    for (;;) {
        size_t child = 2 * root + 1, t;

        if (child >= n)
            return;
        if (child + 1 < n && compare(p, nodes, order[child], order[child + 1]) < 0)
            child++;
        if (compare(p, nodes, order[root], order[child]) >= 0)
            return;
        t = order[root];
        order[root] = order[child];
        order[child] = t;
        root = child;
    }
}

static bool in_order(const struct place_problem *p, bool nodes, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (compare(p, nodes, i - 1, i) >= 0)
            return false;
    }
    return true;
}

static void sort(const struct place_problem *p, bool nodes, size_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    if (in_order(p, nodes, n))
        return;
    for (size_t i = n / 2; i > 0; i--)
        sift_down(p, nodes, order, i - 1, n);
    for (size_t end = n; end > 1; end--) {
        size_t t = order[0];

        order[0] = order[end - 1];
        order[end - 1] = t;
        sift_down(p, nodes, order, 0, end - 1);
    }
}

void place_order_all(const struct place_problem *p, struct place_work *w)
{
    sort(p, false, w->who, w->n);
    sort(p, true, w->node_at, w->nodes);
    for (size_t v = 0; v < w->nodes; v++)
        w->rank_of[w->node_at[v]] = (uint32_t)v;
}
