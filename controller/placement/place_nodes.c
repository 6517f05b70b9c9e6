/* Round trips between nodes, and estimates where nobody has measured. Invariant: symmetric, 0 from a node to itself, never less than the
 * bounds that measurements leave. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    SAME_SITE_US = 500,       /* nodes of one cluster, unmeasured, ... */
    SAME_SITE_MAX_US = 10000, /* ... unless somebody's round trips to them differ by more */
    WITNESSES_MAX = 48,       /* participants that are asked for an estimate, */
    NODES_ASKED_MAX = 256     /* and nodes */
};

static int64_t known(const struct place_problem *p, size_t a, size_t b)
{
    int64_t ab, ba;

    if (p->node_rtt_us == NULL)
        return p->ways != NULL ? p->ways->measured(p->ways->of, a, b) : -1;
    ab = p->node_rtt_us[a * p->n_nodes + b];
    ba = p->node_rtt_us[b * p->n_nodes + a];
    if (ab < 0 || ba < 0)
        return ab < 0 ? ba : ab;
    return (ab + ba) / 2;
}

struct bounds {
    int64_t least, most; /* by the triangle */
};

static void witness(struct bounds *b, int64_t va, int64_t vb)
{
    int64_t diff = va > vb ? va - vb : vb - va;

    if (va < 0 || vb < 0)
        return;
    if (diff > b->least)
        b->least = diff;
    if (va + vb < b->most)
        b->most = va + vb;
}

static int64_t by_place(const struct place_problem *p, size_t a, size_t b)
{
    bool can = p->node_rtt_us == NULL && p->ways != NULL && p->ways->guessed != NULL;
    int64_t us = can ? p->ways->guessed(p->ways->of, a, b) : -1;

    return us >= 0 ? us : PLACE_NODE_UNKNOWN_US;
}

/* Nobody measured the pair. Whoever measured both, node or participant, bounds it: it is no more than the sum and, as a rule, no less than
 * the difference. The sum is nearer to the truth, as round trips go by way of somewhere. For want of them all, where the nodes stand. */
static int64_t estimate(const struct place_problem *p, const struct place_work *w, uint32_t a, uint32_t b,
                        bool same_cluster)
{
    struct bounds t = {0, INT64_MAX};
    size_t na = w->node_at[a], nb = w->node_at[b];
    size_t nodes = w->nodes < NODES_ASKED_MAX ? w->nodes : NODES_ASKED_MAX;

    if (p->node_rtt_us == NULL && p->ways == NULL)
        nodes = 0;
    for (size_t k = 0; k < nodes; k++)
        witness(&t, known(p, na, k), known(p, k, nb));
    for (size_t i = 0; i < w->n && i < WITNESSES_MAX; i++) {
        if (w->flags[i] & PLACE_F_MEASURED)
            witness(&t, w->rtt[i * w->nodes + a], w->rtt[i * w->nodes + b]);
    }
    if (same_cluster && t.least <= SAME_SITE_MAX_US)
        return SAME_SITE_US;
    if (t.most == INT64_MAX)
        return by_place(p, na, nb);
    return t.least >= t.most ? t.most : t.least + (t.most - t.least) * 3 / 4;
}

int64_t place_node_rtt(const struct place_problem *p, const struct place_work *w, uint32_t a, uint32_t b)
{
    const struct place_node *na = &p->nodes[w->node_at[a]], *nb = &p->nodes[w->node_at[b]];
    int64_t us;

    if (a == b)
        return 0;
    us = known(p, w->node_at[a], w->node_at[b]);
    if (us >= 0)
        return us;
    return estimate(p, w, a, b, strcmp(na->cluster, nb->cluster) == 0 && strcmp(na->region, nb->region) == 0);
}
