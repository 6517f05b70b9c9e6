/* Connections over TCP or TLS, each with one Binding: opened and closed again as fast as they are answered, or at the times of a schedule, or
 * opened and held. One thread. */
#ifndef BERTH_LOADTEST_STUN_STREAMS_H
#define BERTH_LOADTEST_STUN_STREAMS_H

#include "core/addr.h"
#include "histogram.h"
#include "schedule.h"
#include "stun_faults.h"

enum {
    STUN_STREAMS_MAX = 20000,               /* connections at once */
    STUN_STREAMS_TIMEOUT_US = 10 * 1000000, /* one that hasn't been answered by then has failed */
    STUN_STREAMS_OPENING = 64,              /* of those that are to be held, under way at a time */
};

struct stun_streams_opts {
    struct addr server;
    bool tls;
    bool resume; /* TLS: each connection but the first resumes the session of one before it */
    bool hold;   /* open `connections` of them, stay until `seconds` have passed or standard input ends */
    int64_t seconds;
    int64_t connections; /* at once, at most */
    double rate;         /* connections a second; 0: the next when one has ended */
    enum schedule_kind arrivals;
    uint64_t seed;
    /* All that are to be held are open. */
    void (*held)(void *ctx, size_t n);
    void *ctx;
};

struct stun_streams_result {
    uint64_t opened, answered; /* an answer to its request, naming the address it came from */
    struct stun_faults wrong;  /* an answer, but not that */
    uint64_t failed;           /* refused, reset, ended or silent before it was answered */
    uint64_t missed;           /* of the schedule, not begun when time was over */
    uint64_t resumed;
    uint64_t lost; /* of those held: ended by the server */
    int64_t elapsed_us;
    struct histogram latency; /* from the time that was meant (closed loop: from connect) to the answer */
};

/* 0, or -errno: a socket could not be had, TLS not set up. */
int stun_streams_run(const struct stun_streams_opts *opts, struct stun_streams_result *out)
    __attribute__((warn_unused_result));

#endif
