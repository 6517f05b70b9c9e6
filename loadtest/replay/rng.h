/* Random numbers from a seed, the same on every machine. */
#ifndef BERTH_LOADTEST_REPLAY_RNG_H
#define BERTH_LOADTEST_REPLAY_RNG_H

#include <stdint.h>

uint64_t rng_next(uint64_t *state);
double rng_uniform(uint64_t *state); /* 0 to below 1 */
double rng_normal(uint64_t *state);
double rng_exponential(uint64_t *state, double mean);

#endif
