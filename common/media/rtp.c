/* RTP packets. Invariant: an offset that rtp_parse has answered lies within the packet that it was given. */
#include "media/rtp.h"

#include "core/wire.h"

#include <errno.h>

enum {
    RTP_VERSION = 2,
    EXT_ONE_BYTE = 0xBEDE,  /* RFC 8285 4.2 */
    EXT_TWO_BYTES = 0x1000, /* RFC 8285 4.3: the low four bits are the application's */
    EXT_TWO_BYTES_MASK = 0xFFF0,
    EXT_STOP = 15,    /* of one byte elements: nothing more is looked at */
    RTCP_FIRST = 192, /* RFC 5761 4 */
    RTCP_LAST = 223,
};

enum packet_kind packet_kind(const uint8_t *p, size_t len)
{
    if (len < 2)
        return PACKET_OTHER;
    if (p[0] <= 3)
        return PACKET_STUN;
    if (p[0] < 128 || p[0] > 191)
        return PACKET_OTHER;
    return p[1] >= RTCP_FIRST && p[1] <= RTCP_LAST ? PACKET_RTCP : PACKET_RTP;
}

/* RFC 3550 5.1, 5.3.1. `payload_len` is all that follows the header. */
static int parse(struct rtp *out, const uint8_t *p, size_t len)
{
    struct wire_rd rd = wire_rd_init(p, len);
    struct rtp r = {0};
    uint8_t first = wire_rd_u8(&rd), second = wire_rd_u8(&rd);
    r.sequence = wire_rd_u16(&rd);
    r.timestamp = wire_rd_u32(&rd);
    r.ssrc = wire_rd_u32(&rd);
    r.payload_type = second & 0x7F;
    r.marker = second & 0x80;
    wire_rd_bytes(&rd, (size_t)(first & 0x0F) * 4); /* CSRCs */
    if (first & 0x10) {
        r.ext_profile = wire_rd_u16(&rd);
        size_t ext_len = (size_t)wire_rd_u16(&rd) * 4;
        r.ext_offset = len - wire_rd_left(&rd);
        r.ext_len = wire_rd_bytes(&rd, ext_len).len;
        if (ext_len == 0)
            r.ext_offset = 0;
    }
    if (rd.bad || first >> 6 != RTP_VERSION)
        return -EBADMSG;
    r.payload_len = wire_rd_left(&rd);
    r.header_len = len - r.payload_len;
    *out = r;
    return 0;
}

int rtp_parse_protected(struct rtp *r, const uint8_t *p, size_t len)
{
    return parse(r, p, len);
}

int rtp_parse(struct rtp *out, const uint8_t *p, size_t len)
{
    struct rtp r;
    int err = parse(&r, p, len);
    if (err < 0)
        return err;
    if (p[0] & 0x20) { /* the last byte counts the padding, itself included */
        size_t padding = p[len - 1];
        if (padding == 0 || padding > r.payload_len)
            return -EBADMSG;
        r.payload_len -= padding;
    }
    *out = r;
    return 0;
}

/* The next element; false at the end, where RFC 8285 says to stop, and where one overruns. */
static bool next_element(struct wire_rd *rd, bool two_bytes, uint8_t *id, struct slice *value)
{
    while (wire_rd_left(rd) > 0) {
        uint8_t first = wire_rd_u8(rd);
        size_t len = 0;
        if (two_bytes) {
            *id = first;
            if (first == 0)
                continue; /* padding: one byte */
            len = wire_rd_u8(rd);
        } else {
            *id = first >> 4;
            if (first == 0)
                continue;
            if (*id == 0 || *id == EXT_STOP)
                return false;
            len = (first & 0x0Fu) + 1;
        }
        *value = wire_rd_bytes(rd, len);
        return !rd->bad;
    }
    return false;
}

const uint8_t *rtp_extension(const struct rtp *r, const uint8_t *packet, uint8_t id, size_t *len)
{
    bool two_bytes = (r->ext_profile & EXT_TWO_BYTES_MASK) == EXT_TWO_BYTES;
    uint8_t found;
    struct slice value;
    if (r->ext_len == 0 || id == 0 || (!two_bytes && r->ext_profile != EXT_ONE_BYTE))
        return NULL;
    struct wire_rd rd = wire_rd_init(packet + r->ext_offset, r->ext_len);
    while (next_element(&rd, two_bytes, &found, &value)) {
        if (found != id)
            continue;
        *len = value.len;
        return value.p;
    }
    return NULL;
}

int rtp_audio_level(const struct rtp *r, const uint8_t *packet, uint8_t ext_id, bool *voice)
{
    size_t len = 0;
    const uint8_t *value = rtp_extension(r, packet, ext_id, &len);
    if (!value || len == 0)
        return -1;
    *voice = value[0] & 0x80;
    return value[0] & 0x7F;
}

void rtp_set_sequence(uint8_t *packet, uint16_t sequence)
{
    packet[2] = (uint8_t)(sequence >> 8);
    packet[3] = (uint8_t)sequence;
}

void rtp_write(uint8_t out[static RTP_HEADER_LEN], const struct rtp *r)
{
    struct wire_wr w = wire_wr_init(out, RTP_HEADER_LEN);
    wire_wr_u8(&w, RTP_VERSION << 6);
    wire_wr_u8(&w, (uint8_t)((r->marker ? 0x80 : 0) | (r->payload_type & 0x7F)));
    wire_wr_u16(&w, r->sequence);
    wire_wr_u32(&w, r->timestamp);
    wire_wr_u32(&w, r->ssrc);
}

size_t rtp_write_level(uint8_t *out, const struct rtp *r, uint8_t ext_id, bool voice, uint8_t level)
{
    enum { LEVEL_LEN = 8 };
    struct wire_wr w = wire_wr_init(out + RTP_HEADER_LEN, LEVEL_LEN);
    rtp_write(out, r);
    out[0] |= 0x10;
    wire_wr_u16(&w, EXT_ONE_BYTE);
    wire_wr_u16(&w, 1);
    wire_wr_u8(&w, (uint8_t)(ext_id << 4)); /* one byte of value */
    wire_wr_u8(&w, (uint8_t)((voice ? 0x80 : 0) | (level & 0x7F)));
    wire_wr_u16(&w, 0);
    return RTP_HEADER_LEN + LEVEL_LEN;
}
