/* Packets of media load. Invariant: what media_packet_read takes is byte for byte what media_packet_write makes of
 * the same stamp, but for the sequence number, which a node may change. */
#include "media_packet.h"

#include "core/wire.h"

#include <errno.h>
#include <string.h>

enum {
    PAYLOAD_AUDIO = 111,
    PAYLOAD_VIDEO = 96,
    AUDIO_TICKS = 960,       /* of 48 kHz, in 20 ms */
    VIDEO_TICKS = 90 * 1000, /* a second */
    FIRST_SEQUENCE = 1000,   /* in the lower half: RFC 3711 3.3.1 */
};

uint32_t media_packet_ssrc(uint32_t leg, enum media_kind kind)
{
    return (leg + 1) * MEDIA_KINDS + (uint32_t)kind;
}

static struct rtp header_of(const struct media_stamp *s)
{
    bool video = s->kind == MEDIA_VIDEO;
    return (struct rtp){.payload_type = video ? PAYLOAD_VIDEO : PAYLOAD_AUDIO,
                        .sequence = (uint16_t)(FIRST_SEQUENCE + s->number),
                        .timestamp = video ? (uint32_t)(s->due_us * VIDEO_TICKS / 1000000)
                                           : (uint32_t)(s->number * AUDIO_TICKS),
                        .ssrc = media_packet_ssrc(s->leg, s->kind)};
}

void media_packet_write(uint8_t *out, size_t len, const struct media_stamp *s, uint8_t level)
{
    const struct rtp r = header_of(s);
    size_t at = RTP_HEADER_LEN;
    if (s->kind == MEDIA_AUDIO)
        at = rtp_write_level(out, &r, MEDIA_PACKET_LEVEL_EXT, true, level);
    else
        rtp_write(out, &r);
    struct wire_wr w = wire_wr_init(out + at, MEDIA_PACKET_STAMP_LEN);
    wire_wr_u32(&w, s->leg);
    wire_wr_u32(&w, (uint32_t)s->kind);
    wire_wr_u64(&w, s->number);
    wire_wr_u64(&w, (uint64_t)s->due_us);
    for (at += MEDIA_PACKET_STAMP_LEN; at < len; at += MEDIA_PACKET_TEXT_LEN) {
        size_t n = len - at < MEDIA_PACKET_TEXT_LEN ? len - at : MEDIA_PACKET_TEXT_LEN;
        memcpy(out + at, MEDIA_PACKET_TEXT, n);
    }
}

int media_packet_read(struct media_stamp *s, const uint8_t *bytes, size_t len)
{
    uint8_t again[MEDIA_PACKET_MOST];
    struct rtp r;
    bool voice = false;
    if (len < MEDIA_PACKET_LEAST || len > MEDIA_PACKET_MOST || rtp_parse(&r, bytes, len) < 0)
        return -EBADMSG;
    struct wire_rd w = wire_rd_init(bytes + r.header_len, len - r.header_len);
    struct media_stamp got = {.leg = wire_rd_u32(&w)};
    uint32_t kind = wire_rd_u32(&w);
    got.kind = kind == MEDIA_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO;
    got.number = wire_rd_u64(&w);
    got.due_us = (int64_t)wire_rd_u64(&w);
    int level = rtp_audio_level(&r, bytes, MEDIA_PACKET_LEVEL_EXT, &voice);
    if (w.bad || got.leg >= UINT32_MAX / MEDIA_KINDS || kind >= MEDIA_KINDS ||
        (got.kind == MEDIA_AUDIO) != (level >= 0))
        return -EBADMSG;
    media_packet_write(again, len, &got, level < 0 ? 0 : (uint8_t)level);
    rtp_set_sequence(again, r.sequence);
    if (memcmp(again, bytes, len) != 0)
        return -EBADMSG;
    *s = got;
    return 0;
}
