/* What the files of the placement engine share: the workspace, laid over the caller's buffer, and the constants of the model.
 *
 * Inside, participants stand in the order of their names and nodes in the order of their ids, so that nothing depends on the order of the
 * input. Costs are round trips in microseconds; a plan's cost is J = (n - 1) * sum of the seats' costs + sum over pairs of the round trip
 * between their nodes, and J / (n * (n - 1)) is the mean one-way latency. */
#ifndef BERTH_PLACEMENT_PLACE_INTERNAL_H
#define BERTH_PLACEMENT_PLACE_INTERNAL_H

#include "placement/place.h"

enum {
    PLACE_FAR = INT32_MAX, /* in the matrix: can't, or may not */
    PLACE_RTT_MAX_US = 60000000,
    PLACE_SHORT_DECIDE = 24,      /* nodes that the search over several looks at, on a request's way ... */
    PLACE_SHORT = 64,             /* ... and where there is more time */
    PLACE_COLS = PLACE_SHORT + 1, /* and one more: nowhere */
    PLACE_STRIDE = (PLACE_COLS + 3) / 4 * 4, /* so many as fill wide registers */
    PLACE_COL_NONE = UINT8_MAX,              /* of a node that is on no column */
    PLACE_WITNESSES = 48,                    /* participants that are asked how far apart two nodes are */
    PLACE_BLIND_US = 8000000,      /* a node that a report doesn't speak of: after all that it does */
    PLACE_NOWHERE_US = 64000000,   /* the cost of no seat: worse than any */
    PLACE_MESH_WITHIN_US = 250000, /* the threshold within which mesh is preferred, by default */
    PLACE_APART_US =
        16000000, /* between two nodes that don't reach each other, nor any third that does: worse than a
                                      node of which nothing is known, better than no seat */
    PLACE_NODE_UNKNOWN_US = 200000 /* between two nodes of which nothing is known */
};

#define PLACE_RANK_NONE UINT32_MAX

/* Loops over many nodes: where the processor has wide registers (AVX2), it runs a build of them that uses those. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && __GNUC__ >= 12
#define PLACE_WIDE __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define PLACE_WIDE
#endif

enum place_flag {
    PLACE_F_MEASURED = 1 << 0, /* rows speak for it: live or predicted */
    PLACE_F_MESH =
        1 << 1, /* has an own mesh node within the policy's reach, with room: cloud nodes are dearer */
    PLACE_F_LATELY = 1 << 2, /* a move would gain enough, but it was moved too lately */
};

/* One column of the search: a node of the short list. The last is nowhere. */
struct place_col {
    uint32_t node;
    int64_t assigned; /* on it now; whoever leaves it frees nothing in the same plan */
    int64_t capacity; /* 0: no limit */
    int32_t limit;    /* newcomers that it can take */
};

/* A plan in the making. `at` and `m` say all; `s` and `cost` follow from them. */
struct place_draft {
    uint8_t *at; /* column by participant */
    int32_t m[PLACE_COLS];
    int32_t in[PLACE_COLS];  /* of m, those who aren't on it now */
    int64_t s[PLACE_STRIDE]; /* sum over the seated of the round trip from this column's node to theirs */
    int64_t seats;           /* of the cost, the seats' own */
    int64_t cost;            /* J */
};

/* All who are on one column, together. */
struct place_group {
    int64_t own[PLACE_STRIDE]; /* what their seats would cost on each */
    int32_t home[PLACE_COLS];  /* how many are at home there */
    bool locked;               /* somebody may not go */
};

/* Of one column, by the column that might be opened: those whom it would bring nearer. */
struct place_leavers {
    int64_t saved[PLACE_STRIDE]; /* what their own seats cost less, negative */
    int64_t gone[PLACE_STRIDE];
};

