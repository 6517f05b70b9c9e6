/* The scratch that local and exact search share. */
#ifndef BERTH_LOADTEST_REPLAY_SEARCH_INTERNAL_H
#define BERTH_LOADTEST_REPLAY_SEARCH_INTERNAL_H

#include "search.h"

struct search {
    size_t cap, cap_nodes; /* what now, load and on have room for */
    size_t *now;           /* the plan at hand */
    int64_t *load;         /* n_nodes */
    size_t *on;            /* n_nodes: participants there */
    size_t cap_work;
    int64_t *work; /* of the exact search */
};

int search_reserve(struct search *s, size_t n, size_t n_nodes) __attribute__((warn_unused_result));

#endif
