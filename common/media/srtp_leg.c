/* SRTP and SRTCP of one hop, over libsrtp2. Its sessions go through their streams one by one, so each direction has
 * as many sessions as keep that short, all with the same keys, and each with a template for any SSRC. Invariant: an
 * SSRC stays in its session as long as it is known, and one that is received from is known by an authentic packet
 * alone. */
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
    STREAMS_FIRST = 8,   /* that memory is made for at first */
    SESSION_STREAMS = 64,
};

struct stream {
    uint32_t ssrc, session;
};

struct direction {
    srtp_ssrc_type_t type;
    enum srtp_suite suite;
    struct srtp_keys keys;
    struct session {
        srtp_t srtp;
        size_t streams;
    } * sessions;
    size_t n_sessions, newest; /* `newest` takes SSRCs that aren't known yet */
    struct stream *streams;    /* by SSRC */
    size_t n_streams, room, limit;
};

struct srtp_leg {
    struct direction sends, receives;
    size_t tag_len;
};

const char *srtp_suite_name(enum srtp_suite suite)
{
    return suite == SRTP_AES_128_GCM ? "AEAD_AES_128_GCM" : "AES_CM_128_HMAC_SHA1_80";
}

/* libsrtp2's state is the process's. What has failed, for want of memory perhaps, is tried again by whoever comes next. */
int srtp_leg_library(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool begun, ready;
    pthread_mutex_lock(&lock);
    if (!begun) { /* bad_param: the program that we are in has begun with libsrtp itself */
        srtp_err_status_t status = srtp_init();
        begun = status == srtp_err_status_ok || status == srtp_err_status_bad_param;
    }
    if (begun && !ready)
        ready = srtp_crypto_install() == 0;
    int err = ready ? 0 : -EIO;
    pthread_mutex_unlock(&lock);
    return err;
}

/* ---- sessions ---- */

