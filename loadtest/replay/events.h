/* Joins and leaves, one JSON object a line, in the order of time. */
#ifndef BERTH_LOADTEST_REPLAY_EVENTS_H
#define BERTH_LOADTEST_REPLAY_EVENTS_H

#include "names.h"
#include "world.h"

enum {
    EVENTS_MAX = 20 * 1000 * 1000,
    EVENT_LINE_MAX = 4096,
    MEETING_SIZE_MAX = 5000, /* participants at one time */
    MIXES_MAX = 16,
};

struct event {
    int64_t t_us;
    bool leave;
    bool unmeasured; /* a join of somebody who has never probed */
    size_t meeting, participant;
};

/* Somebody's stay in a meeting: who leaves and joins again is another one. */
struct stay {
    const char *name; /* in events.participant_names */
    size_t site;
    bool unmeasured;
};

struct meeting_facts {
    size_t mix;     /* NAMES_NONE: not said */
    size_t first;   /* the stay of its first joiner */
    size_t largest; /* participants at the same time */
    size_t full_at; /* the last event with so many */
};

struct events {
    size_t n;
    struct event *event;
    struct names meetings, mixes, participant_names;
    struct meeting_facts *meeting; /* meetings.n */
    size_t n_stays;
    struct stay *stay;
};

/* A zeroed struct is empty. `text` has size + 1 bytes, the last a NUL, and is not changed. Unknown sites, times that
 * go back, joins of who is there and leaves of who isn't are refused. -EINVAL with *e; -ENOMEM. */
int events_read(struct events *v, const struct world *w, const char *file, const char *text, size_t size,
                struct replay_error *e) __attribute__((warn_unused_result));
void events_clear(struct events *v);

#endif
