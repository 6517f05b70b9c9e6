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

#endif
