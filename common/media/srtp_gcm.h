/* Protects RTP with AES-128-GCM (RFC 7714) on libcrypto, for who sends one packet to many: a quarter of what libsrtp
 * takes for it, and no state. It is told each packet's index; libsrtp keeps everything else (what is received, RTCP,
 * other suites) in srtp_leg. */
#ifndef BERTH_MEDIA_SRTP_GCM_H
#define BERTH_MEDIA_SRTP_GCM_H

#include "media/srtp_leg.h"

struct srtp_gcm;
/* With the keys that the srtp_leg of that hop sends with. 0, -ENOMEM, or -EIO: libcrypto refuses. */
int srtp_gcm_new(struct srtp_gcm **out, const struct srtp_keys *sends) __attribute__((warn_unused_result));
void srtp_gcm_destroy(struct srtp_gcm *g); /* NULL is fine; keys are wiped */

/* In place; `bytes` has room for SRTP_OVERHEAD more. `header_len` as rtp_parse gave it; `index`: rollover counter and sequence number (RFC 3711
 * 3.3.1), 48 bits, of which the packet has the lower 16. The caller sees to it that no two packets of an SSRC have one index. 0, or -EINVAL. */
int srtp_gcm_protect(struct srtp_gcm *g, uint8_t *bytes, size_t *len, size_t header_len, uint64_t index)
    __attribute__((warn_unused_result));

#endif
