/* The arithmetic of GET /v1/analytics/...: rows in, answers out. Pure but for jansson. */
#ifndef BERTH_CONTROLLER_ANALYTICS_H
#define BERTH_CONTROLLER_ANALYTICS_H

#include "core/doc.h"

/* What calls measured against what their assignments counted on. */
struct analytics_call {
    const char *node; /* the caller's */
    enum transport transport;
    int64_t rtt_us; /* the least */
    struct call_expected expected;
    int64_t seconds, received, lost; /* NOT_MEASURED: not said */
};
/* An item for each node and transport, in their order; sorts `calls`. A new reference; NULL: out of memory. */
json_t *analytics_calls(struct analytics_call *calls, size_t n);

/* What an agent has now, and what is known of the way from it to the place of a new node. */
struct analytics_agent {
    const char *site; /* the caller's; NULL: none */
    int64_t now_us;   /* to its nearest node */
    int64_t
        apart_us; /* the greatest difference of their round trips to a node; NOT_MEASURED: no node is known to both */
    int64_t most_us; /* the least sum of them */
    bool there;      /* it is in that place */
};
/* What it would measure to a node there; NOT_MEASURED: nothing tells. */
int64_t analytics_then(const struct analytics_agent *a);
/* {"agents", "helped", ..., "sites": [...]}: who gains least_gain_us at least, and where they are, those sites first
 * that gain most together. `name`: what a site is called. *told: of how many anything can be told. Sorts. A new
 * reference; NULL: out of memory. */
json_t *analytics_gain(struct analytics_agent *agents, size_t n, int64_t least_gain_us, size_t sites_max,
                       const char *name, size_t *told);

#endif
