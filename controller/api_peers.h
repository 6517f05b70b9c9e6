/* A node's peers: whom it is to probe, and the round trips that it tells with its heartbeats. */
#ifndef BERTH_CONTROLLER_API_PEERS_H
#define BERTH_CONTROLLER_API_PEERS_H

#include "api.h"
#include "catalogue_links.h"

enum {
    PEERS_RTT_MAX = 256, /* figures in one heartbeat */
    /* Of one org's mesh nodes, by one controller: a thousand nodes repeat all theirs at that rate, and what can be
     * kept of an org may be told at once. What is over is left out: a node tells each figure again after five
     * minutes. */
    PEERS_ORG_FIGURES_PER_S = 1000,
    PEERS_ORG_FIGURES_BURST = 2 * LINKS_ORG_MAX,
};

/* Of a heartbeat's body; arrays of the request's. */
struct peers_rtt {
    size_t n;
    const char **to_org, **to_node, **rtt_us;
};

/* The body's "rtt". What is told of nodes that have been deleted is left out, and all of it where the
 * org has told more than it may. False: answered already. */
bool peers_read_rtt(struct api_request *r, struct peers_rtt *out);
/* Adds the statement, where there is something to store. `target`: the two parameters of NODE_TARGET. */
void peers_add_rtt(struct api_request *r, struct db_batch *b, const struct db_param target[static 2],
                   const struct peers_rtt *rtt);
/* The version of the list of peers of that org's nodes; NULL: there is no catalogue yet. `out` has room for
 * CATALOGUE_VERSION_LEN + 1. */
const char *peers_version(struct api_request *r, const char *org, char *out);

#endif
