/* Connecting by an assignment's ladder as a pure state machine: rungs are raced, each a little later than the one before, and the best
 * one that answers wins. It is given times, events and bytes, and gives back actions and the next deadline.
 *
 *   rung k begins      `rung_delay_ms` after rung k - 1 began, or when that one has failed
 *   its addresses      one after another, `address_delay_ms` apart (RFC 8305 8) or when one fails; IPv6 and IPv4 take turns
 *   a rung answers     a matching STUN answer came over it, under TLS from a verified peer
 *   it wins            once no better rung can still answer, but no later than `grace_ms` after the first answer
 *   it ends before     it has lost, and the race goes on with what its answer had made unnecessary
 *
 * The shell's part is that of prober.h. A stream's number is its rung's place in the input. One thread at a time. */
#ifndef BERTH_PATH_LADDER_H
#define BERTH_PATH_LADDER_H

#include "probe/prober.h"

enum {
    LADDER_PLACES_MAX = 64,
    LADDER_LAST_RESORT_PORT = 33434, /* of UDP: after the rung's other ports */
    LADDER_MESSAGE_LEN = PROBER_MESSAGE_LEN + 2,
    LADDER_SAMPLES_MAX = 8, /* datagrams to one address */
};
#define LADDER_NONE SIZE_MAX

/* One line of the assignment: one address. Lines of the same transport make one rung. */
struct ladder_place {
    enum transport transport;
    struct addr to;
    char tls_name[HOST_MAX + 1];   /* "" where it has none */
    char proxy[PROXY_URL_MAX + 1]; /* of a proxy rung */
    bool websocket;                /* under TLS: at once, not only where plain frames get no answer */
};

struct ladder_policy {
    int64_t rung_delay_ms, address_delay_ms, grace_ms;
    int64_t resend_ms;       /* UDP: the first pause before a datagram is sent again; it doubles */
    int64_t framing_ms;      /* TLS: silence after which the address is tried again by WebSocket */
    int64_t rung_timeout_ms; /* from the rung's beginning */
    int64_t timeout_ms;      /* of all */
};
void ladder_policy_init(struct ladder_policy *p); /* 300, 250, 150, 200, 1000, 5000, 15000 */

/* Reads the "ladder" of an assignment (the answer to POST .../participants). How many, -EINVAL with *e filled. Lines
 * of transports that aren't known are left out. */
ssize_t ladder_from_json(const json_t *assignment, struct ladder_place out[static LADDER_PLACES_MAX],
                         struct doc_error *e);
/* The order in which places are begun: by rung in the order of first lines; in a rung the families in turn, port
 * 33434 of UDP last. */
void ladder_order(const struct ladder_place *places, size_t n, size_t order[static LADDER_PLACES_MAX]);

struct ladder;
/* Copies all. 0, -EINVAL (no places or too many, a policy out of range), -ENOMEM. */
int ladder_new(struct ladder **out, const struct ladder_place *places, size_t n,
               const struct ladder_policy *policy, const uint8_t seed[static PROBER_SEED_LEN], int64_t now_us)
    __attribute__((warn_unused_result));
void ladder_destroy(struct ladder *l);

enum ladder_action_kind { LADDER_SEND_UDP, LADDER_OPEN, LADDER_SEND_STREAM, LADDER_CLOSE };
struct ladder_action {
    enum ladder_action_kind kind;
    size_t place;
    const struct ladder_place *is; /* where to */
    enum framing framing;          /* OPEN: upgrade to WebSocket? */
    bool by_name;                  /* OPEN through a proxy: ask it for the TLS name rather than the address */
    size_t sample, len;
    uint8_t bytes[LADDER_MESSAGE_LEN]; /* on streams with the header of RFC 4571, so that media can follow */
};
bool ladder_next_action(struct ladder *l, int64_t now_us, struct ladder_action *a);
int64_t ladder_deadline(const struct ladder *l);
void ladder_sent(struct ladder *l, const struct ladder_action *a, int64_t sent_us);
void ladder_send_failed(struct ladder *l, const struct ladder_action *a, int error, int64_t now_us);

void ladder_on_udp(struct ladder *l, const struct addr *from, const uint8_t *bytes, size_t len,
                   int64_t received_us);
void ladder_on_udp_error(struct ladder *l, const struct addr *to, const uint8_t *bytes, size_t len, int error,
                         int64_t now_us);
void ladder_on_connected(struct ladder *l, size_t place, int64_t now_us);
void ladder_on_secured(struct ladder *l, size_t place, int64_t now_us);
void ladder_on_upgraded(struct ladder *l, size_t place, int64_t now_us);
void ladder_on_stream(struct ladder *l, size_t place, const uint8_t *bytes, size_t len, int64_t now_us);
/* Of a stream that has answered: the bytes of an unfinished frame that came after the answer. */
size_t ladder_rest(const struct ladder *l, size_t place, const uint8_t **bytes);
void ladder_on_stream_error(struct ladder *l, size_t place, int error, int64_t now_us);
void ladder_on_tls_error(struct ladder *l, size_t place, const char *text, int64_t now_us);
/* `refused`: the proxy said so of this destination. */
void ladder_on_proxy_error(struct ladder *l, size_t place, bool refused, const char *text, int64_t now_us);
void ladder_on_upgrade_error(struct ladder *l, size_t place, const char *text, int64_t now_us);

/* Decided, and all streams but the winner's closed. */
bool ladder_done(const struct ladder *l);
size_t ladder_winner(const struct ladder *l); /* its place, or LADDER_NONE: none yet, or none works */

/* As it was given; NULL for LADDER_NONE. */
const struct ladder_place *ladder_place(const struct ladder *l, size_t place);

struct ladder_outcome {
    bool begun;
    int64_t answered_us;      /* after the ladder's beginning, or NOT_MEASURED */
    enum probe_status status; /* reachable: it answered */
    enum framing framing;     /* of the last try */
    int64_t began_us;         /* after the ladder's beginning; NOT_MEASURED where it was not begun */
    int64_t connect_us, tls_us, stun_us; /* or NOT_MEASURED */
    size_t sent;                         /* requests */
    struct addr mapped;
    char why[PROBER_ERROR_TEXT]; /* it isn't the winner */
};
void ladder_outcome(const struct ladder *l, size_t place, struct ladder_outcome *out);

#endif
