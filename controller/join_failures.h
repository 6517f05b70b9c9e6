/* What did not work for a participant lately, in a scene: the nodes over those transports are not offered to it, unless nothing else is left.
 * Private to the scene. */
#ifndef BERTH_CONTROLLER_JOIN_FAILURES_H
#define BERTH_CONTROLLER_JOIN_FAILURES_H

#include "join_scene.h"

enum { FAILURE_AVOID_S = 600 };

/* The statement, its result, and what follows for the participants, once all have their rows. */
void join_failures_read(struct db_batch *b, const struct join_ask *ask);
void join_failures_note(struct join_scene *s, const PGresult *res);
void join_failures_bar(struct join_scene *s);
/* After a decision: whoever got nothing is offered again what failed; true: decide again. */
bool join_failures_lift(struct join_scene *s);
/* ... and tries the transports that failed there last. */
void join_failures_order(struct join_scene *s);

#endif
