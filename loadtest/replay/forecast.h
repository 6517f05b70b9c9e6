/* Prices of seats. From another day's meetings in the same world: from a sample of that day's participants, of how
 * many were there at once at the same time and in as long as people stayed; never from the day that is replayed. Or
 * from what is known without a forecast: everybody's measurements, whoever comes, and the replay's joins and leaves
 * up to now. */
#ifndef BERTH_LOADTEST_REPLAY_FORECAST_H
#define BERTH_LOADTEST_REPLAY_FORECAST_H

#include "events.h"

enum { FORECAST_EVERY_US = 5 * 60 * 1000 * 1000 }; /* of the replay's time: between two looks */

struct forecast;

/* All stays the caller's for as long as the forecast lives. Only allowed nodes have seats. NULL: out of memory. */
struct forecast *forecast_new(const struct world *w, const struct matrix *measured, const bool *allowed,
                              const struct events *day);
/* Without another day: `played` is what is replayed, of which nothing is used that is yet to come. */
struct forecast *forecast_new_live(const struct world *w, const struct matrix *measured, const bool *allowed,
                                   const struct events *played);
void forecast_destroy(struct forecast *f); /* NULL is fine */

/* Each node's price as of t_us with used[v] participants on it, the forecast's own; made anew if it is time. */
const int32_t *forecast_prices(struct forecast *f, int64_t t_us, const int64_t *used);

#endif
