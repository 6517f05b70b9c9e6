/* The cheapest way to seat participants on nodes with room for so many: minimum-cost flow by successive shortest paths. What a
 * placement under scarce capacity is held against. */
#ifndef BERTH_LOADTEST_REPLAY_FLOW_H
#define BERTH_LOADTEST_REPLAY_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOW_UNLIMITED = 0 };

/* cost[i]: participant i's row of n_nodes, not negative. capacity[v]: seats, FLOW_UNLIMITED for any number, on an
 * allowed node; nobody is seated on another. Every participant is seated; `seat` and *total are the optimum.
 * -ENOSPC: not enough seats; -ENOMEM. */
int flow_solve(size_t n, size_t n_nodes, const int64_t *const *cost, const int64_t *capacity,
               const bool *allowed, size_t *seat, int64_t *total) __attribute__((warn_unused_result));

#endif
