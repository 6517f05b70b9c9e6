/* Seeded worlds and workloads, and the three files that describe them. */
#ifndef BERTH_LOADTEST_REPLAY_GEN_H
#define BERTH_LOADTEST_REPLAY_GEN_H

#include "world.h"

#include <stdio.h>

enum {
    GEN_NODES_MAX = 1000,
    GEN_SITES_MAX = 20000,
    GEN_MEETINGS_MAX = 1000000,
    GEN_SIZE_MAX = 100, /* participants of a meeting */
    GEN_COUNTRIES = 40, /* of a synthetic world, on GEN_CONTINENTS */
    GEN_CONTINENTS = 5,
};

enum gen_mix { MIX_PUBLISHED, MIX_COUNTRY, MIX_CONTINENT, MIX_GLOBAL };

/* Client sites, each with its country and continent, and the nodes, each in a site of its own name. */
struct gen_world {
    struct names sites, nodes, countries, continents;
    size_t *country, *continent; /* of each site */
    size_t *region;              /* of each node: continent, or NAMES_NONE */
    struct matrix m;             /* rtt: of the client sites; between: nodes. Unreachable: WORLD_FAR_US */
};

struct gen_workload {
    uint64_t seed;
    size_t meetings;
    size_t size; /* 0: as published */
    enum gen_mix mix;
    bool stay;       /* nobody leaves: final membership known */
    bool alone;      /* meetings of one, who stays: demand on capacity */
    double unprobed; /* share of participants who have never probed */
};

/* A synthetic world: sites and nodes on a sphere, cities around their countries, detours and access delays. 0 or -ENOMEM. */
int gen_synthetic(struct gen_world *g, uint64_t seed, size_t sites, size_t nodes)
    __attribute__((warn_unused_result));
/* A measured one, from the texts of three CSV files: a client's row of round trips to the nodes; the nodes' among
 * themselves; and the clients with the columns client, country and continent_code. The texts are overwritten.
 * -EINVAL with *e; -ENOMEM. */
struct gen_text {
    const char *file;
    char *text;
    size_t size;
};
int gen_measured(struct gen_world *g, struct gen_text clients_matrix, struct gen_text nodes_matrix,
                 struct gen_text clients, struct replay_error *e) __attribute__((warn_unused_result));
void gen_clear(struct gen_world *g);

/* A meeting's size, distributed as is published of meetings. */
size_t gen_size(uint64_t *random);

/* The files. `lost` is the share of cells left empty, `jitter` the share that a figure is off by, up or down; 0: the
 * truth itself. */
int gen_write_matrix(const struct gen_world *g, double lost, double jitter, uint64_t seed, FILE *to)
    __attribute__((warn_unused_result));
int gen_write_nodes(const struct gen_world *g, int64_t capacity, FILE *to)
    __attribute__((warn_unused_result));
/* *peak: most participants at one time. -EFBIG: more events than are read again. */
int gen_write_meetings(const struct gen_world *g, const struct gen_workload *w, size_t *peak, FILE *to)
    __attribute__((warn_unused_result));

#endif
