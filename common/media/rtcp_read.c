/* Reading RTCP. Invariant: what rtcp_next has answered 1 for has had every length checked that the functions behind it rely on. */
#include "media/rtcp_internal.h"

#include <errno.h>
#include <string.h>

enum {
    BLOCK_LEN = 24,
    SDES_END = 0,
    SDES_CNAME = 1,
    REMB_ID = 0x52454D42, /* "REMB" */
};

/* One chunk of an SDES packet, RFC 3550 6.5. What is left of `rd` begins and ends on a multiple of 4. */
static void read_chunk(struct wire_rd *rd, uint32_t *ssrc, struct slice *cname)
{
    *ssrc = wire_rd_u32(rd);
    *cname = (struct slice){0};
    for (uint8_t type; (type = wire_rd_u8(rd)) != SDES_END;) {
        struct slice value = wire_rd_bytes(rd, wire_rd_u8(rd));
        if (type == SDES_CNAME && !cname->p && !rd->bad)
            *cname = value;
    }
    wire_rd_bytes(rd, wire_rd_left(rd) % 4);
}

static void read_sdes(struct wire_rd *rd, struct rtcp *r, unsigned count)
{
    uint32_t ssrc;
    struct slice cname;
    r->kind = RTCP_SDES;
    r->count = count;
    r->body = (struct slice){rd->p, wire_rd_left(rd)};
    for (size_t i = 0; i < count && !rd->bad; i++)
        read_chunk(rd, &ssrc, &cname);
}

static void read_report(struct wire_rd *rd, struct rtcp *r, bool sender, unsigned count)
{
    r->kind = sender ? RTCP_SENDER_REPORT : RTCP_RECEIVER_REPORT;
    r->count = count;
    r->sender = wire_rd_u32(rd);
    if (sender) {
        r->ntp = wire_rd_u64(rd);
        r->timestamp = wire_rd_u32(rd);
        r->packets = wire_rd_u32(rd);
        r->octets = wire_rd_u32(rd);
    }
    r->body = wire_rd_bytes(rd, (size_t)count * BLOCK_LEN);
}

/* What is left is entries of that length each. */
static void read_entries(struct wire_rd *rd, struct rtcp *r, enum rtcp_kind kind, size_t entry_len)
{
    size_t left = wire_rd_left(rd);
    if (left % entry_len != 0)
        rd->bad = true;
    r->kind = kind;
    r->count = left / entry_len;
    r->body = wire_rd_bytes(rd, left);
}

static void read_remb(struct wire_rd *rd, struct rtcp *r)
{
    struct wire_rd look = *rd;
    if (wire_rd_u32(&look) != REMB_ID)
        return; /* some other application's */
    uint32_t packed = wire_rd_u32(&look);
    uint64_t mantissa = packed & 0x3FFFF;
    unsigned exponent = packed >> 18 & 0x3F;
    r->kind = RTCP_REMB;
    r->count = packed >> 24;
    r->bitrate = exponent > 46 && mantissa > 0 ? UINT64_MAX : exponent > 46 ? 0 : mantissa << exponent;
    r->body = wire_rd_bytes(&look, r->count * 4);
    *rd = look;
}

static void read_feedback(struct wire_rd *rd, struct rtcp *r, uint8_t type, unsigned format)
{
    r->sender = wire_rd_u32(rd);
    r->media = wire_rd_u32(rd);
    if (type == RTCP_TYPE_RTPFB && format == RTCP_FORMAT_NACK)
        read_entries(rd, r, RTCP_NACK, 4);
    else if (type == RTCP_TYPE_RTPFB && format == RTCP_FORMAT_WIDE)
        rtcp_read_wide(rd, r);
    else if (type == RTCP_TYPE_PSFB && format == RTCP_FORMAT_PLI)
        r->kind = RTCP_PLI;
    else if (type == RTCP_TYPE_PSFB && format == RTCP_FORMAT_FIR)
        read_entries(rd, r, RTCP_FIR, RTCP_FIR_LEN);
    else if (type == RTCP_TYPE_PSFB && format == RTCP_FORMAT_APPLICATION)
        read_remb(rd, r);
}

