/* Counters of all threads, added up, as Prometheus text. Invariant: one family is written once, its samples together. */
#include "metrics_page.h"

#include "catalogue.h"
#include "control.h"
#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum(const struct controller *ctl, size_t offset)
{
    uint64_t total = 0;

    for (size_t i = 0; i < ctl->n_workers; i++) {
        char *base = (char *)&ctl->workers[i].counters;
        total += atomic_load_explicit((_Atomic uint64_t *)(void *)(base + offset), memory_order_relaxed);
    }
    return total;
}

struct row {
    const char *name, *labels, *help;
    size_t offset;
};
#define ROW(member, name, labels, help) {name, labels, help, offsetof(struct counters, member)},
static const struct row rows[] = {COUNTERS(ROW)};

static void single(struct metrics_text *m, const char *name, enum metric_type type, const char *help,
                   double v)
{
    metrics_family(m, name, type, help);
    metrics_sample(m, name, "", v);
}

static void links_metrics(struct controller *ctl, struct metrics_text *m)
{
    struct snapshot *s = snapshot_acquire(&ctl->slots[SNAPSHOT_CATALOGUE]);
    struct links_counts c = links_counts(s != NULL ? catalogue_links(s->data) : NULL);
    int64_t now_s = controller_unix_us(ctl) / 1000000;

    snapshot_release(s);
    single(m, "berth_node_pairs", METRIC_GAUGE,
           "Pairs of nodes of which one has measured the way to the other.", (double)c.pairs);
    single(m, "berth_node_pairs_left_out", METRIC_GAUGE, "Figures that had no room.", (double)c.left_out);
    if (c.pairs == 0)
        return;
    metrics_family(m, "berth_node_pairs_age_seconds", METRIC_GAUGE,
                   "Since a figure was told: the newest, the oldest.");
    metrics_sample(m, "berth_node_pairs_age_seconds", "which=\"newest\"", (double)(now_s - c.newest_s));
    metrics_sample(m, "berth_node_pairs_age_seconds", "which=\"oldest\"", (double)(now_s - c.oldest_s));
}

static void calibration_metrics(struct controller *ctl, struct metrics_text *m)
{
    struct calibration **all = calloc(ctl->n_workers + 1, sizeof(struct calibration *));

    for (size_t i = 0; i < ctl->n_workers && all != NULL; i++)
        all[i] = &ctl->workers[i].calibration;
    if (all != NULL)
        calibration_write(all, ctl->n_workers, m);
    free(all);
}

void metrics_page_write(struct controller *ctl, const struct listener_totals *listeners,
                        struct metrics_text *m)
{
    char reason[128];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
            metrics_family(m, rows[i].name, METRIC_COUNTER, rows[i].help);
        metrics_sample(m, rows[i].name, rows[i].labels, (double)sum(ctl, rows[i].offset));
    }
    single(m, "berth_streams_open", METRIC_GAUGE, "Event streams.",
           (double)(sum(ctl, offsetof(struct counters, streams_opened)) -
                    sum(ctl, offsetof(struct counters, streams_closed))));
    predict_errors_write(ctl->predict_errors, m);
    calibration_metrics(ctl, m);
    single(m, "berth_ready", METRIC_GAUGE, "1 when requests can be answered.",
           control_ready(ctl, reason, sizeof(reason)) ? 1 : 0);
    single(m, "berth_database_connections", METRIC_GAUGE, "The workers' connections that are up.",
           (double)atomic_load(&ctl->db_up));
    single(m, "berth_schema_version", METRIC_GAUGE, "Of the database, as last seen.",
           (double)atomic_load(&ctl->schema_version));
    links_metrics(ctl, m);
    metrics_family(m, "berth_events_open", METRIC_GAUGE,
                   "Events that were raised and not cleared, by severity.");
    for (unsigned s = 0; s < EVENT_SEVERITIES; s++) {
        char label[32];
        snprintf(label, sizeof(label), "severity=\"%s\"", event_severity_name((enum event_severity)s));
        metrics_sample(m, "berth_events_open", label, (double)atomic_load(&ctl->events_open[s]));
    }
    single(m, "berth_connections_open", METRIC_GAUGE, "Clients' connections.", (double)listeners->open);
    single(m, "berth_connections_accepted_total", METRIC_COUNTER, "Clients' connections accepted.",
           (double)listeners->accepted);
    metrics_family(m, "berth_connections_refused_total", METRIC_COUNTER, "Connections refused by a limit.");
    metrics_sample(m, "berth_connections_refused_total", "limit=\"listener\"",
                   (double)listeners->refused_full);
    metrics_sample(m, "berth_connections_refused_total", "limit=\"source\"",
                   (double)listeners->refused_source);
    metrics_family(m, "berth_tls_handshakes_total", METRIC_COUNTER, "TLS handshakes, by outcome.");
    metrics_sample(m, "berth_tls_handshakes_total", "result=\"ok\"", (double)listeners->tls_ok);
    metrics_sample(m, "berth_tls_handshakes_total", "result=\"failed\"", (double)listeners->tls_failed);
    metrics_sample(m, "berth_tls_handshakes_total", "result=\"timeout\"", (double)listeners->tls_timeout);
}
