/* What a controller tells of the meetings on this node beside the keys (GET /v1/nodes/{node}/links): who has been removed from them. Pure; one
 * thread's. Of joined nodes nothing is kept yet. */
#ifndef BERTH_NODE_LINKS_H
#define BERTH_NODE_LINKS_H

#include "media/plan.h"

#include <stdint.h>

enum {
    LINKS_VERSION_MAX = 511,
    LINKS_REMOVED_MAX = 4096, /* the newest; an older one's ticket has run out long ago */
    LINKS_PAGES_MAX = 64      /* asked for in one turn */
};

struct links {
    char version[LINKS_VERSION_MAX + 1]; /* "": nothing is known */
    bool more;                           /* another page is to be asked for at once */
    size_t n_removed, room;
    struct media_plan_removed *removed; /* by media_plan_removed_cmp */
};

/* Zeroed it is empty. */
void links_clear(struct links *l);
/* Takes one answer. 0, -EBADMSG (nothing has changed then), or -ENOMEM. */
int links_update(struct links *l, const char *body, size_t len) __attribute__((warn_unused_result));
/* A plan that outlives it, held once; NULL: out of memory. */
struct media_plan_held *links_plan(const struct links *l);

#endif
