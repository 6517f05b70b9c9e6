/* From samples of counters to the load that a heartbeat tells. Pure arithmetic. */
#ifndef BERTH_NODE_LOAD_H
#define BERTH_NODE_LOAD_H

#include <stdint.h>

/* Running totals at one moment. */
struct load_sample {
    int64_t at_us;    /* monotonic */
    int64_t cpu_us;   /* processor time that the process has used */
    uint64_t packets; /* received */
    uint64_t bytes;   /* received and sent */
    int64_t sessions; /* open now */
};

struct load {
    double cpu; /* 0 to 1: share of all `cores` */
    int64_t packets_per_s, sessions, bandwidth_bps;
};

/* Load between two samples. Where no time has passed, or counters ran backwards, the rates are 0. */
struct load load_between(const struct load_sample *before, const struct load_sample *after, unsigned cores);

#endif
