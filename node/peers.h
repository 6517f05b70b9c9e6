/* Round trips to the other nodes: a thread that probes them slowly, one after another, with the agent's prober. Any
 * thread may call; what is shared is behind a lock. */
#ifndef BERTH_NODE_PEERS_H
#define BERTH_NODE_PEERS_H

#include "peer_table.h"
#include "sys/log.h"

struct peers;

struct peers_opts {
    const char *ca;      /* of peers that are reached by TLS alone; NULL: the system's */
    int64_t interval_us; /* in which each peer is probed once (of many: PEER_ROUND_MAX of them) */
    struct log *log;
};

/* 0, or -errno. Nobody is probed before peers_update. */
int peers_start(struct peers **out, const struct peers_opts *opts) __attribute__((warn_unused_result));
void peers_stop(struct peers *p); /* joins and frees; NULL is fine */

/* The body of GET /v1/nodes/{node}/peers. 0; -EBADMSG: it is none, and nothing has changed; -ENOMEM. */
int peers_update(struct peers *p, const char *body, size_t len) __attribute__((warn_unused_result));
/* As peer_table has them. */
size_t peers_tell(struct peers *p, struct peer_rtt out[static PEER_TELL_MAX]);
void peers_told(struct peers *p, bool heard);
void peers_tell_all(struct peers *p);
/* Counts and, in *age_us, how long ago the newest measurement was; -1: there is none. */
struct peer_counts peers_counts(struct peers *p, int64_t *age_us);

#endif
