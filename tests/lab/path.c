/* The fate of a packet on one path. Invariant: last_due never goes back, so packets stay in order except those that
 * the path was told to reorder. */
#include "path.h"

#include "core/splitmix.h"

#include <stdbool.h>

uint64_t rng_next(struct rng *r)
{
    return splitmix64(&r->state);
}

double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1.0p-53;
}

/* A chance of zero takes nothing from the sequence, so that adding loss to one path leaves the others as they were. */
static bool happens(struct rng *r, double chance)
{
    return chance > 0 && rng_unit(r) < chance;
}

static int64_t jitter(const struct path *p, struct rng *r)
{
    if (p->jitter_us <= 0)
        return 0;
    return (int64_t)(rng_unit(r) * (double)(2 * p->jitter_us + 1)) - p->jitter_us;
}

static int64_t in_order(struct path *p, struct rng *r, int64_t now)
{
    int64_t due = now + p->delay_us + jitter(p, r);

    if (due < now)
        due = now;
    if (due < p->last_due)
        due = p->last_due;
    p->last_due = due;
    return due;
}

size_t path_send(struct path *p, struct rng *r, int64_t now, int64_t due[static PATH_COPIES_MAX])
{
    size_t copies = 0;

    if (happens(r, p->loss))
        return 0;
    if (happens(r, p->reorder))
        due[copies++] = now + p->delay_us + p->jitter_us + PATH_HOLD_US;
    else
        due[copies++] = in_order(p, r, now);
    if (happens(r, p->duplicate))
        due[copies++] = in_order(p, r, now);
    return copies;
}
