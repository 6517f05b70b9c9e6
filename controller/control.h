/* The control thread: whether this program and the database fit, nodes' health, counts, and the news of the outbox.
 * And those beside it that keep the snapshots (watch.h). */
#ifndef BERTH_CONTROLLER_CONTROL_H
#define BERTH_CONTROLLER_CONTROL_H

#include "controller.h"

enum { CONTROL_TIMEOUT_US = 2 * 1000 * 1000 }; /* for connecting, and for one statement */

struct control;
int control_start(struct control **out, struct controller *ctl) __attribute__((warn_unused_result));
void control_stop(struct control *c); /* joins the threads; NULL is fine */

/* Is everything there that requests need? Else why not, for people. Any thread. */
bool control_ready(struct controller *ctl, char *reason, size_t cap);

#endif
