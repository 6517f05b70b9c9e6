/* Round trips between nodes as the nodes themselves measured them: a table that is immutable once snapshots share it. Pure: no database, clock
 * or log. Times are seconds of the database's clock. */
#ifndef BERTH_CONTROLLER_CATALOGUE_LINKS_H
#define BERTH_CONTROLLER_CATALOGUE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINKS_MAX = 1 << 20,            /* pairs that are kept; what more are told is left out */
    LINKS_MESH_MAX = LINKS_MAX / 2, /* of them, with a mesh node: no org can push the cloud's out */
    LINKS_STALE_S = 1200,           /* older figures count no more; nodes repeat theirs every five minutes */
};

/* Tells one node from all others: a hash of its org and id, so strong that nobody finds an id that is taken for another node. */
struct link_id {
    uint64_t a, b; /* the lowest bit of b: a mesh node's */
};
struct link_id link_id(const char *org, const char *id, bool mesh);

struct links;
/* Room for the pairs of `old` (NULL: none) and `more` others. Takes what is not stale at now_s. NULL: out of memory. */
struct links *links_new(const struct links *old, size_t more, int64_t now_s);
struct links *links_ref(struct links *l);
void links_unref(struct links *l); /* NULL is fine */
enum { LINK_NO_WAY = -2 }; /* in place of a figure: `from` tried every transport, and doesn't reach `to` */
/* Before it is shared. What `from` measured to `to`, or LINK_NO_WAY; an older figure doesn't replace a newer one. False: there is no room. */
bool links_put(struct links *l, struct link_id from, struct link_id to, int32_t rtt_us, int64_t at_s);

struct link {
    int32_t rtt_us; /* the lesser of both directions */
    int64_t at_s;   /* when it was told */
};
/* False: neither has measured the other. `l` NULL: nobody has. */
bool links_find(const struct links *l, struct link_id a, struct link_id b, struct link *out);
/* One of the two has told that it doesn't reach the other, and none has a figure. */
bool links_apart(const struct links *l, struct link_id a, struct link_id b);

/* How far the database has been read. */
struct links_cursor {
    int64_t at_us;                /* what was told before is in the table */
    int64_t due_us, sweep_due_us; /* monotonic: when to look again; when to forget what grew old */
};

struct links_counts {
    size_t pairs, mesh, left_out; /* with a figure; mesh: of these, with a mesh node */
    int64_t newest_s, oldest_s;   /* of the figures; 0: there is none */
};
struct links_counts links_counts(const struct links *l); /* NULL is fine */

/* What a round trip over so many degrees of the earth is likely to be: by great circle, for nodes that nobody has measured. */
int32_t link_rtt_by_place(double lat_a, double lon_a, double lat_b, double lon_b);

#endif
