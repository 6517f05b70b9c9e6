/* A queue's law: how many are there = how fast they come, times how long they stay. Invariant: nothing counts but
 * events that have been noted. */
#include "pace.h"

#include <math.h>

/* In seconds. What is older than these counts little. */
#define COMING_S   1800.0
#define STAYING_S  7200.0
#define STAY_MIN_S 600.0   /* nobody has left yet, and nobody came long ago */
#define AHEAD_S    28800.0 /* a day's work: where nobody leaves, seats are for all who come in it */
#define SEEN_MIN_S 60.0
#define US         1e6

void pace_note(struct pace *p, int64_t t_us, int change)
{
    if (p->now == 0 && p->stayed_s <= 0)
        p->since_us = p->t_us = t_us;
    double s = (double)(t_us - p->t_us) / US;
    p->came *= exp(-s / COMING_S);
    p->left *= exp(-s / STAYING_S);
    p->stayed_s = p->stayed_s * exp(-s / STAYING_S) + (double)p->now * s;
    p->t_us = t_us;
    p->now += change;
    *(change > 0 ? &p->came : &p->left) += 1;
}

int64_t pace_expected(const struct pace *p, unsigned *stay_pct)
{
    double stay_s = p->stayed_s / (p->left + 1);
    double seen_s = COMING_S * (1 - exp(-(double)(p->t_us - p->since_us) / US / COMING_S));
    stay_s = stay_s > STAY_MIN_S ? stay_s : STAY_MIN_S;
    seen_s = seen_s > SEEN_MIN_S ? seen_s : SEEN_MIN_S;
    double stay = exp(-(stay_s < AHEAD_S ? stay_s : AHEAD_S) / stay_s);
    double there = (double)p->now * stay + p->came / seen_s * stay_s * (1 - stay);
    *stay_pct = (unsigned)(100 * stay);
    return there < (double)INT32_MAX ? (int64_t)there : INT32_MAX;
}
