/* Turns: joins of one meeting on one worker run one after the other, in order of arrival, since all but one of those that ran at
 * once would have to decide again. Other workers and controllers are kept apart by the meeting's epoch in the database. What weighs much
 * (simulations, explanations, analytics, joins of many rows) is one after another for each org, and the orgs take turns, one at a turn of the loop, so that
 * everybody else is heard between. Pure. */
#ifndef BERTH_CONTROLLER_JOIN_TURN_H
#define BERTH_CONTROLLER_JOIN_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JOIN_TURNS_MAX = 4096, JOIN_TURN_LISTS = 256 };

/* The owner's memory, until join_turn_done. */
struct join_turn {
    const char *org,
        *meeting; /* what must not run twice at once; no meeting's id is "": what of one org weighs much, which is paced */
    int64_t deadline_us; /* who still waits then is sent away */
    void (*start)(struct join_turn *t);
    void (*late)(struct join_turn *t); /* the turn has ended already */
    struct join_turn *prev, *next;
    struct join_turn *due_next;
    bool listed, running, due; /* due: it is its turn, and it is about to be started */
};

struct join_turn_due {
    struct join_turn *first, *last; /* in the order in which they became so */
};

/* Every turn that is running or waiting: by hash of the meeting, oldest first. Starts as zeros. */
struct join_turns {
    size_t n;
    bool closed;
    bool starting;              /* somebody starts those that are due */
    struct join_turn_due now;   /* started at once */
    struct join_turn_due paced; /* started by join_turns_step; at most one of each org */
    struct join_turn_list {
        struct join_turn *first, *last;
    } lists[JOIN_TURN_LISTS];
};

/* Starts at once (what weighs much: at a step), or when those before it are done. `start` may call join_turn_done; whom that lets start
 * does so once `start` has returned, so a thousand that end as they start need no deeper stack than one. False: there are JOIN_TURNS_MAX. */
bool join_turn_take(struct join_turns *turns, struct join_turn *t) __attribute__((warn_unused_result));
/* Ends a turn, running or waiting, and starts the next; nothing where it has ended already. */
void join_turn_done(struct join_turns *turns, struct join_turn *t);
/* Sends away who has waited until the deadline. Who runs is left to the deadlines of what it does. `late` may end other turns. */
void join_turns_expire(struct join_turns *turns, int64_t now_us);
/* Starts one of those that weigh much, the one that has been due for longest: once in a turn of the loop. */
void join_turns_step(struct join_turns *turns);
/* Whether a step has something to start. */
bool join_turns_due(const struct join_turns *turns);
/* Ends all turns, and starts and takes none any more: the worker ends. */
void join_turns_close(struct join_turns *turns);

#endif
