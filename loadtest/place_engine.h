/* The replay's only door to the controller's placement engine: the world as its problem, its plan as seats. */
#ifndef BERTH_LOADTEST_PLACE_ENGINE_H
#define BERTH_LOADTEST_PLACE_ENGINE_H

#include "replay/world.h"

#include <jansson.h>

struct place_engine;

enum place_engine_mode {
    ENGINE_ONLINE, /* decides as the controller does: by its rules for moves */
    ENGINE_BEST,   /* the best plan for those who are there, whoever has to move */
};

/* One of those who are in the meeting. */
struct place_engine_member {
    const char *name;
    size_t site;
    bool unmeasured;
    size_t present;       /* node, or NAMES_NONE */
    int64_t moved_ago_us; /* 0: never */
};

/* `policy` is a meeting's policy as in the API, or NULL, and `file` what errors call it; it, the world and the
 * measurements stay the caller's for as long as the engine lives. NULL: *e says why. */
struct place_engine *place_engine_new(const struct world *w, const struct matrix *measured,
                                      const json_t *policy, const char *file, struct replay_error *e);
void place_engine_destroy(struct place_engine *p);

/* used[v]: participants on node v now, this meeting's included. seat[i]: the node for member i, or NAMES_NONE; *ns:
 * the thread's CPU time of the decision. 0 or -ENOMEM. */
int place_engine_decide(struct place_engine *p, enum place_engine_mode mode, size_t n,
                        const struct place_engine_member *member, const int64_t *used, size_t *seat,
                        int64_t *ns) __attribute__((warn_unused_result));

/* What a newcomer's seat costs on each node from now on, in ENGINE_ONLINE alone; the array stays the caller's. NULL: nothing. */
void place_engine_price(struct place_engine *p, const int32_t *seat_us);

/* The nodes that the policy lets anybody use: what baselines may choose from. */
const bool *place_engine_allowed(const struct place_engine *p);

#endif
