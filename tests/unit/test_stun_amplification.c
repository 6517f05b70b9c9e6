/* link: berth_core */
/* How much longer than its request an answer can be, over every form of request: docs/security.md states these factors. */
#include "check.h"

#include "core/stun_behaviour.h"

#include <stdio.h>
#include <string.h>

/* In hundredths of the request's bytes. An answer also never has more than one datagram. */
enum { PLAIN_V4 = 160, PLAIN_V6 = 220, BEHAVIOUR_V4 = 280, BEHAVIOUR_V6 = 460 };
enum { UNKNOWN_MOST = 12, PADS = 4, FLAGS = 1 << 7 };
enum flag {
    SOFTWARE = 1,
    USERNAME = 2,
    INTEGRITY = 4,
    FINGERPRINT = 8,
    CHANGE = 16,
    RESPONSE_PORT = 32,
    OPTIONAL = 64,
};

static const uint8_t txid[STUN_TXID_LEN] = {1, 2, 3};
static const struct addr v4 = {.family = ADDR_V4, .port = 5, .ip = {192, 0, 2, 1}};
static const struct addr v6 = {.family = ADDR_V6, .port = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};

/* One form: flags, so many unknown attributes without a value, so many bytes of PADDING, and what CHANGE-REQUEST asks. */
static size_t write_request(uint8_t *buf, size_t cap, unsigned flags, size_t unknown, size_t padding,
                            uint32_t change)
{
    static const uint8_t zeros[512];
    struct stun_writer b;
    size_t len;
    stun_begin(&b, buf, cap, STUN_REQUEST, STUN_BINDING, txid);
    for (size_t i = 0; i < unknown; i++)
        stun_put(&b, (uint16_t)(0x7F00 + i), "", 0);
    if (padding > 0)
        stun_put(&b, STUN_ATTR_PADDING, zeros, padding);
    if (flags & CHANGE)
        stun_put_u32(&b, STUN_ATTR_CHANGE_REQUEST, change);
    if (flags & RESPONSE_PORT)
        stun_put_u32(&b, STUN_ATTR_RESPONSE_PORT, 9 << 16);
    if (flags & OPTIONAL)
        stun_put(&b, 0xFF00, "", 0);
    if (flags & SOFTWARE)
        stun_put(&b, STUN_ATTR_SOFTWARE, "x", 1);
    if (flags & USERNAME)
        stun_put(&b, STUN_ATTR_USERNAME, "u", 1);
    if (flags & INTEGRITY)
        stun_put_integrity_sha1(&b, "k", 1);
    if (flags & FINGERPRINT)
        stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &len), 0);
    return len;
}

static struct stun_behaviour behaviour_of(const struct addr *source, bool response_port)
{
    struct stun_behaviour b = {.response_port = response_port};
    for (size_t i = 0; i < 4; i++) {
        b.at[i / 2][i % 2] = *source;
        b.at[i / 2][i % 2].port = (uint16_t)(3478 + i % 2);
        b.at[i / 2][i % 2].ip[3] = (uint8_t)(9 + i / 2);
    }
    return b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The longest answer that this request gets in hundredths of it; `behaviour`: of a node that has two addresses. */
static size_t gain(const uint8_t *req, size_t len, const struct addr *source, bool behaviour)
{
    static const struct stun_binding_opts plain = {.software = NULL};
    uint8_t out[STUN_MESSAGE_MAX];
    if (!behaviour)
        return stun_binding_answer(req, len, source, &plain, out, sizeof out) * 100 / len;
    size_t n = 0;
    for (unsigned i = 0; i < 8; i++) {
        const struct stun_behaviour b = behaviour_of(source, i & 1);
        const struct stun_place asked = {i >> 1 & 1, i >> 2 & 1};
        n = most(n, stun_behaviour_answer(&b, asked, req, len, source, out, sizeof out).len);
    }
    return n * 100 / len;
}

static size_t gain_of_all(const struct addr *source, bool behaviour)
{
    static const size_t padding[PADS] = {0, 1, 4, 400};
    uint8_t req[STUN_MESSAGE_MAX];
    size_t found = 0;
    for (unsigned flags = 0; flags < FLAGS; flags++)
        for (size_t unknown = 0; unknown <= UNKNOWN_MOST; unknown++)
            for (size_t pad = 0; pad < PADS; pad++)
                for (uint32_t change = 0; change <= (flags & CHANGE ? 6 : 0); change += 2) {
                    size_t len = write_request(req, sizeof req, flags, unknown, padding[pad], change);
                    found = most(found, gain(req, len, source, behaviour));
                }
    return found;
}

static void an_answer_is_no_longer_than_stated(void **state)
{
    assert_int_equal(gain_of_all(&v4, false), PLAIN_V4);
    assert_int_equal(gain_of_all(&v6, false), PLAIN_V6);
}

static void nor_is_one_of_behaviour_discovery(void **state)
{
    assert_int_equal(gain_of_all(&v4, true), BEHAVIOUR_V4);
    assert_int_equal(gain_of_all(&v6, true), BEHAVIOUR_V6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_no_longer_than_stated),
        cmocka_unit_test(nor_is_one_of_behaviour_discovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
