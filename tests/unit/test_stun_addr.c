/* link: berth_core */
/* Address and error-code attributes: both families, plain and XORed, every wrong length, lying families. */
#include "check.h"

#include "core/stun.h"
#include "stun_vectors.h"

#include <errno.h>
#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = {VECTOR_TXID};

static void assert_mapped(const uint8_t *p, size_t len, const char *want)
{
    struct stun_msg m;
    struct addr a;
    char text[ADDR_TEXT_LEN];
    assert_int_equal(stun_parse(&m, p, len), 0);
    assert_int_equal(stun_mapped_address(&m, &a), 0);
    assert_string_equal(addr_format(&a, text), want);
}

static void test_vectors(void **state)
{
    assert_mapped(vector_response_v4, sizeof vector_response_v4, "192.0.2.1:32853");
    assert_mapped(vector_response_v6, sizeof vector_response_v6,
                  "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

static void test_xor_mapped_goes_before_mapped(void **state)
{
    uint8_t buf[128];
    struct stun_writer b;
    struct addr plain, xored;
    size_t len;
    assert_int_equal(addr_parse(&plain, "10.0.0.1:1"), 0);
    assert_int_equal(addr_parse(&xored, "[::1]:65535"), 0);
    stun_begin(&b, buf, sizeof buf, STUN_SUCCESS, STUN_BINDING, txid);
    stun_put_addr(&b, STUN_ATTR_MAPPED_ADDRESS, &plain);
    assert_int_equal(stun_finish(&b, &len), 0);
    assert_mapped(buf, len, "10.0.0.1:1");
    stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &xored);
    assert_int_equal(stun_finish(&b, &len), 0);
    assert_mapped(buf, len, "[::1]:65535");
}

static void test_no_address(void **state)
{
    struct stun_msg m;
    struct addr a;
    assert_int_equal(stun_parse(&m, vector_request, sizeof vector_request), 0);
    assert_int_equal(stun_mapped_address(&m, &a), -ENOENT);
}

static void test_every_length_and_family(void **state)
{
    uint8_t value[32] = {0};
    for (unsigned family = 0; family < 256; family++) {
        for (size_t len = 0; len <= sizeof value; len++) {
            value[1] = (uint8_t)family;
            struct stun_attr attr = {.value = value, .len = len};
            struct addr a = {.port = 7};
            bool right = (family == 1 && len == 8) || (family == 2 && len == 20);
            assert_int_equal(stun_attr_addr(&attr, &a), right ? 0 : -EBADMSG);
            if (!right)
                assert_int_equal(a.port, 7);
        }
    }
}

static void test_error_codes(void **state)
{
    for (int code = 0; code < 1000; code++) {
        uint8_t buf[64];
        struct stun_writer b;
        struct stun_msg m;
        struct stun_attr attr;
        struct slice reason;
        size_t len;
        int got;
        stun_begin(&b, buf, sizeof buf, STUN_ERROR, STUN_BINDING, txid);
        stun_put_error(&b, code, code % 2 ? "because" : NULL);
        if (code < 300 || code > 699) {
            assert_int_equal(stun_finish(&b, &len), -ENOBUFS);
            continue;
        }
        assert_int_equal(stun_finish(&b, &len), 0);
        assert_int_equal(stun_parse(&m, buf, len), 0);
        assert_true(stun_find(&m, STUN_ATTR_ERROR_CODE, &attr));
        assert_int_equal(stun_attr_error(&attr, &got, &reason), 0);
        assert_int_equal(got, code);
        assert_int_equal(reason.len, code % 2 ? 7 : 0);
        assert_memory_equal(reason.p, "because", reason.len);
    }
}

static void test_broken_error_codes(void **state)
{
    static const struct {
        uint8_t bytes[4];
        size_t len;
        int answer;
    } cases[] = {
        {{0, 0, 4, 0}, 4, 0},        {{0, 0, 4, 99}, 4, 0},          {{0, 0, 4, 100}, 4, -EBADMSG},
        {{0, 0, 2, 0}, 4, -EBADMSG}, {{0, 0, 7, 0}, 4, -EBADMSG},    {{0, 0, 4, 0}, 3, -EBADMSG},
        {{0, 0, 4, 0}, 0, -EBADMSG}, {{0xFF, 0xFF, 0xFC, 20}, 4, 0}, /* reserved bits are ignored */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stun_attr attr = {.value = cases[i].bytes, .len = cases[i].len};
        struct slice reason;
        int code = 0;
        assert_int_equal(stun_attr_error(&attr, &code, &reason), cases[i].answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),     cmocka_unit_test(test_xor_mapped_goes_before_mapped),
        cmocka_unit_test(test_no_address),  cmocka_unit_test(test_every_length_and_family),
        cmocka_unit_test(test_error_codes), cmocka_unit_test(test_broken_error_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