static void read_body(struct wire_rd *rd, struct rtcp *r, uint8_t type, unsigned count)
{
    switch (type) {
    case RTCP_TYPE_SR:
    case RTCP_TYPE_RR:
        read_report(rd, r, type == RTCP_TYPE_SR, count);
        break;
    case RTCP_TYPE_SDES:
        read_sdes(rd, r, count);
        break;
    case RTCP_TYPE_BYE:
        r->kind = RTCP_BYE;
        r->count = count;
        r->body = wire_rd_bytes(rd, (size_t)count * 4);
        break;
    case RTCP_TYPE_RTPFB:
    case RTCP_TYPE_PSFB:
        read_feedback(rd, r, type, count);
        break;
    default:
        break;
    }
}

int rtcp_next(struct wire_rd *rd, struct rtcp *out)
{
    struct rtcp r = {0};
    if (!rd->bad && wire_rd_left(rd) == 0)
        return 0;
    uint8_t first = wire_rd_u8(rd), type = wire_rd_u8(rd);
    struct slice body = wire_rd_bytes(rd, (size_t)wire_rd_u16(rd) * 4);
    if (rd->bad || first >> 6 != 2)
        return -EBADMSG;
    if (first & 0x20) { /* RFC 3550 6.4.1: of the last packet alone */
        size_t padding = body.len > 0 ? body.p[body.len - 1] : 0;
        if (wire_rd_left(rd) > 0 || padding == 0 || padding % 4 != 0 || padding > body.len)
            return -EBADMSG;
        body.len -= padding;
    }
    struct wire_rd inner = wire_rd_init(body.p, body.len);
    read_body(&inner, &r, type, first & 0x1F);
    if (inner.bad)
        return -EBADMSG;
    *out = r;
    return 1;
}

bool rtcp_whole(const uint8_t *p, size_t len)
{
    struct wire_rd rd = wire_rd_init(p, len);
    struct rtcp r;
    int more, n = 0;
    while ((more = rtcp_next(&rd, &r)) > 0)
        n++;
    return more == 0 && n > 0;
}

struct rtcp_block rtcp_block_at(const struct rtcp *r, size_t i)
{
    struct wire_rd rd = wire_rd_init(r->body.p + i * BLOCK_LEN, BLOCK_LEN);
    struct rtcp_block b = {.ssrc = wire_rd_u32(&rd)};
    uint32_t packed = wire_rd_u32(&rd);
    b.fraction_lost = (uint8_t)(packed >> 24);
    b.lost = (int32_t)(packed & 0xFFFFFF);
    if (b.lost & 0x800000)
        b.lost -= 0x1000000;
    b.highest = wire_rd_u32(&rd);
    b.jitter = wire_rd_u32(&rd);
    b.last_report = wire_rd_u32(&rd);
    b.delay = wire_rd_u32(&rd);
    return b;
}

uint32_t rtcp_ssrc_at(const struct rtcp *r, size_t i)
{
    struct wire_rd rd = wire_rd_init(r->body.p + 4 * i, 4);
    return wire_rd_u32(&rd);
}

void rtcp_nack_at(const struct rtcp *r, size_t i, uint16_t *sequence, uint16_t *more)
{
    struct wire_rd rd = wire_rd_init(r->body.p + 4 * i, 4);
    *sequence = wire_rd_u16(&rd);
    *more = wire_rd_u16(&rd);
}

void rtcp_fir_at(const struct rtcp *r, size_t i, uint32_t *ssrc, uint8_t *number)
{
    struct wire_rd rd = wire_rd_init(r->body.p + i * RTCP_FIR_LEN, RTCP_FIR_LEN);
    *ssrc = wire_rd_u32(&rd);
    *number = wire_rd_u8(&rd);
}

struct slice rtcp_cname_at(const struct rtcp *r, size_t i, uint32_t *ssrc)
{
    struct wire_rd rd = wire_rd_init(r->body.p, r->body.len);
    struct slice cname = {0};
    for (size_t at = 0; at <= i; at++)
        read_chunk(&rd, ssrc, &cname);
    return cname;
}
