/* A meeting to be placed, built up in a few lines: what the tests of the placement engine share. */
#ifndef BERTH_TESTS_PLACEMENT_WORLD_H
#define BERTH_TESTS_PLACEMENT_WORLD_H

#include "placement/place.h"

#include <string.h>

enum { NODES = 9, PEOPLE = 7, ROWS = 2 * NODES * TRANSPORT_COUNT, WORK = 1 << 18 };
enum { U = 1 << TRANSPORT_UDP, T = 1 << TRANSPORT_TCP, S = 1 << TRANSPORT_TLS, P = 1 << TRANSPORT_PROXY };

/* A meeting under construction, and the answer. */
struct world {
    struct place_node nodes[NODES];
    struct place_participant people[PEOPLE];
    struct place_row rows[PEOPLE][ROWS];
    const char *allow[4], *deny[4];
    struct place_problem p;
    struct place_candidate candidates[NODES];
    struct place_seat seats[PEOPLE];
    _Alignas(16) unsigned char work[WORK];
    struct place_plan plan;
};

static inline void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->p.org = "acme";
    w->p.nodes = w->nodes;
    w->p.participants = w->people;
    w->p.policy.allow = w->allow;
    w->p.policy.deny = w->deny;
    w->p.policy.transports = TRANSPORTS_ALL;
    w->p.present = PLACE_NONE;
    w->plan.candidates = w->candidates;
    w->plan.seats = w->seats;
    w->plan.work = w->work;
}

static inline struct place_node *add_node(struct world *w, const char *id)
{
    struct place_node *n = &w->nodes[w->p.n_nodes++];

    *n = (struct place_node){.id = id, .cluster = id, .region = "eu", .transports = TRANSPORTS_ALL};
    return n;
}

static inline struct place_participant *add_person(struct world *w, const char *agent)
{
    size_t i = w->p.n_participants++;

    w->people[i] = (struct place_participant){
        .agent = agent, .capabilities = TRANSPORTS_ALL, .rows = w->rows[i], .present = PLACE_NONE};
    return &w->people[i];
}

static inline void measure(struct world *w, size_t person, size_t node, enum transport t, int64_t rtt_us)
{
    struct place_participant *who = &w->people[person];

    who->measured = true;
    w->rows[person][who->n_rows++] = (struct place_row){
        .node = (uint32_t)node, .transport = (uint8_t)t, .reachable = rtt_us >= 0, .rtt_us = (int32_t)rtt_us};
}

static inline void decide(struct world *w)
{
    place_decide(&w->p, &w->plan);
}

#endif
