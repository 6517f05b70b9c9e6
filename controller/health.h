/* A node's health: in service, suspect, quarantined, on probation, and back, by itself. Pure: evidence and a time go
 * in, a state comes out. The state is kept in the database; health_turn.c carries both. docs/architecture.md has the
 * rules in words. */
#ifndef BERTH_CONTROLLER_HEALTH_H
#define BERTH_CONTROLLER_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Since the last heartbeat; they come every 5 s, each node's at its own time. */
    HEALTH_HEARD_AGE_US = 8 * 1000 * 1000,
    HEALTH_SUSPECT_AGE_US = 12 * 1000 * 1000, /* two were missed */
    HEALTH_DEAD_AGE_US = 15 * 1000 * 1000,
    HEALTH_GONE_AGE_US = 10 * 60 * 1000 * 1000, /* in no list any more */
    HEALTH_CLEAN_US = 10 * 1000 * 1000,         /* suspect: nothing for so long, and it is in service */
    HEALTH_HOLD_US = 5 * 1000 * 1000, /* quarantined, the first time; twice as long each time more ... */
    HEALTH_STRIKES_MAX = 8,           /* ... up to this, 640 s */
    HEALTH_PROBATION_US = 60 * 1000 * 1000,
    HEALTH_GRACE_US = 15 * 1000 * 1000, /* a doubt lasts so long after most nodes were heard again */
    HEALTH_DOUBT_NODES = 3,             /* fewer may well die at once */
    HEALTH_TRICKLE = 8, /* on probation: one meeting in so many takes it as nearly in service */
};
#define HEALTH_FORGIVE_US (3600 * INT64_C(1000000)) /* in service for so long: strikes are forgotten */

enum health_state { HEALTH_IN_SERVICE, HEALTH_SUSPECT, HEALTH_QUARANTINED, HEALTH_PROBATION, HEALTH_STATES };
const char *health_state_name(enum health_state s); /* "in_service", ... */

enum health_cause { HEALTH_NOTHING, HEALTH_SILENCE, HEALTH_FAILURES, HEALTH_PROBES, HEALTH_CAUSES };

/* All zeros: in service since ever. */
struct health {
    enum health_state state;
    enum health_cause cause; /* why it isn't in service, or last wasn't */
    int64_t since_us;        /* in this state */
    int64_t bad_us;          /* when something spoke against it last */
    unsigned strikes;
};

struct health_evidence {
    int64_t heartbeat_age_us; /* negative: never heard of */
    bool planned;             /* drained or stopping: its silence is no fault */
    bool doubt;               /* nobody's silence counts: the controllers suspect themselves */
    bool mesh;                /* an org's own: its agents alone may speak against it */
    bool alone;               /* there is one org: nobody else whom its word could harm */
    int64_t participants;
    const double *failures; /* an org each: agents for which it did not work, halved every minute */
    size_t n_failures;
    int64_t probes_fail, probes_work; /* orgs whose agents' probes say so */
};

/* True: something in `h` changed, and is to be kept. */
bool health_step(struct health *h, const struct health_evidence *e, int64_t now_us);

/* How many agents' failures quarantine a node, and what the given ones count towards a limit: no org's for more than
 * half of it on a cloud node, so that it takes two. */
double health_failures_limit(int64_t participants);
double health_failures_count(const struct health_evidence *e, double limit);

/* On probation few meetings take it as it is, always the same ones; the others as suspect. meeting NULL: none. */
bool health_trickles(const char *meeting, const char *node);

/* Of one scope, the cloud or an org with its mesh nodes: nodes that should be heard, and how they are. */
struct health_hearing {
    size_t expected, heard; /* whoever is quarantined or silent by plan isn't expected */
    size_t dead;            /* silent for so long that it would count */
    size_t gone;            /* of the dead: not even listed any more */
};
void health_hear(struct health_hearing *to, enum health_state state, bool planned, int64_t heartbeat_age_us);
/* Most of HEALTH_DOUBT_NODES or more are silent at once: it is more likely the way to them that is broken, or the
 * controllers. Nodes that are gone speak for that only while nobody at all is heard. */
bool health_doubts(const struct health_hearing *n);
/* The doubt of the turn before, and what becomes of it: it ends HEALTH_GRACE_US after most were heard again
 * (*heard_us, 0: they aren't yet), so that all have had the time to come back. */
bool health_doubt_next(bool doubt, int64_t *heard_us, const struct health_hearing *n, int64_t now_us);

#endif
