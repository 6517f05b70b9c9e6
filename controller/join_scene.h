/* One look at a meeting: rows of the database and the catalogue made into a problem for the placement engine, its plan,
 * and the answer that the one who joins is given. Everything lives in the scene's own pool until join_scene_clear;
 * strings of nodes belong to the catalogue's snapshot. In files: join_rows.c and join_reports.c read, join_predict.c
 * guesses, join_given.c takes what a request gives instead, join_scene.c makes the problem, join_diff.c tells what
 * changed against what is stored, join_answer.c, join_why.c, join_candidates.c and join_explain.c say it. */
#ifndef BERTH_CONTROLLER_JOIN_SCENE_H
#define BERTH_CONTROLLER_JOIN_SCENE_H

#include "catalogue.h"
#include "db.h"
#include "meeting_policy.h"
#include "placement/place.h"
#include "report_store.h"

#include <h2o.h>

enum {
    JOIN_CORRECTIONS_MAX = 16,
    WHY_CANDIDATES_MAX = 50,
    WHY_TOLD_MAX = 5,      /* ... in what somebody is told of a move: it has to fit into the outbox */
    JOIN_PEOPLE_MAX = 500, /* of a meeting; one more is refused */
    JOIN_ROWS_MAX =
        500000, /* of live reports that one decision weighs; a join that would need more is refused */
    JOIN_ROWS_LITTLE = 16000, /* up to so many a look holds nobody up; see api_join.c */
};

/* What the database knew better than the catalogue in memory when a plan was to be kept. */
struct join_correction {
    char org[ORG_ID_MAX + 1];
    char node[NODE_ID_MAX + 1];
    bool full; /* else: drained or gone */
};

struct join_predict;
struct predict_group;
struct report_cache;

struct join_ask {
    const char *org, *meeting;
    const char *agent;   /* who joins; NULL: nobody, the meeting is looked at as it is */
    const char *network; /* NULL: not said */
    int capabilities;    /* bits; -1: not said */
    /* it is in the meeting already, and what it said when it joined holds: -ESRCH where it isn't */
    bool stays;
    const struct join_predict *predict; /* NULL: nobody is predicted */
    struct report_cache *reports; /* what is known of reports already; NULL: the look reads all of them */
    int64_t rows_max;             /* reports with more rows than that together are not read */
    size_t n_corrections;
    struct join_correction corrections[JOIN_CORRECTIONS_MAX];
};

struct join_person {
    const char *agent, *network; /* network: as named when joining */
    int capabilities;            /* as named when joining; -1 */
    bool stored;                 /* was in the meeting before */
    bool guessed;                /* stored: was given its node with nothing known of it */
    /* its live report's, of others than the newcomer, where ask->reports is there; NULL: none */
    const char *report_id;
    int64_t measured_at_us, report_ends_us;
    bool missing;                /* that report is to be fetched */
    int64_t moved_ago_us;        /* stored; 0: never */
    const char *node_org, *node; /* stored */
    int transport;
    const char *ladder; /* as the database writes it: {0,1} */
    size_t n_avoid;     /* nodes that did not work for it lately, and over what */
    struct join_avoid {
        size_t node;
        unsigned transports;
    } * avoid;
    const struct place_row *bare_rows; /* its rows without regard to that */
    bool lifted;                       /* offered what failed all the same, for want of anything else */
    const json_t *given;               /* of a simulation: what the request says of it, and its place there */
    size_t place;
    const struct predict_group *prediction; /* what it is predicted by; NULL: nothing */
};

struct join_scene {
    h2o_mem_pool_t pool;
    bool ready;
    int64_t epoch, now_us; /* now: Unix time by the database's clock, as it was looked */
    json_t *policy_json;   /* what the policy borrows from */
    struct meeting_policy policy;
    const char *node_org, *node;         /* the meeting's; NULL: none yet */
    const struct catalogue *catalogue;   /* that they are of */
    const struct catalogue_node **nodes; /* by id; parallel to problem.nodes */
    uint32_t *node_table;                /* by hash of the id: index + 1; 0: free */
    size_t node_mask;
    /* of the people: those who were in the meeting before, by agent; the newcomer is behind them */
    size_t n_stored;
    size_t n_missing;           /* of the people: whose reports are to be fetched ... */
    int64_t n_rows;             /* ... and how many rows those of the others have that are there */
    struct join_person *people; /* parallel to problem.participants */
    struct place_participant *participants; /* the problem's */
    struct place_node *place_nodes;         /* the problem's */
    struct place_problem problem;
    struct place_plan plan;
    struct place_reach *reach; /* of each node: of the participant whose answer is being written */
    size_t n_preferred, preferred[WHY_CANDIDATES_MAX]; /* nodes that are told first; 0: not asked for yet */
    struct stored_report mine; /* the newcomer's live report; empty where it has none */
    size_t me;                 /* PLACE_NONE: nobody joins */
    bool stays;                /* the ask's */
    const char *network;       /* what holds for the newcomer: as it says now, or said when it joined */
    int capabilities;
};

