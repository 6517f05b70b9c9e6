/* What RFC 5780 asks of a server. Invariant: an answer goes to the IP that asked and is no longer than its request, but for
 * the few addresses that it must name. */
#include "core/stun_behaviour.h"

enum { CHANGE_REQUEST_LEN = 4, RESPONSE_PORT_MIN = 2, RESPONSE_PORT_MAX = 4 };

/* What the request wants beyond a Binding. */
struct wishes {
    uint8_t change_ip, change_port; /* 0 or 1 */
    uint16_t to_port;               /* 0: the source's */
    bool padded, wrong;
};

static struct wishes read_wishes(const struct stun_msg *m, bool response_port)
{
    struct wishes w = {0};
    struct stun_attr a;
    if (stun_find(m, STUN_ATTR_CHANGE_REQUEST, &a)) {
        struct wire_rd rd = wire_rd_init(a.value, a.len);
        uint32_t flags = wire_rd_u32(&rd);
        w.wrong = a.len != CHANGE_REQUEST_LEN;
        w.change_ip = (flags & STUN_CHANGE_IP) != 0;
        w.change_port = (flags & STUN_CHANGE_PORT) != 0;
    }
    w.padded = stun_find(m, STUN_ATTR_PADDING, &a);
    if (response_port && stun_find(m, STUN_ATTR_RESPONSE_PORT, &a)) {
        struct wire_rd rd = wire_rd_init(a.value, a.len);
        w.to_port = wire_rd_u16(&rd);
        if (a.len < RESPONSE_PORT_MIN || a.len > RESPONSE_PORT_MAX || w.to_port == 0 || w.padded)
            w.wrong = true;
    }
    return w;
}

static bool is_success(const uint8_t *message)
{
    return message[0] == 0x01 && message[1] == 0x01; /* a Binding success response, RFC 8489 18.2 */
}

struct stun_behaviour_answer stun_behaviour_answer(const struct stun_behaviour *b, struct stun_place asked,
                                                   const uint8_t *req, size_t len, const struct addr *source,
                                                   uint8_t *out, size_t cap)
{
    struct stun_behaviour_answer answer = {.from = asked, .to = *source};
    struct wishes w = {0};
    struct stun_msg m;
    if (len > STUN_HEADER_LEN) {
        if (stun_parse(&m, req, len) < 0)
            return answer;
        w = read_wishes(&m, b->response_port);
    }
    const struct stun_place from = {asked.ip ^ w.change_ip, asked.port ^ w.change_port};
    const struct stun_binding_opts opts = {
        .change_request = true,
        .response_port = b->response_port,
        .origin = &b->at[from.ip][from.port],
        .other = &b->at[asked.ip ^ 1][asked.port ^ 1],
        .pad_to = w.padded ? len : 0,
        .refuse = w.wrong,
    };
    answer.len = stun_binding_answer(req, len, source, &opts, out, cap);
    if (answer.len == 0 || !is_success(out))
        return answer;
    answer.from = from;
    if (w.to_port != 0)
        answer.to.port = w.to_port;
    return answer;
}
