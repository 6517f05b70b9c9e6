/* What one direction between two hosts does to a packet: delay, jitter, loss, duplication, reordering. Pure: the
 * caller brings the time and the source of chance. */
#ifndef BERTH_LAB_PATH_H
#define BERTH_LAB_PATH_H

#include <stddef.h>
#include <stdint.h>

enum {
    PATH_COPIES_MAX = 2, /* a packet and its duplicate */
    PATH_HOLD_US = 2000, /* a reordered packet comes this much later than the latest in-order one could */
};

/* A seeded sequence: the same seed gives the same network. */
struct rng {
    uint64_t state;
};

uint64_t rng_next(struct rng *r);
double rng_unit(struct rng *r); /* 0 <= x < 1 */

struct path {
    int64_t delay_us;
    int64_t jitter_us; /* each packet takes delay +- jitter, evenly, and never less than 0 */
    double loss;       /* chances, 0 to 1 */
    double duplicate;
    double reorder;
    int64_t last_due; /* of the in-order packets: jitter alone never reorders */
};

/* Decides the fate of one packet entering at `now`: writes when each of its copies comes out, returns how many
 * there are (0: lost). */
size_t path_send(struct path *p, struct rng *r, int64_t now, int64_t due[static PATH_COPIES_MAX]);

#endif
