/* One target of a probe (a node over one transport): its addresses in turn, its samples, its verdict. Private to the prober.
 *
 *   attempt (one address):   IDLE -> CONNECTING -> SECURING -> UPGRADING -> SAMPLING -> ENDED
 *                             udp ---------------------------------------^   (tcp skips SECURING, all but WebSocket UPGRADING)
 *   UDP attempts overlap; TCP and TLS attempts follow one another. The first attempt with an answer is the winner, and only it
 *   goes on. An attempt's status comes from what happened to itself alone. With spec.websocket each address has two attempts, plain
 * and by WebSocket: the second is made only where TLS came up and plain STUN got nothing, and speaks only if it is answered. */
#ifndef BERTH_PROBE_PROBER_TARGET_H
#define BERTH_PROBE_PROBER_TARGET_H

#include "probe/prober.h"

enum sample_state { SAMPLE_UNSENT, SAMPLE_FLYING, SAMPLE_ANSWERED, SAMPLE_LOST };

struct sample {
    enum sample_state state;
    int64_t sent_us, rtt_us;
};

enum attempt_state {
    ATTEMPT_IDLE,
    ATTEMPT_CONNECTING,
    ATTEMPT_SECURING,
    ATTEMPT_UPGRADING,
    ATTEMPT_SAMPLING,
    ATTEMPT_ENDED
};

struct attempt {
    enum attempt_state state;
    enum probe_status status; /* once ended, or once a sample was answered */
    size_t n_sent, n_answered, n_flying;
    int64_t started_us;  /* the open, then the handshake */
    int64_t next_due_us; /* of the next sample */
    int64_t deadline_us; /* of connect or handshake */
    int64_t connect_us, tls_us;
    const char *proxy_auth; /* static text */
    bool tls_intercepted, refused_by_proxy;
    struct addr mapped;
    struct sample *samples; /* policy.samples of them */
};

enum target_state { TARGET_WAITING, TARGET_RUNNING, TARGET_DONE };

enum { TARGET_NO_WINNER = -1 };

struct target {
    struct prober_target_spec spec;
    const struct probe_policy *policy;
    struct attempt *attempts; /* target_attempts() of them */
    enum target_state state;
    size_t next; /* the attempt to begin next */
    int winner;  /* or TARGET_NO_WINNER */
    int64_t node_deadline_us;
    int64_t begin_due_us; /* when attempt `next` may begin; PROBER_NEVER: not yet */
    int64_t due_us;       /* it has an action from then on, or PROBER_NEVER */
    int64_t deadline_us;  /* target_tick changes it then */
    int error_rank;
    char error[PROBER_ERROR_TEXT]; /* of the attempt that the result will name */
    char issuer[PROBER_ISSUER_TEXT];
};

/* What a target wants done: open attempt `attempt`, or send `sample` of it. */
struct target_want {
    bool open;
    size_t attempt, sample;
};

bool target_is_stream(const struct target *t);
size_t target_attempts(const struct prober_target_spec *s);
size_t target_address(const struct target *t, size_t attempt); /* its place in spec.addrs */
enum framing target_framing(const struct target *t, size_t attempt);
void target_start(struct target *t, int64_t now_us, int64_t node_deadline_us);
/* Takes the action that is due. Only where due_us <= now_us. */
struct target_want target_take(struct target *t, int64_t now_us);
void target_sent(struct target *t, const struct target_want *w, int64_t sent_us);
/* Lets time pass: samples get lost, connects time out, the node's budget ends. */
void target_tick(struct target *t, int64_t now_us);
void target_answered(struct target *t, size_t attempt, size_t sample, const struct addr *mapped,
                     int64_t received_us);
/* A sample came back as undeliverable. */
void target_bounced(struct target *t, size_t attempt, size_t sample, int error, int64_t now_us);
void target_connected(struct target *t, int64_t now_us);
void target_secured(struct target *t, int64_t now_us);
void target_upgraded(struct target *t, int64_t now_us);
void target_stream_error(struct target *t, int error, int64_t now_us); /* errno; 0: closed by the peer */
void target_stream_failed(struct target *t, enum probe_status why, const char *text, int64_t now_us);
/* Ends it with what is known. What is under way without an answer gets `status` (timeout, or untested). */
void target_cut(struct target *t, enum probe_status status, const char *why, int64_t now_us);
/* The attempt that has the stream now, or target_attempts(): none. */
size_t target_open_attempt(const struct target *t);
void target_result(const struct target *t, struct probe_result *r);

#endif
