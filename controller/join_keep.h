/* The statement that keeps a plan, where the meeting's epoch is still the one that was read, and what it answers. A worker's
 * thread. */
#ifndef BERTH_CONTROLLER_JOIN_KEEP_H
#define BERTH_CONTROLLER_JOIN_KEEP_H

#include "join_scene.h"

/* Adds it to a batch of the ask's org: these columns, of which those nodes are needed, under that lease (0: the database
 * counts). outbox_add may follow: where nothing is kept, nothing is told. */
void join_keep_add(struct db_batch *b, struct join_scene *s, const struct join_ask *ask,
                   const struct join_columns *c, const struct join_needs *needs, int64_t lease);

/* Of its result: the plan has been kept. */
bool join_kept(const PGresult *res);
/* It hasn't, as the lease serves no more; another, or none, will. */
bool join_kept_no_lease(const PGresult *res);
/* It hasn't: what the database knew better is believed from then on. False: there is no room for more of it. */
bool join_keep_correct(struct join_ask *ask, const PGresult *res);

#endif
