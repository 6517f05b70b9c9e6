/* Meetings on a map: nodes and participants as points, round trips by distance. What the tests of the search share. */
#ifndef BERTH_TESTS_PLACEMENT_MAP_H
#define BERTH_TESTS_PLACEMENT_MAP_H

#include "placement/place.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAP_NODES = 40, MAP_PEOPLE = 24, MAP_WORK = 1 << 19 };

struct map {
    uint32_t rng;
    double node_at[MAP_NODES][2];
    char ids[MAP_NODES][8], names[MAP_PEOPLE][8];
    int32_t between[MAP_NODES * MAP_NODES];
    struct place_node nodes[MAP_NODES];
    struct place_participant people[MAP_PEOPLE];
    struct place_row rows[MAP_PEOPLE][MAP_NODES];
    struct place_candidate candidates[MAP_NODES];
    struct place_seat seats[MAP_PEOPLE];
    _Alignas(16) unsigned char work[MAP_WORK];
    struct place_problem p;
    struct place_plan plan;
};

static inline uint32_t map_random(struct map *m, uint32_t n)
{
    m->rng ^= m->rng << 13;
    m->rng ^= m->rng >> 17;
    m->rng ^= m->rng << 5;
    return m->rng % n;
}

static inline double map_unit(struct map *m)
{
    return map_random(m, 1000000) / 1e6;
}

/* Both ways the same; a detour of up to a fifth, so that triangles don't hold exactly. */
static inline int32_t map_rtt(struct map *m, const double a[2], const double b[2])
{
    return 1000 + (int32_t)(150000 * hypot(a[0] - b[0], a[1] - b[1]) * (1 + map_unit(m) / 5));
}

static inline void map_add_person(struct map *m)
{
    size_t i = m->p.n_participants++;
    double at[2] = {map_unit(m), map_unit(m)};
    int32_t access = (int32_t)map_random(m, 20000);

    for (size_t n = 0; n < m->p.n_nodes; n++)
        m->rows[i][n] = (struct place_row){.node = (uint32_t)n,
                                           .reachable = true,
                                           .samples = 5,
                                           .rtt_us = access + map_rtt(m, at, m->node_at[n])};
    snprintf(m->names[i], sizeof m->names[i], "p%02zu", i);
    m->people[i] = (struct place_participant){.agent = m->names[i],
                                              .measured = true,
                                              .capabilities = TRANSPORTS_ALL,
                                              .n_rows = m->p.n_nodes,
                                              .rows = m->rows[i],
                                              .present = PLACE_NONE};
}

static inline void map_init(struct map *m, uint32_t seed, size_t nodes, size_t people)
{
    memset(m, 0, sizeof *m);
    m->rng = seed * 2654435761u + 1;
    m->p = (struct place_problem){.org = "acme",
                                  .n_nodes = nodes,
                                  .nodes = m->nodes,
                                  .participants = m->people,
                                  .node_rtt_us = m->between,
                                  .policy = {.transports = TRANSPORTS_ALL},
                                  .present = PLACE_NONE};
    m->plan = (struct place_plan){.candidates = m->candidates, .seats = m->seats, .work = m->work};
    for (size_t n = 0; n < nodes; n++) {
        snprintf(m->ids[n], sizeof m->ids[n], "n%02zu", n);
        m->node_at[n][0] = map_unit(m);
        m->node_at[n][1] = map_unit(m);
        m->nodes[n] = (struct place_node){
            .id = m->ids[n], .cluster = m->ids[n], .region = "eu", .transports = TRANSPORTS_ALL};
    }
    for (size_t a = 0; a < nodes; a++) {
        for (size_t b = 0; b < a; b++)
            m->between[a * nodes + b] = m->between[b * nodes + a] = map_rtt(m, m->node_at[a], m->node_at[b]);
    }
    for (size_t i = 0; i < people; i++)
        map_add_person(m);
}

static inline void map_seats(const struct map *m, size_t *nodes)
{
    for (size_t i = 0; i < m->p.n_participants; i++)
        nodes[i] = m->seats[i].node;
}

/* The measure, the slow and obvious way: twice a pair's one-way latency, summed, over twice the pairs. */
static inline int64_t map_latency(const struct map *m, const size_t *nodes)
{
    int64_t sum = 0, n = (int64_t)m->p.n_participants;

    if (n == 1)
        return m->rows[0][nodes[0]].rtt_us / 2;
    for (size_t i = 0; i < m->p.n_participants; i++) {
        for (size_t j = 0; j < i; j++)
            sum += m->rows[i][nodes[i]].rtt_us + m->rows[j][nodes[j]].rtt_us +
                   m->between[nodes[i] * m->p.n_nodes + nodes[j]];
    }
    return n > 0 ? sum / (n * (n - 1)) : 0;
}

#endif
