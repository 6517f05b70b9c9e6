/* Questions of a firewall's examination as STUN messages. Invariant: an answer counts only with its question's transaction id. */
#include "firewall_ask.h"

#include <errno.h>
#include <string.h>

enum { HEADERS_V4 = 20 + 8, HEADERS_V6 = 40 + 8, ATTR_HEADER = 4, CHANGE_LEN = 8 };

size_t ask_overhead(enum addr_family family)
{
    return family == ADDR_V6 ? HEADERS_V6 : HEADERS_V4;
}

static void put_padding(struct stun_writer *w, const struct ask *a)
{
    static const uint8_t zero[STUN_MESSAGE_MAX];
    size_t used =
        ask_overhead(a->to.family) + STUN_HEADER_LEN + ATTR_HEADER + (a->change != 0 ? CHANGE_LEN : 0);
    size_t len = a->packet_size > used ? (a->packet_size - used) & ~(size_t)3 : 0;
    stun_put(w, STUN_ATTR_PADDING, zero, len < sizeof zero ? len : sizeof zero);
}

size_t ask_write(const struct ask *a, const uint8_t txid[static STUN_TXID_LEN], uint8_t *out, size_t cap)
{
    struct stun_writer w;
    size_t len = 0;
    stun_begin(&w, out, cap, STUN_REQUEST, STUN_BINDING, txid);
    if (a->change != 0)
        stun_put_u32(&w, STUN_ATTR_CHANGE_REQUEST, a->change);
    if (a->response_port != 0) /* RFC 5780 7.5: a port and two bytes of nothing */
        stun_put_u32(&w, STUN_ATTR_RESPONSE_PORT, (uint32_t)a->response_port << 16);
    if (a->packet_size != 0)
        put_padding(&w, a);
    return stun_finish(&w, &len) == 0 ? len : 0;
}

static void read_error(struct ask_reply *r, const struct stun_msg *m)
{
    struct stun_attr a;
    struct slice reason;
    r->error = -1;
    if (stun_find(m, STUN_ATTR_ERROR_CODE, &a) && stun_attr_error(&a, &r->error, &reason) < 0)
        r->error = -1;
}

bool ask_read(struct ask_reply *r, const uint8_t txid[static STUN_TXID_LEN], const struct addr *from,
              const uint8_t *bytes, size_t len)
{
    struct stun_msg m;
    struct stun_attr a;
    struct ask_reply found = {.answered = true, .from = *from};
    uint16_t unknown[STUN_UNKNOWN_MAX];
    if (stun_parse(&m, bytes, len) < 0 || m.method != STUN_BINDING ||
        (m.cls != STUN_SUCCESS && m.cls != STUN_ERROR) || memcmp(m.txid, txid, STUN_TXID_LEN) != 0 ||
        stun_check_fingerprint(&m) == -EACCES || stun_unknown_attrs(&m, unknown) > 0)
        return false;
    if (m.cls == STUN_ERROR)
        read_error(&found, &m);
    else if (stun_mapped_address(&m, &found.mapped) < 0)
        return false;
    if (stun_find(&m, STUN_ATTR_OTHER_ADDRESS, &a) && stun_attr_addr(&a, &found.other) < 0)
        found.other = (struct addr){0};
    *r = found;
    return true;
}
