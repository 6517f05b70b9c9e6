/* The placement engine: from measurements, nodes, round trips between nodes, a policy and the present plan to a node for every
 * participant, with the reasons. Pure: no database, clock, network, allocation or log; the same input, in whatever order, gives the same
 * plan. Everything it is given stays the caller's; indexes in the answer are indexes into the caller's arrays. Any thread.
 *
 * What is made small: the mean, over the pairs of participants, of half of each one's round trip to its node plus half of the round trip
 * between the two nodes (0 where it is the same). docs/placement.md has the model and what the search guarantees. */
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
        1000000,          /* reachable, yet no figure came with it: worse than what is measured in earnest */
    PLACE_CAP_STAGES = 3, /* of the worst-off participant's cap: 50, 100, 200 ms */
};

/* Why a node can't serve the meeting by itself; several may hold at once. */
enum place_reject {
    PLACE_UNREACHABLE =
        1 << 0,                /* some participant tried it and can't reach it on any transport that counts */
    PLACE_UNMEASURED = 1 << 1, /* some participant's report doesn't speak of it */
    PLACE_DRAINED = 1 << 2,    /* under maintenance, or stopping */
    PLACE_UNHEALTHY = 1 << 3,  /* quarantined: no heartbeat of late, or it failed too many */
    PLACE_FULL = 1 << 4,       /* no room for those who would have to move there */
    PLACE_REGION = 1 << 5,     /* the policy's regions exclude it */
    PLACE_NOT_PRIVATE = 1 << 6,  /* a cloud node, and the policy wants mesh nodes only */
    PLACE_OTHER_ORG = 1 << 7,    /* another organisation's mesh node */
    PLACE_NO_TRANSPORT = 1 << 8, /* it offers no transport that the policy allows */
    PLACE_FAILED = 1 << 9,       /* it did not work for some participant lately */
    PLACE_NO_LINK =
        1
        << 10, /* in terms alone: it and a node that another is on don't reach each other, nor through a third */
    PLACE_REJECTS = 11 /* how many there are */
};
/* What the worst-off participant's mean is to be within at that stage, 0 to PLACE_CAP_STAGES - 1. */
int64_t place_cap_us(int stage);
/* "unreachable_for", "drained", ...: `bit` is one of enum place_reject. */
const char *place_reject_name(enum place_reject bit);

/* A node's state. Quarantined and draining nodes serve nobody new and lose those they have. */
enum place_state {
    PLACE_IN_SERVICE,
    PLACE_SUSPECT,     /* keeps those it has; others come only for want of better */
    PLACE_PROBATION,   /* back from quarantine: somewhat dearer, to begin with */
    PLACE_QUARANTINED, /* PLACE_UNHEALTHY */
    PLACE_DRAINING     /* PLACE_DRAINED */
};

struct place_node {
    const char *id;      /* unique among the candidates */
    const char *org;     /* of a mesh node; NULL: a cloud node */
    const char *cluster; /* nodes of one cluster stand in one site */
    const char *region;
    enum place_state state;
    int64_t capacity;  /* participants; 0: no limit */
    int64_t assigned;  /* participants on it now, those of this meeting included */
    int64_t kbps_left; /* bit rate that it can still take; 0: no limit known */
    double load;       /* 0 idle to 1 */
    double failures;   /* participants that it did not work for lately, with decay */
    /* what a newcomer pays for a seat here besides, so that those who need it more find one; 0 to 100 ms */
    int32_t seat_us;
    double weight;       /* the operator's: 2 halves its round trips, 0.5 doubles them; 0: not set, as 1 */
    unsigned transports; /* bits: what it can be reached on, the proxy's tunnel included */
};

/* One measurement. A repeated (node, transport) counts as reachable if any row says so, with its least RTT. */
struct place_row {
    uint32_t node;     /* index; rows of nodes that are no candidates are left out */
    uint8_t transport; /* enum transport */
    bool reachable;
    uint8_t samples; /* sent; 0: not said */
    uint8_t lost;    /* of them */
    int32_t rtt_us;  /* the least that was measured (or a low quantile), negative: no figure */
};

struct place_participant {
    const char *agent; /* unique in the meeting */
    bool measured;     /* `rows` are its live report's */
    /* not measured, with rows: they are predicted, so sure; 0: nothing is known of it */
    unsigned confidence_pct;
    unsigned capabilities; /* bits: the transports it can use at all */
    size_t n_rows;         /* without rows and report it goes where the others are */
    const struct place_row *rows;
    size_t present; /* the node that it is on, or PLACE_NONE */
    bool guessed; /* it got that node with nothing known of it, so it may be moved to where the others are */
    int64_t moved_ago_us; /* how long ago it was last moved; 0: never */
    size_t n_failed;      /* nodes that did not work for it lately: not offered again */
    const size_t *failed;
};

