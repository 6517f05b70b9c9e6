/* The probe as a pure state machine: it is given times, events and bytes, and gives back actions and the next deadline. It
 * opens no socket, reads no clock and allocates only in prober_new, so that it runs in any loop and in virtual time.
 *
 * The shell's part:  take actions with prober_next_action until there are none; wait until prober_deadline or an event;
 * hand events in; repeat until prober_done. Times are monotonic microseconds and never decrease. One thread at a time. */
#ifndef BERTH_PROBE_PROBER_H
#define BERTH_PROBE_PROBER_H

#include "core/doc.h"
#include "probe/proxy.h"

enum {
    PROBER_TARGETS_MAX = 4095,
    PROBER_SAMPLES_MAX = 50,
    PROBER_STREAMS_MAX = 256, /* TCP and TLS connections at once */
    PROBER_ERROR_TEXT = 192,
    PROBER_ISSUER_TEXT = 80,
    PROBER_SEED_LEN = 16,
    PROBER_MESSAGE_LEN = 20, /* of every request: a Binding without attributes */
};
#define PROBER_NEVER INT64_MAX

/* Constants that aren't the server's policy. */
enum {
    PROBER_UDP_OVERLAP_US = 250 * 1000,   /* a target's next UDP address is tried after this silence */
    PROBER_CONNECT_LEAST_US = 300 * 1000, /* a connect gets at least this, however many addresses follow */
    PROBER_CATCH_UP_US = 1000,            /* a loop that woke up late sends at most this much at once */
};

/* How an address of a proxy target is reached. */
struct prober_route {
    const struct proxy_endpoint *proxy;
    bool by_name; /* ask the proxy for the node's tls_name; tried only if it refused the IP just before */
};

/* One node over one transport. Targets of one node follow one another. */
struct prober_target_spec {
    size_t node; /* any number, the same for all targets of the node */
    enum transport transport;
    const struct addr *addrs; /* in order of preference; none: untested */
    size_t n_addrs;           /* at most NODE_ADDRESSES_MAX */
    const char *tls_name;     /* handed back with PROBER_OPEN */
    bool
        websocket; /* tls, proxy: where STUN right under TLS gets no answer, try the address again by WebSocket */
    const struct prober_route *routes; /* proxy: one for each of addrs */
    const struct node_spki *keys;      /* handed back with PROBER_OPEN */
};

/* The spec's addresses and names are borrowed for the prober's life; the rest is copied. */
struct prober_plan {
    struct probe_policy policy;
    const struct prober_target_spec *targets;
    size_t n_targets;
    uint8_t seed[PROBER_SEED_LEN]; /* secret randomness: transaction ids come from it */
};

struct prober;

/* 0, -EINVAL (too many targets or addresses, a policy out of range), -ENOMEM. The probe begins at now_us. */
int prober_new(struct prober **out, const struct prober_plan *plan, int64_t now_us)
    __attribute__((warn_unused_result));
void prober_destroy(struct prober *p);

enum prober_action_kind {
    PROBER_SEND_UDP, /* bytes to `to` */
    PROBER_OPEN, /* connect `stream` to `to`, by `route`; over TLS handshake as well, then upgrade if `framing` says so */
    PROBER_SEND_STREAM, /* bytes on `stream` */
    PROBER_CLOSE,       /* `stream` is over: no more events of it */
};

struct prober_action {
    enum prober_action_kind kind;
    enum transport transport;
    size_t stream;        /* 0 to PROBER_STREAMS_MAX - 1 */
    struct addr to;       /* SEND_UDP, OPEN */
    const char *tls_name; /* OPEN over TLS */
    enum framing framing;
    const struct prober_route *route; /* OPEN through a proxy, else NULL */
    const struct node_spki *keys;
    uint8_t bytes[PROBER_MESSAGE_LEN];
    size_t target, attempt, sample; /* the prober's own */
};

/* The next thing to do at `now_us`, or false: nothing before prober_deadline or an event. */
bool prober_next_action(struct prober *p, int64_t now_us, struct prober_action *a);
/* When to call prober_next_action again if nothing happens, or PROBER_NEVER. */
int64_t prober_deadline(const struct prober *p);

/* How the action went. SEND and OPEN count from `now_us` of prober_next_action unless prober_sent, called before anything
 * else, tells the very moment; a failed send or open is an event with its (positive) errno. */
void prober_sent(struct prober *p, const struct prober_action *a, int64_t sent_us);
void prober_send_failed(struct prober *p, const struct prober_action *a, int error, int64_t now_us);

/* A datagram, with the moment at which it came in. */
void prober_on_udp(struct prober *p, const struct addr *from, const uint8_t *bytes, size_t len,
                   int64_t received_us);
/* The network sent back a datagram of ours: where it was going, its first bytes, and the errno that it stands for. */
void prober_on_udp_error(struct prober *p, const struct addr *to, const uint8_t *bytes, size_t len, int error,
                         int64_t now_us);

/* The TCP connection, or the tunnel through the proxy, stands. */
void prober_on_connected(struct prober *p, size_t stream, int64_t now_us);
void prober_on_secured(struct prober *p, size_t stream, int64_t now_us);
void prober_on_upgraded(struct prober *p, size_t stream, int64_t now_us); /* to WebSocket */
void prober_on_stream(struct prober *p, size_t stream, const uint8_t *bytes, size_t len, int64_t now_us);

/* The connection ended: an errno, or 0 where the peer closed it. */
void prober_on_stream_error(struct prober *p, size_t stream, int error, int64_t now_us);
/* The handshake or the verification failed; `text` says why. */
void prober_on_tls_error(struct prober *p, size_t stream, const char *text, int64_t now_us);

/* The proxy could not or would not connect; `refused`: it said so of this destination. */
void prober_on_proxy_error(struct prober *p, size_t stream, bool refused, const char *text, int64_t now_us);
/* There is no WebSocket. */
void prober_on_websocket_error(struct prober *p, size_t stream, const char *text, int64_t now_us);

/* For the result of the attempt that has the stream: the authentication that the proxy wanted (static text); that somebody else's
 * certificate was shown whom the system trusts. */
void prober_note_auth(struct prober *p, size_t stream, const char *auth);
void prober_note_intercepted(struct prober *p, size_t stream);
/* Who signed the certificate that was shown, where that is not whom we expect. */
void prober_note_issuer(struct prober *p, size_t stream, const char *issuer);

/* Ends everything: what has not been measured is untested. */
void prober_cancel(struct prober *p, int64_t now_us);

/* Targets in the order in which they finished, each once. */
bool prober_next_result(struct prober *p, size_t *target);
bool prober_done(const struct prober *p); /* every target finished and every stream closed */
/* What is known of a target; `r->node` is left to the caller. Of an unfinished one: untested. */
void prober_result(const struct prober *p, size_t target, struct probe_result *r,
                   char error[static PROBER_ERROR_TEXT]);
/* The last issuer that was noted of a target; "": none. */
const char *prober_issuer(const struct prober *p, size_t target);

#endif
