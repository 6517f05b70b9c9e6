/* SRTP and SRTCP of one hop in both directions, over libsrtp2: RFC 3711, RFC 7714. What comes in is believed only as far as its
 * authentication says. One thread at a time; no I/O, no clock. */
#ifndef BERTH_MEDIA_SRTP_LEG_H
#define BERTH_MEDIA_SRTP_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum srtp_suite { SRTP_AES_128_GCM = 0, SRTP_AES_CM_128_SHA1_80 = 1, SRTP_SUITES = 2 };
/* As RFC 7714 and RFC 4568 name it: "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80". Static. */
const char *srtp_suite_name(enum srtp_suite suite);

enum {
    SRTP_KEYS_LEN = 30,     /* master key and salt: 16 + 12, or 16 + 14 */
    SRTP_OVERHEAD = 16 + 4, /* what protecting adds at most: tag, and SRTCP's index */
    SRTP_REPLAY_WINDOW = 1024,
    SRTP_LEG_SSRCS = 32,        /* that one leg may receive from, of RTP and RTCP together */
    SRTP_LEG_SSRCS_MAX = 8192,  /* ... of a link between nodes */
    SRTP_LEG_SENDS_MAX = 16384, /* that it may send; what it has sent is kept until it is forgotten */
};

struct srtp_keys {
    uint8_t bytes[SRTP_KEYS_LEN];
};

/* Before any leg; any number of times, any thread. 0; -EIO: it may work another time, when there is memory. */
int srtp_leg_library(void) __attribute__((warn_unused_result));

struct srtp_leg;
/* Copies the keys. 0, -ENOMEM, or -EIO: libsrtp refuses. */
int srtp_leg_new(struct srtp_leg **out, enum srtp_suite suite, const struct srtp_keys *sends,
                 const struct srtp_keys *receives) __attribute__((warn_unused_result));
void srtp_leg_destroy(struct srtp_leg *l); /* NULL is fine; keys are wiped */
/* How many SSRCs may be received from, up to SRTP_LEG_SSRCS_MAX (a link); SRTP_LEG_SSRCS if never called. */
void srtp_leg_set_limit(struct srtp_leg *l, size_t ssrcs);
/* How many it has received from, and not forgotten. */
size_t srtp_leg_received(const struct srtp_leg *l);

/* In place; `bytes` has room for SRTP_OVERHEAD more, and is aligned to 4. The packet is whole and well-formed
 * (rtp.h). A packet may be protected again only byte for byte as it was (a retransmission), header included, while
 * it is among the last SRTP_REPLAY_WINDOW: else one nonce meets two texts. 0, or -EINVAL: older than the window,
 * malformed, or of an SSRC beyond SRTP_LEG_SENDS_MAX. */
int srtp_leg_protect(struct srtp_leg *l, uint8_t *bytes, size_t *len) __attribute__((warn_unused_result));
int srtp_leg_protect_rtcp(struct srtp_leg *l, uint8_t *bytes, size_t *len)
    __attribute__((warn_unused_result));
/* In place. 0; -EACCES: not authentic; -EALREADY: a replay, or too old to tell; -EBADMSG: no such packet; -ENOSPC:
 * an SSRC beyond the limit. The bytes of what is refused may have changed. */
int srtp_leg_unprotect(struct srtp_leg *l, uint8_t *bytes, size_t *len) __attribute__((warn_unused_result));
int srtp_leg_unprotect_rtcp(struct srtp_leg *l, uint8_t *bytes, size_t *len)
    __attribute__((warn_unused_result));
/* Forgets what was sent, RTP and RTCP, under that SSRC: never for one that may be sent again under these keys, or
 * its indices begin anew. */
void srtp_leg_forget_sent(struct srtp_leg *l, uint32_t ssrc);
/* ... and what was received: what comes under it again is taken for new. */
void srtp_leg_forget_received(struct srtp_leg *l, uint32_t ssrc);

#endif