struct place_policy {
    size_t n_allow, n_deny; /* no `allow` at all: every region */
    const char *const *allow;
    const char *const *deny;
    bool private_only;
    unsigned transports;   /* bits */
    int64_t expected_size; /* participants to come; 0: not said */
    int64_t bitrate_kbps;  /* a participant's; 0: not said */
    /* an own mesh node no farther goes before any cloud node; 0: 250 ms, negative: no preference */
    int64_t mesh_within_us;
    /* the worst-off participant's mean within 50 ms, else 100, else 200, before the mean of all counts */
    bool cap_worst;
};

/* How a plan may be changed. 0 is the default of each, negative: no such rule. */
struct place_rules {
    int64_t gain_us;     /* a move gains this much at least (10 ms) ... */
    int64_t gain_pct;    /* ... and so much of the mover's present latency (33) */
    int64_t interval_us; /* between two moves of a participant (60 s) */
    int64_t join_us;     /* several nodes gain this much over one (5 ms), */
    int64_t join_pct;    /* or so much (10) */
};

enum { PLACE_NO_WAY = -2 }; /* of two nodes: they tried, and neither reaches the other */
/* Indexes of the problem's nodes to microseconds; -1: can't say; PLACE_NO_WAY. Neither may change while a decision is made. */
struct place_ways {
    const void *of;
    int32_t (*measured)(const void *of, size_t a, size_t b); /* either direction, or the lesser of both */
    int32_t (*guessed)(const void *of, size_t a, size_t b);  /* by where they stand; NULL: nobody knows */
};

struct place_problem {
    const char *org; /* the meeting's */
    size_t n_nodes, n_participants;
    const struct place_node *nodes;
    const struct place_participant *participants;
    /* Round trips between nodes, as they were measured: all of them, [from * n_nodes + to], -1: not known, PLACE_NO_WAY; or, where that would be
     * too much, who is asked for the pairs that matter. Both NULL: nothing is known. What isn't known is estimated. */
    const int32_t *node_rtt_us;
    const struct place_ways *ways; /* where node_rtt_us is NULL */
    struct place_policy policy;
    struct place_rules rules;
    size_t present; /* the meeting's main node, or PLACE_NONE */
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
    int64_t mean_rtt_us; /* over those with measurements or predictions, all of whom reach it; else -1 */
    /* what is compared: the meeting's mean one-way latency on this node alone, penalties included; else -1 */
    int64_t cost_us;
    int64_t sum_rtt_us;
    size_t n_reached; /* of those, how many reach it */
    size_t n_unreachable, n_unmeasured;
    size_t unreachable[PLACE_NAMED]; /* the first by name */
    size_t unmeasured[PLACE_NAMED];
    int64_t moving; /* participants of the meeting that would have to move to it */
    int64_t seated; /* that the plan puts on it */
};

/* Why a participant is where it is. */
enum place_reason {
    PLACE_WHY_NOTHING,      /* nothing can serve it */
    PLACE_WHY_LEAST,        /* least latency for the meeting */
    PLACE_WHY_COMPANY,      /* nothing is known of it: where the others are, or the idlest */
    PLACE_WHY_BLIND,        /* nothing that it measured can be used: tried without a measurement */
    PLACE_WHY_STAYS,        /* no move gains enough */
    PLACE_WHY_STAYS_LATELY, /* a move would gain enough, but it was moved too lately */
    PLACE_WHY_MOVED,        /* for the gain */
    PLACE_WHY_FORCED,       /* the node it was on can't serve it any longer */
    PLACE_REASONS           /* how many there are */
};
/* "least_mean_rtt", ... */
const char *place_reason_name(enum place_reason r);

/* A participant is on a cloud node though its org has mesh nodes: because they ... */
enum place_overflow {
    PLACE_OVERFLOW_NO,
    PLACE_OVERFLOW_FULL,
    PLACE_OVERFLOW_UNREACHABLE,
    PLACE_OVERFLOW_FAR,
    PLACE_OVERFLOW_DOWN,
    PLACE_OVERFLOW_UNMEASURED,   /* have room, and its report or prediction doesn't speak of them */
    PLACE_OVERFLOW_NO_TRANSPORT, /* none that the policy allows */
    PLACE_OVERFLOW_DEARER,       /* near, with room, and busy, in doubt, or apart from the others' nodes */
    PLACE_OVERFLOW_NOT_MOVED,    /* have room by now, and it was on its cloud node before */
    PLACE_OVERFLOWS              /* how many there are */
};
const char *place_overflow_name(enum place_overflow o); /* "mesh_full", ...; NULL: no overflow */
const char *
place_overflow_remedy(enum place_overflow o); /* what to do about it, a sentence; NULL: no overflow */

struct place_seat {
    size_t node; /* PLACE_NONE: nothing can serve this participant */
    enum transport
        via; /* what rtt_us is of: the first rung, or, of a prediction, the first that most others got through on */
    int64_t rtt_us; /* -1: no figure */
    /* its mean one-way latency to the others (alone: half its round trip), measured or estimated */
    int64_t latency_us;
    int64_t gain_us; /* moved: how much less its cost is than where it was; else 0 */
    enum place_reason reason;
    enum place_overflow overflow;
    size_t n_ladder;
    enum transport ladder[TRANSPORT_COUNT]; /* what to try, in order */
};

