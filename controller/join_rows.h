/* What a look reads of the database: into the scene's people, and rows of their reports; and what makes a scene of it, wherever it comes
 * from. Private to the scene. */
#ifndef BERTH_CONTROLLER_JOIN_ROWS_H
#define BERTH_CONTROLLER_JOIN_ROWS_H

#include "join_scene.h"

/* Zeroed, from the scene's pool; there is room for one more than n. */
void *join_scene_alloc(struct join_scene *s, size_t n, size_t size);
/* The index among the problem's nodes, or PLACE_NONE. `guess` is where it may well be: reports mostly have the order of the list. */
size_t join_scene_node(const struct join_scene *s, const char *id, size_t guess);
/* The scene's start, its nodes, and the end: the decision on what is in it. */
void join_scene_init(struct join_scene *s);
void join_scene_take_nodes(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c);
/* Of each node, how many a plan has there that nobody else counts: that many are on it, if the catalogue knows of fewer. */
void join_scene_take_seats(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                           const int64_t *seats);
void join_scene_decide(struct join_scene *s);
/* Among the scene's people, the newcomer included; PLACE_NONE: not there. */
size_t join_rows_person(const struct join_scene *s, const char *agent);
/* A row that says something of a node that is a candidate. */
struct report_brief_result join_rows_brief(const struct probe_result *m);
void join_rows_add(struct place_row *rows, size_t *n, size_t node, struct report_brief_result m);

/* Epoch, policy and node. 0, -ENOENT, -EBADMSG. */
int join_rows_meeting(struct join_scene *s, const struct db_result *result)
    __attribute__((warn_unused_result));
/* Who is in the meeting, and the newcomer. 0, -ENOSPC or -ESRCH. */
int join_rows_people(struct join_scene *s, const struct join_ask *ask, const struct db_result *result)
    __attribute__((warn_unused_result));
/* Everybody's measurements into `to`, which is parallel to the people; with ask->reports, of those that are kept: s->n_missing others are to be
 * fetched. What failed is noted, and counts from join_failures_bar on. 0, -EAGAIN, -EFBIG, -EBADMSG, -ENOMEM. */
int join_rows_reports(struct join_scene *s, const struct join_ask *ask, const struct db_result *result,
                      struct place_participant *to) __attribute__((warn_unused_result));
void join_rows_capabilities(struct place_participant *who, int said, bool has, unsigned reported);

/* ---- join_reports.c ---- */

/* In the look, behind all else: all that reports say; with ask->reports which they are, and of the others what is kept. The newcomer's is kept for
 * who comes next. -EAGAIN: only who compares them all can tell which one counts, so it is to be looked again, without ask->reports. */
void join_reports_read(struct db_batch *b, const struct join_ask *ask);
int join_reports_take(struct join_scene *s, const struct join_ask *ask, PGresult *const *res,
                      struct place_participant *to) __attribute__((warn_unused_result));
/* Those that were missing. -ESTALE: not all of them came. */
int join_reports_take_fetched(struct join_scene *s, const struct join_ask *ask, const PGresult *res,
                              struct place_participant *to) __attribute__((warn_unused_result));

#endif
