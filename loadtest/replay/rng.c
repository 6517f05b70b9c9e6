/* Random numbers. Invariant: the same seed gives the same numbers everywhere. */
#include "rng.h"

#include <math.h>

uint64_t rng_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15U; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
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
