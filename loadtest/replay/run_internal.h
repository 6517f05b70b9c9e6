/* What the parts of the replay share: who is where, in every plan. */
#ifndef BERTH_LOADTEST_REPLAY_RUN_INTERNAL_H
#define BERTH_LOADTEST_REPLAY_RUN_INTERNAL_H

#include "house.h"
#include "run.h"
#include "search.h"

/* Those who are in one meeting, in the order of their joins. */
struct crowd {
    size_t n, cap;
    size_t *stay;
    size_t n_full, *full;  /* who is there when the membership is largest */
    bool opened;           /* its plans known beforehand are made */
    size_t single, random; /* nodes */
    int64_t last_us;
    int64_t bound; /* of those who are there: sum over pairs */
    struct house_cost now[PLANS];
};

struct run {
    const struct world *w;
    const struct events *v;
    const struct run_options *o;
    struct place_engine *engine;
    struct run_result *r;
    struct search *search;
    struct crowd *crowd;  /* meetings.n */
    size_t *seat[PLANS];  /* of each stay; NAMES_NONE: none */
    int64_t *moved_at;    /* of each stay, by PLAN_ONLINE; 0: never */
    int64_t *used[PLANS]; /* of each node; PLAN_ONLINE's and PLAN_FULL's only */
    size_t peak;          /* the event after which most participants are seated */
    /* scratch of as many as the largest meeting has */
    const int64_t **rtt;
    size_t *plan;
    struct place_engine_member *member;
};

/* The house of some stays; it uses r->rtt until the next call. */
struct house run_house(struct run *r, size_t n, const size_t *stay);
/* The engine's plan for a crowd in r->plan, as from the seats of `kind`. */
int run_engine(struct run *r, enum plan_kind kind, enum place_engine_mode mode, const struct crowd *c,
               int64_t t_us, int64_t *ns) __attribute__((warn_unused_result));
/* Puts r->plan into effect; answers how many were moved. */
size_t run_seat(struct run *r, enum plan_kind kind, const struct crowd *c);

/* Plans of a crowd in r->plan. */
int baseline_open(struct run *r, size_t meeting)
    __attribute__((warn_unused_result)); /* before its first join */
int baseline_plan(struct run *r, enum plan_kind kind, size_t meeting) __attribute__((warn_unused_result));

/* At the moment of most participants: how far they are from where they could be. */
int crowding_measure(struct run *r, int64_t t_us) __attribute__((warn_unused_result));
/* Exchanges PLAN_ONLINE's seats between meetings until none helps; *moved: participants. */
int exchange_seats(struct run *r, size_t *moved) __attribute__((warn_unused_result));
/* Adds chains of them, between any number of meetings of one. */
int exchange_chains(struct run *r, size_t *moved) __attribute__((warn_unused_result));

#endif
