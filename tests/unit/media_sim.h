/* A node's end of one media session, and a path to it that delays, loses, overtakes and doubles, in virtual time:
 * for tests of the agent's end. Every random choice comes from a seed. */
#ifndef BERTH_TESTS_MEDIA_SIM_H
#define BERTH_TESTS_MEDIA_SIM_H

#include "check.h"

#include "path/media_leg.h"

#include <string.h>

enum { SIM_MS = 1000, SIM_S = 1000 * SIM_MS, SIM_QUEUE = 512, SIM_AUDIO_LEN = 12 + 80 };

struct sim_message {
    int64_t at_us; /* it arrives; 0: no message */
    bool to_node;
    size_t len;
    _Alignas(4) uint8_t bytes[RTP_PACKET_MAX];
};

struct media_sim {
    int64_t now_us;
    uint64_t random;
    /* The path. */
    int64_t delay_us, jitter_us;
    unsigned loss, dup;      /* percent */
    bool dead_up, dead_down; /* nothing arrives at the node; at the agent */
    struct addr from;        /* whom the node sees */
    struct sim_message queue[SIM_QUEUE];
    /* The node. */
    struct ticket_keys keys;
    int refuse;      /* with this code; 0: not */
    bool challenges; /* a handshake from `from` has to prove it */
    int64_t proof_every_us,
        proven_us; /* so does a consent check, whose last one that did is as old as that; 0: never */
    bool has_session;
    char password[TICKET_PASSWORD_LEN + 1];
    uint8_t hello_txid[STUN_TXID_LEN];
    struct media_welcome welcome;
    struct addr at; /* the session's address */
    struct srtp_leg *srtp;
    struct media_news news;
    enum srtp_suite suite;
    size_t n_hellos, n_handshakes, n_consents, n_challenges, n_left, n_rtp, n_rtcp, n_refused;
    int64_t consents_us[4096];
    /* The agent. */
    struct media_leg *leg;
    size_t got_rtp, got_rtcp;
    uint16_t sequence;
};

static inline void sim_bytes(struct media_sim *s, void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)(check_random(&s->random) >> 32);
}

static inline struct ticket_grant sim_grant(struct media_sim *s)
{
    struct ticket_grant g;
    uint8_t nonce[TICKET_NONCE_LEN];
    struct ticket t = {
        .kind = TICKET_PARTICIPANT, .number = s->now_us + 1, .expires_s = 4000000000, .epoch = 1};
    strcpy(t.org, "acme");
    strcpy(t.meeting, "m1");
    strcpy(t.who, "ann");
    sim_bytes(s, nonce, sizeof nonce);
    assert_int_equal(ticket_seal(&g, &t, &s->keys.key[0], "cloud", "n1", nonce), 0);
    return g;
}

static inline void sim_send(struct media_sim *s, bool to_node, const uint8_t *bytes, size_t len)
{
    unsigned copies = check_random(&s->random) % 100 < s->loss ? 0 : 1;
    copies += copies > 0 && check_random(&s->random) % 100 < s->dup;
    if (to_node ? s->dead_up : s->dead_down)
        return;
    for (unsigned n = 0; n < copies; n++) {
        size_t i = 0;
        while (i < SIM_QUEUE && s->queue[i].at_us != 0)
            i++;
        assert_true(i < SIM_QUEUE);
        struct sim_message *m = &s->queue[i];
        int64_t more = s->jitter_us > 0 ? (int64_t)(check_random(&s->random) % (uint64_t)s->jitter_us) : 0;
        m->at_us = s->now_us + s->delay_us + more;
        m->to_node = to_node;
        m->len = len;
        memcpy(m->bytes, bytes, len);
    }
}

/* ---- the node ---- */

