/* A media session from the agent's end. Invariant: packets are protected exactly with the keys of the newest
 * handshake that was answered, no two handshakes have the same random, and silence is counted from the first request
 * that nothing has answered since, or from the last packet where packets should have come. */
#include "path/media_leg_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- randomness ---- */

static void draw(struct media_leg *l, void *out, size_t len)
{
    uint8_t bytes[crypto_generichash_BYTES];
    uint64_t n = l->drawn++;
    crypto_generichash(bytes, sizeof bytes, (const uint8_t *)&n, sizeof n, l->seed, sizeof l->seed);
    memcpy(out, bytes, len);
    sodium_memzero(bytes, sizeof bytes);
}

/* 80 to 120 % of the interval. */
static int64_t draw_pause(struct media_leg *l)
{
    uint32_t r;
    draw(l, &r, sizeof r);
    return l->plan.consent_us * (800 + (int64_t)(r % 401)) / 1000;
}

/* ---- states ---- */

static void end(struct media_leg *l, enum media_leg_state state, const char *why)
{
    l->state = state;
    l->why = why;
    l->shaking = false;
}

static const char *refusal_text(int code)
{
    switch (code) {
    case 400:
        return "the node has no cipher in common with us, or can't read the request";
    case 401:
        return "the node doesn't take the ticket";
    case 403:
        return "a newer session of the same participant has taken this one's place";
    case 437:
        return "the node has ended the session";
    case 438:
        return "the node doesn't take its own nonce";
    case 486:
        return "the node is full, or the meeting is";
    case 508:
        return "the node drains or stops";
    default:
        return "the node refuses";
    }
}

static void refuse(struct media_leg *l, int code)
{
    l->refusal = code;
    end(l, MEDIA_LEG_REFUSED, refusal_text(code));
}

/* ---- the handshake ---- */

/* The first or another request of a handshake; the randoms are fresh in each. */
static void write_hello(struct media_leg *l, int64_t now_us)
{
    enum { RTO_LEAST_US = 100 * 1000, RTO_MOST_US = 500 * 1000, RC = 5, RM = 4 };
    uint8_t txid[STUN_TXID_LEN];
    int64_t rto = l->plan.rtt_us >= 0 ? 2 * l->plan.rtt_us : RTO_MOST_US / 2;
    rto = rto < RTO_LEAST_US ? RTO_LEAST_US : min64(rto, RTO_MOST_US);
    draw(l, txid, sizeof txid);
    draw(l, l->hello.random, sizeof l->hello.random);
    if (l->plan.link)
        media_link_name(&l->hello.name, l->plan.shared, l->hello.random);
    l->hello_len =
        media_write_hello(l->hello_bytes, txid, &l->grant, &l->hello, (struct slice){l->nonce, l->nonce_len});
    stun_txn_start(&l->txn, txid, l->plan.reliable, rto, RC, RM, now_us);
}

static void shake(struct media_leg *l, int64_t now_us)
{
    if (ticket_secret(l->secret, l->plan.grant.password) < 0) {
        end(l, MEDIA_LEG_LOST, "the ticket's password is none");
        return;
    }
    l->grant = l->plan.grant;
    l->shaking = true;
    l->shake_until_us = now_us + MEDIA_SHAKE_US;
    l->challenges = 0;
    l->nonce_len = 0;
    const uint8_t all = 1u << SRTP_AES_128_GCM | 1u << SRTP_AES_CM_128_SHA1_80;
    l->hello = (struct media_hello){.suites = l->plan.suites ? l->plan.suites : all,
                                    .audio_level_ext = l->plan.audio_level_ext,
                                    .transport_wide_ext = l->plan.transport_wide_ext};
    draw(l, l->hello.name.bytes, sizeof l->hello.name.bytes);
    write_hello(l, now_us);
}

static int take_keys(struct media_leg *l, const struct media_welcome *w)
{
    struct media_leg_keys k = {.suite = w->suite};
    struct srtp_leg *srtp = NULL;
    media_session_keys(&k.sends, &k.receives, l->secret, l->plan.link ? l->plan.shared : NULL, w->suite,
                       l->hello.random, w->random, &w->session);
    int err = l->plan.link ? 0 : srtp_leg_new(&srtp, w->suite, &k.sends, &k.receives);
    l->n_keys += l->plan.link;
    if (l->plan.link)
        l->keys = k;
    sodium_memzero(&k, sizeof k);
    if (err < 0 || l->plan.link)
        return err;
    srtp_leg_set_limit(srtp, SRTP_LEG_SSRCS_MAX); /* the node vouches for the meeting's */
    uint8_t key[SENDING_KEY_LEN];
    draw(l, key, sizeof key);
    sending_begin(&l->sending, key, l->plan.audio_level_ext);
    srtp_leg_destroy(l->srtp);
    l->srtp = srtp;
    return 0;
}