static int session_new(srtp_t *out, const struct direction *d)
{
    uint8_t key[SRTP_KEYS_LEN];
    memcpy(key, d->keys.bytes, sizeof key);
    srtp_policy_t policy = {.ssrc = {.type = d->type}, .key = key, .window_size = SRTP_REPLAY_WINDOW};
    policy.allow_repeat_tx = d->type == ssrc_any_outbound;
    if (d->suite == SRTP_AES_128_GCM) {
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

static int direction_grow(struct direction *d)
{
    struct session *grown = realloc(d->sessions, (d->n_sessions + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    d->sessions = grown;
    grown[d->n_sessions] = (struct session){0};
    int err = session_new(&grown[d->n_sessions].srtp, d);
    if (err == 0)
        d->newest = d->n_sessions++;
    return err;
}

static int direction_open(struct direction *d, srtp_ssrc_type_t type, enum srtp_suite suite,
                          const struct srtp_keys *keys, size_t limit)
{
    *d = (struct direction){.type = type, .suite = suite, .keys = *keys, .limit = limit};
    return direction_grow(d);
}

static void direction_close(struct direction *d)
{
    for (size_t i = 0; i < d->n_sessions; i++)
        srtp_dealloc(d->sessions[i].srtp);
    free(d->sessions);
    free(d->streams);
    explicit_bzero(d, sizeof *d);
}

/* Where it is among the streams, or belongs. */
static size_t stream_place(const struct direction *d, uint32_t ssrc)
{
    size_t low = 0, high = d->n_streams;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (d->streams[middle].ssrc < ssrc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct stream *stream_of(const struct direction *d, uint32_t ssrc)
{
    size_t at = stream_place(d, ssrc);
    return at < d->n_streams && d->streams[at].ssrc == ssrc ? &d->streams[at] : NULL;
}

/* Room for one more, before it is known whether it comes to that. */
static int stream_reserve(struct direction *d)
{
    if (d->n_streams >= d->limit)
        return -ENOSPC;
    if (d->n_streams == d->room) {
        size_t room = d->room ? 2 * d->room : STREAMS_FIRST;
        struct stream *grown = realloc(d->streams, room * sizeof *grown);
        if (!grown)
            return -ENOSPC;
        d->streams = grown;
        d->room = room;
    }
    for (size_t i = 0; d->sessions[d->newest].streams >= SESSION_STREAMS && i < d->n_sessions; i++) {
        if (d->sessions[i].streams < SESSION_STREAMS) /* some of its have been forgotten */
            d->newest = i;
    }
    if (d->sessions[d->newest].streams >= SESSION_STREAMS && direction_grow(d) < 0)
        return -ENOSPC;
    return 0;
}

static void stream_add(struct direction *d, uint32_t ssrc)
{
    size_t at = stream_place(d, ssrc);
    memmove(d->streams + at + 1, d->streams + at, (d->n_streams - at) * sizeof *d->streams);
    d->streams[at] = (struct stream){ssrc, (uint32_t)d->newest};
    d->sessions[d->newest].streams++;
    d->n_streams++;
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

static void stream_forget(struct direction *d, uint32_t ssrc)
{
    struct stream *stream = stream_of(d, ssrc);
    if (!stream)
        return;
    struct session *session = &d->sessions[stream->session];
    srtp_remove_stream(session->srtp, wire_ssrc(ssrc));
    session->streams--;
    d->n_streams--;
    memmove(stream, stream + 1, (size_t)(d->streams + d->n_streams - stream) * sizeof *stream);
}

/* ---- legs ---- */

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
    err = direction_open(&l->sends, ssrc_any_outbound, suite, sends, SRTP_LEG_SENDS_MAX);
    if (err == 0)
        err = direction_open(&l->receives, ssrc_any_inbound, suite, receives, SRTP_LEG_SSRCS);
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
    direction_close(&l->sends);
    direction_close(&l->receives);
    free(l);
}

void srtp_leg_set_limit(struct srtp_leg *l, size_t ssrcs)
{
    l->receives.limit = ssrcs < SRTP_LEG_SSRCS_MAX ? ssrcs : SRTP_LEG_SSRCS_MAX;
}

size_t srtp_leg_received(const struct srtp_leg *l)
{
    return l->receives.n_streams;
}

void srtp_leg_forget_sent(struct srtp_leg *l, uint32_t ssrc)
{
    stream_forget(&l->sends, ssrc);
}

void srtp_leg_forget_received(struct srtp_leg *l, uint32_t ssrc)
{
    stream_forget(&l->receives, ssrc);
}

/* ---- packets ---- */

typedef srtp_err_status_t srtp_function(srtp_t session, void *bytes, int *len);

/* In the session of that SSRC; one that isn't known is known from then on, if it works. 0, -ENOSPC, or libsrtp2's
 * status in *status. */
static int run(struct direction *d, srtp_function *f, uint32_t ssrc, uint8_t *bytes, size_t *len,
               srtp_err_status_t *status)
{
    const struct stream *known = stream_of(d, ssrc);
    if (!known && stream_reserve(d) < 0)
        return -ENOSPC;
    int n = (int)*len;
    *status = f(d->sessions[known ? known->session : d->newest].srtp, bytes, &n);
    if (*status != srtp_err_status_ok)
        return 0;
    if (!known)
        stream_add(d, ssrc);
    *len = (size_t)n;
    return 0;
}

static int protect(struct direction *d, srtp_function *f, uint32_t ssrc, uint8_t *bytes, size_t *len)
{
    srtp_err_status_t status;
    if (*len > RTP_PACKET_MAX || run(d, f, ssrc, bytes, len, &status) < 0)
        return -EINVAL;
    return status == srtp_err_status_ok ? 0 : -EINVAL;
}

static uint32_t ssrc_at(const uint8_t *bytes, size_t len, size_t at)
{
    struct wire_rd rd = wire_rd_init(bytes, len);
    wire_rd_bytes(&rd, at);
    return wire_rd_u32(&rd);
}

int srtp_leg_protect(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    if (*len < RTP_HEADER_LEN)
        return -EINVAL;
    return protect(&l->sends, srtp_protect, ssrc_at(bytes, *len, 8), bytes, len);
}

int srtp_leg_protect_rtcp(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    if (*len < RTCP_HEADER_LEN)
        return -EINVAL;
    return protect(&l->sends, srtp_protect_rtcp, ssrc_at(bytes, *len, 4), bytes, len);
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

static int unprotect(struct direction *d, srtp_function *f, uint32_t ssrc, uint8_t *bytes, size_t *len)
{
    srtp_err_status_t status;
    int err = run(d, f, ssrc, bytes, len, &status);
    return err < 0 ? err : refusal(status);
}

int srtp_leg_unprotect(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    struct rtp r;
    if (*len > RTP_PACKET_MAX || rtp_parse_protected(&r, bytes, *len) < 0 || r.payload_len < l->tag_len)
        return -EBADMSG;
    return unprotect(&l->receives, srtp_unprotect, r.ssrc, bytes, len);
}

int srtp_leg_unprotect_rtcp(struct srtp_leg *l, uint8_t *bytes, size_t *len)
{
    if (*len > RTP_PACKET_MAX || *len < RTCP_HEADER_LEN + SRTCP_INDEX_LEN + l->tag_len || bytes[0] >> 6 != 2)
        return -EBADMSG;
    return unprotect(&l->receives, srtp_unprotect_rtcp, ssrc_at(bytes, *len, 4), bytes, len);
}
