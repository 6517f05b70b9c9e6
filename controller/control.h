/* The control thread: watches the database for what all workers share, and publishes it as snapshots. */
#ifndef BERTH_CONTROLLER_CONTROL_H
#define BERTH_CONTROLLER_CONTROL_H

#include "controller.h"

struct control;
int control_start(struct control **out, struct controller *ctl) __attribute__((warn_unused_result));
void control_stop(struct control *c); /* joins the thread; NULL is fine */

/* Is everything there that requests need? Else why not, for people. Any thread. */
bool control_ready(struct controller *ctl, char *reason, size_t cap);

#endif
