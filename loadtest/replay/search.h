/* The best plan that a long search finds, and what no plan can be better than: the yardsticks of the engine, sharing
 * no code with it. */
#ifndef BERTH_LOADTEST_REPLAY_SEARCH_H
#define BERTH_LOADTEST_REPLAY_SEARCH_H

#include "house.h"

enum {
    SEARCH_STARTS_MAX = 100000,
    EXACT_SIZE_MAX = 64, /* participants; of more, no exact search is tried */
};

struct search; /* scratch of one thread, grown as houses need it */

struct search *search_new(void); /* NULL: out of memory */
void search_destroy(struct search *s);

/* Multi-start local search: from the plan given (if all are seated), from every single node, and from `starts` random sets of
 * nodes; a step moves one participant, or everybody on one node to another. `seat` becomes the best plan found; the answer is its
 * sum, or -ENOMEM. Repeats itself with the same seed. */
int64_t search_best(struct search *s, const struct house *h, size_t starts, uint64_t seed, size_t *seat)
    __attribute__((warn_unused_result));

/* The pairwise lower bound: each pair by the best two nodes for itself. Of the pairs with participant i, and of all. -ENOMEM. */
int64_t search_bound_of(struct search *s, const struct house *h, size_t i)
    __attribute__((warn_unused_result));
int64_t search_bound(struct search *s, const struct house *h) __attribute__((warn_unused_result));

/* Branch and bound. `seat` and *sum are a plan to beat, and become the optimum. True: it is the optimum; false: given up after
 * `steps` partial plans, or for want of memory; the best plan known so far is there. */
bool search_exact(struct search *s, const struct house *h, size_t steps, size_t *seat, int64_t *sum);

#endif
