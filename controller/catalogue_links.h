/* Round trips between nodes as the nodes themselves measured them: a table that is immutable once snapshots share
 * it. Pure: no database, clock or log. Times are seconds of the database's clock. */
#ifndef BERTH_CONTROLLER_CATALOGUE_LINKS_H
#define BERTH_CONTROLLER_CATALOGUE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINKS_MAX = 1 << 20,                /* pairs that are kept; what more are told is left out */
    LINKS_MESH_MAX = LINKS_MAX / 2,     /* of them, with a mesh node: no org can push the cloud's out ... */
    LINKS_ORG_MAX = LINKS_MESH_MAX / 8, /* ... nor, with its own mesh nodes, those of other orgs */
    LINKS_ORGS_MAX = 4096,              /* that have pairs with mesh nodes */
    LINKS_STALE_S = 1200, /* older figures count no more; nodes repeat theirs every five minutes */
};

/* Tells one node from all others: a hash, so strong that nobody finds an id that is taken for another org's node, or
 * the cloud's. */
struct link_id {
    uint64_t a, b; /* the lowest bit of b: a mesh node's, and then b is the org's alone */
};
struct link_id link_id(const char *org, const char *id, bool mesh);

struct links;
/* Room for the pairs of `old` (NULL: none) and `more` others. Takes what is not stale at now_s. NULL: out of memory. */
struct links *links_new(const struct links *old, size_t more, int64_t now_s);
/* Before it is shared: the same with room for so many more, which takes `l` over; NULL: out of memory, and `l` is gone. */
struct links *links_reserve(struct links *l, size_t more, int64_t now_s);
struct links *links_ref(struct links *l);
void links_unref(struct links *l); /* NULL is fine */
enum { LINK_NO_WAY = -2 }; /* in place of a figure: `from` tried every transport, and doesn't reach `to` */
/* Before it is shared. What `from` measured to `to`, or LINK_NO_WAY; an older figure doesn't replace a newer one.
 * False: there is no room. */
bool links_put(struct links *l, struct link_id from, struct link_id to, int32_t rtt_us, int64_t at_s);

/* That very figure of that time is in it already. `l` NULL: no. */
bool links_hold(const struct links *l, struct link_id from, struct link_id to, int32_t rtt_us, int64_t at_s);

struct link {
    int32_t rtt_us; /* the lesser of both directions */
    int64_t at_s;   /* when it was told */
};
/* False: neither has measured the other. `l` NULL: nobody has. */
bool links_find(const struct links *l, struct link_id a, struct link_id b, struct link *out);
/* One of the two has told that it doesn't reach the other, and none has a figure. */
bool links_apart(const struct links *l, struct link_id a, struct link_id b);

struct links_counts {
    size_t pairs, mesh, left_out; /* with a figure; mesh: of these, with a mesh node */
    int64_t newest_s, oldest_s;   /* of the figures; 0: there is none */
};
struct links_counts links_counts(const struct links *l); /* NULL is fine */

/* What a round trip over so many degrees of the earth is likely to be: by great circle, for nodes that nobody has measured. */
int32_t link_rtt_by_place(double lat_a, double lon_a, double lat_b, double lon_b);

#endif