static inline void sim_node_hello(struct media_sim *s, const struct media_request *r)
{
    static const uint8_t key[MEDIA_NONCE_KEY_LEN] = {3};
    uint8_t out[MEDIA_MESSAGE_MAX];
    char password[TICKET_PASSWORD_LEN + 1], nonce[MEDIA_NONCE_LEN + 1];
    struct ticket t;
    struct slice none = {0};
    s->n_hellos++;
    if (ticket_open(&t, password, &s->keys, r->username.p, r->username.len) < 0 ||
        media_check_request(r, password) < 0) {
        sim_send(s, false, out, media_write_error(out, r, 401, NULL, none));
        return;
    }
    if (s->refuse != 0) {
        sim_send(s, false, out,
                 media_write_error(out, r, s->refuse, s->refuse == 401 ? NULL : password, none));
        return;
    }
    if (s->challenges && !media_nonce_holds(r->nonce, key, &s->from, s->now_us)) {
        media_nonce_make(nonce, key, &s->from, s->now_us);
        struct slice n = {(const uint8_t *)nonce, strlen(nonce)};
        sim_send(s, false, out, media_write_error(out, r, 438, password, n));
        return;
    }
    if (!s->has_session || memcmp(s->hello_txid, r->msg.txid, STUN_TXID_LEN) != 0) {
        struct srtp_keys agent, node;
        uint8_t secret[TICKET_SECRET_LEN];
        s->n_handshakes++;
        s->has_session = true;
        memcpy(s->hello_txid, r->msg.txid, STUN_TXID_LEN);
        memcpy(s->password, password, sizeof password);
        s->at = s->from;
        s->welcome.suite = s->suite;
        sim_bytes(s, s->welcome.random, sizeof s->welcome.random);
        sim_bytes(s, s->welcome.session.bytes, sizeof s->welcome.session.bytes);
        assert_int_equal(ticket_secret(secret, password), 0);
        media_session_keys(&agent, &node, secret, NULL, s->suite, r->hello.random, s->welcome.random,
                           &s->welcome.session);
        srtp_leg_destroy(s->srtp);
        assert_int_equal(srtp_leg_new(&s->srtp, s->suite, &node, &agent), 0);
    }
    sim_send(s, false, out, media_write_welcome(out, r, password, &s->from, &s->welcome));
}

static inline void sim_node_consent(struct media_sim *s, const struct media_request *r)
{
    static const uint8_t key[MEDIA_NONCE_KEY_LEN] = {3};
    uint8_t out[MEDIA_MESSAGE_MAX];
    char nonce[MEDIA_NONCE_LEN + 1];
    struct slice none = {0};
    if (!s->has_session || memcmp(r->session.bytes, s->welcome.session.bytes, MEDIA_SESSION_LEN) != 0) {
        sim_send(s, false, out, media_write_error(out, r, 437, NULL, none));
        return;
    }
    if (media_check_request(r, s->password) < 0) {
        sim_send(s, false, out, media_write_error(out, r, 401, NULL, none));
        return;
    }
    bool due = s->proof_every_us > 0 && s->now_us - s->proven_us >= s->proof_every_us;
    if ((due || !addr_eq(&s->at, &s->from)) && !media_nonce_holds(r->nonce, key, &s->from, s->now_us)) {
        media_nonce_make(nonce, key, &s->from, s->now_us);
        struct slice n = {(const uint8_t *)nonce, strlen(nonce)};
        s->n_challenges++;
        sim_send(s, false, out, media_write_error(out, r, 438, s->password, n));
        return;
    }
    if (due)
        s->proven_us = s->now_us;
    s->at = s->from;
    s->consents_us[s->n_consents++ % 4096] = s->now_us;
    if (r->leave) {
        s->n_left++;
        s->has_session = false;
    }
    sim_send(s, false, out, media_write_consent_answer(out, r, s->password, &s->from, &s->news));
}

static inline void sim_node_hears(struct media_sim *s, struct sim_message *m)
{
    struct media_request r;
    switch (packet_kind(m->bytes, m->len)) {
    case PACKET_STUN:
        media_read_request(&r, m->bytes, m->len);
        if (r.kind == MEDIA_REQUEST_HELLO)
            sim_node_hello(s, &r);
        else if (r.kind == MEDIA_REQUEST_CONSENT)
            sim_node_consent(s, &r);
        break;
    case PACKET_RTP:
        if (s->srtp && srtp_leg_unprotect(s->srtp, m->bytes, &m->len) == 0)
            s->n_rtp++;
        else
            s->n_refused++;
        break;
    case PACKET_RTCP:
        if (s->srtp && srtp_leg_unprotect_rtcp(s->srtp, m->bytes, &m->len) == 0)
            s->n_rtcp++;
        else
            s->n_refused++;
        break;
    case PACKET_OTHER:
        break;
    }
}

static inline size_t sim_audio(uint8_t out[static SIM_AUDIO_LEN], uint16_t sequence, uint32_t ssrc)
{
    struct rtp r = {.payload_type = 111, .sequence = sequence, .timestamp = sequence * 960u, .ssrc = ssrc};
    memset(out, 0x5a, SIM_AUDIO_LEN);
    rtp_write(out, &r);
    return SIM_AUDIO_LEN;
}

