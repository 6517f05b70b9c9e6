/* Differences over time. Invariant: every figure is finite and not negative, whatever the samples say. */
#include "load.h"

static int64_t per_second(uint64_t before, uint64_t after, int64_t dt_us)
{
    if (after <= before)
        return 0;
    return (int64_t)((double)(after - before) * 1e6 / (double)dt_us);
}

struct load load_between(const struct load_sample *before, const struct load_sample *after, unsigned cores)
{
    struct load l = {.sessions = after->sessions > 0 ? after->sessions : 0};
    int64_t dt = after->at_us - before->at_us;
    if (dt <= 0)
        return l;
    double used = (double)(after->cpu_us - before->cpu_us) / ((double)dt * (cores > 0 ? cores : 1));
    l.cpu = used < 0 ? 0 : used > 1 ? 1 : used;
    l.packets_per_s = per_second(before->packets, after->packets, dt);
    l.bandwidth_bps = 8 * per_second(before->bytes, after->bytes, dt);
    return l;
}
