/* Prometheus text exposition (version 0.0.4), written into a growing JSON-free buffer. A label's values come from small fixed
 * sets (node, cluster, transport, result), never from users or addresses. */
#ifndef BERTH_CORE_METRICS_H
#define BERTH_CORE_METRICS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics_text {
    char *buf; /* the caller's */
    size_t len, cap;
    bool truncated; /* sticky: something did not fit */
};

void metrics_init(struct metrics_text *m, char *buf, size_t cap);
/* # HELP and # TYPE; then one metrics_sample for each set of labels. */
void metrics_family(struct metrics_text *m, const char *name, enum metric_type type, const char *help);
/* `labels` is "" or `node="a",transport="udp"` with values already escaped by metrics_escape. */
void metrics_sample(struct metrics_text *m, const char *name, const char *labels, double value);
void metrics_escape(const char *value, char *out, size_t cap);

#endif
