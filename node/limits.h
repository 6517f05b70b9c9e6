/* How many unauthenticated requests a source is answered: per IP (the port doesn't count), and per IPv4 /24 or IPv6
 * /48. What comes by UDP, whose source may be forged, and what comes over streams are counted apart. The tables have
 * a fixed size, are filled by all threads, and forget by themselves. */
#ifndef BERTH_NODE_LIMITS_H
#define BERTH_NODE_LIMITS_H

#include "core/addr.h"
#include "core/limiter.h"

enum {
    LIMITS_CELLS = 1 << 16,
    LIMITS_FAILED_COST = 10, /* requests: what one costs whose ticket can't be opened */
};

enum limits_of {
    LIMITS_DATAGRAMS,
    LIMITS_STREAMS,        /* handshakes whose ticket opens, consent checks from where no session is */
    LIMITS_STREAMS_FAILED, /* of their own: whoever shares an address with such a source gets in all the same */
};

/* The tables: one for the process. */
struct limits_table {
    _Atomic int64_t ip[LIMITS_CELLS], prefix[LIMITS_CELLS];
    uint8_t seed[16];
};
/* Random seed, empty cells. NULL: out of memory. free() it once no thread uses it. */
struct limits_table *limits_table_new(void);

/* The rates, a copy for each thread. */
struct limits {
    bool per_ip, per_prefix;
    struct limiter ip, prefix;
};
/* Requests a second; 0 turns a limit off, and `ip_rate` 0 both. A burst of one second's worth passes. */
void limits_init(struct limits *l, struct limits_table *table, int64_t ip_rate, int64_t prefix_rate);
bool limits_allow(struct limits *l, enum limits_of of, const struct addr *source, int64_t now_us);

#endif
