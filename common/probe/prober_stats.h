/* Statistics of a few round-trip times. Pure. */
#ifndef BERTH_PROBE_PROBER_STATS_H
#define BERTH_PROBE_PROBER_STATS_H

#include <stddef.h>
#include <stdint.h>

struct rtt_stats {
    int64_t min_us, median_us, p95_us;
};

/* Sorts `rtt_us` in place. The median of an even number is the mean of the middle two; p95 is the nearest rank. n >= 1. */
void rtt_stats_of(struct rtt_stats *s, int64_t *rtt_us, size_t n);

#endif
