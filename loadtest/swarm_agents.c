/* Agents' own clocks. Invariant: `heap` is a binary heap by time with every agent in it once. */
#include "swarm_agents.h"

#include "replay/rng.h"

#include <errno.h>
#include <stdlib.h>

struct turn {
    int64_t at_us;
    size_t agent;
};

struct swarm_agents {
    size_t n;
    double period_us;
    uint64_t seed;
    struct turn *heap;
};

static void sink(struct turn *heap, size_t n, size_t at)
{
    struct turn moved = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < n && heap[child + 1].at_us < heap[child].at_us)
            child++;
        if (child >= n || heap[child].at_us >= moved.at_us)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void make_heap(struct swarm_agents *s)
{
    for (size_t i = s->n / 2; i > 0; i--)
        sink(s->heap, s->n, i - 1);
}

static int64_t pause_us(struct swarm_agents *s)
{
    return (int64_t)(s->period_us * (0.9 + 0.2 * rng_uniform(&s->seed)));
}

int swarm_agents_new(struct swarm_agents **out, size_t agents, double per_s, uint64_t seed, int64_t start_us)
{
    struct swarm_agents *s = calloc(1, sizeof(*s));
    if (s)
        s->heap = calloc(agents, sizeof(*s->heap));
    if (!s || !s->heap) {
        swarm_agents_destroy(s);
        return -ENOMEM;
    }
    s->n = agents;
    s->seed = seed;
    s->period_us = (double)agents * 1e6 / per_s;
    for (size_t i = 0; i < agents; i++)
        s->heap[i] = (struct turn){start_us + (int64_t)(rng_uniform(&s->seed) * s->period_us), i};
    make_heap(s);
    *out = s;
    return 0;
}

void swarm_agents_destroy(struct swarm_agents *s)
{
    if (!s)
        return;
    free(s->heap);
    free(s);
}

int64_t swarm_agents_peek_us(const struct swarm_agents *s)
{
    return s->heap[0].at_us;
}

size_t swarm_agents_take(struct swarm_agents *s)
{
    size_t agent = s->heap[0].agent;
    s->heap[0].at_us += pause_us(s);
    sink(s->heap, s->n, 0);
    return agent;
}

/* Agent by agent: their order doesn't matter before. */
uint64_t swarm_agents_skip(struct swarm_agents *s, int64_t until_us)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        for (; s->heap[i].at_us < until_us; n++)
            s->heap[i].at_us += pause_us(s);
    }
    make_heap(s);
    return n;
}
