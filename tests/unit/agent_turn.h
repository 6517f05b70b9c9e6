/* A client's own loop around an agent, turn by turn. */
#ifndef BERTH_TESTS_AGENT_TURN_H
#define BERTH_TESTS_AGENT_TURN_H

#include "check.h"

#include "agent/berth.h"
#include "sys/clock.h"

#include <poll.h>

enum { AGENT_TURN_MS = 50 }; /* at the most: callers look at what other threads do as well */

/* Waits for what the agent waits for, and lets it go on. `deadline_us`: when the test has failed (clock_mono_us). */
static inline void agent_turn(struct berth_agent *a, int64_t deadline_us)
{
    struct pollfd fd = {.fd = berth_agent_fd(a), .events = POLLIN};
    int timeout = berth_agent_timeout(a);

    poll(&fd, 1, timeout < 0 || timeout > AGENT_TURN_MS ? AGENT_TURN_MS : timeout);
    assert_int_equal(berth_agent_dispatch(a), 0);
    assert_true(clock_mono_us() < deadline_us);
}

#endif
