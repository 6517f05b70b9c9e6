/* Invariant: a wait is never less than half of first_us nor more than most_us. */
#include "backoff.h"

int64_t backoff_next(struct backoff *b, uint32_t random)
{
    int64_t wait = b->first_us;
    for (unsigned i = 0; i < b->failures && wait < b->most_us; i++)
        wait *= 2;
    if (wait > b->most_us)
        wait = b->most_us;
    b->failures++;
    int64_t half = wait / 2;
    return half + (int64_t)((double)(wait - half) * ((double)random / UINT32_MAX));
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
