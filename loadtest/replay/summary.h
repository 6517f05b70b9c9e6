/* The figures of a replay: means over its meetings, for all of them and for each mix. */
#ifndef BERTH_LOADTEST_REPLAY_SUMMARY_H
#define BERTH_LOADTEST_REPLAY_SUMMARY_H

#include "run.h"

/* Means over those meetings that ever had two participants. Latencies are one way, in ms. */
struct figures {
    const char *mix; /* NULL: all */
    size_t meetings, participants, proven;
    double bound, full_bound;
    struct tally of[PLANS]; /* moves: their number */
};

struct summary {
    struct figures all, mix[MIXES_MAX];
    size_t n_mixes;
    double us_median, us_p99, us_max;
    size_t decisions;
    struct crowding crowding;
};

void summarize(const struct events *v, const struct run_result *r, struct summary *s);
const char *plan_label(enum plan_kind k);     /* for people */
const char *plan_key(enum plan_kind k);       /* for JSON */
double summary_over(double ms, double least); /* how much more it is, in percent */

void summary_print(const struct summary *s, FILE *to);
json_t *summary_json(const struct summary *s); /* new reference, or NULL: out of memory */

#endif
