/* What is in the packets of `berth-load media`: RTP as a client would send it, and in its payload a text that is
 * never to be seen on the wire, and who sent it when it was due. Pure. */
#ifndef BERTH_LOADTEST_MEDIA_PACKET_H
#define BERTH_LOADTEST_MEDIA_PACKET_H

#include "media/rtp.h"

/* Fills what is free of every payload, over and over; tests look for it on the wire. */
#define MEDIA_PACKET_TEXT "berth-load:plain"

enum media_kind { MEDIA_AUDIO, MEDIA_VIDEO, MEDIA_KINDS };

enum {
    MEDIA_PACKET_TEXT_LEN = sizeof MEDIA_PACKET_TEXT - 1,
    MEDIA_PACKET_STAMP_LEN = 24,
    MEDIA_PACKET_LEVEL_EXT = 1, /* the id of the audio level extension */
    MEDIA_PACKET_LEAST = RTP_HEADER_LEN + 8 + MEDIA_PACKET_TEXT_LEN + MEDIA_PACKET_STAMP_LEN,
    MEDIA_PACKET_MOST = 1400, /* before it is protected */
};

struct media_stamp {
    uint32_t leg; /* who sends it */
    enum media_kind kind;
    uint64_t number; /* of this leg and kind, from 0 */
    int64_t due_us;
};

/* SSRCs of one meeting don't meet. */
uint32_t media_packet_ssrc(uint32_t leg, enum media_kind kind);
/* Writes `len` bytes, MEDIA_PACKET_LEAST to MEDIA_PACKET_MOST; audio with that level (RFC 6464), 0 to 127. */
void media_packet_write(uint8_t *out, size_t len, const struct media_stamp *s, uint8_t level);
/* 0; -EBADMSG: it isn't one, or not as it was written. */
int media_packet_read(struct media_stamp *s, const uint8_t *bytes, size_t len)
    __attribute__((warn_unused_result));

#endif
