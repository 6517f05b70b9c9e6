/* The replayed world: sites, nodes, and the round-trip times between them, as the two CSV files say. */
#ifndef BERTH_LOADTEST_REPLAY_WORLD_H
#define BERTH_LOADTEST_REPLAY_WORLD_H

#include "fail.h"
#include "names.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORLD_NODES_MAX = 4096,
    WORLD_SITES_MAX = 200000,
    WORLD_CELLS_MAX = 32 * 1000 * 1000, /* sites times nodes */
    WORLD_CAPACITY_MAX = 1000 * 1000 * 1000,
    WORLD_FAR_US = 10 * 1000 * 1000, /* stands for "unreachable": farther than any figure that is accepted */
    WORLD_UNKNOWN = -1,              /* in a matrix of measurements: nothing is known */
};

struct world_node {
    const char *name, *region;
    char *site; /* its name; owned */
    bool mesh;
    int64_t capacity; /* participants; 0: no limit */
    double weight;    /* the operator's: 1 is neutral */
    size_t line;      /* of the nodes' file */
};

/* Round-trip times in us. */
struct matrix {
    size_t n_sites, n_nodes;
    int64_t *rtt;     /* n_sites rows of n_nodes */
    int64_t *between; /* n_nodes rows of n_nodes; the same both ways, 0 to itself */
};

struct world {
    struct names sites, nodes, regions;
    struct world_node *node; /* nodes.n */
    struct matrix truth;     /* unreachable: WORLD_FAR_US */
};

/* The texts are overwritten (see csv_init). A zeroed world is empty; the nodes are read first. -EINVAL with *e; -ENOMEM. */
int world_read_nodes(struct world *w, const char *file, char *text, size_t size, struct replay_error *e)
    __attribute__((warn_unused_result));
int world_read_matrix(struct world *w, const char *file, char *text, size_t size, struct replay_error *e)
    __attribute__((warn_unused_result));
/* What was measured of this world: the same layout, perhaps fewer rows. Empty where the truth has a figure is WORLD_UNKNOWN. */
int world_read_measured(const struct world *w, const char *file, char *text, size_t size,
                        struct matrix *measured, struct replay_error *e) __attribute__((warn_unused_result));

static inline const int64_t *matrix_row(const struct matrix *m, size_t site)
{
    return m->rtt + site * m->n_nodes;
}
static inline int64_t matrix_between(const struct matrix *m, size_t a, size_t b)
{
    return m->between[a * m->n_nodes + b];
}

void matrix_clear(struct matrix *m);
void world_clear(struct world *w);

#endif
