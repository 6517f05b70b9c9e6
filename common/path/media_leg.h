/* Media on a path that a race has won (docs/media.md): the handshake, consent checks, SRTP both ways, the node's news, figures. Pure: times and
 * bytes in, bytes and the next deadline out.
 *
 *   SHAKING --> UP --> LOST        no answer
 *      \        \----> REFUSED     the node's answer to a new handshake
 *       \------------> LOST, REFUSED */
#ifndef BERTH_PATH_MEDIA_LEG_H
#define BERTH_PATH_MEDIA_LEG_H

#include "media/handshake.h"
#include "path/reception.h"
#include "path/sending.h"
#include "probe/prober_stats.h"

enum {
    MEDIA_LEG_SEED_LEN = 32,
    MEDIA_CONSENT_MS = 5000,          /* by default; 80 to 120 % of it, RFC 7675 5.1 */
    MEDIA_ASK_AGAIN_US = 500 * 1000,  /* where an answer is missing */
    MEDIA_LEAST_US = 100 * 1000,      /* between any two requests */
    MEDIA_LOST_US = 3 * 1000 * 1000,  /* the path is lost after this long without any answer */
    MEDIA_SHAKE_US = 3 * 1000 * 1000, /* for a handshake, with all that is sent again and asked back */
    MEDIA_FLOW_PACKETS = 5,           /* that came within MEDIA_FLOW_US: then more should ... */
    MEDIA_FLOW_US = 1000 * 1000,
    MEDIA_FLOW_SILENCE_US = 300 * 1000, /* ... before this silence */
    MEDIA_CHALLENGES_MAX = 4,           /* 438 to one handshake */
    MEDIA_FRUITLESS_MAX = 4,            /* handshakes in a row after which no consent check is answered */
    MEDIA_FLIGHT = 8,                   /* consent checks that are waited for */
    MEDIA_RTTS = 64,                    /* the newest that count for the figures */
};
/* Requests by the end: one at first and one every MEDIA_ASK_AGAIN_US. */
_Static_assert(MEDIA_LOST_US / MEDIA_ASK_AGAIN_US + 1 <= MEDIA_FLIGHT, "all of a silence are waited for");

enum media_leg_state { MEDIA_LEG_SHAKING, MEDIA_LEG_UP, MEDIA_LEG_LOST, MEDIA_LEG_REFUSED };

struct media_leg_plan {
    struct ticket_grant grant;
    uint8_t audio_level_ext, transport_wide_ext;
    uint8_t suites;     /* bits of enum srtp_suite to offer; 0: all */
    bool reliable;      /* a stream: nothing is sent again */
    int64_t rtt_us;     /* of the path, as far as is known; -1 */
    int64_t consent_us; /* between consent checks */
    /* A link between nodes: what they share is mixed into the keys, and SRTP is somebody else's (media_leg_keys):
     * packets pass as they are. */
    bool link;
    uint8_t shared[TICKET_SECRET_LEN];
};

struct media_leg;
/* `seed`: fresh random bytes; all that has to be random here comes from it. Copies the plan. 0, or -ENOMEM. */
int media_leg_new(struct media_leg **out, const struct media_leg_plan *plan,
                  const uint8_t seed[static MEDIA_LEG_SEED_LEN], int64_t now_us)
    __attribute__((warn_unused_result));
void media_leg_destroy(struct media_leg *l); /* NULL is fine; secrets are wiped */
/* For handshakes from now on: a newer ticket. */
void media_leg_set_grant(struct media_leg *l, const struct ticket_grant *grant);

/* The STUN message that is due: its length, or 0: none now. media_leg_sent follows if the very moment is known. */
size_t media_leg_next(struct media_leg *l, int64_t now_us, uint8_t out[static MEDIA_MESSAGE_MAX]);
void media_leg_sent(struct media_leg *l, int64_t sent_us);
int64_t media_leg_deadline(const struct media_leg *l); /* INT64_MAX: none */
/* Is it one of our requests (that has bounced)? */
bool media_leg_is_ours(const struct media_leg *l, const uint8_t *bytes, size_t len);
/* The message that ends the session. Its length, or 0: there is no session. */
size_t media_leg_leave(struct media_leg *l, uint8_t out[static MEDIA_MESSAGE_MAX]);

/* One message from the peer, aligned to 4. PACKET_RTP, PACKET_RTCP: it was protected, and now bytes and *len are the packet;
 * PACKET_STUN: it was for us; PACKET_OTHER: nothing that counts. Of a link RTP and RTCP are left as they came. */
enum packet_kind media_leg_heard(struct media_leg *l, uint8_t *bytes, size_t *len, int64_t now_us);
/* Of a link: the newest handshake's keys, and how many there have been; 0: none yet, and *out is left alone. Wipe it when done. */
struct media_leg_keys {
    enum srtp_suite suite;
    struct srtp_keys sends, receives;
};
uint64_t media_leg_keys(const struct media_leg *l, struct media_leg_keys *out);
/* In place, with room for SRTP_OVERHEAD more, aligned to 4. 0, and whether it is video; -ENOTCONN: not UP; -EINVAL:
 * no RTP or RTCP packet; and as sending_take. */
int media_leg_protect(struct media_leg *l, uint8_t *bytes, size_t *len, int64_t now_us, bool *video)
    __attribute__((warn_unused_result));

enum media_leg_state media_leg_state(const struct media_leg *l);
int media_leg_refusal(const struct media_leg *l);       /* REFUSED: STUN's code */
const char *media_leg_why(const struct media_leg *l);   /* LOST and REFUSED: for people. Static */
const char *media_leg_suite(const struct media_leg *l); /* "AEAD_AES_128_GCM" ...; "": none yet. Static */
/* Asks as soon as it may: the network may have changed. */
void media_leg_hurry(struct media_leg *l, int64_t now_us);
/* Has a request been answered that was sent since? */
bool media_leg_stands(const struct media_leg *l);
/* Of the newest answer to a consent check, all zeroes before the first; *number counts them. */
const struct media_news *media_leg_news(const struct media_leg *l, uint64_t *number);

struct media_leg_figures {
    int64_t asked, answered, missing; /* consent checks; those on their way are none of missing */
    int64_t rtt_us, rtt_min_us;       /* of them: newest, least; -1: none */
    struct rtt_stats rtt;             /* of the newest ones, where there is any */
    struct addr mapped;               /* of the newest answer */
    int64_t packets_sent, bytes_sent, packets_received, bytes_received, packets_lost, packets_refused;
    int64_t jitter_us;
};
void media_leg_figures(const struct media_leg *l, int64_t now_us, struct media_leg_figures *out);
/* Adds what can be added: counts, no times. */
void media_leg_figures_add(struct media_leg_figures *sum, const struct media_leg_figures *f);

#endif
