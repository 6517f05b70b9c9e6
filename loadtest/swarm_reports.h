/* Reports as simulated agents send them: the JSON of Berth's own agent, from a seed. A few are made in full; each that is sent is one of them with an
 * id, an agent and a time of its own. Pure but for jansson. */
#ifndef BERTH_LOADTEST_SWARM_REPORTS_H
#define BERTH_LOADTEST_SWARM_REPORTS_H

#include "core/doc.h"

enum {
    SWARM_KINDS = 64, /* reports that are made in full */
    SWARM_NODES_MAX = 1000,
    SWARM_AGENTS_MAX = 10000000,
    SWARM_AGENT_LEN = 8,
};

struct swarm_reports;

/* Reports of `nodes` nodes, n0000 and so on, by three transports each. 0 or -ENOMEM. */
int swarm_reports_new(struct swarm_reports **out, size_t nodes, uint64_t seed)
    __attribute__((warn_unused_result));
void swarm_reports_destroy(struct swarm_reports *s);

/* The document of agent `agent`, number `n` of all (which makes its id); valid until the next call. */
const char *swarm_report_json(struct swarm_reports *s, uint64_t n, size_t agent, int64_t measured_at_us,
                              size_t *len);
/* The report in memory that document number n was made from, but for id, agent and time. */
const struct report *swarm_report(const struct swarm_reports *s, uint64_t n);
void swarm_report_id(const struct swarm_reports *s, uint64_t n, char out[static 37]);
void swarm_agent_id(size_t agent, char out[static SWARM_AGENT_LEN + 1]); /* "a0000007" */

#endif
