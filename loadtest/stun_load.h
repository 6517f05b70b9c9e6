/* A closed loop of Binding requests: every connection keeps up to STUN_LOAD_WINDOW requests in flight, and sends the next when
 * one is answered or lost. One thread, UDP. */
#ifndef BERTH_LOADTEST_STUN_LOAD_H
#define BERTH_LOADTEST_STUN_LOAD_H

#include "core/addr.h"

enum { STUN_LOAD_WINDOW = 64, STUN_LOAD_LOST_US = 500000 };

struct stun_load_opts {
    struct addr server;
    int64_t seconds;
    int64_t connections; /* sockets, each with a port of its own */
};

struct stun_load_result {
    uint64_t sent;
    uint64_t answered; /* a success for a request in flight, naming the address it came from */
    uint64_t lost;     /* no answer within STUN_LOAD_LOST_US */
    uint64_t late;     /* right, but for a request that was lost or answered before */
    uint64_t wrong;    /* anything else that came */
    int64_t elapsed_us;
};

/* 0, or -errno: a socket could not be had. */
int stun_load_run(const struct stun_load_opts *opts, struct stun_load_result *out)
    __attribute__((warn_unused_result));

#endif