/* The statements of one look, in the order in which join_scene_build expects their results. */
void join_scene_read(struct db_batch *b, const struct join_ask *ask);
/* Reads and decides. 0; -EINPROGRESS: reports are to be fetched first, the catalogue stays as long; -ENOENT: no such
 * meeting; -EBADMSG: rows that are not as they should be; -EAGAIN: it is to be looked without ask->reports; -EFBIG: the
 * others' live reports have more than ask->rows_max rows; -ENOSPC: the meeting is full; -ESRCH: see ask->stays;
 * -ENOMEM. Clear it in every case. */
int join_scene_build(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                     const struct db_result *result) __attribute__((warn_unused_result));
/* The statement that fetches them, and what comes of it: as above, or -ESTALE: one is no more, so it is to be looked again. */
void join_scene_fetch(struct join_scene *s, struct db_batch *b, const struct join_ask *ask);
int join_scene_fetched(struct join_scene *s, const struct join_ask *ask, const struct db_result *result)
    __attribute__((warn_unused_result));
/* The same of what a request gives instead of the database, which outlives the scene: {"participants", "policy"?,
 * "plan"?}. 0, or -EINVAL with *e. Of `ask` the org counts. Clear it in every case. */
int join_scene_given(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                     const json_t *body, struct doc_error *e) __attribute__((warn_unused_result));
/* What a decision works in; nothing is in it before. */
void *join_scene_work(struct join_scene *s);
void join_scene_clear(struct join_scene *s);
bool join_scene_has(const struct join_scene *s, const char *agent); /* among the participants */

/* What is written of a plan: a column each of those who join, move, or have said something else; parallel, from the
 * scene's pool. Others are written where they are moved only, with what they are to be told in `body`. */
struct join_columns {
    size_t n;
    const char **agent, **node_org, **node, **transport, **ladder, **network, **capabilities, **guessed,
        **body;
};
void join_diff(struct join_scene *s, const struct join_ask *ask, struct join_columns *c);
/* The nodes of those columns, once each, and how many come to them that weren't there. */
struct join_needs {
    size_t n;
    const char **org, **node, **more;
};
void join_needs(struct join_scene *s, const struct join_columns *c, struct join_needs *needs);

/* The assignment of participant i, who has a seat, under the plan with that epoch, all but why. It may be stored: what
 * is secret of it admission_complete puts in. NULL: out of memory. */
json_t *join_answer(struct join_scene *s, size_t i, int64_t epoch);
/* Its member "why", with at most so many candidates, as the text of an object, to be freed: doc_text_with puts it in.
 * NULL: out of memory. */
char *join_why(struct join_scene *s, size_t i, size_t candidates);
/* Of that the candidates, the chosen one first, then in the order of preference: the text of a list, in the scene's
 * pool. s->reach is of whom it is about. */
const char *join_candidates(struct join_scene *s, size_t chosen, size_t most);
/* Why participant i is where it is, for answers and explanations alike. */
enum join_reason {
    JOIN_NOTHING,    /* nothing can serve it */
    JOIN_LEAST_BAD,  /* all failed for it */
    JOIN_MOVED,      /* for the gain */
    JOIN_FORCED,     /* its node can't serve it any longer */
    JOIN_UNMEASURED, /* nothing is known of it */
    JOIN_PREDICTED,
    JOIN_STAYS,        /* no move gains enough */
    JOIN_STAYS_LATELY, /* one would, but it was moved too lately */
    JOIN_COMMON,       /* best for all of the meeting */
    JOIN_BLIND,        /* its report speaks of nothing that can be used */
    JOIN_JOINED,       /* the one for it of several */
    JOIN_ALONE,        /* no node serves all */
    JOIN_REASONS
};
enum join_reason join_reason(const struct join_scene *s, size_t i);
const char *join_reason_name(enum join_reason r); /* "least_mean_rtt", ... */
json_t *join_reject_codes(unsigned rejected);     /* enum place_reject, ORed: a list of names */
json_t *
join_rejected_json(const struct join_scene *s); /* whoever takes part: how many nodes, by the gravest name */
/* What keeps participant i, who has no seat, off every node, in words: "1 unhealthy, 2 full". Returns all of it: enum
 * place_reject, ORed. */
unsigned join_obstacles(struct join_scene *s, size_t i, char *out, size_t cap);

/* ---- every candidate of every participant, and its terms ---- */

enum {
    EXPLAIN_PEOPLE = 20,     /* on a page, unless asked for otherwise ... */
    EXPLAIN_PEOPLE_MAX = 40, /* ... at most, */
    EXPLAIN_CELLS_MAX =
        20000, /* and fewer where there are so many nodes that people times nodes would be more */
    EXPLAIN_CANDIDATES_MAX = 50, /* that a page names of each participant */
    EXPLAIN_ONE_MAX = 500,       /* ... where one participant is asked for */
    EXPLAIN_BEST_PEOPLE = 50,    /* for so many the best plan without rules is looked for too */
};

struct explain_ask {
    const char *agent; /* this one only; NULL: a page of all */
    const char *after; /* the page begins behind this one; "": at the start */
    size_t limit;
    bool given; /* a simulation: with the plan as a whole, and what the best plan would cost */
};
/* Of a scene in which nobody joins. *last: the last agent of the page where more follow, else NULL; the scene's. NULL:
 * out of memory. */
json_t *join_explain(struct join_scene *s, const struct explain_ask *ask, const char **last);

#endif
