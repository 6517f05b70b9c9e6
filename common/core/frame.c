/* Framing of a byte stream. Invariant: a prefix of a right stream is never called broken, and a broken one is called so
 * at its first byte that no right stream could have there. */
#include "core/frame.h"

#include "core/stun.h"

#include <errno.h>

enum { COOKIE_AT = 4, STUN_LENGTH_AT = 2, RFC4571_LENGTH_LEN = 2 };
enum { STUN_LENGTH_MAX = FRAME_PAYLOAD_MAX - STUN_HEADER_LEN };

enum verdict { BROKEN, POSSIBLE, CERTAIN };

static size_t get_u16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* Could these bytes begin a STUN message? CERTAIN once the cookie is seen whole. */
static enum verdict stun_head(const uint8_t *p, size_t len)
{
    static const uint8_t cookie[4] = {0x21, 0x12, 0xA4, 0x42};
    if (len > 0 && p[0] > 3)
        return BROKEN;
    if (len > STUN_LENGTH_AT && p[STUN_LENGTH_AT] > STUN_LENGTH_MAX >> 8)
        return BROKEN;
    if (len >= COOKIE_AT) {
        size_t length = get_u16(p + STUN_LENGTH_AT);
        if (length % 4 != 0 || length > STUN_LENGTH_MAX)
            return BROKEN;
    }
    for (size_t i = 0; i < sizeof cookie && COOKIE_AT + i < len; i++) {
        if (p[COOKIE_AT + i] != cookie[i])
            return BROKEN;
    }
    return len >= COOKIE_AT + sizeof cookie ? CERTAIN : POSSIBLE;
}

/* Could these bytes begin an RFC 4571 frame that holds exactly one STUN message? */
static enum verdict rfc4571_head(const uint8_t *p, size_t len)
{
    if (len < RFC4571_LENGTH_LEN)
        return len > 0 && p[0] > FRAME_PAYLOAD_MAX >> 8 ? BROKEN : POSSIBLE;
    size_t length = get_u16(p);
    if (length < STUN_HEADER_LEN || length > FRAME_PAYLOAD_MAX || length % 4 != 0)
        return BROKEN;
    p += RFC4571_LENGTH_LEN;
    len -= RFC4571_LENGTH_LEN;
    size_t inside = length - STUN_HEADER_LEN;
    if (len > STUN_LENGTH_AT && p[STUN_LENGTH_AT] != inside >> 8)
        return BROKEN;
    if (len >= COOKIE_AT && get_u16(p + STUN_LENGTH_AT) != inside)
        return BROKEN;
    return stun_head(p, len);
}

/* Both cannot be CERTAIN of the same bytes: the cookie's halves differ, and they would have to overlap. */
static int decide(enum frame_mode *mode, const uint8_t *p, size_t len)
{
    enum verdict plain = stun_head(p, len), framed = rfc4571_head(p, len);
    if (plain == CERTAIN)
        *mode = FRAME_STUN;
    else if (framed == CERTAIN)
        *mode = FRAME_RFC4571;
    else if (plain == BROKEN && framed == BROKEN)
        return -EBADMSG;
    return 0;
}

static ssize_t next_stun(const uint8_t *p, size_t len, struct slice *payload)
{
    if (stun_head(p, len) == BROKEN)
        return -EBADMSG;
    if (len < STUN_HEADER_LEN)
        return 0;
    size_t whole = STUN_HEADER_LEN + get_u16(p + STUN_LENGTH_AT);
    if (len < whole)
        return 0;
    *payload = (struct slice){.p = p, .len = whole};
    return (ssize_t)whole;
}

static ssize_t next_rfc4571(const uint8_t *p, size_t len, struct slice *payload)
{
    if (len > 0 && p[0] > FRAME_PAYLOAD_MAX >> 8)
        return -EBADMSG;
    if (len < RFC4571_LENGTH_LEN)
        return 0;
    size_t length = get_u16(p);
    if (length > FRAME_PAYLOAD_MAX)
        return -EBADMSG;
    if (len - RFC4571_LENGTH_LEN < length)
        return 0;
    *payload = (struct slice){.p = p + RFC4571_LENGTH_LEN, .len = length};
    return (ssize_t)(RFC4571_LENGTH_LEN + length);
}

ssize_t frame_next(enum frame_mode *mode, const uint8_t *p, size_t len, struct slice *payload)
{
    if (*mode == FRAME_UNDECIDED && decide(mode, p, len) < 0)
        return -EBADMSG;
    switch (*mode) {
    case FRAME_STUN:
        return next_stun(p, len, payload);
    case FRAME_RFC4571:
        return next_rfc4571(p, len, payload);
    default:
        return 0;
    }
}

size_t frame_header(enum frame_mode mode, size_t payload_len, uint8_t out[static FRAME_HEADER_MAX])
{
    if (mode != FRAME_RFC4571)
        return 0;
    out[0] = (uint8_t)(payload_len >> 8);
    out[1] = (uint8_t)payload_len;
    return RFC4571_LENGTH_LEN;
}
