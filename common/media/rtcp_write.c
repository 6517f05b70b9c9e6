/* Writing RTCP. Invariant: the writer holds whole packets alone, whatever there was no room for. */
#include "media/rtcp_internal.h"

#include "media/rtp.h"

#include <string.h>

enum { REMB_MANTISSA_MAX = 0x3FFFF };

struct rtcp_mark rtcp_begin(struct wire_wr *w, unsigned count, uint8_t type)
{
    struct rtcp_mark mark = {w->p, w->bad};
    wire_wr_u8(w, (uint8_t)(2u << 6 | count));
    wire_wr_u8(w, type);
    wire_wr_u16(w, 0);
    return mark;
}

bool rtcp_end(struct wire_wr *w, struct rtcp_mark mark)
{
    if (w->bad) {
        w->p = mark.p;
        w->bad = mark.bad;
        return false;
    }
    size_t len = (size_t)(w->p - mark.p); /* every packet here is a multiple of 4 */
    wire_wr_patch_u16(w, (size_t)(mark.p - w->start) + 2, (uint16_t)(len / 4 - 1));
    return true;
}

static void write_blocks(struct wire_wr *w, const struct rtcp_block *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct rtcp_block *b = &blocks[i];
        wire_wr_u32(w, b->ssrc);
        wire_wr_u32(w, (uint32_t)b->fraction_lost << 24 | ((uint32_t)b->lost & 0xFFFFFF));
        wire_wr_u32(w, b->highest);
        wire_wr_u32(w, b->jitter);
        wire_wr_u32(w, b->last_report);
        wire_wr_u32(w, b->delay);
    }
}

bool rtcp_write_sender_report(struct wire_wr *w, const struct rtcp_sender *s, const struct rtcp_block *blocks,
                              size_t n)
{
    if (n > RTCP_BLOCKS_MAX)
        return false;
    struct rtcp_mark mark = rtcp_begin(w, (unsigned)n, RTCP_TYPE_SR);
    wire_wr_u32(w, s->ssrc);
    wire_wr_u64(w, s->ntp);
    wire_wr_u32(w, s->timestamp);
    wire_wr_u32(w, s->packets);
    wire_wr_u32(w, s->octets);
    write_blocks(w, blocks, n);
    return rtcp_end(w, mark);
}

bool rtcp_write_receiver_report(struct wire_wr *w, uint32_t ssrc, const struct rtcp_block *blocks, size_t n)
{
    if (n > RTCP_BLOCKS_MAX)
        return false;
    struct rtcp_mark mark = rtcp_begin(w, (unsigned)n, RTCP_TYPE_RR);
    wire_wr_u32(w, ssrc);
    write_blocks(w, blocks, n);
    return rtcp_end(w, mark);
}

bool rtcp_write_cname(struct wire_wr *w, uint32_t ssrc, const char *cname)
{
    size_t len = strlen(cname);
    if (len > RTCP_CNAME_MAX)
        return false;
    struct rtcp_mark mark = rtcp_begin(w, 1, RTCP_TYPE_SDES);
    wire_wr_u32(w, ssrc);
    wire_wr_u8(w, 1);
    wire_wr_u8(w, (uint8_t)len);
    wire_wr_bytes(w, cname, len);
    wire_wr_zero(w, 4 - (2 + len) % 4); /* one zero ends it, at least */
    return rtcp_end(w, mark);
}

bool rtcp_write_bye(struct wire_wr *w, const uint32_t *ssrcs, size_t n)
{
    if (n > RTCP_BLOCKS_MAX)
        return false;
    struct rtcp_mark mark = rtcp_begin(w, (unsigned)n, RTCP_TYPE_BYE);
    for (size_t i = 0; i < n; i++)
        wire_wr_u32(w, ssrcs[i]);
    return rtcp_end(w, mark);
}

static struct rtcp_mark begin_feedback(struct wire_wr *w, unsigned format, uint8_t type, uint32_t sender,
                                       uint32_t media)
{
    struct rtcp_mark mark = rtcp_begin(w, format, type);
    wire_wr_u32(w, sender);
    wire_wr_u32(w, media);
    return mark;
}

bool rtcp_write_nack(struct wire_wr *w, uint32_t sender, uint32_t media, const uint16_t *sequences, size_t n)
{
    struct rtcp_mark mark = begin_feedback(w, RTCP_FORMAT_NACK, RTCP_TYPE_RTPFB, sender, media);
    for (size_t i = 0; i < n;) {
        uint16_t first = sequences[i++], more = 0;
        for (; i < n; i++) {
            int ahead = rtp_sequence_distance(sequences[i], first);
            if (ahead < 1 || ahead > 16)
                break;
            more |= (uint16_t)(1u << (ahead - 1));
        }
        wire_wr_u16(w, first);
        wire_wr_u16(w, more);
    }
    return rtcp_end(w, mark);
}

bool rtcp_write_pli(struct wire_wr *w, uint32_t sender, uint32_t media)
{
    return rtcp_end(w, begin_feedback(w, RTCP_FORMAT_PLI, RTCP_TYPE_PSFB, sender, media));
}

bool rtcp_write_fir(struct wire_wr *w, uint32_t sender, uint32_t media, uint8_t number)
{
    struct rtcp_mark mark =
        begin_feedback(w, RTCP_FORMAT_FIR, RTCP_TYPE_PSFB, sender, 0); /* RFC 5104 4.3.1.2 */
    wire_wr_u32(w, media);
    wire_wr_u8(w, number);
    wire_wr_zero(w, 3);
    return rtcp_end(w, mark);
}

bool rtcp_write_remb(struct wire_wr *w, uint32_t sender, uint64_t bitrate, const uint32_t *ssrcs, size_t n)
{
    unsigned exponent = 0;
    if (n > RTCP_REMB_SSRCS_MAX)
        return false;
    for (; bitrate > REMB_MANTISSA_MAX; bitrate >>= 1)
        exponent++;
    struct rtcp_mark mark = begin_feedback(w, RTCP_FORMAT_APPLICATION, RTCP_TYPE_PSFB, sender, 0);
    wire_wr_bytes(w, "REMB", 4);
    wire_wr_u32(w, (uint32_t)n << 24 | exponent << 18 | (uint32_t)bitrate);
    for (size_t i = 0; i < n; i++)
        wire_wr_u32(w, ssrcs[i]);
    return rtcp_end(w, mark);
}
