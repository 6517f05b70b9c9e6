/* Statistics over one target's samples. Invariant: min <= median <= p95, and min and p95 are samples. */
#include "probe/prober_stats.h"

#include <assert.h>

void rtt_stats_of(struct rtt_stats *s, int64_t *rtt_us, size_t n)
{
    assert(n > 0);
    for (size_t i = 1; i < n; i++) {
        int64_t v = rtt_us[i];
        size_t j = i;
        for (; j > 0 && rtt_us[j - 1] > v; j--)
            rtt_us[j] = rtt_us[j - 1];
        rtt_us[j] = v;
    }
    int64_t low = rtt_us[(n - 1) / 2], high = rtt_us[n / 2];
    s->min_us = rtt_us[0];
    s->median_us = low + (high - low) / 2;
    s->p95_us = rtt_us[(n * 95 + 99) / 100 - 1];
}
