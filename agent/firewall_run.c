/* The order of an examination. Invariant: whatever fails on the way, what was seen before stays. */
#include "firewall_look.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void firewall_tell(const struct firewall_plan *plan, const char *what, size_t done, size_t of)
{
    if (plan->progress)
        plan->progress(plan->user, what, done, of);
}

int firewall_look(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    *seen = (struct firewall_seen){.mtu = NOT_MEASURED,
                                   .pinhole_asked = plan->pinhole_limit_s > 0,
                                   .pinhole = {-1, -1},
                                   .throughput = {.up_bps = NOT_MEASURED, .down_bps = NOT_MEASURED},
                                   .clock_ahead_us = plan->clock_ahead_us};
    if (sodium_init() < 0)
        return -ENOSYS; /* no randomness */
    int err = firewall_lay_out(seen, plan);
    if (err == 0)
        err = firewall_probe(seen, plan);
    if (err == 0)
        firewall_measure_directly(seen, plan);
    if (err == 0 && plan->proxy)
        err = firewall_probe_proxies(seen, plan);
    if (err < 0) {
        firewall_seen_clear(seen);
        return err;
    }
    firewall_ask_nat(seen, plan);
    firewall_ask_mtu(seen, plan);
    if (seen->pinhole_asked)
        firewall_ask_pinhole(seen, plan);
    return 0;
}

void firewall_seen_clear(struct firewall_seen *seen)
{
    free(seen->rows);
    *seen = (struct firewall_seen){0};
}
