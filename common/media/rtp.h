/* RTP packets, RFC 3550 5.1, with header extensions of RFC 8285 (one byte and two bytes), and what tells packets of
 * one 5-tuple apart (RFC 7983, RFC 5761). Pure. */
#ifndef BERTH_MEDIA_RTP_H
#define BERTH_MEDIA_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RTP_HEADER_LEN = 12,
    RTP_PACKET_MAX = 1500, /* as it is on the wire, protected */
    RTP_AUDIO_LEVEL_SILENT = 127,
};

/* DSCP, RFC 8837 5: EF, AF42. A stream has one mark for all that it carries (RFC 7657 5.1): that of video with audio. */
enum { DSCP_AUDIO = 46, DSCP_VIDEO = 36, DSCP_STREAM = DSCP_VIDEO };

enum packet_kind { PACKET_OTHER, PACKET_STUN, PACKET_RTP, PACKET_RTCP };
/* By the first two bytes; what it says need not be whole. */
enum packet_kind packet_kind(const uint8_t *p, size_t len);

struct rtp {
    uint8_t payload_type;
    bool marker;
    uint16_t sequence;
    uint32_t timestamp, ssrc;
    size_t header_len;          /* with CSRCs and extension */
    size_t payload_len;         /* without padding */
    uint16_t ext_profile;       /* where ext_len > 0 */
    size_t ext_offset, ext_len; /* of the extension's elements; 0, 0: none */
};

/* A plain packet: every length is checked against `len`, the padding's too. 0, or -EBADMSG. */
int rtp_parse(struct rtp *r, const uint8_t *p, size_t len) __attribute__((warn_unused_result));
/* The same of an SRTP packet, whose padding is encrypted: payload_len counts it, and the tag. 0, or -EBADMSG. */
int rtp_parse_protected(struct rtp *r, const uint8_t *p, size_t len) __attribute__((warn_unused_result));
/* The value of that extension element (`*len` may be 0), NULL: it isn't there. Elements behind one that overruns
 * aren't looked at. */
const uint8_t *rtp_extension(const struct rtp *r, const uint8_t *packet, uint8_t id, size_t *len);
/* RFC 6464: 0 (loudest) to 127; -1: the packet doesn't say, and `voice` stays as it is. */
int rtp_audio_level(const struct rtp *r, const uint8_t *packet, uint8_t ext_id, bool *voice);
void rtp_set_sequence(uint8_t *packet, uint16_t sequence);

/* Writes a header of RTP_HEADER_LEN bytes (no CSRC, no extension). */
void rtp_write(uint8_t out[static RTP_HEADER_LEN], const struct rtp *r);
/* With an audio level in a one byte extension: RTP_HEADER_LEN + 8 bytes. */
size_t rtp_write_level(uint8_t *out, const struct rtp *r, uint8_t ext_id, bool voice, uint8_t level);

/* a - b in the order of 16 bit sequence numbers. */
static inline int rtp_sequence_distance(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b);
}

#endif
