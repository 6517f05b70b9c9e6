/* The placement engine: from measurements, nodes and a policy to a node for every participant, with the reasons. Pure: no database,
 * clock, network, allocation or log; the same input, in whatever order, gives the same plan. Everything it is given stays the
 * caller's; indexes in the answer are indexes into the caller's arrays. Any thread. */
#ifndef BERTH_PLACEMENT_PLACE_H
#define BERTH_PLACEMENT_PLACE_H

#include "core/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACE_NONE ((size_t)-1) /* an index that means none */

enum {
    PLACE_NAMED = 8, /* participants that a candidate names for each rejection */
    PLACE_RTT_UNKNOWN_US =
        1000000 /* reachable, yet no figure came with it: worse than what is measured in earnest */
};

/* Why a node can't serve the meeting; several may hold at once. */
enum place_reject {
    PLACE_UNREACHABLE =
        1 << 0,                /* some participant tried it and can't reach it on any transport that counts */
    PLACE_UNMEASURED = 1 << 1, /* some participant's report doesn't speak of it */
    PLACE_DRAINED = 1 << 2,    /* under maintenance, or stopping */
    PLACE_UNHEALTHY = 1 << 3,  /* no heartbeat of late */
    PLACE_FULL = 1 << 4,       /* no room for those who would have to move there */
    PLACE_REGION = 1 << 5,     /* the policy's regions exclude it */
    PLACE_NOT_PRIVATE = 1 << 6,  /* a cloud node, and the policy wants mesh nodes only */
    PLACE_OTHER_ORG = 1 << 7,    /* another organisation's mesh node */
    PLACE_NO_TRANSPORT = 1 << 8, /* it offers no transport that the policy allows */
    PLACE_REJECTS = 9            /* how many there are */
};
/* "unreachable_for", "drained", ...: `bit` is one of enum place_reject. */
const char *place_reject_name(enum place_reject bit);

struct place_node {
    const char *id;  /* unique among the candidates */
    const char *org; /* of a mesh node; NULL: a cloud node */
    const char *cluster;
    const char *region;
    bool healthy;
    bool drained;
    int64_t capacity;    /* participants; 0: no limit */
    int64_t assigned;    /* participants on it now, those of this meeting included */
    double load;         /* 0 idle to 1 */
    unsigned transports; /* bits: what it can be reached on, the proxy's tunnel included */
};

/* One measurement. A repeated (node, transport) counts as reachable if any row says so, with its least RTT. */
struct place_row {
    size_t node; /* index; rows of nodes that are no candidates are left out */
    enum transport transport;
    bool reachable;
    int64_t rtt_us; /* the least that was measured, negative: no figure */
};

struct place_participant {
    const char *agent;     /* unique in the meeting */
    bool measured;         /* it has a live report; else `rows` is empty and it goes where the others are */
    unsigned capabilities; /* bits: the transports it can use at all */
    size_t n_rows;
    const struct place_row *rows;
    size_t present; /* the node that it is on, or PLACE_NONE */
};

struct place_policy {
    size_t n_allow, n_deny; /* no `allow` at all: every region */
    const char *const *allow;
    const char *const *deny;
    bool private_only;
    unsigned transports; /* bits */
};

struct place_problem {
    const char *org; /* the meeting's */
    size_t n_nodes, n_participants;
    const struct place_node *nodes;
    const struct place_participant *participants;
    struct place_policy policy;
    size_t present; /* the meeting's node, or PLACE_NONE */
};

/* What one participant can use of one node. */
struct place_reach {
    unsigned tested; /* bits: rows that say something */
    unsigned usable; /* bits: reachable, and allowed by capabilities, policy and node */
    int64_t rtt_us[TRANSPORT_COUNT];
};

/* What became of a node in the decision. */
struct place_candidate {
    unsigned rejected;   /* enum place_reject, ORed; 0: it could serve the whole meeting */
    int64_t mean_rtt_us; /* over the measured participants, all of whom reach it; else -1 */
    int64_t sum_rtt_us;  /* what is compared */
    size_t n_reached;    /* measured participants that reach it */
    size_t n_unreachable, n_unmeasured;
    size_t unreachable[PLACE_NAMED]; /* the first by name */
    size_t unmeasured[PLACE_NAMED];
    int64_t moving; /* participants of the meeting that would have to move to it */
    int64_t seated; /* that are on it */
};

struct place_seat {
    size_t node;    /* PLACE_NONE: nothing can serve this participant */
    int64_t rtt_us; /* over the transport expected; -1: no figure */
    size_t n_ladder;
    enum transport ladder[TRANSPORT_COUNT]; /* what to try, in order; the first is the one expected */
};

enum place_outcome {
    PLACE_COMMON, /* one node for all: `node` */
    PLACE_NO_COMMON, /* no such node: who can stay stays, each other has its own best, or tries what it doesn't know */
    PLACE_NO_NODE,   /* nothing healthy, open and with room that the policy allows */
    PLACE_NO_REGION, /* the policy's regions exclude every node */
};

/* The arrays are the caller's, of n_nodes or n_participants; what they hold before doesn't matter. */
struct place_plan {
    struct place_candidate *candidates; /* n_nodes */
    struct place_seat *seats;           /* n_participants */
    struct place_reach *reach;          /* n_nodes: scratch */
    size_t *order;                      /* n_participants: scratch; afterwards participants by name */
    enum place_outcome outcome;
    size_t node; /* with PLACE_COMMON */
};

void place_decide(const struct place_problem *p, struct place_plan *plan);

/* What participant `i` can use of every node, for the figures beside a decision. `reach` has n_nodes entries. */
void place_view(const struct place_problem *p, size_t i, struct place_reach *reach);
/* The transport it would use, and its figure (or -1); false: it can't reach the node, or nothing is known. */
bool place_expected(const struct place_reach *r, enum transport *transport, int64_t *rtt_us);

/* The order in which candidates are preferred: less than 0 when node `a` goes before `b`. Candidates that are not rejected come first. */
int place_compare(const struct place_problem *p, const struct place_plan *plan, size_t a, size_t b);

#endif
