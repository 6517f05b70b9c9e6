/* Reading STUN messages. Invariant: a parsed message's attributes lie wholly inside it, padding counted, so that iterating
 * over them needs no further check. */
#include "core/stun.h"

#include <errno.h>

/* RFC 8489 section 5: the class's two bits stand between the method's twelve.
 *
 *   0                 1
 *   2  3  4  5 6 7 8 9 0 1 2 3 4 5
 *  |M11|M10|M9|M8|M7|C1|M6|M5|M4|C0|M3|M2|M1|M0| */
static enum stun_class type_class(uint16_t type)
{
    return (enum stun_class)((type >> 7 & 2) | (type >> 4 & 1));
}

static uint16_t type_method(uint16_t type)
{
    return (uint16_t)((type & 0x000F) | (type >> 1 & 0x0070) | (type >> 2 & 0x0F80));
}

bool stun_looks_like(const uint8_t *p, size_t len)
{
    struct wire_rd rd = wire_rd_init(p, len);
    bool first = wire_rd_u32(&rd) >> 24 <= 3;
    return wire_rd_u32(&rd) == STUN_MAGIC_COOKIE && first && !rd.bad;
}

/* Moves past one attribute; false at the end, and with rd.bad set where it does not fit.
 *
 *   0                   1                   2                   3      RFC 8489 section 14
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |         Type                  |            Length             |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |             Value (variable), padded to 4 bytes            .... */
bool stun_attr_next(struct stun_attr_iter *it, struct stun_attr *a)
{
    if (wire_rd_left(&it->rd) == 0)
        return false;
    a->offset = (size_t)(it->rd.p - it->start);
    a->type = wire_rd_u16(&it->rd);
    a->len = wire_rd_u16(&it->rd);
    a->value = wire_rd_bytes(&it->rd, (a->len + 3) & ~(size_t)3).p;
    return !it->rd.bad;
}

struct stun_attr_iter stun_attrs(const struct stun_msg *m)
{
    return (struct stun_attr_iter){
        .rd = wire_rd_init(m->bytes + STUN_HEADER_LEN, m->len - STUN_HEADER_LEN),
        .start = m->bytes,
    };
}

int stun_parse(struct stun_msg *m, const uint8_t *p, size_t len)
{
    if (len > STUN_MESSAGE_MAX)
        return -EBADMSG;
    struct wire_rd rd = wire_rd_init(p, len);
    uint16_t type = wire_rd_u16(&rd);
    size_t length = wire_rd_u16(&rd);
    uint32_t cookie = wire_rd_u32(&rd);
    const uint8_t *txid = wire_rd_bytes(&rd, STUN_TXID_LEN).p;
    if (rd.bad || type > 0x3FFF || cookie != STUN_MAGIC_COOKIE)
        return -EBADMSG;
    if (length % 4 != 0 || length != len - STUN_HEADER_LEN)
        return -EBADMSG;
    struct stun_msg parsed = {
        .bytes = p, .len = len, .cls = type_class(type), .method = type_method(type), .txid = txid};
    struct stun_attr_iter it = stun_attrs(&parsed);
    struct stun_attr a;
    while (stun_attr_next(&it, &a)) {
        if (a.type == STUN_ATTR_FINGERPRINT && wire_rd_left(&it.rd) > 0)
            return -EBADMSG;
    }
    if (it.rd.bad)
        return -EBADMSG;
    *m = parsed;
    return 0;
}

/* RFC 8489 14.5, 14.6: after MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT count, and after the former
 * only the latter. `protector` is the last integrity attribute gone past, or 0. */
static bool attr_counts(uint16_t type, uint16_t protector)
{
    if (protector == 0 || type == STUN_ATTR_FINGERPRINT)
        return true;
    return protector == STUN_ATTR_MESSAGE_INTEGRITY && type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256;
}

static bool next_counting(struct stun_attr_iter *it, uint16_t *protector, struct stun_attr *a)
{
    while (stun_attr_next(it, a)) {
        if (!attr_counts(a->type, *protector))
            continue;
        if (a->type == STUN_ATTR_MESSAGE_INTEGRITY || a->type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256)
            *protector = a->type;
        return true;
    }
    return false;
}

bool stun_find(const struct stun_msg *m, uint16_t type, struct stun_attr *a)
{
    struct stun_attr_iter it = stun_attrs(m);
    struct stun_attr found;
    uint16_t protector = 0;
    while (next_counting(&it, &protector, &found)) {
        if (found.type == type) {
            *a = found;
            return true;
        }
    }
    return false;
}

/* RFC 5780's CHANGE-REQUEST and RESPONSE-PORT are not among them: they ask for behaviour that most servers don't have, and
 * saying so is the right answer. */
static bool attr_understood(uint16_t type)
{
    switch (type) {
    case STUN_ATTR_MAPPED_ADDRESS:
    case STUN_ATTR_USERNAME:
    case STUN_ATTR_MESSAGE_INTEGRITY:
    case STUN_ATTR_ERROR_CODE:
    case STUN_ATTR_UNKNOWN_ATTRIBUTES:
    case STUN_ATTR_REALM:
    case STUN_ATTR_NONCE:
    case STUN_ATTR_MESSAGE_INTEGRITY_SHA256:
    case STUN_ATTR_PASSWORD_ALGORITHM:
    case STUN_ATTR_USERHASH:
    case STUN_ATTR_XOR_MAPPED_ADDRESS:
    case STUN_ATTR_PRIORITY:
    case STUN_ATTR_USE_CANDIDATE:
    case STUN_ATTR_PADDING:
        return true;
    default:
        return type >= 0x8000;
    }
}

size_t stun_unknown_attrs(const struct stun_msg *m, uint16_t types[static STUN_UNKNOWN_MAX])
{
    struct stun_attr_iter it = stun_attrs(m);
    struct stun_attr a;
    uint16_t protector = 0;
    size_t n = 0;
    while (n < STUN_UNKNOWN_MAX && next_counting(&it, &protector, &a)) {
        if (!attr_understood(a.type))
            types[n++] = a.type;
    }
    return n;
}
