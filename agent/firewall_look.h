/* The parts of an examination, for firewall_run.c (the whole), firewall_ports.c (the probe) and firewall_questions.c (STUN questions). */
#ifndef BERTH_AGENT_FIREWALL_LOOK_H
#define BERTH_AGENT_FIREWALL_LOOK_H

#include "firewall_run.h"
#include "sys.h"

void firewall_tell(const struct firewall_plan *plan, const char *what, size_t done, size_t of);
/* Makes a row for every port of the chosen nodes. 0, or -ENOMEM. */
int firewall_lay_out(struct firewall_seen *seen, const struct firewall_plan *plan)
    __attribute__((warn_unused_result));
/* Probes them. 0, or -errno. */
int firewall_probe(struct firewall_seen *seen, const struct firewall_plan *plan)
    __attribute__((warn_unused_result));

/* After the probe: of nodes that it reached over UDP. What can't be told stays unknown. */
void firewall_ask_nat(struct firewall_seen *seen, const struct firewall_plan *plan);
void firewall_ask_mtu(struct firewall_seen *seen, const struct firewall_plan *plan);
void firewall_ask_pinhole(struct firewall_seen *seen, const struct firewall_plan *plan);

#endif
