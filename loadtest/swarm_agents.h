/* When each of many agents reports: every agent has a phase and a period of its own, a tenth around the mean, as if each had a clock. Pure. */
#ifndef BERTH_LOADTEST_SWARM_AGENTS_H
#define BERTH_LOADTEST_SWARM_AGENTS_H

#include <stddef.h>
#include <stdint.h>

struct swarm_agents;

/* All together report `per_s` times a second on average from start_us on. 0 or -ENOMEM. */
int swarm_agents_new(struct swarm_agents **out, size_t agents, double per_s, uint64_t seed, int64_t start_us)
    __attribute__((warn_unused_result));
void swarm_agents_destroy(struct swarm_agents *s);
/* When the next report is due. */
int64_t swarm_agents_peek_us(const struct swarm_agents *s);
/* Whose it is; its next is a period later. */
size_t swarm_agents_take(struct swarm_agents *s);
/* Nobody comes before `until_us` any more: how many reports that were. */
uint64_t swarm_agents_skip(struct swarm_agents *s, int64_t until_us);

#endif
