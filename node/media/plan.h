/* What the controllers have planned for the meetings on this node: over which nodes they are joined, and who has
 * been removed. An immutable snapshot that all threads share; whoever makes it sorts it. */
#ifndef BERTH_NODE_MEDIA_PLAN_H
#define BERTH_NODE_MEDIA_PLAN_H

#include "media/ticket.h"

enum { MEDIA_SHARED_LEN = TICKET_SECRET_LEN };

struct media_plan_peer {
    char who[AGENT_ID_MAX + 1];       /* "<org>/<node>", as its tickets say */
    bool leaf;                        /* it is linked to the hub alone */
    bool dial;                        /* should both nodes dial, the link of this one stays */
    uint8_t shared[MEDIA_SHARED_LEN]; /* of crypto_kx between the two nodes */
};

struct media_plan_meeting {
    char org[ORG_ID_MAX + 1], id[TICKET_MEETING_MAX + 1];
    uint64_t epoch;
    bool hub; /* this node is: it passes on what comes from leaves, and to them */
    size_t n_peers;
    const struct media_plan_peer *peers;
};

/* Tickets of that participant up to that number admit no more. Of one that has been erased `who` is a hash:
 * media_plan_hash_name. */
struct media_plan_removed {
    char org[ORG_ID_MAX + 1], id[TICKET_MEETING_MAX + 1], who[AGENT_ID_MAX + 1];
    int64_t number;
};

struct media_plan {
    size_t n_meetings, n_removed;
    const struct media_plan_meeting *meetings; /* by media_plan_meeting_cmp */
    const struct media_plan_removed *removed;  /* by media_plan_removed_cmp */
};

/* Orders for qsort. */
int media_plan_meeting_cmp(const void *a, const void *b);
int media_plan_removed_cmp(const void *a, const void *b);
/* NULL: that meeting is on this node alone. `plan` NULL: there is none. */
const struct media_plan_meeting *media_plan_meeting(const struct media_plan *plan, const char *org,
                                                    const char *id);
const struct media_plan_peer *media_plan_peer(const struct media_plan_meeting *m, const char *who);
/* "~" and the hexadecimal SHA-256 of "<org>/<meeting>/<who>": no name is one. */
void media_plan_hash_name(char out[static AGENT_ID_MAX + 1], const char *org, const char *id,
                          const char *who);
bool media_plan_is_removed(const struct media_plan *plan, const struct ticket *t);

/* The snapshot itself, with counted references. */
struct media_plan_held;
/* A deep copy of what is sorted; held once. NULL: out of memory. */
struct media_plan_held *media_plan_held_new(const struct media_plan *plan);
struct media_plan_held *
media_plan_hold(struct media_plan_held *p);         /* any thread; NULL is fine, and stays NULL */
void media_plan_release(struct media_plan_held *p); /* NULL is fine */
const struct media_plan *media_plan_of(const struct media_plan_held *p); /* NULL of NULL */

/* What threads call the link to that node in that meeting. */
uint64_t media_plan_link_id(const char *org, const char *meeting, const char *who);

#endif
