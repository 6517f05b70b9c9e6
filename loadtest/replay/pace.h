/* How many will be there, by what has been seen so far and nothing else: as many as come in as long as people stay.
 * Every controller can count both. */
#ifndef BERTH_LOADTEST_REPLAY_PACE_H
#define BERTH_LOADTEST_REPLAY_PACE_H

#include <stdint.h>

/* A zeroed one has seen nothing. */
struct pace {
    int64_t since_us, t_us; /* of the first event and of the last */
    int64_t now;
    double came, left, stayed_s; /* of late: joins, leaves, and the time that all spent together */
};

/* A join (1) or a leave (-1). Times don't go back. */
void pace_note(struct pace *p, int64_t t_us, int change);
/* One stay ahead, a working day at most: how many are expected at once, those who are there now included, and how
 * many per cent of these will be there still. */
int64_t pace_expected(const struct pace *p, unsigned *stay_pct);

#endif
