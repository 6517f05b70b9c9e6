/* A decision on a meeting, from the first look to the commit: read, decide, and keep the plan only if the meeting's
 * epoch is still the one that was read; else look again, until the deadline. Joins, failures and reviews all go this
 * way. One worker's thread. */
#ifndef BERTH_CONTROLLER_JOIN_RUN_H
#define BERTH_CONTROLLER_JOIN_RUN_H

#include "controller.h"
#include "join_predict.h"
#include "join_scene.h"
#include "join_turn.h"

/* How it ended: with an answer, a refusal, or a database that failed. */
struct join_end {
    int status;                     /* of HTTP */
    json_t *answer;                 /* to be stolen; NULL: refused, or nobody has asked */
    const char *why;                /* of the answer: the text of that member, until `done` returns */
    const char *code, *detail;      /* refused: a problem's; else NULL */
    const struct db_result *failed; /* the batch that failed for good; NULL: none */
    size_t moved;                   /* others that were moved, and are told so */
};

struct join_run;
struct join_look;
/* Called once, unless the run is dropped before. The run's memory may go in it. */
typedef void join_run_done_cb(struct join_run *run, const struct join_end *end);

/* The owner's memory, zeroed; it fills the first part, and may go when `done` is called or after join_run_drop. */
struct join_run {
    struct worker *worker;
    struct join_ask ask; /* its strings outlive the run; join_run_start sets rows_max */
    struct join_predict
        predict; /* where the newcomer is; asked for once a look has shown that somebody has no live report */
    int64_t started_us, deadline_us;
    join_run_done_cb *done;
    /* the run's own: */
    struct join_turn turn; /* of the meeting */
    struct join_turn
        weighs; /* of the org: one at a time of its decisions that weigh many reports; taken once a look has shown it */
    struct db_batch *batch;
    db_done_cb *then;
    struct db_wait waited;  /* for the database */
    struct join_look *look; /* waits for reports that are fetched; NULL: none does */
    bool patient;           /* has met a lock: goes over DB_TENANT_SLOW from then on */
    json_t *answer;         /* what is said once the plan is kept ... */
    char *why;              /* ... and why, as text */
    int status;
    size_t moved;
    bool predicted; /* the answer is by a prediction */
    int64_t lease,
        coming;   /* seats taken of a lease of the plan under way, and how many; 0: the database counts */
    json_t *told; /* agents that have an event once it is kept; NULL: none */
};

void join_run_start(struct join_run *run);
/* Whoever waits has gone: nothing is called any more. Nothing happens where it has ended already. */
void join_run_drop(struct join_run *run);

#endif