/* The node sends the next packet of a stream. */
static inline void sim_node_speaks(struct media_sim *s, uint16_t sequence)
{
    _Alignas(4) uint8_t bytes[SIM_AUDIO_LEN + SRTP_OVERHEAD];
    size_t len = sim_audio(bytes, sequence, 0x1234);
    assert_int_equal(srtp_leg_protect(s->srtp, bytes, &len), 0);
    sim_send(s, false, bytes, len);
}

/* The node is another one at the same place: it knows nobody. */
static inline void sim_node_restarts(struct media_sim *s)
{
    s->has_session = false;
    srtp_leg_destroy(s->srtp);
    s->srtp = NULL;
}

/* ---- both ---- */

static inline void sim_start(struct media_sim *s, uint64_t seed)
{
    *s = (struct media_sim){.now_us = SIM_S, .random = seed * 2654435761u + 1, .delay_us = 20 * SIM_MS};
    s->from = (struct addr){.family = ADDR_V4, .port = 4242, .ip = {203, 0, 113, 9}};
    s->keys.n = 1;
    memset(&s->keys.key[0], 7, sizeof s->keys.key[0]);
    strcpy(s->keys.node_org, "cloud");
    strcpy(s->keys.node, "n1");
    assert_int_equal(srtp_leg_library(), 0);
}

static inline void sim_join(struct media_sim *s)
{
    uint8_t agent_seed[MEDIA_LEG_SEED_LEN];
    struct media_leg_plan plan = {.grant = sim_grant(s), .rtt_us = 2 * s->delay_us, .consent_us = 5 * SIM_S};
    sim_bytes(s, agent_seed, sizeof agent_seed);
    assert_int_equal(media_leg_new(&s->leg, &plan, agent_seed, s->now_us), 0);
}

static inline void sim_end(struct media_sim *s)
{
    media_leg_destroy(s->leg);
    srtp_leg_destroy(s->srtp);
}

static inline struct sim_message *sim_next(struct media_sim *s)
{
    struct sim_message *next = NULL;
    for (size_t i = 0; i < SIM_QUEUE; i++) {
        if (s->queue[i].at_us != 0 && (!next || s->queue[i].at_us < next->at_us))
            next = &s->queue[i];
    }
    return next;
}

static inline void sim_deliver(struct media_sim *s, struct sim_message *m)
{
    enum packet_kind kind = PACKET_OTHER;
    if (m->to_node)
        sim_node_hears(s, m);
    else
        kind = media_leg_heard(s->leg, m->bytes, &m->len, s->now_us);
    s->got_rtp += kind == PACKET_RTP;
    s->got_rtcp += kind == PACKET_RTCP;
    m->at_us = 0;
}

/* Until the time, or until the leg is in this state. */
static inline void sim_run(struct media_sim *s, int64_t until_us, int until_state)
{
    uint8_t out[MEDIA_MESSAGE_MAX];
    size_t len;
    for (;;) {
        while ((len = media_leg_next(s->leg, s->now_us, out)) > 0)
            sim_send(s, true, out, len);
        if ((int)media_leg_state(s->leg) == until_state)
            return;
        struct sim_message *m = sim_next(s);
        int64_t at = media_leg_deadline(s->leg);
        at = m && m->at_us < at ? m->at_us : at;
        if (at > until_us) {
            s->now_us = until_us;
            return;
        }
        s->now_us = at > s->now_us ? at : s->now_us;
        if (m && m->at_us <= s->now_us)
            sim_deliver(s, m);
    }
}

/* The agent sends the next packet. */
static inline int sim_speak(struct media_sim *s)
{
    _Alignas(4) uint8_t bytes[SIM_AUDIO_LEN + SRTP_OVERHEAD];
    size_t len = sim_audio(bytes, s->sequence++, 0x77);
    bool video;
    int err = media_leg_protect(s->leg, bytes, &len, s->now_us, &video);
    if (err == 0)
        sim_send(s, true, bytes, len);
    return err;
}

/* Both speak every 20 ms for so long. */
static inline void sim_talk(struct media_sim *s, int64_t for_us)
{
    static const int none = -1;
    for (int64_t i = 0; i < for_us / (20 * SIM_MS); i++) {
        (void)!sim_speak(s);
        if (s->srtp)
            sim_node_speaks(s, (uint16_t)(s->sequence - 1));
        sim_run(s, s->now_us + 20 * SIM_MS, none);
    }
}

#endif
