/* How long a silent UDP pinhole stays open. Many sockets are silent at the same time, each for its own while, so
 * that the whole takes no longer than the longest. Pure. */
#ifndef BERTH_AGENT_FIREWALL_PINHOLE_H
#define BERTH_AGENT_FIREWALL_PINHOLE_H

#include "core/addr.h"

enum { PINHOLE_SAMPLES = 24, PINHOLE_LIMIT_LEAST_S = 2, PINHOLE_LIMIT_MOST_S = 600 };

enum pinhole_method {
    PINHOLE_BY_NOTHING,
    PINHOLE_BY_MAPPING, /* a pinhole that closed gets another public port; one that gets the same again is not noticed */
    PINHOLE_BY_RESPONSE_PORT, /* RFC 5780 4.6: another socket has an answer sent into the pinhole */
};

enum pinhole_state { PINHOLE_UNSEEN, PINHOLE_OPEN, PINHOLE_CLOSED };
struct pinhole_sample {
    int64_t silence_s;
    enum pinhole_state state; /* after it */
};

/* Silences that rise to the limit, denser where they are short. How many. */
size_t pinhole_plan(struct pinhole_sample out[static PINHOLE_SAMPLES], int64_t limit_s);

/* Seconds; -1: not known. */
struct pinhole_found {
    int64_t at_least_s, less_than_s;
};
struct pinhole_found pinhole_judge(const struct pinhole_sample *s, size_t n, enum pinhole_method method);

#endif
