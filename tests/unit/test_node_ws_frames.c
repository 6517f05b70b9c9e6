/* link: berth_node_lib */
#include "node/ws_frames.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

/* The first event of these bytes, whole and byte by byte: the same. */
static struct ws_read first(const void *bytes, size_t len)
{
    struct ws_read whole, piece = {.event = WS_MORE};
    struct ws_frames *a = ws_frames_new(), *b = ws_frames_new();
    assert_non_null(a);
    assert_non_null(b);
    whole = ws_frames_read(a, bytes, len);
    for (size_t i = 0; i < len && piece.event == WS_MORE; i++) {
        uint8_t *one = malloc(1); /* the sanitizer sees a read past it */
        assert_non_null(one);
        *one = ((const uint8_t *)bytes)[i];
        piece = ws_frames_read(b, one, 1);
        assert_int_equal(piece.used, 1);
        free(one);
    }
    assert_int_equal(whole.event, piece.event);
    assert_int_equal(whole.code, piece.code);
    whole.data.p = NULL; /* it was of `a` */
    ws_frames_destroy(a);
    ws_frames_destroy(b);
    return whole;
}

static void assert_broken(const char *bytes, size_t len, uint16_t code)
{
    struct ws_read r = first(bytes, len);
    assert_int_equal(r.event, WS_BROKEN);
    assert_int_equal(r.code, code);
}
#define BROKEN(bytes, code) assert_broken(bytes, sizeof(bytes) - 1, code)

static void test_rules(void **state)
{
    BROKEN("\x82\x01x", WS_PROTOCOL_ERROR);                              /* not masked */
    BROKEN("\xC2\x81mask.", WS_PROTOCOL_ERROR);                          /* RSV1 */
    BROKEN("\x92\x81mask.", WS_PROTOCOL_ERROR);                          /* RSV3 */
    BROKEN("\x83\x81mask.", WS_PROTOCOL_ERROR);                          /* opcode 3 */
    BROKEN("\x8B\x81mask.", WS_PROTOCOL_ERROR);                          /* opcode 11 */
    BROKEN("\x80\x81mask.", WS_PROTOCOL_ERROR);                          /* continues nothing */
    BROKEN("\x02\x80mask\x82\x80mask", WS_PROTOCOL_ERROR);               /* begins within a message */
    BROKEN("\x09\x81mask.", WS_PROTOCOL_ERROR);                          /* a ping in fragments */
    BROKEN("\x89\xFE\x00\x7Emask.", WS_PROTOCOL_ERROR);                  /* a ping of 126 bytes */
    BROKEN("\x82\xFE\x00\x7Dmask.", WS_PROTOCOL_ERROR);                  /* 125 in two bytes */
    BROKEN("\x82\xFF\0\0\0\0\0\0\xFF\xFFmask.", WS_PROTOCOL_ERROR);      /* 65535 in eight */
    BROKEN("\x82\xFF\x80\0\0\0\0\0\0\0mask.", WS_PROTOCOL_ERROR);        /* more than 2^63 */
    BROKEN("\x81\x81mask.", WS_UNSUPPORTED_DATA);                        /* text */
    BROKEN("\x82\xFF\0\0\0\0\0\1\0\1mask.", WS_TOO_BIG);                 /* 65537 */
    BROKEN("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFFmask.", WS_TOO_BIG); /* no sum overflows */
    assert_int_equal(first("\x82\xFF\0\0\0\0\0\1\0\0mask.", 15).event, WS_GOT_DATA);
}

static void test_once_broken_always_broken(void **state)
{
    struct ws_frames *f = ws_frames_new();
    assert_non_null(f);
    assert_int_equal(ws_frames_read(f, (const uint8_t *)"\x81\x81mask.", 7).event, WS_BROKEN);
    struct ws_read r = ws_frames_read(f, (const uint8_t *)"\x89\x80mask", 6);
    assert_int_equal(r.event, WS_BROKEN);
    assert_int_equal(r.code, WS_UNSUPPORTED_DATA);
    ws_frames_destroy(f);
}

static void test_close_codes(void **state)
{
    for (int code = 0; code < 65536; code++) {
        char bytes[] = "\x88\x82\0\0\0\0..";
        bytes[6] = (char)(code >> 8);
        bytes[7] = (char)code;
        bool may =
            (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
        struct ws_frames *f = ws_frames_new();
        assert_non_null(f);
        struct ws_read r = ws_frames_read(f, (const uint8_t *)bytes, 8);
        assert_int_equal(r.event, WS_GOT_CLOSE);
        assert_int_equal(r.code, may ? code : WS_PROTOCOL_ERROR);
        ws_frames_destroy(f);
    }
    assert_int_equal(first("\x88\x80mask", 6).code, WS_NO_CODE);
    assert_int_equal(first("\x88\x81mask.", 7).code, WS_PROTOCOL_ERROR);
}

static void test_writing(void **state)
{
    static const uint8_t payload[WS_WRITE_MAX + 1] = {1, 2, 3};
    uint8_t out[WS_WRITE_MAX + WS_HEADER_MAX];
    struct ws_frames *f = ws_frames_new();
    assert_non_null(f);
    static const size_t lengths[] = {0, 1, 125, 126, 127, 1000, WS_WRITE_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t len = lengths[i], head = len < 126 ? 2 : 4;
        assert_int_equal(ws_frames_write(f, WS_BINARY, payload, len, out, sizeof(out)), head + len);
        assert_int_equal(out[0], 0x82);
        assert_int_equal(out[1], len < 126 ? len : 126);
        assert_memory_equal(out + head, payload, len);
        for (size_t cap = 0; cap < head + len; cap += 1 + cap / 3)
            assert_int_equal(ws_frames_write(f, WS_BINARY, payload, len, out, cap), 0);
    }
    assert_int_equal(ws_frames_write(f, WS_BINARY, payload, sizeof(payload), out, sizeof(out)), 0);
    assert_int_equal(ws_frames_write(f, WS_PONG, "abc", 3, out, sizeof(out)), 5);
    assert_memory_equal(out,
                        "\x8A\x03"
                        "abc",
                        5);
    assert_int_equal(ws_frames_write_close(f, WS_TOO_BIG, out, sizeof(out)), 4);
    assert_memory_equal(out, "\x88\x02\x03\xF1", 4);
    assert_int_equal(ws_frames_write_close(f, WS_NO_CODE, out, sizeof(out)), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    ws_frames_destroy(f);
    ws_frames_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_once_broken_always_broken),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
