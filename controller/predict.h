/* What live reports tell of a participant that has none: which prefixes an address stands for, how sure a prediction
 * is, and the rows that the placement engine is given for it. Pure; docs/placement.md has the sources, their order
 * and what other orgs may learn. */
#ifndef BERTH_CONTROLLER_PREDICT_H
#define BERTH_CONTROLLER_PREDICT_H

#include "core/addr.h"
#include "placement/place.h"

enum {
    PREDICT_ROWS_MAX = 4096, /* cells of one prediction that are taken */
};

/* In the order in which they are asked: the first that knows anything is taken. */
enum predict_source {
    PREDICT_NETWORK,     /* the network that it named */
    PREDICT_PREFIX,      /* its /24 or /48 */
    PREDICT_OTHERS,      /* other orgs' agents of that prefix, together */
    PREDICT_WIDER,       /* its /20, /40, /16 or /32 */
    PREDICT_ORG_COUNTRY, /* its org's agents in its country */
    PREDICT_ORG,
    PREDICT_COUNTRY, /* other orgs' agents of its country, together */
    PREDICT_SOURCES  /* how many there are */
};
const char *predict_source_name(enum predict_source s); /* "network", ... */
/* 0 or -EINVAL. */
int predict_source_parse(const char *name, enum predict_source *out) __attribute__((warn_unused_result));

/* ---- where somebody is ---- */

/* The /24 as its 24 bits and the /48 as its 48; 0: none, which no public one is. */
struct predict_nets {
    int64_t net4, net6;
};
/* Takes the first public address of each family; private, shared and local ones stand for no place. */
void predict_nets_add(struct predict_nets *n, const struct addr *a);
/* Could hosts anywhere have this address? Documentation's prefixes pass. */
bool predict_addr_public(const struct addr *a);

/* ---- what is known of there ---- */

/* Of one node over one transport. */
struct predict_cell {
    size_t node; /* index among the problem's nodes; PLACE_NONE: not one of them */
    enum transport transport;
    int64_t tested, reached; /* agents */
    int64_t rtt_us;          /* median of their least round trips; negative: nobody reached it */
    int64_t spread_us;       /* how far the middle half of them lie apart */
};

struct predict_group {
    enum predict_source source;
    const char *network; /* PREDICT_NETWORK */
    int64_t agents;
    size_t n;
    const struct predict_cell *cells;
};

/* In percent, 1 to 100: by its source, by how many agents, and by how near one another they are. */
unsigned predict_confidence(const struct predict_group *g);
/* Rows for a participant; returns how many, at most g->n. A way that fewer than half of those who tried got through counts as one
 * that failed. */
size_t predict_rows(const struct predict_group *g, struct place_row *rows);
/* The figure predicted for a node, over the first transport that would be used; -1: none. */
int64_t predict_rtt(const struct predict_group *g, size_t node);

#endif
