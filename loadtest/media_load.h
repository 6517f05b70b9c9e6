/* An open loop of media: legs that send by a schedule, whatever comes back, and count what does. One thread. */
#ifndef BERTH_LOADTEST_MEDIA_LOAD_H
#define BERTH_LOADTEST_MEDIA_LOAD_H

#include "histogram.h"
#include "keyed_leg.h"
#include "media_assign.h"
#include "media_tally.h"
#include "sys/tls.h"

enum { MEDIA_LOAD_LEGS_MAX = 2000, MEDIA_LOAD_SERVERS_MAX = 8, MEDIA_LOAD_TEXT = 400 };

struct media_stream {
    double per_s; /* of each leg; 0: none */
    size_t bytes; /* of a packet, before it is protected */
};

struct media_load_opts {
    struct media_shape shape;
    size_t senders; /* of each meeting: the first ones */
    bool all_heard; /* no last N: it begins when each has heard each */
    int64_t seconds;
    struct media_stream streams[MEDIA_KINDS];
    /* Either a leg each that a controller has assigned, */
    const struct media_assignment *assigned;
    SSL_CTX *tls_ctx;
    uint8_t suites; /* as media_leg_plan's */
    /* or one whose keys are known. */
    const struct keyed_plan *keyed;
    pid_t servers[MEDIA_LOAD_SERVERS_MAX]; /* whose CPU and memory are looked at, on this machine */
    size_t n_servers;
    bool progress; /* on standard error */
};

struct media_load_result {
    struct media_tally_figures tally;
    uint64_t gaps; /* in the sequence numbers that came: with the last N, the only loss that can be told */
    uint64_t not_sent;  /* there was no room, or no session */
    uint64_t refused;   /* not authentic, or a replay */
    uint64_t legs_lost; /* sessions that ended early */
    char lost_why[MEDIA_LOAD_TEXT];
    char suite[32];
    struct histogram latency;  /* from when a packet was due to its arrival, one way */
    struct histogram lateness; /* of sending: what the generator itself adds */
    /* While all legs sent, but for the first half second: */
    double window_s;
    uint64_t window_sent, window_heard, window_heard_bytes;
    int64_t server_cpu_ns; /* -1: not known */
    /* Bytes: without the sessions, when they are up, at the end; -1: not known. */
    int64_t server_memory_before, server_memory_up, server_memory_sending;
};

/* 0, or -errno and why: a session couldn't be had, a process isn't there. */
int media_load_run(const struct media_load_opts *o, struct media_load_result *out,
                   char why[static MEDIA_LOAD_TEXT]) __attribute__((warn_unused_result));

#endif
