/* What /metrics says. */
#ifndef BERTH_CONTROLLER_METRICS_PAGE_H
#define BERTH_CONTROLLER_METRICS_PAGE_H

#include "controller.h"
#include "core/metrics.h"
#include "serve/listener.h"

/* The sum of every thread's listener. */
struct listener_totals {
    uint64_t accepted, refused_full, tls_ok, tls_failed, tls_timeout;
    int64_t open;
};
void listener_totals_add(struct listener_totals *t, struct listener_stats *s);
void metrics_page_write(struct controller *ctl, const struct listener_totals *listeners,
                        struct metrics_text *m);

#endif
