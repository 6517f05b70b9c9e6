/* The rows of the newest probe and the nodes that they are of. Pure. */
#ifndef BERTH_AGENT_RESULTS_H
#define BERTH_AGENT_RESULTS_H

#include "berth.h"
#include "core/doc.h"
#include "probe/prober.h"

/* Of every node; with a fourth row where a proxy leads to it. */
enum { TRANSPORTS_PROBED = TRANSPORT_PROXY, RESULTS_NODES_MAX = PROBER_TARGETS_MAX / TRANSPORTS_PROBED };

struct result_row {
    size_t node;
    struct probe_result r;
    char error[PROBER_ERROR_TEXT];
};

/* How proxies lead to one node: what its proxy row tries, in this order. */
struct result_routes {
    size_t n;
    struct addr addrs[NODE_ADDRESSES_MAX];
    struct prober_route routes[NODE_ADDRESSES_MAX];
};

/* Rows of one node stand together, in the order of transports. A zeroed struct is empty. */
struct results {
    struct nodelist list;
    struct result_row *rows;
    size_t n_rows, n_nodes;
    struct proxy_table proxies;
    struct result_routes *routes; /* one for each node; NULL: no proxies */
};

/* Takes the list over (leaving an empty one; on failure it is left alone) and makes a row "untested" for each
 * transport of the first RESULTS_NODES_MAX nodes. 0, or -ENOMEM. */
int results_begin(struct results *s, struct nodelist *list) __attribute__((warn_unused_result));
/* The same nodes again. */
void results_reset(struct results *s);
/* The same nodes again, with a proxy row for each whose list has a proxy, as far as there is room. `lists` has results_nodes;
 * NULL: no proxies. 0, or -ENOMEM. */
int results_set_proxies(struct results *s, const struct proxy_table *table, const struct proxy_list *lists)
    __attribute__((warn_unused_result));
/* Does any row go through a proxy? */
bool results_has_proxies(const struct results *s);
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