static void be_welcome(struct media_leg *l, const struct media_answer *a, int64_t now_us)
{
    if (take_keys(l, &a->welcome) < 0) {
        end(l, MEDIA_LEG_LOST, "no cipher could be made");
        return;
    }
    l->shaking = false;
    l->state = MEDIA_LEG_UP;
    l->suite = a->welcome.suite;
    l->session = a->welcome.session;
    l->fruitless++;
    l->nonce_len = 0;
    l->ask_us = now_us; /* before it the node sends nothing */
    l->silent_since_us = INT64_MAX;
    l->silent_asked = 0;
    l->answered_us = now_us;
    l->flow_at = 0;
    memset(l->flow_us, 0, sizeof l->flow_us);
    memset(l->flight, 0, sizeof l->flight);
    l->news = (struct media_news){0};
}

static void take_nonce(struct media_leg *l, struct slice nonce)
{
    l->nonce_len = nonce.len <= sizeof l->nonce ? nonce.len : 0;
    if (l->nonce_len > 0)
        memcpy(l->nonce, nonce.p, l->nonce_len);
}

/* What a new handshake is answered; 438 asks back, all other errors are the end of it. */
static void hello_answered(struct media_leg *l, const struct media_answer *a, int64_t now_us)
{
    if (addr_is_set(&a->mapped))
        l->mapped = a->mapped;
    if (a->error == 0 && a->has_welcome)
        be_welcome(l, a, now_us);
    else if (a->error == 438 && a->nonce.len > 0 && l->challenges++ < MEDIA_CHALLENGES_MAX) {
        take_nonce(l, a->nonce);
        write_hello(l, now_us);
    } else if (a->error != 0)
        refuse(l, a->error);
}

/* ---- consent ---- */

static void ask_at(struct media_leg *l, int64_t at_us)
{
    int64_t earliest_us = l->asked > 0 ? l->asked_us + MEDIA_LEAST_US : at_us;
    l->ask_us = at_us > earliest_us ? at_us : earliest_us;
}

static size_t write_consent(struct media_leg *l, int64_t now_us, uint8_t out[static MEDIA_MESSAGE_MAX])
{
    struct flight *f = &l->flight[l->next++ % MEDIA_FLIGHT];
    draw(l, f->txid, sizeof f->txid);
    f->waiting = true;
    f->sent_us = l->asked_us = now_us;
    l->asked++;
    if (l->silent_since_us == INT64_MAX)
        l->silent_since_us = now_us;
    l->silent_asked++;
    ask_at(l, now_us + min64(l->plan.consent_us, MEDIA_ASK_AGAIN_US));
    return media_write_consent(out, f->txid, l->grant.password, &l->session, false,
                               (struct slice){l->nonce, l->nonce_len});
}

static void take_round_trip(struct media_leg *l, const struct flight *f, int64_t now_us)
{
    int64_t rtt = now_us > f->sent_us ? now_us - f->sent_us : 0;
    l->answered++;
    l->rtt_us[l->n_rtts++ % MEDIA_RTTS] = l->rtt_last_us = rtt;
    if (l->rtt_min_us < 0 || rtt < l->rtt_min_us)
        l->rtt_min_us = rtt;
}

static void consent_answered(struct media_leg *l, struct flight *f, const struct media_answer *a,
                             int64_t now_us)
{
    f->waiting = false;
    /* We come from another address than before, or are to prove that we are still here. */
    if (a->error == 438) {
        take_round_trip(l, f, now_us);
        take_nonce(l, a->nonce);
        ask_at(l, now_us);
        return;
    }
    if (a->error != 0) { /* the node has started anew, or ended the session: what it says then decides */
        if (l->fruitless > MEDIA_FRUITLESS_MAX)
            refuse(l, a->error);
        else
            shake(l, now_us);
        return;
    }
    l->fruitless = 0;
    take_round_trip(l, f, now_us);
    if (f->sent_us > l->answered_us)
        l->answered_us = f->sent_us;
    if (addr_is_set(&a->mapped))
        l->mapped = a->mapped;
    l->nonce_len = 0;
    l->silent_since_us = INT64_MAX;
    l->silent_asked = 0;
    l->news = a->news;
    l->news_number++;
    ask_at(l, f->sent_us + draw_pause(l));
}

/* When the packets that should come are missed; INT64_MAX: none are expected, or they are asked for already. */
static int64_t flow_deadline(const struct media_leg *l)
{
    int64_t oldest = l->flow_us[l->flow_at % MEDIA_FLOW_PACKETS];
    if (l->missed || oldest == 0)
        return INT64_MAX;
    int64_t newest = l->flow_us[(l->flow_at + MEDIA_FLOW_PACKETS - 1) % MEDIA_FLOW_PACKETS];
    return newest - oldest <= MEDIA_FLOW_US ? newest + MEDIA_FLOW_SILENCE_US : INT64_MAX;
}

