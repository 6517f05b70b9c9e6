/* Sums counters and writes them for Prometheus. Invariant: a family's header is written once, before its first sample. */
#include "stats.h"

#include <string.h>

void stats_sum(struct node_totals *total, const struct node_stats *s)
{
#define X(field, family, labels, help) total->field += atomic_load_explicit(&s->field, memory_order_relaxed);
    NODE_COUNTERS(X)
#undef X
}

struct row {
    uint64_t value;
    const char *family, *labels, *help;
};

static void write_rows(const struct row *rows, size_t n, struct metrics_text *m)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(rows[i].family, rows[i - 1].family) != 0)
            metrics_family(m, rows[i].family, METRIC_COUNTER, rows[i].help);
        metrics_sample(m, rows[i].family, rows[i].labels, (double)rows[i].value);
    }
}

void stats_metrics(const struct node_totals *total, struct metrics_text *m)
{
#define X(field, family, labels, help) {total->field, family, labels, help},
    const struct row rows[] = {NODE_COUNTERS(X)};
#undef X
    write_rows(rows, sizeof(rows) / sizeof(rows[0]), m);
}

void stats_listener_metrics(const struct listener_totals *tcp, const struct listener_totals *tls,
                            struct metrics_text *m)
{
    const char *accepted = "berth_node_connections_accepted_total", *a_help = "Connections accepted";
    const char *refused = "berth_node_connections_refused_total", *r_help = "Connections refused by a limit";
    const char *hand = "berth_node_tls_handshakes_total", *h_help = "TLS handshakes by result";
    const char *over_tcp = "transport=\"tcp\"", *over_tls = "transport=\"tls\"";
    const struct row rows[] = {
        {tcp->accepted, accepted, over_tcp, a_help},
        {tls->accepted, accepted, over_tls, a_help},
        {tcp->refused_full, refused, "transport=\"tcp\",limit=\"listener\"", r_help},
        {tls->refused_full, refused, "transport=\"tls\",limit=\"listener\"", r_help},
        {tcp->refused_source, refused, "transport=\"tcp\",limit=\"source\"", r_help},
        {tls->refused_source, refused, "transport=\"tls\",limit=\"source\"", r_help},
        {tls->tls_ok, hand, "result=\"ok\"", h_help},
        {tls->tls_failed, hand, "result=\"failed\"", h_help},
        {tls->tls_timeout, hand, "result=\"timeout\"", h_help},
    };
    write_rows(rows, sizeof(rows) / sizeof(rows[0]), m);
    metrics_family(m, "berth_node_connections_open", METRIC_GAUGE, "Connections open now");
    metrics_sample(m, "berth_node_connections_open", over_tcp, (double)tcp->open);
    metrics_sample(m, "berth_node_connections_open", over_tls, (double)tls->open);
}
