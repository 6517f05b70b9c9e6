/* The rows of the newest probe and the nodes that they are of. Pure. */
#ifndef BERTH_AGENT_RESULTS_H
#define BERTH_AGENT_RESULTS_H

#include "berth.h"
#include "core/doc.h"
#include "prober.h"

enum { TRANSPORTS_PROBED = TRANSPORT_PROXY, RESULTS_NODES_MAX = PROBER_TARGETS_MAX / TRANSPORTS_PROBED };

struct result_row {
    struct probe_result r;
    char error[PROBER_ERROR_TEXT];
};

/* Row i is of node i / TRANSPORTS_PROBED over transport i % TRANSPORTS_PROBED. A zeroed struct is empty. */
struct results {
    struct nodelist list;
    struct result_row *rows;
    size_t n_rows;
};

/* Takes the list over (leaving an empty one; on failure it is left alone) and makes a row "untested" for each transport of the first
 * RESULTS_NODES_MAX nodes. 0, or -ENOMEM. */
int results_begin(struct results *s, struct nodelist *list) __attribute__((warn_unused_result));
/* The same nodes again. */
void results_reset(struct results *s);
void results_clear(struct results *s);
/* Targets for a prober, one for each row; addresses and names stay the results'. `targets` has n_rows. */
void results_targets(const struct results *s, struct prober_target_spec *targets);
void results_set(struct results *s, size_t row, const struct prober *p);

void results_public(const struct results *s, size_t row, struct berth_result *out);
size_t results_nodes(const struct results *s);
size_t results_reachable(const struct results *s); /* nodes */
/* Distinct addresses as which the nodes saw us, port 0. How many. */
size_t results_mapped(const struct results *s, struct addr out[static REPORT_MAPPED_MAX]);
json_t *results_to_json(const struct results *s); /* new reference, or NULL */

#endif
