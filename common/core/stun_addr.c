/* Values of attributes: addresses, plain and XORed, and error codes. Invariant: a result is written only when the
 * whole value was right. */
#include "core/stun.h"

#include <errno.h>
#include <string.h>

/*   0                   1                   2                   3      RFC 8489 14.1
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |0 0 0 0 0 0 0 0|    Family     |           Port                |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                 Address (32 bits or 128 bits)                 | */
int stun_attr_addr(const struct stun_attr *a, struct addr *out)
{
    struct wire_rd rd = wire_rd_init(a->value, a->len);
    struct addr parsed = {0};
    wire_rd_u8(&rd); /* ignored by receivers */
    uint8_t family = wire_rd_u8(&rd);
    parsed.port = wire_rd_u16(&rd);
    if (family == 1)
        parsed.family = ADDR_V4;
    else if (family == 2)
        parsed.family = ADDR_V6;
    else
        return -EBADMSG;
    struct slice ip = wire_rd_bytes(&rd, family == 1 ? 4 : 16);
    if (rd.bad || wire_rd_left(&rd) != 0)
        return -EBADMSG;
    memcpy(parsed.ip, ip.p, ip.len);
    *out = parsed;
    return 0;
}

/* RFC 8489 14.2: the port is XORed with the cookie's upper half, the IP with the cookie and the transaction id: the
 * sixteen bytes that stand at 4 in the message. */
int stun_attr_xor_addr(const struct stun_msg *m, const struct stun_attr *a, struct addr *out)
{
    struct addr parsed;
    if (stun_attr_addr(a, &parsed) < 0)
        return -EBADMSG;
    parsed.port ^= STUN_MAGIC_COOKIE >> 16;
    size_t len = parsed.family == ADDR_V4 ? 4 : 16;
    for (size_t i = 0; i < len; i++)
        parsed.ip[i] ^= m->bytes[4 + i];
    *out = parsed;
    return 0;
}

/* RFC 8489 14.8: 21 reserved bits, the hundreds in 3 bits, the rest (0 to 99) in 8, then the phrase. */
int stun_attr_error(const struct stun_attr *a, int *code, struct slice *reason)
{
    struct wire_rd rd = wire_rd_init(a->value, a->len);
    wire_rd_u16(&rd);
    int hundreds = wire_rd_u8(&rd) & 7, rest = wire_rd_u8(&rd);
    struct slice phrase = wire_rd_bytes(&rd, wire_rd_left(&rd));
    if (rd.bad || hundreds < 3 || hundreds > 6 || rest > 99 || phrase.len > STUN_REASON_MAX)
        return -EBADMSG;
    *code = hundreds * 100 + rest;
    *reason = phrase;
    return 0;
}

int stun_mapped_address(const struct stun_msg *m, struct addr *out)
{
    struct stun_attr a;
    if (stun_find(m, STUN_ATTR_XOR_MAPPED_ADDRESS, &a))
        return stun_attr_xor_addr(m, &a, out);
    if (stun_find(m, STUN_ATTR_MAPPED_ADDRESS, &a))
        return stun_attr_addr(&a, out);
    return -ENOENT;
}
