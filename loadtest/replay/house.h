/* Who is in a meeting, and what a plan for them costs. Costs are sums over pairs of the round trip from one
 * participant over the nodes to the other, in us: twice the one-way latency, and exact. */
#ifndef BERTH_LOADTEST_REPLAY_HOUSE_H
#define BERTH_LOADTEST_REPLAY_HOUSE_H

#include "world.h"

#define HOUSE_NO_SEAT ((size_t)-1) /* in a plan: no node */

struct house {
    size_t n;                  /* participants */
    const int64_t *const *rtt; /* each one's row of n_nodes */
    size_t n_nodes;
    const int64_t *between; /* n_nodes rows of n_nodes */
    const bool *allowed;    /* n_nodes */
};

struct house_cost {
    int64_t sum;     /* over the pairs, round trip */
    double mean_ms;  /* one way, over the pairs; of one participant alone: 0 */
    double worst_ms; /* the mean of the participant who is worst off */
    size_t nodes;    /* in use */
    size_t
        unconnected; /* participants without a seat that they reach, and pairs whose nodes don't reach each other */
};

/* seat[i]: the node of participant i. */
void house_cost(const struct house *h, const size_t *seat, struct house_cost *c);
int64_t house_sum(const struct house *h, const size_t *seat); /* only the sum, by definition: pair by pair */
double house_mean_ms(size_t n, int64_t sum);

/* The legs: to a seat, and between two; WORLD_FAR_US where there is none. */
static inline int64_t house_leg(const struct house *h, size_t i, size_t node)
{
    return node == HOUSE_NO_SEAT ? WORLD_FAR_US : h->rtt[i][node];
}
static inline int64_t house_hop(const struct house *h, size_t a, size_t b)
{
    return a == HOUSE_NO_SEAT || b == HOUSE_NO_SEAT ? 0 : h->between[a * h->n_nodes + b];
}

#endif
