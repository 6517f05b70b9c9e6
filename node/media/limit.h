/* What one participant may send: its rate over a second, with a burst of another second's; in bytes, and in packets,
 * which cost a node as much when they are small. Pure; a generic cell rate algorithm for each. */
#ifndef BERTH_NODE_MEDIA_LIMIT_H
#define BERTH_NODE_MEDIA_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MEDIA_PACKETS_MIN = 4000,   /* a second, whatever the limit in bytes */
    MEDIA_KBPS_PER_PACKETS = 5, /* more, where it is above 20000 kbit/s: packets of 625 bytes fill it */
};

struct media_limit {
    uint32_t kbps;                      /* > 0 */
    int64_t whole_ns, packets_whole_ns; /* when the burst will be whole again */
};

/* A second. */
static inline uint32_t media_limit_packets(const struct media_limit *l)
{
    uint32_t packets = l->kbps / MEDIA_KBPS_PER_PACKETS;
    return packets > MEDIA_PACKETS_MIN ? packets : MEDIA_PACKETS_MIN;
}

/* Takes a packet of `bytes` where the limit allows it; what is refused costs nothing. */
static inline bool media_limit_take(struct media_limit *l, size_t bytes, int64_t now_us)
{
    const int64_t second_ns = 1000000000, now_ns = now_us * 1000;
    int64_t cost_ns = (int64_t)bytes * 8 * 1000000 / l->kbps;
    int64_t whole_ns = (l->whole_ns > now_ns ? l->whole_ns : now_ns) + cost_ns;
    int64_t packets_whole_ns =
        (l->packets_whole_ns > now_ns ? l->packets_whole_ns : now_ns) + second_ns / media_limit_packets(l);
    if (whole_ns - now_ns > second_ns || packets_whole_ns - now_ns > second_ns)
        return false;
    l->whole_ns = whole_ns;
    l->packets_whole_ns = packets_whole_ns;
    return true;
}

#endif
