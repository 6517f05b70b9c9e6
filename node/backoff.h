/* When to try again: exponential, with full jitter in the upper half, so that a thousand nodes don't come back at
 * one moment. Pure. */
#ifndef BERTH_NODE_BACKOFF_H
#define BERTH_NODE_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t first_us, most_us;
    unsigned failures;
};

/* The next wait: between half of first * 2^failures (at most `most_us`) and the whole. Counts a failure. `random` is
 * any 32 bits. */
int64_t backoff_next(struct backoff *b, uint32_t random);
void backoff_reset(struct backoff *b);

#endif
