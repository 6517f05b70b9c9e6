/* The parts of an examination, for firewall_run.c (the whole), firewall_ports.c (the probe) and firewall_questions.c
 * (STUN questions). */
#ifndef BERTH_AGENT_FIREWALL_LOOK_H
#define BERTH_AGENT_FIREWALL_LOOK_H

#include "firewall_run.h"
#include "probe/probe_io.h"
#include "probe/stream_io.h"
#include "probe/sys.h"

void firewall_tell(const struct firewall_plan *plan, const char *what, size_t done, size_t of);
/* Makes a row for every port of the chosen nodes. 0, or -ENOMEM. */
int firewall_lay_out(struct firewall_seen *seen, const struct firewall_plan *plan)
    __attribute__((warn_unused_result));
/* Probes them. 0, or -errno. */
int firewall_probe(struct firewall_seen *seen, const struct firewall_plan *plan)
    __attribute__((warn_unused_result));

/* Then looks for proxies, asking the network itself only where no node was reached without, and probes through them:
 * a row more for each node, as far as there is room. 0, or -errno. */
int firewall_probe_proxies(struct firewall_seen *seen, const struct firewall_plan *plan)
    __attribute__((warn_unused_result));

/* firewall_ports.c: at most FIREWALL_NODES_MAX places in the list. */
size_t firewall_choose_nodes(const struct nodelist *l, size_t chosen[static FIREWALL_NODES_MAX]);
/* Runs a probe to its end. `through` may be NULL; `result` is told each target that has finished. */
int firewall_run_probe(const struct firewall_plan *plan, struct sys_poller *poller,
                       const struct prober_target_spec *targets, size_t n,
                       const struct probe_io_proxy *through,
                       void (*result)(void *user, struct prober *p, size_t target), void *user)
    __attribute__((warn_unused_result));

/* firewall_measure.c: after the probe, by the nearest node that TCP or TLS reached; and along any other way. What
 * can't be measured stays unknown. */
void firewall_measure_directly(struct firewall_seen *seen, const struct firewall_plan *plan);
void firewall_measure(struct firewall_seen *seen, struct sys_poller *poller, SSL_CTX *tls_ctx,
                      const struct stream_io_target *target, int64_t rtt_us);

/* After the probe: of nodes that it reached over UDP. What can't be told stays unknown. */
void firewall_ask_nat(struct firewall_seen *seen, const struct firewall_plan *plan);
void firewall_ask_mtu(struct firewall_seen *seen, const struct firewall_plan *plan);
void firewall_ask_pinhole(struct firewall_seen *seen, const struct firewall_plan *plan);

#endif
