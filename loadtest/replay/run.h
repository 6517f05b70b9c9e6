/* The replay: every join and leave through the engine and through the plans that it is compared with, and what each plan cost. */
#ifndef BERTH_LOADTEST_REPLAY_RUN_H
#define BERTH_LOADTEST_REPLAY_RUN_H

#include "events.h"
#include "forecast.h"
#include "loadtest/place_engine.h"

#include <stdio.h>

/* The plans. The first two are Berth's and keep to capacities; the others know none. */
enum plan_kind {
    PLAN_ONLINE,  /* place_decide at every event */
    PLAN_FULL,    /* place_decide_best at every event, moving whom it likes */
    PLAN_FIRST,   /* everybody on the first joiner's nearest */
    PLAN_SINGLE,  /* the best single node for those who will be there */
    PLAN_NEAREST, /* everybody on their own nearest */
    PLAN_RANDOM,  /* everybody on one random node */
    PLAN_KEPT,    /* the best plan for the largest membership, known beforehand and kept */
    PLAN_BEST,    /* the best plan of every moment */
    PLANS
};

struct run_options {
    size_t
        starts; /* random starts of the search for a moment's best plan; ten times as many for the largest membership */
    size_t exact_steps; /* of the exact search, for the largest membership */
    uint64_t seed;
    FILE *out;                 /* a line per event; NULL: none */
    struct forecast *forecast; /* what PLAN_ONLINE's newcomers pay for seats; NULL: nothing */
};

/* What a plan cost one meeting. Latencies are one way, in ms. */
struct tally {
    double mean, worst, nodes;                /* over the time with two or more */
    double full_mean, full_worst, full_nodes; /* with the largest membership */
    size_t moves, unconnected;
};

struct meeting_result {
    double span_s; /* with two or more present */
    double bound, full_bound;
    size_t people; /* who joined */
    bool proven;   /* the best plan for the largest membership is the optimum */
    struct tally of[PLANS];
};

/* When most participants are in meetings: mean round trip to the node, ms. */
struct crowding {
    bool limited; /* some node that the policy allows has a capacity; else nothing below counts */
    bool fits;    /* there is room for all: `optimum` counts */
    bool priced;  /* by a forecast: then nobody is moved, and neither `rebalanced` nor `exchanged` counts */
    size_t people, seats;
    size_t unlimited; /* allowed nodes without a capacity */
    double online, rebalanced, exchanged, optimum;
    size_t rebalance_moves, exchange_moves;
    size_t exceeded; /* events after which some node had more than its capacity */
};

struct run_result {
    size_t n_meetings;
    struct meeting_result *meeting;
    size_t n_decisions;
    double *us; /* CPU of each of PLAN_ONLINE's decisions, ascending */
    struct crowding crowding;
};

/* 0, -ENOMEM, or what writing `out` failed with. The result is cleared by run_clear. */
int run_replay(const struct world *w, const struct events *v, struct place_engine *engine,
               const struct run_options *o, struct run_result *r) __attribute__((warn_unused_result));
void run_clear(struct run_result *r);

#endif
