/* Joins as they come. Invariant: meetings are begun in the order of their numbers, and each is joined as often as it has seats. */
#include "joining.h"

#include "replay/gen.h"
#include "replay/rng.h"

void joining_init(struct joining *j, size_t size, size_t agents, size_t kinds, uint64_t seed)
{
    *j = (struct joining){.size = size, .agents = agents, .kinds = kinds, .seed = seed};
}

void joining_next(struct joining *j, uint64_t *meeting, size_t *agent)
{
    size_t at = rng_next(&j->seed) % JOINING_OPEN;
    if (j->open[at].left == 0) {
        size_t published = gen_size(&j->seed);
        j->open[at].meeting = j->begun++;
        j->open[at].left = j->size > 0 ? j->size : published;
    }
    j->open[at].left--;
    *meeting = j->open[at].meeting;
    uint64_t who = rng_next(&j->seed), from = rng_next(&j->seed);
    size_t kind = rng_next(&j->seed) % 100 < JOINING_HOME_PCT ? (size_t)(*meeting % j->kinds)
                                                              : (size_t)(from % j->kinds);
    *agent = (size_t)(who % (j->agents / j->kinds)) * j->kinds + kind;
}
