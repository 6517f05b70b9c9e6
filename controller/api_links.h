/* What a node is told of the meetings on it: which are over other nodes too, and who has left them. */
#ifndef BERTH_CONTROLLER_API_LINKS_H
#define BERTH_CONTROLLER_API_LINKS_H

#include "api.h"
#include "core/doc.h"

enum {
    NEWS_KEEP_S =
        3600, /* what is over is told for so long; who asks with an older place is told everything anew */
    NEWS_DROP_MAX = 20000,
    LINKS_ROWS_MAX = 200,  /* of one answer */
    LINKS_NUMBER_LEN = 18, /* digits: what PostgreSQL can't take for a number is none */
    LINKS_PLACE_MAX = 3 * (LINKS_NUMBER_LEN + 1) + 2 + 32 + 1 + 128 + 1 + AGENT_ID_MAX,
};

/* Up to where a node has been told: everything below transaction `since`, which was the oldest under way at that
 * second. In the midst of an answer's pages also the row that was the last. Texts are digits, or ids, from the
 * request's pool. */
struct links_place {
    bool given;
    bool whole, paging; /* whole: these pages are everything anew */
    const char *since, *at_s;
    const char *changed, *org, *meeting, *agent; /* where paging */
};

/* A heartbeat's "links_version". False: answered already. */
bool links_read_version(struct api_request *r, struct links_place *place);
/* Adds a statement that says whether there is more, where the version was given. `target`: the two parameters of NODE_TARGET. */
void links_add_look(struct db_batch *b, const struct db_param target[static 2],
                    const struct links_place *place);

#endif
