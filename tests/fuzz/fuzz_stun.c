/* STUN: whatever parses can be gone through, checked, and answered; an answer is itself a right message. */
#include "core/stun_behaviour.h"
#include "fuzz.h"

#include <errno.h>

/* Hundredths of a request's bytes: what docs/security.md states. */
enum { PLAIN_V4 = 160, PLAIN_V6 = 220, BEHAVIOUR_V4 = 280, BEHAVIOUR_V6 = 460 };

static bool within(size_t answer, size_t request, const struct addr *source, size_t of_v4, size_t of_v6)
{
    return answer * 100 <= request * (source->family == ADDR_V4 ? of_v4 : of_v6);
}

static void read_values(const struct stun_msg *m)
{
    struct stun_attr_iter it = stun_attrs(m);
    struct stun_attr a;
    while (stun_attr_next(&it, &a)) {
        struct addr addr;
        struct slice reason;
        int code;
        FUZZ_CHECK(a.offset + 4 + a.len <= m->len);
        if (stun_attr_error(&a, &code, &reason) == 0)
            FUZZ_CHECK(code >= 300 && code <= 699 && reason.len <= a.len);
        if (stun_attr_addr(&a, &addr) == 0)
            FUZZ_CHECK(addr_is_set(&addr));
        if (stun_attr_xor_addr(m, &a, &addr) == 0)
            FUZZ_CHECK(addr_is_set(&addr));
    }
    FUZZ_CHECK(!it.rd.bad);
}

static void check_answer(const uint8_t *request, size_t len, const struct addr *source)
{
    static const struct stun_binding_opts plain = {0};
    uint8_t out[STUN_BINDING_ANSWER_MAX];
    struct stun_msg m;
    struct addr mapped;
    size_t n = stun_binding_answer(request, len, source, &plain, out, sizeof out);
    if (n == 0)
        return;
    FUZZ_CHECK(within(n, len, source, PLAIN_V4, PLAIN_V6));
    FUZZ_CHECK(stun_parse(&m, out, n) == 0);
    FUZZ_CHECK(memcmp(m.txid, request + 8, STUN_TXID_LEN) == 0);
    FUZZ_CHECK(m.cls == STUN_SUCCESS || m.cls == STUN_ERROR);
    if (m.cls == STUN_SUCCESS)
        FUZZ_CHECK(stun_mapped_address(&m, &mapped) == 0 && addr_eq(&mapped, source));
    FUZZ_CHECK(stun_check_fingerprint(&m) != -EACCES);
    FUZZ_CHECK(stun_binding_answer(out, n, source, &plain, out, sizeof out) ==
               0); /* no answer to an answer */
}

static void check_behaviour(const uint8_t *request, size_t len, const struct addr *source)
{
    const struct stun_behaviour b = {
        .at = {{{.family = source->family, .port = 1}, {.family = source->family, .port = 2}},
               {{.family = source->family, .port = 1}, {.family = source->family, .port = 2}}},
        .response_port = len % 2,
    };
    uint8_t out[STUN_MESSAGE_MAX];
    struct stun_msg m;
    struct stun_behaviour_answer a =
        stun_behaviour_answer(&b, (struct stun_place){1, 0}, request, len, source, out, sizeof out);
    FUZZ_CHECK(addr_ip_eq(&a.to, source) && a.from.ip <= 1 && a.from.port <= 1);
    FUZZ_CHECK(a.len <= STUN_BINDING_ANSWER_MAX || a.len <= len);
    FUZZ_CHECK(within(a.len, len, source, BEHAVIOUR_V4, BEHAVIOUR_V6));
    if (a.len == 0)
        return;
    FUZZ_CHECK(stun_parse(&m, out, a.len) == 0);
    FUZZ_CHECK(m.cls == STUN_SUCCESS || (a.from.ip == 1 && a.from.port == 0 && a.to.port == source->port));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct addr v4 = {.family = ADDR_V4, .port = 5, .ip = {192, 0, 2, 1}};
    static const struct addr v6 = {.family = ADDR_V6, .port = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    struct stun_msg m;
    struct addr mapped;
    uint16_t unknown[STUN_UNKNOWN_MAX];
    check_answer(data, size, &v4);
    check_answer(data, size, &v6);
    check_behaviour(data, size, &v4);
    check_behaviour(data, size, &v6);
    if (stun_parse(&m, data, size) < 0)
        return 0;
    FUZZ_CHECK(stun_looks_like(data, size) == (data[0] <= 3));
    read_values(&m);
    FUZZ_CHECK(stun_unknown_attrs(&m, unknown) <= STUN_UNKNOWN_MAX);
    FUZZ_CHECK(stun_check_integrity_sha1(&m, "k", 1) <= 0);
    FUZZ_CHECK(stun_check_integrity_sha256(&m, "k", 1) <= 0);
    FUZZ_CHECK(stun_check_fingerprint(&m) <= 0);
    FUZZ_CHECK(stun_mapped_address(&m, &mapped) <= 0);
    return 0;
}