struct place_work {
    size_t n, nodes;
    size_t *who;       /* participants by name */
    size_t *node_at;   /* nodes by id: index of the caller */
    uint32_t *rank_of; /* and back */
    /* of nodes */
    unsigned *rejects; /* whoever takes part */
    uint8_t *offered;  /* transports, within the policy */
    int32_t *inverse;  /* 1000 / weight */
    int32_t *price;    /* of load and state, for newcomers */
    int64_t *room;     /* seats left for newcomers; INT64_MAX: no limit */
    int64_t *sum;      /* of the matrix's column */
    int64_t *sum_rtt;
    uint32_t *n_miss;   /* of those that are summed there */
    uint32_t *n_far;    /* participants that can't be seated on it */
    uint32_t *here;     /* participants that are on it */
    uint8_t *col_of;    /* its column; PLACE_COL_NONE */
    uint8_t *counted;   /* scratch */
    uint32_t *list;     /* scratch */
    uint32_t *way_to;   /* of the caller's nodes: rank and transports offered */
    uint32_t *rejected; /* those with rejections, n_rejected of them */
    int64_t *gain;      /* scratch of the short list */
    /* participants x nodes */
    int32_t *cost;
    uint32_t *cell; /* what the rows say: place_cell_rtt, place_cell_usable */
    /* of participants */
    uint8_t *flags;
    uint32_t *nearest; /* node of least cost with a seat left; PLACE_RANK_NONE */
    uint32_t *present; /* node by rank; UINT32_MAX: none */
    uint8_t *home;     /* column where it is and can stay, else nowhere */
    uint32_t *aside;   /* its node where that has no column: its home stands for it; PLACE_RANK_NONE */
    uint8_t *lock;     /* the search may not move it */
    int64_t *before;   /* its own cost where it would stay; -1: it can't */
    /* the search */
    size_t k_max;  /* nodes on the short list at most, so far */
    size_t k;      /* columns, nowhere included */
    size_t stride; /* of `w`: k, rounded up; what is beyond k costs more than anything */
    size_t n_rejected;
    bool weighted; /* some node has a weight */
    bool plain;    /* nodes stand in the order of their ids, and all offer the same transports */
    bool mesh;     /* there are mesh nodes among the candidates */
    int passes;    /* of a descent */
    bool capped;   /* the policy caps the worst-off */
    bool tight;    /* some column has a limit or a price */
    int64_t mult, div;
    int64_t now; /* the cost with nobody moved who can stay; -1: not asked */
    struct place_col col[PLACE_COLS];
    int64_t d[PLACE_STRIDE * PLACE_STRIDE];
    /* what nodes of the short list, then participants, measured to its nodes; -1: nothing; PLACE_NO_WAY */
    int32_t witness[(PLACE_COLS + PLACE_WITNESSES) * PLACE_COLS];
    size_t n_witnesses; /* of the participants */
    uint32_t witness_of[PLACE_WITNESSES];
    int64_t *w;    /* participants x columns: mult * cost */
    uint8_t *best; /* of a participant's columns, the first of least cost, nowhere if it is as good */
    struct place_group *group; /* scratch of the search, PLACE_COLS of each */
    struct place_leavers *leave;
    uint8_t *states[5];
    /* round trips to the columns from nodes that have none, made when they are first asked for */
    uint8_t *way_done;
    int32_t *way; /* nodes x columns */
};

/* Of `way_to`: a node's rank, and above it what it offers. */
enum { PLACE_WAY_OFFERED = 24, PLACE_WAY_RANK = (1 << PLACE_WAY_OFFERED) - 1 };

/* A cell is one number, so that a row costs one load and one store: from the top the transport that would be used and its round trip, and
 * in the last bits the transports that could be. Of two, the less is the nearer. */
enum { PLACE_CELL_TRANSPORT = 30, PLACE_CELL_RTT = 4, PLACE_CELL_REST = (1 << PLACE_CELL_RTT) - 1 };
#define PLACE_CELL_NONE    0xFFFFFFE0U /* rows speak of it, and none says that it works */
#define PLACE_CELL_UNTRIED 0xFFFFFFF0U /* no row speaks of it */
#define PLACE_CELL_RTT_MAX ((1U << (PLACE_CELL_TRANSPORT - PLACE_CELL_RTT)) - 1)

