/* Turns: joins of one meeting on one worker run one after the other, in order of arrival, since all but one of those that ran at
 * once would have to decide again. Other workers and controllers are kept apart by the meeting's epoch in the database. Pure. */
#ifndef BERTH_CONTROLLER_JOIN_TURN_H
#define BERTH_CONTROLLER_JOIN_TURN_H

#include <stdbool.h>

/* The owner's memory, until join_turn_done. A list holds every turn that is running or waiting, oldest first. */
struct join_turn {
    const char *org, *meeting; /* what must not run twice at once */
    void (*start)(struct join_turn *t);
    struct join_turn *next;
    bool listed, running;
};

/* Starts at once, or when those before it are done. `start` may call join_turn_done. */
void join_turn_take(struct join_turn **list, struct join_turn *t);
/* Ends a turn, running or waiting, and starts the next; nothing where it has ended already. */
void join_turn_done(struct join_turn **list, struct join_turn *t);

#endif
