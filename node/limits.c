/* Two limiters in a row. Invariant: a source refused by its own limit takes nothing from its neighbours' common one. */
#include "limits.h"

#include <sodium.h>
#include <stdlib.h>

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

bool limits_allow(struct limits *l, const struct addr *source, int64_t now_us)
{
    size_t len = source->family == ADDR_V4 ? 4 : 16;
    if (l->per_ip && !limiter_take(&l->ip, source->ip, len, now_us).allowed)
        return false;
    if (!l->per_prefix)
        return true;
    struct addr net = addr_prefix(source, source->family == ADDR_V4 ? V4_PREFIX : V6_PREFIX);
    return limiter_take(&l->prefix, net.ip, len, now_us).allowed;
}
