/* Binding requests over UDP, at the times of a schedule, or in a closed loop: every connection has up to
 * STUN_LOAD_WINDOW requests in flight, and in the closed loop sends the next when one is answered or lost. One
 * thread. */
#ifndef BERTH_LOADTEST_STUN_LOAD_H
#define BERTH_LOADTEST_STUN_LOAD_H

#include "core/addr.h"
#include "histogram.h"
#include "schedule.h"
#include "stun_faults.h"
#include "stun_sessions.h"

enum { STUN_LOAD_WINDOW = 64, STUN_LOAD_LOST_US = 500000 };

struct stun_load_opts {
    struct addr server;
    struct addr from; /* not set: the kernel's choice */
    int64_t seconds;
    int64_t connections; /* sockets, each with a port of its own */
    /* One for each: it is begun, and what is asked then is signed and only what is signed is an answer. NULL: nothing is. */
    struct stun_session *sessions;
    double rate; /* requests a second; 0: a closed loop */
    enum schedule_kind arrivals;
    uint64_t seed;
};

struct stun_load_result {
    uint64_t sent;
    uint64_t answered; /* a success for a request in flight, naming the address it came from */
    uint64_t lost;     /* no right answer within STUN_LOAD_LOST_US; all others that were sent are answered */
    uint64_t late;     /* right, but for a request that was lost or answered before */
    struct stun_faults wrong; /* anything else that came */
    uint64_t missed;          /* of the schedule, not sent when time was over */
    int64_t elapsed_us;       /* until nothing was sent any more, or the last answer */
    struct histogram
        latency; /* of those answered, from the time that was meant (closed loop: from sending) */
};

/* 0, or -errno: a socket could not be had, or a session couldn't be begun. */
int stun_load_run(const struct stun_load_opts *opts, struct stun_load_result *out)
    __attribute__((warn_unused_result));

#endif
