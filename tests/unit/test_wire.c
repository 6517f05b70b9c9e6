/* link: berth_core */
/* Wire cursors: every size, the sticky error, and patches that do not fit. */
#include "check.h"

#include "core/wire.h"

#include <string.h>

static void test_what_is_written_is_read(void **state)
{
    uint8_t buf[32];
    struct wire_wr w = wire_wr_init(buf, sizeof buf);
    wire_wr_u8(&w, 0x01);
    wire_wr_u16(&w, 0x0203);
    wire_wr_u32(&w, 0x04050607);
    wire_wr_u64(&w, 0x08090A0B0C0D0E0FULL);
    wire_wr_bytes(&w, "\x10\x11", 2);
    wire_wr_zero(&w, 3);
    assert_false(w.bad);
    assert_int_equal(wire_wr_len(&w), 20);
    for (uint8_t i = 0; i < 17; i++)
        assert_int_equal(buf[i], i + 1);
    struct wire_rd r = wire_rd_init(buf, 20);
    assert_int_equal(wire_rd_u8(&r), 0x01);
    assert_int_equal(wire_rd_u16(&r), 0x0203);
    assert_int_equal(wire_rd_u32(&r), 0x04050607);
    assert_true(wire_rd_u64(&r) == 0x08090A0B0C0D0E0FULL);
    assert_int_equal(wire_rd_left(&r), 5);
    assert_memory_equal(wire_rd_bytes(&r, 5).p, "\x10\x11\0\0", 5);
    assert_false(r.bad);
}

static void test_reading_past_the_end_sticks(void **state)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct wire_rd r = wire_rd_init(bytes, sizeof bytes);
    assert_int_equal(wire_rd_u16(&r), 0x0102);
    assert_int_equal(wire_rd_u16(&r), 0);
    assert_true(r.bad);
    assert_int_equal(wire_rd_u8(&r), 0); /* though one byte is left */
    assert_int_equal(wire_rd_bytes(&r, 0).len, 0);
    assert_int_equal(wire_rd_left(&r), 0);
    r = wire_rd_init(bytes, sizeof bytes);
    assert_int_equal(wire_rd_bytes(&r, SIZE_MAX).len, 0);
    assert_true(r.bad);
}

static void test_writing_past_the_end_sticks(void **state)
{
    uint8_t buf[4] = {0xEE, 0xEE, 0xEE, 0xEE};
    struct wire_wr w = wire_wr_init(buf, 3);
    wire_wr_u16(&w, 0x0102);
    wire_wr_u16(&w, 0x0304);
    assert_true(w.bad);
    wire_wr_u8(&w, 5);
    assert_int_equal(wire_wr_len(&w), 2);
    assert_memory_equal(buf, "\x01\x02\xEE\xEE", 4);
    w = wire_wr_init(buf, 3);
    wire_wr_zero(&w, SIZE_MAX);
    assert_true(w.bad);
    assert_int_equal(buf[0], 1);
}

static void test_patches(void **state)
{
    uint8_t buf[8] = {0};
    for (size_t written = 0; written <= 4; written++) {
        for (size_t at = 0; at < 6; at++) {
            struct wire_wr w = wire_wr_init(buf, sizeof buf);
            wire_wr_zero(&w, written);
            wire_wr_patch_u16(&w, at, 0xABCD);
            assert_int_equal(w.bad, at + 2 > written);
            if (!w.bad)
                assert_memory_equal(buf + at, "\xAB\xCD", 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_reading_past_the_end_sticks),
        cmocka_unit_test(test_writing_past_the_end_sticks),
        cmocka_unit_test(test_patches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
