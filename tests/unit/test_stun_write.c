/* link: berth_core */
/* The writer: lengths right after every attribute, padding, and buffers that are too small by every amount. */
#include "check.h"

#include "core/stun.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void test_every_value_length_is_padded(void **state)
{
    for (size_t n = 0; n < 64; n++) {
        uint8_t buf[128], value[64];
        struct stun_writer b;
        struct stun_msg m;
        struct stun_attr a;
        size_t len;
        memset(value, 0xEE, sizeof value);
        memset(buf, 0xFF, sizeof buf);
        stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
        stun_put(&b, STUN_ATTR_USERNAME, value, n);
        assert_int_equal(stun_finish(&b, &len), 0);
        assert_int_equal(len, STUN_HEADER_LEN + 4 + (n + 3) / 4 * 4);
        assert_int_equal(stun_parse(&m, buf, len), 0);
        assert_true(stun_find(&m, STUN_ATTR_USERNAME, &a));
        assert_int_equal(a.len, n);
        assert_memory_equal(a.value, value, n);
        for (size_t i = STUN_HEADER_LEN + 4 + n; i < len; i++)
            assert_int_equal(buf[i], 0);
    }
}

static size_t write_everything(uint8_t *buf, size_t cap, int *answer)
{
    static const uint16_t unknown[] = {0x7FFF, 0x7FFE, 0x7FFD};
    struct stun_writer b;
    struct addr v4, v6;
    size_t len = 0;
    assert_int_equal(addr_parse(&v4, "1.2.3.4:5"), 0);
    assert_int_equal(addr_parse(&v6, "[2001:db8::1]:5"), 0);
    stun_begin(&b, buf, cap, STUN_ERROR, STUN_BINDING, txid);
    stun_put_error(&b, 420, "Unknown Attribute");
    stun_put_unknown(&b, unknown, 3);
    stun_put_addr(&b, STUN_ATTR_ALTERNATE_SERVER, &v4);
    stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &v6);
    stun_put_u32(&b, STUN_ATTR_PRIORITY, 1);
    stun_put_integrity_sha1(&b, "key", 3);
    stun_put_integrity_sha256(&b, "key", 3);
    stun_put_fingerprint(&b);
    *answer = stun_finish(&b, &len);
    return len;
}

static void test_every_buffer_that_is_too_small(void **state)
{
    uint8_t whole[512];
    int answer;
    size_t len = write_everything(whole, sizeof whole, &answer);
    assert_int_equal(answer, 0);
    for (size_t cap = 0; cap <= len; cap++) {
        uint8_t *buf = malloc(cap ? cap : 1);
        assert_non_null(buf);
        size_t got = write_everything(buf, cap, &answer);
        assert_int_equal(answer, cap < len ? -ENOBUFS : 0);
        if (cap == len) {
            assert_int_equal(got, len);
            assert_memory_equal(buf, whole, len);
        }
        free(buf);
    }
}

static void test_length_is_right_after_every_attribute(void **state)
{
    uint8_t buf[256];
    struct stun_writer b;
    struct stun_msg m;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    for (size_t n = 0; n < 10; n++) {
        assert_int_equal(stun_parse(&m, buf, wire_wr_len(&b.w)), 0);
        stun_put(&b, STUN_ATTR_SOFTWARE, "0123456789", n);
    }
}

static void test_what_cannot_be_written(void **state)
{
    uint8_t buf[256];
    struct stun_writer b;
    struct addr none = {0};
    size_t len = 99;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &none);
    assert_int_equal(stun_finish(&b, &len), -ENOBUFS);
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_SOFTWARE, buf, 65536);
    assert_int_equal(stun_finish(&b, &len), -ENOBUFS);
    assert_int_equal(len, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_length_is_padded),
        cmocka_unit_test(test_every_buffer_that_is_too_small),
        cmocka_unit_test(test_length_is_right_after_every_attribute),
        cmocka_unit_test(test_what_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
