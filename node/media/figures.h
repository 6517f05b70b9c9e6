/* What is told of sessions: counters and gauges for metrics, and one log line when each has ended. */
#ifndef BERTH_NODE_MEDIA_FIGURES_H
#define BERTH_NODE_MEDIA_FIGURES_H

#include "../stats.h"
#include "home.h"

#include "sys/log.h"

enum { MEDIA_CARRIERS = 5 };
const char *media_carrier_name(enum media_carrier c); /* "udp", "tcp", "tls", "websocket", "dialled" */

/* One thread's: written by it alone, `sessions` read by any. */
struct media_figures {
    struct node_stats *stats;
    struct log *log;
    _Atomic int64_t sessions[MEDIA_CARRIERS];
    struct media_leg_stats over; /* what ended legs refused and dropped, added up */
};

/* A session has ended: counts it, and logs it without addresses. */
void media_figures_ended(struct media_figures *f, const struct media_leg_info *leg, enum media_end_reason why,
                         int64_t now_us);
/* Looks at all that are there. */
void media_figures_look(struct media_figures *f, const struct media_home *h);
/* Adds the sessions by carrier. Any thread. */
void media_figures_sessions(const struct media_figures *f, int64_t total[static MEDIA_CARRIERS]);

/* Gauges of all threads together. */
void media_figures_metrics(const int64_t sessions[static MEDIA_CARRIERS], struct metrics_text *m);

#endif
