/* Bisection of the path's MTU. Invariant: `fits` < `too_big`, both in steps of what STUN can make. The largest goes first: most
 * paths take it, and then nothing more is asked. */
#include "firewall_mtu.h"

void mtu_search_begin(struct mtu_search *s, enum addr_family family)
{
    int64_t least = family == ADDR_V6 ? MTU_LEAST_V6 : MTU_LEAST_V4;
    *s = (struct mtu_search){.fits = least - MTU_STEP, .too_big = MTU_MOST + MTU_STEP};
}

size_t mtu_search_next(const struct mtu_search *s)
{
    if (s->too_big - s->fits <= MTU_STEP)
        return 0;
    if (s->too_big > MTU_MOST)
        return MTU_MOST;
    if (!s->any && s->too_big > MTU_LEAST_V6) /* IPv6's least: most of what is less than 1500 is more */
        return MTU_LEAST_V6;
    int64_t middle = s->fits + (s->too_big - s->fits) / 2;
    return (size_t)(s->fits + (middle - s->fits + MTU_STEP - 1) / MTU_STEP * MTU_STEP);
}

void mtu_search_tried(struct mtu_search *s, size_t size, bool fitted)
{
    if (fitted) {
        s->fits = (int64_t)size;
        s->any = true;
    } else {
        s->too_big = (int64_t)size;
    }
}

int64_t mtu_search_found(const struct mtu_search *s)
{
    return s->any ? s->fits : -1;
}
