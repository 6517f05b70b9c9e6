/* Which partitions are missing. Invariant: what is answered overlaps neither itself nor what there is, also where an earlier
 * lifetime had another width. */
#include "housekeeper.h"

enum { WIDTH_MIN_S = 5, WIDTH_MAX_S = 3600, PARTS = 4, AHEAD_S = 60, WIDTHS_AHEAD = 1 };

int64_t partition_width_s(int64_t lifetime_s)
{
    int64_t width = lifetime_s / PARTS;

    if (width < WIDTH_MIN_S)
        return WIDTH_MIN_S;
    return width > WIDTH_MAX_S ? WIDTH_MAX_S : width;
}

size_t partitions_missing(const struct partition_range *have, size_t n, int64_t now_s, int64_t lifetime_s,
                          struct partition_range *out, size_t cap)
{
    int64_t width = partition_width_s(lifetime_s);
    int64_t at = (now_s - lifetime_s) / width * width;
    int64_t end = now_s + AHEAD_S + WIDTHS_AHEAD * width + 1;
    size_t made = 0, i = 0;

    while (at < end && made < cap) {
        int64_t hi = (at / width + 1) * width;
        while (i < n && have[i].hi_s <= at)
            i++;
        if (i < n && have[i].lo_s <= at) {
            at = have[i].hi_s;
            continue;
        }
        if (i < n && have[i].lo_s < hi)
            hi = have[i].lo_s;
        out[made++] = (struct partition_range){.lo_s = at, .hi_s = hi};
        at = hi;
    }
    return made;
}
