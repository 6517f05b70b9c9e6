/* What /metrics says. */
#ifndef BERTH_CONTROLLER_METRICS_PAGE_H
#define BERTH_CONTROLLER_METRICS_PAGE_H

#include "controller.h"
#include "core/metrics.h"
#include "serve/listener.h"

/* `listeners`: the sum of every thread's. */
void metrics_page_write(struct controller *ctl, const struct listener_totals *listeners,
                        struct metrics_text *m);

#endif
