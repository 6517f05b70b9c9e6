/* The report that is made of a probe's results, kept as text until it is delivered. */
#ifndef BERTH_AGENT_REPORT_H
#define BERTH_AGENT_REPORT_H

#include "call_stretches.h"
#include "results.h"

enum { REPORT_LIFETIME_S = REPORT_LIFETIME_DEFAULT_S };

struct kept_report {
    char *body; /* JSON, or NULL: none is kept */
    char report_id[BERTH_UUID_TEXT];
    int64_t measured_at_us; /* Unix time */
};

/* Whose it is, where and when. `agent_id` NULL: the token names the agent. */
struct report_head {
    const char *agent_id, *network_id;
    int64_t measured_at_us; /* Unix time */
};
/* Replaces what was kept. 0, or -ENOMEM. */
int kept_report_make(struct kept_report *k, const struct report_head *head, const struct results *results,
                     const struct call_stretches *calls) __attribute__((warn_unused_result));
/* A report of calls alone: a new reference; NULL: out of memory. */
json_t *report_of_calls(const struct report_head *head, const struct call_stretches *calls);
void kept_report_clear(struct kept_report *k);

#endif
