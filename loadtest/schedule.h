/* When things are meant to happen: arrivals of an open loop, from a rate and a seed. Pure. Whoever makes load starts
 * each arrival at its time or as soon after it as it can, and counts latency from the time that was meant: a server
 * that stands still for a second so shows in everything that should have been asked in that second, not in one
 * request. */
#ifndef BERTH_LOADTEST_SCHEDULE_H
#define BERTH_LOADTEST_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schedule_kind {
    SCHEDULE_FIXED,   /* one every 1/rate */
    SCHEDULE_POISSON, /* pauses exponentially distributed: many sources that don't know of each other */
};

/* Copying one makes another with the same future. */
struct schedule {
    enum schedule_kind kind;
    double pause_us;  /* on average */
    double offset_us; /* of the next arrival, from start_us */
    int64_t start_us;
    uint64_t seed, n; /* arrivals taken */
};

/* `per_s` is above 0. The first arrival of a fixed schedule is at start_us, of a Poisson one a pause after it. */
void schedule_init(struct schedule *s, enum schedule_kind kind, double per_s, uint64_t seed,
                   int64_t start_us);
/* When the next one is meant to be. */
int64_t schedule_peek_us(const struct schedule *s);
/* Takes it: the same time; the schedule goes on to the one after. */
int64_t schedule_take_us(struct schedule *s);
/* Takes all that are meant to be before `until_us`: how many. */
uint64_t schedule_skip(struct schedule *s, int64_t until_us);
/* How many could be taken now, `most` at most. */
size_t schedule_due(const struct schedule *s, int64_t now_us, size_t most);
/* "fixed" or "poisson". 0, or -EINVAL. */
int schedule_kind_parse(enum schedule_kind *out, const char *text) __attribute__((warn_unused_result));

#endif
