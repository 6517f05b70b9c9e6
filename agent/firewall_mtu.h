/* The largest IP packet that reaches a node undivided, found by bisection. Pure. */
#ifndef BERTH_AGENT_FIREWALL_MTU_H
#define BERTH_AGENT_FIREWALL_MTU_H

#include "core/addr.h"

enum {
    MTU_MOST = 1500, /* no larger one is tried: "1500" means at least that */
    MTU_LEAST_V4 = 576,
    MTU_LEAST_V6 = 1280,
    MTU_STEP = 4, /* STUN messages come in fours */
};

struct mtu_search {
    int64_t fits, too_big; /* known so far */
    bool any;              /* something fitted */
};

void mtu_search_begin(struct mtu_search *s, enum addr_family family);
/* The packet size to try next; 0: the search is over. */
size_t mtu_search_next(const struct mtu_search *s);
void mtu_search_tried(struct mtu_search *s, size_t size, bool fitted);
/* The path's MTU after the search, or -1: not even the least came through. */
int64_t mtu_search_found(const struct mtu_search *s);

#endif