enum place_outcome {
    PLACE_COMMON,    /* one node for all: `node`; somebody may be on it without a measurement */
    PLACE_JOINED,    /* several nodes, joined, as that is better than any single one */
    PLACE_NO_COMMON, /* several nodes, joined, as no single one serves all; or somebody has no seat */
    PLACE_NO_NODE,   /* nothing healthy, open and with room that the policy allows */
    PLACE_NO_REGION, /* the policy's regions exclude every node */
};

/* The arrays are the caller's, of n_nodes or n_participants; what they hold before doesn't matter. */
struct place_plan {
    struct place_candidate *candidates; /* n_nodes */
    struct place_seat *seats;           /* n_participants */
    void *work; /* place_work_size(n_nodes, n_participants) bytes, aligned as malloc does */
    enum place_outcome outcome;
    size_t node;             /* with PLACE_COMMON; else the one with most participants, or PLACE_NONE */
    size_t n_joined;         /* nodes with a seat */
    size_t n_moved;          /* participants that were seated elsewhere before */
    bool overloaded;         /* only overloaded nodes were left: the least loaded serve */
    int cap_stage;           /* with cap_worst: 0 to 2: which cap holds; PLACE_CAP_STAGES: none */
    int64_t latency_us;      /* the meeting's mean over pairs (alone: half its round trip), as far as known */
    int64_t worst_us;        /* the worst-off participant's mean */
    int64_t cost_us;         /* what was made small: latency with penalties and prices */
    int64_t present_cost_us; /* the same of the present plan, as far as it still holds; -1: none */
};

size_t place_work_size(size_t n_nodes, size_t n_participants);
/* What the policy, the org and the node's state say against it, whoever takes part: enum place_reject, ORed. */
unsigned place_node_rejects(const struct place_problem *p, const struct place_node *n);
/* Newcomers get it only where nothing else is left. */
bool place_node_overloaded(const struct place_node *n);

/* Decides on what happened: seats those who have none or can't stay, and moves others by the rules only. */
void place_decide(const struct place_problem *p, struct place_plan *plan);
/* The best plan for this membership, whoever is where, without the rules: as the measure of place_decide, and to know what rebalancing
 * could gain. Searches longer. A meeting that nobody has joined yet is decided by place_decide, with the rule of joined nodes. */
void place_decide_best(const struct place_problem *p, struct place_plan *plan);

/* What participant `i` can use of every node, for the figures beside a decision. `reach` has n_nodes entries. */
void place_view(const struct place_problem *p, size_t i, struct place_reach *reach);
/* The transport it would use, and its figure (or -1); false: it can't reach the node, or nothing is known. */
bool place_expected(const struct place_reach *r, enum transport *transport, int64_t *rtt_us);

/* The order in which candidates are preferred: less than 0 when node `a` goes before `b`. Candidates that are not rejected come first. */
int place_compare(const struct place_problem *p, const struct place_plan *plan, size_t a, size_t b);

/* One participant at one node, the others where the plan has them: what its cost is made of, all one-way. */
struct place_terms {
    bool possible;        /* else nothing below counts */
    unsigned rejected;    /* enum place_reject, ORed: why it is not for this participant; PLACE_UNMEASURED and
                             PLACE_NO_LINK keep nobody off: such nodes come after all others */
    enum transport via;   /* possible: what it would use there */
    int64_t rtt_us;       /* half its round trip */
    int64_t transport_us; /* the transport's penalty */
    int64_t loss_us;      /* lost probes */
    int64_t weight_us;    /* what the operator's weight adds to that, or takes off */
    /* the price of a node that is busy, suspect or on probation, or hasn't room for the size expected; and of its seat */
    int64_t load_us;
    int64_t failures_us; /* ... and of one that did not work for others lately */
    int64_t mesh_us; /* a cloud node though a mesh node would do, or a mesh node of which nothing is known */
    /* nobody measured it: what is taken for its round trip, or how far a prediction counts */
    int64_t unmeasured_us;
    int64_t others_us; /* half the mean of the others' round trips to their nodes, penalties included */
    int64_t nodes_us;  /* half the mean round trip between its node and the others' nodes */
    int64_t cost_us;   /* the sum */
};
/* Of a plan just decided, its `work` untouched. */
void place_terms(const struct place_problem *p, const struct place_plan *plan, size_t i, size_t node,
                 struct place_terms *out);
/* The same of every node: `out` has n_nodes entries. */
void place_terms_all(const struct place_problem *p, const struct place_plan *plan, size_t i,
                     struct place_terms *out);

/* The measure of any assignment (nodes by participant, PLACE_NONE: left out), on the ranking costs (`plan->work` as decided) or on bare
 * round trips. -1: somebody is on a node that it can't reach. */
int64_t place_cost_of(const struct place_problem *p, const struct place_plan *plan, const size_t *nodes,
                      bool bare);
/* No plan can cost less than this: every pair by itself at its best two nodes, with no capacity. Slow: pairs x nodes x nodes. */
int64_t place_lower_bound(const struct place_problem *p, const struct place_plan *plan);

#endif