/* The path gave nothing since the last packet: silence counts from there. */
static void miss_flow(struct media_leg *l, int64_t now_us)
{
    int64_t newest = l->flow_us[(l->flow_at + MEDIA_FLOW_PACKETS - 1) % MEDIA_FLOW_PACKETS];
    l->missed = true;
    if (l->silent_since_us == INT64_MAX)
        ask_at(l, now_us);
    if (newest < l->silent_since_us) /* also where a check happens to have gone out meanwhile */
        l->silent_since_us = newest;
}

static void feel_flow(struct media_leg *l, int64_t now_us)
{
    l->flow_us[l->flow_at++ % MEDIA_FLOW_PACKETS] = now_us;
    l->missed = false;
}

static int64_t lost_at(const struct media_leg *l)
{
    enum { ASKED_LEAST = 3 }; /* where the caller's loop stood still nothing is concluded from one question */
    if (l->silent_since_us == INT64_MAX || l->silent_asked < ASKED_LEAST)
        return INT64_MAX;
    return l->silent_since_us + MEDIA_LOST_US;
}

/* ---- what is due ---- */

static size_t next_hello(struct media_leg *l, int64_t now_us, uint8_t out[static MEDIA_MESSAGE_MAX])
{
    enum stun_txn_step step = stun_txn_step(&l->txn, now_us);
    if (step == STUN_TXN_SEND) {
        memcpy(out, l->hello_bytes, l->hello_len);
        return l->hello_len;
    }
    if (step == STUN_TXN_FAILED || now_us >= l->shake_until_us)
        end(l, MEDIA_LEG_LOST, "the handshake gets no answer");
    return 0;
}

size_t media_leg_next(struct media_leg *l, int64_t now_us, uint8_t out[static MEDIA_MESSAGE_MAX])
{
    if (l->shaking)
        return next_hello(l, now_us, out);
    if (l->state != MEDIA_LEG_UP)
        return 0;
    if (now_us >= lost_at(l)) {
        end(l, MEDIA_LEG_LOST, "consent checks get no answer");
        return 0;
    }
    if (now_us >= flow_deadline(l))
        miss_flow(l, now_us);
    return now_us >= l->ask_us ? write_consent(l, now_us, out) : 0;
}

void media_leg_sent(struct media_leg *l, int64_t sent_us)
{
    if (!l->shaking && l->next > 0)
        l->flight[(l->next - 1) % MEDIA_FLIGHT].sent_us = sent_us;
}

int64_t media_leg_deadline(const struct media_leg *l)
{
    if (l->shaking)
        return min64(stun_txn_deadline(&l->txn), l->shake_until_us);
    if (l->state != MEDIA_LEG_UP)
        return INT64_MAX;
    return min64(min64(l->ask_us, lost_at(l)), flow_deadline(l));
}

size_t media_leg_leave(struct media_leg *l, uint8_t out[static MEDIA_MESSAGE_MAX])
{
    uint8_t txid[STUN_TXID_LEN];
    if (l->state != MEDIA_LEG_UP)
        return 0;
    draw(l, txid, sizeof txid);
    return media_write_consent(out, txid, l->grant.password, &l->session, true,
                               (struct slice){l->nonce, l->nonce_len});
}

/* ---- what comes ---- */

static struct flight *find_flight(struct media_leg *l, const uint8_t *txid)
{
    for (size_t i = 0; i < MEDIA_FLIGHT; i++) {
        if (l->flight[i].waiting && memcmp(l->flight[i].txid, txid, STUN_TXID_LEN) == 0)
            return &l->flight[i];
    }
    return NULL;
}

/* Nobody on the path ends a session by an error that the node would have signed: it can't where the ticket doesn't
 * open (401), where it has no keys (508) or no such session (437). */
static bool is_the_nodes(const struct media_answer *a)
{
    return a->authentic || a->error == 401 || a->error == 437 || a->error == 508;
}

static enum packet_kind heard_stun(struct media_leg *l, const uint8_t *bytes, size_t len, int64_t now_us)
{
    enum { TXID_AT = STUN_HEADER_LEN - STUN_TXID_LEN };
    struct media_answer a;
    if (len < STUN_HEADER_LEN)
        return PACKET_OTHER;
    if (l->shaking && memcmp(bytes + TXID_AT, l->txn.txid, STUN_TXID_LEN) == 0) {
        if (media_read_answer(&a, bytes, len, l->txn.txid, l->grant.password) < 0 || !is_the_nodes(&a))
            return PACKET_OTHER;
        hello_answered(l, &a, now_us);
        return PACKET_STUN;
    }
    struct flight *f = l->shaking ? NULL : find_flight(l, bytes + TXID_AT);
    if (!f || media_read_answer(&a, bytes, len, f->txid, l->grant.password) < 0 || !is_the_nodes(&a))
        return PACKET_OTHER;
    consent_answered(l, f, &a, now_us);
    return PACKET_STUN;
}

