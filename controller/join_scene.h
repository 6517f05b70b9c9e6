/* One look at a meeting: rows of the database and the catalogue made into a problem for the placement engine, its plan, and the answer
 * that the one who joins is given. Everything lives in the scene's own pool until join_scene_clear; strings of nodes belong to the
 * catalogue's snapshot. */
#ifndef BERTH_CONTROLLER_JOIN_SCENE_H
#define BERTH_CONTROLLER_JOIN_SCENE_H

#include "catalogue.h"
#include "db.h"
#include "meeting_policy.h"
#include "placement/place.h"

#include <h2o.h>

enum { JOIN_CORRECTIONS_MAX = 16, WHY_CANDIDATES_MAX = 50 };

/* What the database knew better than the catalogue in memory when a plan was to be kept. */
struct join_correction {
    char org[ORG_ID_MAX + 1];
    char node[NODE_ID_MAX + 1];
    bool full; /* else: drained or gone */
};

struct join_ask {
    const char *org, *meeting, *agent;
    const char *network; /* NULL: not said */
    int capabilities;    /* bits; -1: not said */
    size_t n_corrections;
    struct join_correction corrections[JOIN_CORRECTIONS_MAX];
};

struct join_person {
    const char *agent, *network; /* network: as named when joining */
    int capabilities;            /* as named when joining; -1 */
    bool stored;                 /* was in the meeting before */
    const char *node_org, *node; /* stored */
    int transport;
    const char *ladder; /* as the database writes it: {0,1} */
};

/* The newcomer's report, as far as its ladder needs it; parallel to its rows. */
struct join_measured {
    const char **address; /* "ip:port" that answered, or NULL */
    const char **proxy;   /* URL, or NULL */
};

struct join_scene {
    h2o_mem_pool_t pool;
    bool ready;
    int64_t epoch;
    json_t *policy_json; /* what the policy borrows from */
    struct meeting_policy policy;
    const char *node_org, *node;         /* the meeting's; NULL: none yet */
    const struct catalogue_node **nodes; /* by id; parallel to problem.nodes */
    struct join_person *people;          /* parallel to problem.participants */
    struct place_problem problem;
    struct place_plan plan;
    struct join_measured measured;
    size_t me;
};

/* The statements of one look, in the order in which join_scene_build expects their results. */
void join_scene_read(struct db_batch *b, const struct join_ask *ask);
/* Reads and decides. 0; -ENOENT: no such meeting; -EBADMSG: rows that are not as they should be. Clear it in every case. */
int join_scene_build(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                     const struct db_result *result) __attribute__((warn_unused_result));
void join_scene_clear(struct join_scene *s);

/* "{0,2}": a seat's ladder as the database keeps it, from the scene's pool. */
const char *join_ladder_text(struct join_scene *s, const struct place_seat *seat);
/* Is participant i where it was, in every respect that is stored? */
bool join_person_unchanged(struct join_scene *s, const struct join_ask *ask, size_t i);
/* The answer to the one who joins. NULL: out of memory. */
json_t *join_answer(const struct join_scene *s, const struct join_ask *ask);
json_t *join_why(const struct join_scene *s, const struct join_ask *ask);
/* What stands in the way of every node, in words: "1 unhealthy, 2 full". */
void join_obstacles(const struct join_scene *s, char *out, size_t cap);

#endif
