/* Random numbers. Invariant: the same seed gives the same numbers everywhere. */
#include "rng.h"

#include "core/splitmix.h"

#include <math.h>

uint64_t rng_next(uint64_t *state)
{
    return splitmix64(state);
}

double rng_uniform(uint64_t *state)
{
    return (double)(rng_next(state) >> 11) / 9007199254740992.0;
}

double rng_normal(uint64_t *state)
{
    double r = sqrt(-2 * log(1 - rng_uniform(state)));
    return r * cos(2 * 3.14159265358979323846 * rng_uniform(state));
}

double rng_exponential(uint64_t *state, double mean)
{
    return -mean * log(1 - rng_uniform(state));
}