static enum packet_kind heard_media(struct media_leg *l, enum packet_kind kind, uint8_t *bytes, size_t *len,
                                    int64_t now_us)
{
    struct rtp p;
    if (l->n_keys > 0) {
        if (kind == PACKET_RTP)
            feel_flow(l, now_us);
        return kind;
    }
    if (!l->srtp)
        return PACKET_OTHER;
    int err = kind == PACKET_RTP ? srtp_leg_unprotect(l->srtp, bytes, len)
                                 : srtp_leg_unprotect_rtcp(l->srtp, bytes, len);
    if (err < 0 || (kind == PACKET_RTP && rtp_parse(&p, bytes, *len) < 0)) {
        l->packets_refused++;
        return PACKET_OTHER;
    }
    if (kind == PACKET_RTP) {
        reception_heard(&l->reception, &p, *len, now_us);
        feel_flow(l, now_us);
    }
    return kind;
}

enum packet_kind media_leg_heard(struct media_leg *l, uint8_t *bytes, size_t *len, int64_t now_us)
{
    enum packet_kind kind = packet_kind(bytes, *len);
    if (l->state == MEDIA_LEG_LOST || l->state == MEDIA_LEG_REFUSED || kind == PACKET_OTHER)
        return PACKET_OTHER;
    return kind == PACKET_STUN ? heard_stun(l, bytes, *len, now_us)
                               : heard_media(l, kind, bytes, len, now_us);
}

bool media_leg_is_ours(const struct media_leg *l, const uint8_t *bytes, size_t len)
{
    const uint8_t *txid = bytes + STUN_HEADER_LEN - STUN_TXID_LEN;
    if (len < STUN_HEADER_LEN)
        return false;
    if (l->shaking && memcmp(txid, l->txn.txid, STUN_TXID_LEN) == 0)
        return true;
    for (size_t i = 0; i < MEDIA_FLIGHT; i++) {
        if (l->flight[i].waiting && memcmp(txid, l->flight[i].txid, STUN_TXID_LEN) == 0)
            return true;
    }
    return false;
}

int media_leg_protect(struct media_leg *l, uint8_t *bytes, size_t *len, int64_t now_us, bool *video)
{
    struct rtp p;
    size_t plain = *len;
    enum packet_kind kind = packet_kind(bytes, *len);
    int err = 0;
    *video = false;
    if (l->state != MEDIA_LEG_UP || !l->srtp)
        return -ENOTCONN;
    if (kind == PACKET_RTCP) {
        err = srtp_leg_protect_rtcp(l->srtp, bytes, len);
    } else if (kind == PACKET_RTP && rtp_parse(&p, bytes, *len) == 0) {
        err = sending_take(&l->sending, bytes, *len, &p, now_us, video);
        if (err == 0)
            err = srtp_leg_protect(l->srtp, bytes, len);
    } else {
        err = -EINVAL;
    }
    if (err < 0)
        return err;
    l->packets_sent++;
    l->bytes_sent += (int64_t)plain;
    return 0;
}

/* ---- life ---- */

int media_leg_new(struct media_leg **out, const struct media_leg_plan *plan,
                  const uint8_t seed[static MEDIA_LEG_SEED_LEN], int64_t now_us)
{
    struct media_leg *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->plan = *plan;
    memcpy(l->seed, seed, sizeof l->seed);
    l->why = "";
    l->silent_since_us = l->ask_us = INT64_MAX;
    l->rtt_last_us = l->rtt_min_us = -1;
    l->hurried_us = l->answered_us = now_us;
    shake(l, now_us);
    *out = l;
    return 0;
}

void media_leg_destroy(struct media_leg *l)
{
    if (!l)
        return;
    srtp_leg_destroy(l->srtp);
    sending_clear(&l->sending);
    sodium_memzero(l, sizeof *l);
    free(l);
}

void media_leg_set_grant(struct media_leg *l, const struct ticket_grant *grant)
{
    l->plan.grant = *grant;
}

void media_leg_hurry(struct media_leg *l, int64_t now_us)
{
    l->hurried_us = now_us;
    if (l->state == MEDIA_LEG_UP && !l->shaking)
        ask_at(l, min64(l->ask_us, now_us));
}
