/* Keeps one snapshot current: a thread and a connection for each builder, so that what holds up one of them holds up
 * no other. What has been revoked is known in time whatever nodes or health cost. */
#ifndef BERTH_CONTROLLER_WATCH_H
#define BERTH_CONTROLLER_WATCH_H

#include "controller.h"

struct watch;
/* 0 or -errno. `stop_fd` is the caller's: readable, it ends the thread. Builds nothing before the schema and the
 * master keys are known to fit (ctl->schema_version, ctl->keys_fit). */
int watch_start(struct watch **out, struct controller *ctl, const struct snapshot_builder *builder,
                int stop_fd) __attribute__((warn_unused_result));
void watch_join(struct watch *w); /* once stop_fd is readable; NULL is fine */

#endif
