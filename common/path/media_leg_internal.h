/* A media session from the agent's end, for the files that make it. Private to media_leg*.c. */
#ifndef BERTH_PATH_MEDIA_LEG_INTERNAL_H
#define BERTH_PATH_MEDIA_LEG_INTERNAL_H

#include "path/media_leg.h"

struct flight {
    bool waiting;
    uint8_t txid[STUN_TXID_LEN];
    int64_t sent_us;
};

struct media_leg {
    enum media_leg_state state;
    struct media_leg_plan plan; /* its grant: for the next handshake */
    struct ticket_grant grant;  /* of this one, and of the session that comes of it */
    uint8_t secret[TICKET_SECRET_LEN], seed[MEDIA_LEG_SEED_LEN];
    uint64_t drawn; /* from the seed */
    int refusal;
    const char *why;

    /* A handshake is under way. */
    bool shaking;
    int64_t shake_until_us;
    unsigned challenges;
    struct stun_txn txn;
    struct media_hello hello;
    size_t hello_len;
    uint8_t hello_bytes[MEDIA_MESSAGE_MAX];

    struct srtp_leg *srtp;      /* NULL before the first welcome, and of a link */
    struct media_leg_keys keys; /* of a link */
    uint64_t n_keys;
    enum srtp_suite suite;
    struct media_session_id session;

    /* Consent. */
    int64_t ask_us, asked_us;        /* the next request; the one before */
    int64_t hurried_us, answered_us; /* media_leg_hurry; when the newest request that was answered was sent */
    int64_t silent_since_us;         /* INT64_MAX: not silent */
    unsigned silent_asked;           /* requests since then */
    unsigned fruitless;              /* handshakes since a consent check was answered last */
    uint64_t next;
    struct flight flight[MEDIA_FLIGHT];
    size_t nonce_len;
    uint8_t nonce[MEDIA_NONCE_MAX];
    struct media_news news;
    uint64_t news_number;

    /* What should be there: when the newest packets came. */
    int64_t flow_us[MEDIA_FLOW_PACKETS];
    size_t flow_at;
    bool missed; /* the flow: asked for since */

    struct reception reception;
    struct sending sending; /* under srtp's keys */
    int64_t packets_sent, bytes_sent, packets_refused;
    int64_t asked, answered, rtt_us[MEDIA_RTTS], rtt_min_us, rtt_last_us;
    size_t n_rtts; /* ever */
    struct addr mapped;
};

#endif
