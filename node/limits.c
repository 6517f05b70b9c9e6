/* Two limiters in a row. Invariant: a source refused by its own limit takes nothing from its neighbours' common one. */
#include "limits.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { V4_PREFIX = 24, V6_PREFIX = 48 };

struct limits_table *limits_table_new(void)
{
    struct limits_table *t = calloc(1, sizeof(*t));
    if (t)
        randombytes_buf(t->seed, sizeof(t->seed));
    return t;
}

void limits_init(struct limits *l, struct limits_table *table, int64_t ip_rate, int64_t prefix_rate)
{
    *l = (struct limits){.per_ip = ip_rate > 0, .per_prefix = ip_rate > 0 && prefix_rate > 0};
    if (l->per_ip)
        limiter_init(&l->ip, table->ip, LIMITS_CELLS, ip_rate, ip_rate, table->seed);
    if (l->per_prefix)
        limiter_init(&l->prefix, table->prefix, LIMITS_CELLS, prefix_rate, prefix_rate, table->seed);
}

static bool take(struct limiter *l, enum limits_of of, const struct addr *source, int64_t now_us)
{
    size_t len = source->family == ADDR_V4 ? 4 : 16;
    const int64_t units = of == LIMITS_STREAMS_FAILED ? LIMITS_FAILED_COST : 1;
    uint8_t key[sizeof source->ip + 1];
    memcpy(key, source->ip, len);
    key[len] = (uint8_t)of;
    return limiter_take_many(l, key, len + 1, units < l->burst ? units : l->burst, now_us).allowed;
}

bool limits_allow(struct limits *l, enum limits_of of, const struct addr *source, int64_t now_us)
{
    if (l->per_ip && !take(&l->ip, of, source, now_us))
        return false;
    if (!l->per_prefix)
        return true;
    struct addr net = addr_prefix(source, source->family == ADDR_V4 ? V4_PREFIX : V6_PREFIX);
    return take(&l->prefix, of, &net, now_us);
}
