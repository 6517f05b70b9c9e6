/* Nodes that can't serve those who are on them any longer. Pure. */
#ifndef BERTH_CONTROLLER_LOST_NODES_H
#define BERTH_CONTROLLER_LOST_NODES_H

#include "catalogue.h"

enum { LOST_NODES_MAX = 256 }; /* found in one go; what is behind them is found in the next */

struct lost_nodes {
    size_t n;
    size_t next;                                            /* where the next search begins */
    const char *org[LOST_NODES_MAX], *node[LOST_NODES_MAX]; /* the catalogue's */
};

/* From place `start` of the catalogue on, and round to its start. `listened`: long enough for silence to mean something. */
void lost_nodes_find(const struct catalogue *c, bool listened, size_t start, struct lost_nodes *out);

#endif
