/* What a node's last figures mean now. Invariant: a node that has told nothing counts as busy, and not as overloaded. */
#include "node_now.h"

/* What is taken for the load of a node that has not told it yet: less idle than most, and not overloaded. */
static const double load_unknown = 0.75;
/* Who came since a node told its load costs what each of those there costs, within bounds. */
static const double share_least = 0.0005, share_most = 0.02, share_full = 0.8, expected_most = 0.94;

double node_now_load(int64_t capacity, const struct catalogue_load *l)
{
    int64_t came = l->assigned - l->assigned_told;
    double share = l->assigned_told > 0 ? l->cpu / (double)l->assigned_told : 0;
    double least = capacity > 0 ? share_full / (double)capacity : share_least;

    if (!l->told)
        return load_unknown;
    if (came <= 0 || l->cpu >= expected_most)
        return l->cpu;
    share = share > share_most ? share_most : share;
    share = share < least ? least : share;
    return l->cpu + (double)came * share < expected_most ? l->cpu + (double)came * share : expected_most;
}

int64_t node_now_kbps_left(int64_t capacity_kbps, const struct catalogue_load *l, int64_t each_kbps)
{
    int64_t came = l->assigned > l->assigned_told ? l->assigned - l->assigned_told : 0;
    int64_t left = capacity_kbps - l->bandwidth_bps / 1000 - came * each_kbps;

    return capacity_kbps == 0 ? 0 : left > 1 ? left : 1;
}
