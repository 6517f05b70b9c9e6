/* How a node is taken to do at this moment: what it told last, and what those take who were given to it since. Pure. */
#ifndef BERTH_CONTROLLER_NODE_NOW_H
#define BERTH_CONTROLLER_NODE_NOW_H

#include "catalogue.h"

/* Its load, 0 to 1. By those who came since alone, no node is overloaded. */
double node_now_load(int64_t capacity, const struct catalogue_load *l);
/* What is left of its kbit/s where each who came since takes so many; 1 where nothing is, 0: no limit. */
int64_t node_now_kbps_left(int64_t capacity_kbps, const struct catalogue_load *l, int64_t each_kbps);

#endif
