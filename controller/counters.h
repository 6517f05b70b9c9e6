/* Every counter of the controller, listed once. One set per thread, added up when read. */
#ifndef BERTH_CONTROLLER_COUNTERS_H
#define BERTH_CONTROLLER_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* name, labels, help. Several rows of one name (with different labels) stand together; the first one's help counts. */
#define COUNTERS(X)                                                                                     \
    X(requests_2xx, "berth_http_requests_total", "class=\"2xx\"", "Requests answered.")                 \
    X(requests_3xx, "berth_http_requests_total", "class=\"3xx\"", "")                                   \
    X(requests_4xx, "berth_http_requests_total", "class=\"4xx\"", "")                                   \
    X(requests_5xx, "berth_http_requests_total", "class=\"5xx\"", "")                                   \
    X(rate_limited, "berth_rate_limited_total", "", "Requests refused with 429.")                       \
    X(unauthorized, "berth_unauthorized_total", "", "Requests refused with 401.")                       \
    X(reports_new, "berth_reports_total", "result=\"new\"", "Reports posted, by outcome.")              \
    X(reports_repeat, "berth_reports_total", "result=\"repeat\"", "")                                   \
    X(reports_refused, "berth_reports_total", "result=\"refused\"", "")                                 \
    X(reports_failed, "berth_reports_total", "result=\"failed\"", "")                                   \
    X(report_commits, "berth_report_commits_total", "", "Transactions that carried reports.")           \
    X(report_retries, "berth_report_retries_total", "", "Reports retried because their commit failed.") \
    X(joins, "berth_joins_total", "", "Participants assigned a node.")                                  \
    X(joins_predicted, "berth_joins_predicted_total", "", "Participants assigned by a prediction.")     \
    X(joins_refused, "berth_joins_refused_total", "", "Joins that found no node.")                      \
    X(moves, "berth_moves_total", "", "Participants moved to another node, and told so.")               \
    X(failures, "berth_failures_total", "", "Nodes that did not work for a participant.")               \
    X(reviews_moved, "berth_reviews_total", "result=\"moved\"",                                         \
      "Meetings decided on again though nobody asked.")                                                 \
    X(reviews_same, "berth_reviews_total", "result=\"same\"", "")                                       \
    X(reviews_failed, "berth_reviews_total", "result=\"failed\"", "")                                   \
    X(reviews_left_out, "berth_reviews_left_out_total", "", "Reviews left out for want of room.")       \
    X(join_conflicts, "berth_join_conflicts_total", "",                                                 \
      "Assignments computed again because of a concurrent change.")                                     \
    X(streams_opened, "berth_streams_opened_total", "", "Event streams opened.")                        \
    X(streams_closed, "berth_streams_closed_total", "", "Event streams that have ended.")               \
    X(streams_refused, "berth_streams_refused_total", "", "Event streams refused by a limit.")          \
    X(streams_stalled, "berth_streams_stalled_total", "", "Event streams cut off: nothing was taken.")  \
    X(stream_events, "berth_stream_events_total", "", "Events given to streams.")                       \
    X(figures_held_back, "berth_node_rtt_held_back_total", "",                                          \
      "Round trips that mesh nodes told past what their org may tell.")                                 \
    X(stream_resets, "berth_stream_resets_total", "", "Streams told that they have missed some.")

#define COUNTER_MEMBER(member, name, labels, help) member,
struct counters {
    _Atomic uint64_t COUNTERS(COUNTER_MEMBER) unused_;
};
#undef COUNTER_MEMBER

#define counter_add(counters, member, n) \
    atomic_fetch_add_explicit(&(counters)->member, (uint64_t)(n), memory_order_relaxed)

#endif
