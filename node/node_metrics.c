/* What a node tells of itself: health, metrics, and its load for heartbeats. Invariant: it only reads; on any
 * worker's thread, and the control's. */
#include "node_internal.h"

#include "sys/clock.h"
#include "websocket.h"

#include <stdio.h>
#include <sys/resource.h>

enum { HTTP_BODY_MAX = 64 * 1024, HTTP_TIMEOUT_US = 10 * 1000 * 1000 };

static bool is_ready(void *ctx, char *reason, size_t cap)
{
    const struct node *n = ctx;
    if (!atomic_load(&n->draining))
        return true;
    snprintf(reason, cap, "draining");
    return false;
}

static void sum(const struct node *n, struct node_totals *counters, struct listener_totals *tcp,
                struct listener_totals *tls)
{
    size_t started = atomic_load(&n->n_workers);
    for (size_t i = 0; i < started; i++)
        worker_totals(n->workers[i], counters, tcp, tls);
    if (n->dialer)
        stats_sum(counters, dialer_stats(n->dialer));
}

static void gauge(struct metrics_text *m, const char *name, const char *help, double value)
{
    metrics_family(m, name, METRIC_GAUGE, help);
    metrics_sample(m, name, "", value);
}

static void counter(struct metrics_text *m, const char *name, const char *help, uint64_t value)
{
    metrics_family(m, name, METRIC_COUNTER, help);
    metrics_sample(m, name, "", (double)value);
}

static void control_metrics(struct control *c, struct metrics_text *m)
{
    struct control_state s = control_read(c);
    gauge(m, "berth_node_registered", "1 while the controller knows this node", s.registered);
    gauge(m, "berth_node_drained_by_controller", "1 while the controller asks for drain", s.drain);
    counter(m, "berth_node_registrations_total", "Registrations accepted", s.registrations);
    counter(m, "berth_node_heartbeats_total", "Heartbeats accepted", s.heartbeats);
    counter(m, "berth_node_control_failures_total", "Calls to the controller that failed", s.failures);
}

static void peers_metrics(struct peers *p, struct metrics_text *m)
{
    int64_t age;
    struct peer_counts c = peers_counts(p, &age);
    const char *name = "berth_node_peer_probes_total";
    gauge(m, "berth_node_peers", "Other nodes that this one probes", (double)c.peers);
    gauge(m, "berth_node_peers_measured", "Of them, those with a round trip", (double)c.known);
    gauge(m, "berth_node_peers_unreachable",
          "Other nodes that answered none of the last four probes, over any transport", (double)c.lost);
    metrics_family(m, name, METRIC_COUNTER, "Probes of other nodes, by outcome");
    metrics_sample(m, name, "result=\"ok\"", (double)c.measured);
    metrics_sample(m, name, "result=\"failed\"", (double)c.failed);
    if (age >= 0)
        gauge(m, "berth_node_peer_rtt_age_seconds", "Since the newest round trip to another node",
              (double)age / 1e6);
}

static void media_metrics(const struct node *n, struct metrics_text *m)
{
    int64_t sessions[MEDIA_CARRIERS] = {0};
    const struct dialer_counts links = dialer_read(n->dialer);
    size_t started = atomic_load(&n->n_workers);
    for (size_t i = 0; i < started; i++)
        worker_sessions(n->workers[i], sessions);
    media_figures_metrics(sessions, m);
    dialer_metrics(&links, m);
}

static int64_t cpu_used_us(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return ((int64_t)r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 + r.ru_utime.tv_usec +
           r.ru_stime.tv_usec;
}

static void write_metrics(void *ctx, struct metrics_text *m)
{
    const struct node *n = ctx;
    struct node_totals counters = {0};
    struct listener_totals tcp = {0}, tls = {0};
    sum(n, &counters, &tcp, &tls);
    stats_metrics(&counters, m);
    stats_listener_metrics(&tcp, &tls, m);
    gauge(m, "berth_node_draining", "1 while the node takes no new connections", atomic_load(&n->draining));
    metrics_family(m, "berth_node_cpu_seconds_total", METRIC_COUNTER, "Processor time used");
    metrics_sample(m, "berth_node_cpu_seconds_total", "", (double)cpu_used_us() / 1e6);
    struct control *control = atomic_load(&n->control);
    if (control)
        control_metrics(control, m);
    if (control && n->peers)
        peers_metrics(n->peers, m);
    if (n->media)
        media_metrics(n, m);
}

void node_sample_load(void *ctx, struct load_sample *out)
{
    const struct node *n = ctx;
    struct node_totals c = {0};
    struct listener_totals tcp = {0}, tls = {0};
    sum(n, &c, &tcp, &tls);
    *out = (struct load_sample){
        .at_us = clock_mono_us(),
        .cpu_us = cpu_used_us(),
        .packets = c.udp_requests + c.tcp_requests + c.tls_requests + c.media_packets_in,
        .bytes = c.udp_bytes_in + c.tcp_bytes_in + c.tls_bytes_in + c.udp_bytes_out + c.tcp_bytes_out +
                 c.tls_bytes_out,
        .sessions = node_sessions(n),
    };
}

void node_init_http(struct node *n)
{
    const struct http_limits limits = {.body_max = HTTP_BODY_MAX, .request_timeout_us = HTTP_TIMEOUT_US};
    const struct health_opts inside = {.ready = is_ready, .metrics = write_metrics, .ctx = n};
    struct health_opts outside = inside;
    outside.metrics = NULL;
    http_globalconf_init(&n->http, &limits);
    http_globalconf_init(&n->http_metrics, &limits);
    h2o_hostconf_t *host = h2o_config_register_host(&n->http, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    http_register_health(host, &outside);
    n->websocket = websocket_register(host);
    http_register_health(
        h2o_config_register_host(&n->http_metrics, h2o_iovec_init(H2O_STRLIT("default")), 65535), &inside);
    http_check_framing(&n->http);
    http_check_framing(&n->http_metrics);
}
