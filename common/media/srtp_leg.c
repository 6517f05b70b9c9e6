/* SRTP and SRTCP of one hop, over libsrtp2: one session that sends, one that receives, each with a template for any SSRC of which streams are
 * made as they come. Invariant: a stream that receives is made by an authentic packet alone, and there are no more of them than the limit. */
#include "media/srtp_leg.h"

#include "core/wire.h"
#include "media/rtp.h"
#include "media/srtp_crypto.h"

#include <errno.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

enum {
    GCM_TAG = 16,
    SHA1_80_TAG = 10,
    SRTCP_INDEX_LEN = 4,
    RTCP_HEADER_LEN = 8, /* with the sender's SSRC: what isn't encrypted */
    SSRCS_FIRST = 8,     /* that memory is made for at first */
};

struct srtp_leg {
    srtp_t sends, receives;
    size_t tag_len;
    uint32_t *ssrcs; /* that there are receiving streams of, in order */
    size_t n_ssrcs, room, limit;
};

static int library_error; /* libsrtp2's state is the process's */

static void library_init(void)
{
    library_error = srtp_init() == srtp_err_status_ok ? srtp_crypto_install() : -EIO;
}

int srtp_leg_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, library_init) == 0 ? library_error : -EIO;
}

static int session_new(srtp_t *out, enum srtp_suite suite, const struct srtp_keys *keys,
                       srtp_ssrc_type_t type)
{
    uint8_t key[SRTP_KEYS_LEN];
    memcpy(key, keys->bytes, sizeof key);
    srtp_policy_t policy = {.ssrc = {.type = type}, .key = key, .window_size = SRTP_REPLAY_WINDOW};
    policy.allow_repeat_tx = type == ssrc_any_outbound;
    if (suite == SRTP_AES_128_GCM) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    }
    srtp_err_status_t status = srtp_create(out, &policy);
    explicit_bzero(key, sizeof key);
    return status == srtp_err_status_ok ? 0 : status == srtp_err_status_alloc_fail ? -ENOMEM : -EIO;
}

int srtp_leg_new(struct srtp_leg **out, enum srtp_suite suite, const struct srtp_keys *sends,
                 const struct srtp_keys *receives)
{
    int err = srtp_leg_library();
    if (err < 0)
        return err;
    struct srtp_leg *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->tag_len = suite == SRTP_AES_128_GCM ? GCM_TAG : SHA1_80_TAG;
    l->limit = SRTP_LEG_SSRCS;
    err = session_new(&l->sends, suite, sends, ssrc_any_outbound);
    if (err == 0)
        err = session_new(&l->receives, suite, receives, ssrc_any_inbound);
    if (err < 0) {
        srtp_leg_destroy(l);
        return err;
    }
    *out = l;
    return 0;
}

void srtp_leg_destroy(struct srtp_leg *l)
{
    if (!l)
        return;
    if (l->sends)
        srtp_dealloc(l->sends);
    if (l->receives)
        srtp_dealloc(l->receives);
    free(l->ssrcs);
    free(l);
}

void srtp_leg_set_limit(struct srtp_leg *l, size_t ssrcs)
{
    l->limit = ssrcs < SRTP_LEG_SSRCS_MAX ? ssrcs : SRTP_LEG_SSRCS_MAX;
}

/* ---- the SSRCs that have been received from ---- */

