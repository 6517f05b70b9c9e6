/* Counters, listed once. Each thread has a set of its own, which it alone adds to; any thread may read them, and they are summed
 * when read. */
#ifndef BERTH_NODE_STATS_H
#define BERTH_NODE_STATS_H

#include "core/metrics.h"
#include "serve/listener.h"

#include <stdatomic.h>

/* X(field, family, labels, help): fields of one family stand together. */
#define NODE_COUNTERS(X)                                                                                    \
    X(udp_requests, "berth_node_requests_total", "transport=\"udp\"", "STUN messages received")             \
    X(tcp_requests, "berth_node_requests_total", "transport=\"tcp\"", "STUN messages received")             \
    X(tls_requests, "berth_node_requests_total", "transport=\"tls\"", "STUN messages received")             \
    X(udp_answers, "berth_node_answers_total", "transport=\"udp\"", "STUN answers sent")                    \
    X(tcp_answers, "berth_node_answers_total", "transport=\"tcp\"", "STUN answers sent")                    \
    X(tls_answers, "berth_node_answers_total", "transport=\"tls\"", "STUN answers sent")                    \
    X(udp_bytes_in, "berth_node_received_bytes_total", "transport=\"udp\"", "Payload bytes received")       \
    X(tcp_bytes_in, "berth_node_received_bytes_total", "transport=\"tcp\"", "Payload bytes received")       \
    X(tls_bytes_in, "berth_node_received_bytes_total", "transport=\"tls\"", "Payload bytes received")       \
    X(udp_bytes_out, "berth_node_sent_bytes_total", "transport=\"udp\"", "Payload bytes sent")              \
    X(tcp_bytes_out, "berth_node_sent_bytes_total", "transport=\"tcp\"", "Payload bytes sent")              \
    X(tls_bytes_out, "berth_node_sent_bytes_total", "transport=\"tls\"", "Payload bytes sent")              \
    X(udp_limited, "berth_node_limited_total", "",                                                          \
      "UDP requests ignored because their source was over its rate")                                        \
    X(udp_send_full, "berth_node_udp_dropped_total", "reason=\"would_block\"", "UDP answers not sent")      \
    X(udp_send_error, "berth_node_udp_dropped_total", "reason=\"error\"", "UDP answers not sent")           \
    X(stream_broken, "berth_node_connections_ended_total", "reason=\"broken_frame\"",                       \
      "Connections that the node ended")                                                                    \
    X(stream_idle, "berth_node_connections_ended_total", "reason=\"idle\"",                                 \
      "Connections that the node ended")                                                                    \
    X(stream_limited, "berth_node_connections_ended_total", "reason=\"over_rate\"",                         \
      "Connections that the node ended")                                                                    \
    X(http_connections, "berth_node_http_connections_total", "", "Connections handed to HTTP")              \
    X(websockets, "berth_node_websockets_total", "", "Connections that became WebSockets")                  \
    X(media_packets_in, "berth_node_media_packets_total", "direction=\"in\"", "RTP and RTCP packets")       \
    X(media_packets_out, "berth_node_media_packets_total", "direction=\"out\"", "RTP and RTCP packets")     \
    X(media_bytes_in, "berth_node_media_bytes_total", "direction=\"in\"", "Bytes of these")                 \
    X(media_bytes_out, "berth_node_media_bytes_total", "direction=\"out\"", "Bytes of these")               \
    X(media_unknown, "berth_node_media_dropped_total", "reason=\"unknown_flow\"", "Media packets dropped")  \
    X(media_ring_full, "berth_node_media_dropped_total", "reason=\"ring_full\"", "Media packets dropped")   \
    X(media_send_full, "berth_node_media_dropped_total", "reason=\"would_block\"", "Media packets dropped") \
    X(media_send_error, "berth_node_media_dropped_total", "reason=\"error\"", "Media packets dropped")      \
    X(media_slow, "berth_node_media_dropped_total", "reason=\"slow_receiver\"", "Media packets dropped")    \
    X(media_refused, "berth_node_media_dropped_total", "reason=\"not_authentic\"", "Media packets dropped") \
    X(media_over_limit, "berth_node_media_dropped_total", "reason=\"over_limit\"", "Media packets dropped") \
    X(media_ssrc_refused, "berth_node_media_dropped_total", "reason=\"ssrc_of_another\"",                   \
      "Media packets dropped")                                                                              \
    X(media_given_up, "berth_node_media_given_up_total", "",                                                \
      "Missing packets that senders were asked for in vain")                                                \
    X(media_control_lost, "berth_node_media_lost_messages_total", "",                                       \
      "Messages between threads that found no room")                                                        \
    X(ended_left, "berth_node_sessions_ended_total", "reason=\"left\"", "Media sessions that have ended")   \
    X(ended_removed, "berth_node_sessions_ended_total", "reason=\"removed\"",                               \
      "Media sessions that have ended")                                                                     \
    X(ended_replaced, "berth_node_sessions_ended_total", "reason=\"replaced\"",                             \
      "Media sessions that have ended")                                                                     \
    X(ended_consent_lost, "berth_node_sessions_ended_total", "reason=\"consent_lost\"",                     \
      "Media sessions that have ended")                                                                     \
    X(ended_hanging, "berth_node_sessions_ended_total", "reason=\"hanging\"",                               \
      "Media sessions that have ended")                                                                     \
    X(ended_drained, "berth_node_sessions_ended_total", "reason=\"drained\"",                               \
      "Media sessions that have ended")                                                                     \
    X(ended_over_limit, "berth_node_sessions_ended_total", "reason=\"over_limit\"",                         \
      "Media sessions that have ended")                                                                     \
    X(ended_closed, "berth_node_sessions_ended_total", "reason=\"closed\"",                                 \
      "Media sessions that have ended")                                                                     \
    X(ended_node_stopped, "berth_node_sessions_ended_total", "reason=\"node_stopped\"",                     \
      "Media sessions that have ended")

struct node_stats {
#define X(field, family, labels, help) _Atomic uint64_t field;
    NODE_COUNTERS(X)
#undef X
};

/* A plain copy, for sums and differences. */
struct node_totals {
#define X(field, family, labels, help) uint64_t field;
    NODE_COUNTERS(X)
#undef X
};

static inline void stats_add(_Atomic uint64_t *counter, uint64_t n)
{
    /* The thread is the only writer: no locked instruction is needed. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void stats_sum(struct node_totals *total, const struct node_stats *s);
void stats_metrics(const struct node_totals *total, struct metrics_text *m);

/* What the listeners of each transport count, summed by the caller. */
void stats_listener_metrics(const struct listener_totals *tcp, const struct listener_totals *tls,
                            struct metrics_text *m);

#endif
