/* Which nodes have to be left. Invariant: each that somebody is on is found within as many searches as there are
 * times LOST_NODES_MAX of them, and one that nobody is on is none. */
#include "lost_nodes.h"

/* For too long, and it is not rather we who don't hear. */
static bool silent(const struct catalogue_load *l)
{
    return !node_healthy(l) && !(l->doubt && node_listed(l));
}

/* Quarantined for what it does, not for its silence. */
static bool blamed(const struct catalogue_load *l)
{
    return l->health == HEALTH_QUARANTINED && l->cause != HEALTH_SILENCE;
}

static bool is_lost(const struct catalogue_node *n, const struct catalogue_load *l, bool listened)
{
    if (l->assigned == 0)
        return false;
    return n->deleted || n->drain || l->draining || l->stopping || blamed(l) || (listened && silent(l));
}

void lost_nodes_find(const struct catalogue *c, bool listened, size_t start, struct lost_nodes *out)
{
    size_t total = 0, i;

    while (catalogue_at(c, total) != NULL)
        total++;
    out->n = 0;
    start = total > 0 ? start % total : 0;
    for (i = 0; i < total && out->n < LOST_NODES_MAX; i++) {
        const struct catalogue_node *n = catalogue_at(c, (start + i) % total);

        if (!is_lost(n, catalogue_load_of(c, n), listened))
            continue;
        out->org[out->n] = n->org;
        out->node[out->n++] = n->id;
    }
    out->next = start + i;
}
