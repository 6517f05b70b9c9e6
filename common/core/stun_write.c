/* Writing STUN messages. Invariant: after every attribute the header's length counts all that is written, so a message
 * is right whenever the writer stops. */
#include "core/stun.h"

#include <errno.h>
#include <string.h>

void stun_begin(struct stun_writer *b, uint8_t *buf, size_t cap, enum stun_class cls, uint16_t method,
                const uint8_t txid[static STUN_TXID_LEN])
{
    unsigned c = (unsigned)cls, m = method & 0x0FFFu;
    unsigned type = (m & 0x000F) | (m & 0x0070) << 1 | (m & 0x0F80) << 2 | (c & 1) << 4 | (c & 2) << 7;
    b->w = wire_wr_init(buf, cap < STUN_MESSAGE_MAX ? cap : STUN_MESSAGE_MAX);
    wire_wr_u16(&b->w, (uint16_t)type);
    wire_wr_u16(&b->w, 0);
    wire_wr_u32(&b->w, STUN_MAGIC_COOKIE);
    wire_wr_bytes(&b->w, txid, STUN_TXID_LEN);
}

static void begin_attr(struct stun_writer *b, uint16_t type, size_t len)
{
    if (len > UINT16_MAX)
        b->w.bad = true;
    wire_wr_u16(&b->w, type);
    wire_wr_u16(&b->w, (uint16_t)len);
}

/* Pads the value that was just written and brings the header's length up to date. */
static void end_attr(struct stun_writer *b)
{
    wire_wr_zero(&b->w, -wire_wr_len(&b->w) & 3);
    wire_wr_patch_u16(&b->w, 2, (uint16_t)(wire_wr_len(&b->w) - STUN_HEADER_LEN));
}

void stun_put(struct stun_writer *b, uint16_t type, const void *value, size_t len)
{
    begin_attr(b, type, len);
    wire_wr_bytes(&b->w, value, len);
    end_attr(b);
}

void stun_put_u32(struct stun_writer *b, uint16_t type, uint32_t v)
{
    begin_attr(b, type, 4);
    wire_wr_u32(&b->w, v);
    end_attr(b);
}

static void put_addr(struct stun_writer *b, uint16_t type, const struct addr *a,
                     const uint8_t mask[static 16])
{
    size_t len = a->family == ADDR_V4 ? 4 : 16;
    if (!addr_is_set(a))
        b->w.bad = true;
    uint8_t ip[16];
    for (size_t i = 0; i < len; i++)
        ip[i] = a->ip[i] ^ mask[i];
    begin_attr(b, type, 4 + len);
    wire_wr_u16(&b->w, a->family == ADDR_V4 ? 1 : 2);
    wire_wr_u16(&b->w, (uint16_t)(a->port ^ (mask[0] << 8 | mask[1])));
    wire_wr_bytes(&b->w, ip, len);
    end_attr(b);
}

void stun_put_addr(struct stun_writer *b, uint16_t type, const struct addr *a)
{
    static const uint8_t none[16];
    put_addr(b, type, a, none);
}

void stun_put_xor_addr(struct stun_writer *b, uint16_t type, const struct addr *a)
{
    if (!b->w.bad) /* the header is there: cookie and transaction id are the mask, RFC 8489 14.2 */
        put_addr(b, type, a, b->w.start + 4);
}

void stun_put_error(struct stun_writer *b, int code, const char *reason)
{
    size_t len = reason ? strlen(reason) : 0;
    if (code < 300 || code > 699 || len > STUN_REASON_MAX) {
        b->w.bad = true;
        return;
    }
    begin_attr(b, STUN_ATTR_ERROR_CODE, 4 + len);
    wire_wr_u16(&b->w, 0);
    wire_wr_u8(&b->w, (uint8_t)(code / 100));
    wire_wr_u8(&b->w, (uint8_t)(code % 100));
    wire_wr_bytes(&b->w, reason, len);
    end_attr(b);
}

void stun_put_unknown(struct stun_writer *b, const uint16_t *types, size_t n)
{
    begin_attr(b, STUN_ATTR_UNKNOWN_ATTRIBUTES, n * 2);
    for (size_t i = 0; i < n; i++)
        wire_wr_u16(&b->w, types[i]);
    end_attr(b);
}

int stun_finish(struct stun_writer *b, size_t *len)
{
    if (b->w.bad)
        return -ENOBUFS;
    *len = wire_wr_len(&b->w);
    return 0;
}