static inline int32_t place_cell_rtt(const struct place_work *w, size_t at) /* -1: no figure */
{
    uint32_t cell = w->cell[at];

    return cell >= PLACE_CELL_NONE ? -1 : (int32_t)(cell >> PLACE_CELL_RTT & PLACE_CELL_RTT_MAX);
}

/* What its figure is of; without one the first that could be used. A prediction's ladder may have rungs before that. */
static inline unsigned place_cell_via(const struct place_work *w, size_t at)
{
    unsigned first = 0;

    if (w->cell[at] < PLACE_CELL_NONE)
        return w->cell[at] >> PLACE_CELL_TRANSPORT;
    while (first + 1 < TRANSPORT_COUNT && !(w->cell[at] & 1U << first))
        first++;
    return first;
}

static inline bool place_cell_untried(const struct place_work *w, size_t at)
{
    return (w->cell[at] | PLACE_CELL_REST) == UINT32_MAX;
}

static inline unsigned place_cell_usable(const struct place_work *w, size_t at)
{
    return w->cell[at] & PLACE_CELL_REST;
}

/* The rules with their defaults filled in. */
struct place_rule {
    int64_t gain_us, gain_pct, interval_us, join_us, join_pct;
};

/* place_work.c */
struct place_work *place_work_lay(const struct place_problem *p, const struct place_plan *plan);
/* place_order.c */
void place_order_all(const struct place_problem *p, struct place_work *w);
/* place_policy.c */
int64_t place_node_room(const struct place_problem *p, const struct place_node *n);
void place_policy_nodes(const struct place_problem *p, struct place_work *w);
int64_t place_mesh_within(const struct place_problem *p); /* negative: no preference */
int32_t place_failures_price(const struct place_node *n);
int32_t place_blind_price(const struct place_problem *p, const struct place_node *n);
enum place_outcome place_why_nothing(const struct place_problem *p);
enum place_overflow place_overflow_of(const struct place_problem *p, const struct place_work *w, size_t i,
                                      uint32_t node);
/* place_cells.c */
uint32_t place_cell_of(const struct place_row *row, uint32_t capabilities);
/* The cells of a participant's nodes. True: some row lost more than one probe. */
bool place_cells_read(const struct place_work *w, const struct place_participant *who, uint32_t *cell);
/* place_rank.c */
void place_rank_all(const struct place_problem *p, struct place_work *w);
void place_rank_terms(const struct place_problem *p, const struct place_work *w, size_t i, size_t v,
                      struct place_terms *out);
/* place_judge.c */
void place_judge_begin(struct place_work *w);
void place_judge_add(struct place_work *w, size_t i); /* participant i has been ranked */
bool place_failed_for(const struct place_problem *p, size_t i, size_t node); /* the caller's indexes */
bool place_spoken_of(const struct place_participant *who, size_t node);      /* by its rows */
void place_judge(const struct place_problem *p, struct place_work *w, struct place_plan *plan);
/* place_nodes.c */
void place_nodes_matrix(const struct place_problem *p, struct place_work *w); /* of the short list */
int64_t place_node_rtt(const struct place_problem *p, struct place_work *w, uint32_t a, uint32_t b);
/* place_short.c */
void place_short_list(const struct place_problem *p, struct place_work *w, size_t most);
/* Seats on other nodes those for whom none of the list has a seat. */
void place_short_rest(const struct place_problem *p, struct place_work *w, struct place_draft *s);
/* The node by rank that the draft gives participant i; PLACE_RANK_NONE. */
static inline uint32_t place_draft_node(const struct place_work *w, const struct place_draft *s, size_t i)
{
    return w->aside[i] != PLACE_RANK_NONE && s->at[i] == w->home[i] ? w->aside[i] : w->col[s->at[i]].node;
}
/* place_cost.c */
int64_t place_fill_price(const struct place_col *c, int64_t in); /* of the in-th newcomer's seat */
int64_t place_fill_sum(const struct place_col *c, int64_t from,
                       int64_t to); /* of those after `from`, to `to` */
