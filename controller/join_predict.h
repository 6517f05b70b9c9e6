/* Predictions in a look at a meeting: whom to ask the database about, and what is made of its answer. Private to the join. */
#ifndef BERTH_CONTROLLER_JOIN_PREDICT_H
#define BERTH_CONTROLLER_JOIN_PREDICT_H

#include "geo.h"
#include "join_scene.h"
#include "predict.h"

enum { JOIN_NETWORKS_MAX = 16 }; /* that one look asks about; who named another stays unknown */

/* What is asked. Zeroed; where somebody is may be filled in. */
struct join_predict {
    struct predict_nets own, seen; /* of the addresses that it said it has; of where the request came from */
    char country[COUNTRY_LEN + 1]; /* "": not known */
    bool newcomer;                 /* it has no live report */
    size_t n;                      /* the newcomer's is the first, NULL: not said */
    const char *networks[JOIN_NETWORKS_MAX];
    char names[JOIN_NETWORKS_MAX][NETWORK_ID_MAX + 1]; /* what they point to */
};

/* Whether anybody in the scene has no live report; then p->newcomer and the networks are set. */
bool join_predict_wanted(const struct join_scene *s, struct join_predict *p);
/* Asks about the newcomer alone, whether or not it has a live report: for a look that is too dear to be taken twice. */
void join_predict_newcomer(struct join_predict *p, const char *network);
/* The statement; ask->predict is not NULL. */
void join_predict_read(struct db_batch *b, const struct join_ask *ask);
/* Its answer, for those of `to` that have no live report. 0 or -EBADMSG. */
int join_predict_apply(struct join_scene *s, const PGresult *res, struct place_participant *to)
    __attribute__((warn_unused_result));
/* Remembers what the newcomer was seated by, so that it can be judged; nothing where it was no prediction, or an earlier statement of the batch
 * has said OUTBOX_VOID. */
void join_predict_keep(struct db_batch *b, const struct join_scene *s, const struct join_ask *ask);
/* What was predicted of the node that participant i was given; -1: nothing. */
int64_t join_predicted_rtt(const struct join_scene *s, size_t i);
/* {"source", "confidence_pct", ...} of participant i; NULL: it wasn't predicted. */
json_t *join_predict_json(const struct join_scene *s, size_t i);
/* "3 agents of its network": what it was predicted from. */
void join_predict_words(const struct predict_group *g, char *out, size_t cap);

#endif
