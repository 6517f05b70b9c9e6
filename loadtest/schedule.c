/* Arrivals of an open loop. Invariant: an arrival's time depends on kind, rate, seed and its number, never on when it was taken. */
#include "schedule.h"

#include "replay/rng.h"

#include <errno.h>
#include <string.h>

static double pause_us(struct schedule *s)
{
    return s->kind == SCHEDULE_POISSON ? rng_exponential(&s->seed, s->pause_us) : s->pause_us;
}

void schedule_init(struct schedule *s, enum schedule_kind kind, double per_s, uint64_t seed, int64_t start_us)
{
    *s = (struct schedule){.kind = kind, .pause_us = 1e6 / per_s, .start_us = start_us, .seed = seed};
    if (kind == SCHEDULE_POISSON)
        s->offset_us = pause_us(s);
}

int64_t schedule_peek_us(const struct schedule *s)
{
    return s->start_us + (int64_t)s->offset_us;
}

int64_t schedule_take_us(struct schedule *s)
{
    int64_t at = schedule_peek_us(s);

    s->n++;
    /* A product where it can be: a sum of pauses would drift over millions of arrivals. */
    s->offset_us = s->kind == SCHEDULE_FIXED ? (double)s->n * s->pause_us : s->offset_us + pause_us(s);
    return at;
}

uint64_t schedule_skip(struct schedule *s, int64_t until_us)
{
    uint64_t n = 0;

    for (; schedule_peek_us(s) < until_us; n++)
        (void)schedule_take_us(s);
    return n;
}

size_t schedule_due(const struct schedule *s, int64_t now_us, size_t most)
{
    struct schedule copy = *s;
    size_t n = 0;

    while (n < most && schedule_peek_us(&copy) <= now_us) {
        (void)schedule_take_us(&copy);
        n++;
    }
    return n;
}

int schedule_kind_parse(enum schedule_kind *out, const char *text)
{
    if (strcmp(text, "fixed") == 0)
        *out = SCHEDULE_FIXED;
    else if (strcmp(text, "poisson") == 0)
        *out = SCHEDULE_POISSON;
    else
        return -EINVAL;
    return 0;
}
