/* What one participant may send: its rate over a second, with a burst of another second's. Pure; a generic cell rate algorithm over bytes. */
#ifndef BERTH_NODE_MEDIA_LIMIT_H
#define BERTH_NODE_MEDIA_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct media_limit {
    uint32_t kbps;    /* > 0 */
    int64_t whole_ns; /* when the burst will be whole again */
};

/* Takes `bytes` where the limit allows it; what is refused costs nothing. */
static inline bool media_limit_take(struct media_limit *l, size_t bytes, int64_t now_us)
{
    const int64_t second_ns = 1000000000, now_ns = now_us * 1000;
    int64_t cost_ns = (int64_t)bytes * 8 * 1000000 / l->kbps;
    int64_t whole_ns = (l->whole_ns > now_ns ? l->whole_ns : now_ns) + cost_ns;
    if (whole_ns - now_ns > second_ns)
        return false;
    l->whole_ns = whole_ns;
    return true;
}

#endif