void place_draft_count(const struct place_work *w, struct place_draft *s);
int64_t place_draft_delta(const struct place_work *w, const struct place_draft *s, size_t i, size_t to);
void place_draft_copy(const struct place_work *w, struct place_draft *to, const struct place_draft *from);
void place_draft_move(const struct place_work *w, struct place_draft *s, size_t i, size_t to);
int64_t place_fill_saved(const struct place_work *w, const struct place_draft *s, size_t i);
int64_t place_fill_added(const struct place_work *w, const struct place_draft *s, size_t i, size_t to);
int64_t place_own_cost(const struct place_work *w, const struct place_draft *s, size_t i);
/* What participant i would have more, all others where they are, on column `from`; as place_own_cost counts. */
int64_t place_own_gain(const struct place_work *w, const struct place_draft *s, size_t i, size_t from);
/* place_moves.c */
bool place_move_can_sit(const struct place_work *w, size_t i, size_t k); /* room apart */
bool place_move_fits(const struct place_work *w, const struct place_draft *s, size_t i, size_t k);
bool place_move_best(const struct place_work *w, struct place_draft *s, size_t i); /* false: it stays */
/* Moves where there is room and no lock: one, or all of a column. False: not, or not all, and then none. */
bool place_move_one(const struct place_work *w, struct place_draft *s, size_t i, size_t to);
bool place_move_all(const struct place_work *w, struct place_draft *s, size_t from, size_t to);
/* By all moves until none helps. `known`: a state where a descent ended, or NULL: it stops there. False: the passes ran out before. */
bool place_descend(const struct place_work *w, struct place_draft *s, uint8_t *scratch, const uint8_t *known);
/* place_room.c */
bool place_room_make(const struct place_work *w, struct place_draft *s); /* somebody got a seat by it */
/* place_close.c */
bool place_real_gain(const struct place_rule *r, int64_t scale, int64_t without, int64_t with);
void place_close(const struct place_work *w, const struct place_rule *r, struct place_draft *s,
                 uint8_t *scratch);
/* place_search.c */
void place_search_best(const struct place_work *w, const struct place_rule *r, struct place_draft *best,
                       bool longer);
/* place_latency.c */
struct place_latency { /* of those who have a figure where they are */
    int64_t n, sum;    /* they, and their round trips */
    int64_t m[PLACE_COLS];
    int64_t ways[PLACE_COLS]; /* of a column: the round trips to all of theirs together */
};
/* Each at the column where it stands, so that it's quick enough for a search. */
void place_latency_count(const struct place_work *w, const struct place_draft *s, struct place_latency *out);
/* A participant's mean one-way latency to the others, alone half its round trip; -1: it has no figure. */
int64_t place_latency_own(const struct place_work *w, const struct place_draft *s,
                          const struct place_latency *all, size_t i);
/* Each at its own node, also where that has no column. `own`: by participant. */
void place_latency_all(const struct place_problem *p, struct place_work *w, const struct place_draft *s,
                       struct place_latency *all, int64_t *own);
/* place_cap.c */
int place_cap_stage_of(int64_t worst_us);
bool place_cap_better(const struct place_work *w, const struct place_draft *a, const struct place_draft *b);
void place_cap_improve(const struct place_work *w, struct place_draft *s, uint8_t *scratch,
                       uint8_t *scratch2);
/* place_online.c */
struct place_rule place_rule_of(const struct place_problem *p);
void place_online(const struct place_problem *p, struct place_work *w, struct place_draft *out);
/* place_answer.c */
void place_answer(const struct place_problem *p, struct place_work *w, const struct place_draft *s,
                  struct place_plan *plan);

#endif