/* Where it is, or belongs. */
static size_t ssrc_place(const struct srtp_leg *l, uint32_t ssrc)
{
    size_t low = 0, high = l->n_ssrcs;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (l->ssrcs[middle] < ssrc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool ssrc_known(const struct srtp_leg *l, uint32_t ssrc)
{
    size_t at = ssrc_place(l, ssrc);
    return at < l->n_ssrcs && l->ssrcs[at] == ssrc;
}

/* Room for one more, before it is known whether it comes to that. */
static int ssrc_reserve(struct srtp_leg *l)
{
    if (l->n_ssrcs >= l->limit)
        return -ENOSPC;
    if (l->n_ssrcs < l->room)
        return 0;
    size_t room = l->room ? 2 * l->room : SSRCS_FIRST;
    uint32_t *grown = realloc(l->ssrcs, room * sizeof *grown);
    if (!grown)
        return -ENOSPC;
    l->ssrcs = grown;
    l->room = room;
    return 0;
}

static void ssrc_add(struct srtp_leg *l, uint32_t ssrc)
{
    size_t at = ssrc_place(l, ssrc);
    memmove(l->ssrcs + at + 1, l->ssrcs + at, (l->n_ssrcs - at) * sizeof *l->ssrcs);
    l->ssrcs[at] = ssrc;
    l->n_ssrcs++;
}

static void ssrc_remove(struct srtp_leg *l, uint32_t ssrc)
{
    size_t at = ssrc_place(l, ssrc);
    if (at >= l->n_ssrcs || l->ssrcs[at] != ssrc)
        return;
    l->n_ssrcs--;
    memmove(l->ssrcs + at, l->ssrcs + at + 1, (l->n_ssrcs - at) * sizeof *l->ssrcs);
}

/* libsrtp's functions take the SSRC in the order of the wire. */
static uint32_t wire_ssrc(uint32_t ssrc)
{
    const uint8_t bytes[4] = {(uint8_t)(ssrc >> 24), (uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8),
                              (uint8_t)ssrc};
    uint32_t wire;
    memcpy(&wire, bytes, sizeof wire);
    return wire;
}

void srtp_leg_forget(struct srtp_leg *l, uint32_t ssrc)
{
    srtp_remove_stream(l->sends, wire_ssrc(ssrc));
    srtp_remove_stream(l->receives, wire_ssrc(ssrc));
    ssrc_remove(l, ssrc);
}

/* ---- packets ---- */

typedef srtp_err_status_t srtp_function(srtp_t session, void *bytes, int *len);

static int protect(srtp_t session, srtp_function *f, uint8_t *bytes, size_t *len)
{
    if (*len > RTP_PACKET_MAX)
        return -EINVAL;
    int n = (int)*len;
    if (f(session, bytes, &n) != srtp_err_status_ok)
        return -EINVAL;
    *len = (size_t)n;
    return 0;
}

int srtp_leg_protect(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    return *len < RTP_HEADER_LEN ? -EINVAL : protect(l->sends, srtp_protect, bytes, len);
}

int srtp_leg_protect_rtcp(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    return *len < RTCP_HEADER_LEN ? -EINVAL : protect(l->sends, srtp_protect_rtcp, bytes, len);
}

static int refusal(srtp_err_status_t status)
{
    switch (status) {
    case srtp_err_status_ok:
        return 0;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
    case srtp_err_status_pkt_idx_old:
    case srtp_err_status_pkt_idx_adv:
        return -EALREADY;
    case srtp_err_status_bad_param:
    case srtp_err_status_parse_err:
        return -EBADMSG;
    default:
        return -EACCES;
    }
}

static int unprotect(struct srtp_leg *l, srtp_function *f, uint32_t ssrc, uint8_t *bytes, size_t *len)
{
    bool known = ssrc_known(l, ssrc);
    int err = known ? 0 : ssrc_reserve(l);
    if (err < 0)
        return err;
    int n = (int)*len;
    err = refusal(f(l->receives, bytes, &n));
    if (err < 0)
        return err;
    if (!known)
        ssrc_add(l, ssrc);
    *len = (size_t)n;
    return 0;
}

int srtp_leg_unprotect(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    struct rtp r;
    if (*len > RTP_PACKET_MAX || rtp_parse_protected(&r, bytes, *len) < 0 || r.payload_len < l->tag_len)
        return -EBADMSG;
    return unprotect(l, srtp_unprotect, r.ssrc, bytes, len);
}

int srtp_leg_unprotect_rtcp(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    struct wire_rd rd = wire_rd_init(bytes, *len);
    if (*len > RTP_PACKET_MAX || *len < RTCP_HEADER_LEN + SRTCP_INDEX_LEN + l->tag_len || bytes[0] >> 6 != 2)
        return -EBADMSG;
    wire_rd_bytes(&rd, 4);
    return unprotect(l, srtp_unprotect_rtcp, wire_rd_u32(&rd), bytes, len);
}
