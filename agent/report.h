/* The report that is made of a probe's results, kept as text until it is delivered. */
#ifndef BERTH_AGENT_REPORT_H
#define BERTH_AGENT_REPORT_H

#include "results.h"

enum { REPORT_LIFETIME_S = REPORT_LIFETIME_DEFAULT_S };

struct kept_report {
    char *body; /* JSON, or NULL: none is kept */
    char report_id[BERTH_UUID_TEXT];
    int64_t measured_at_us; /* Unix time */
};

/* Replaces what was kept. `agent_id` NULL: the token names the agent. 0, or -ENOMEM. */
int kept_report_make(struct kept_report *k, const struct results *results, const char *agent_id,
                     const char *network_id, int64_t measured_at_us) __attribute__((warn_unused_result));
void kept_report_clear(struct kept_report *k);

#endif
