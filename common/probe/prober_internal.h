/* The prober's inside, for prober.c (what is done when) and prober_events.c (what happens to it). */
#ifndef BERTH_PROBE_PROBER_INTERNAL_H
#define BERTH_PROBE_PROBER_INTERNAL_H

#include "core/frame.h"
#include "probe/prober_target.h"

enum { STREAM_BUFFER = FRAME_PAYLOAD_MAX };
enum stream_state { STREAM_FREE, STREAM_OPEN, STREAM_CLOSING };

struct stream {
    enum stream_state state;
    size_t target;
    size_t len;
    uint8_t buf[STREAM_BUFFER]; /* bytes of an unfinished message */
};

/* Where a node's time began; its targets share it. */
struct node_clock {
    bool started;
    int64_t deadline_us;
};

struct prober {
    struct probe_policy policy;
    uint8_t seed[PROBER_SEED_LEN];
    struct target *targets;
    struct node_clock *nodes; /* one for each target; targets of one node share the first's */
    size_t *node_of;          /* target -> index into nodes */
    struct attempt *attempts; /* of all targets */
    struct sample *samples;   /* of all attempts */
    size_t n_targets;
    size_t *active, n_active; /* the running ones */
    size_t next_waiting;      /* targets from here on have not started */
    size_t *finished, n_finished, n_told;
    struct stream *streams;
    size_t *stream_of; /* target -> its stream, or n_streams */
    size_t n_streams, n_closing;
    size_t n_stream_targets; /* running ones, each of which may open a stream at any time */
    int64_t pace_interval_us, pace_next_us;
    int64_t budget_deadline_us;
};

/* To be called when something has happened to a target: closes its stream and takes it off the lists where it is through. */
void prober_after_event(struct prober *p, size_t target);

#endif
