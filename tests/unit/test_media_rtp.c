/* link: berth_media */
/* RTP: what is whole is read, every length that lies is refused, extensions never reach past theirs. */
#include "check.h"

#include "media/rtp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Parses in memory of exactly that size, so that the sanitizer sees a read past it. */
static int parse(struct rtp *r, const uint8_t *p, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, p, len);
    int err = rtp_parse(r, exact, len);
    free(exact);
    return err;
}

static void test_kinds(void **state)
{
    static const struct {
        uint8_t bytes[2];
        enum packet_kind kind;
    } rows[] = {
        {{0, 1}, PACKET_STUN},     {{3, 0}, PACKET_STUN},     {{4, 0}, PACKET_OTHER},
        {{20, 0}, PACKET_OTHER},   {{63, 0}, PACKET_OTHER},   {{64, 0}, PACKET_OTHER},
        {{127, 0}, PACKET_OTHER},  {{128, 0}, PACKET_RTP},    {{191, 0}, PACKET_RTP},
        {{192, 0}, PACKET_OTHER},  {{128, 111}, PACKET_RTP},  {{128, 191}, PACKET_RTP},
        {{128, 192}, PACKET_RTCP}, {{128, 200}, PACKET_RTCP}, {{129, 206}, PACKET_RTCP},
        {{128, 223}, PACKET_RTCP}, {{128, 224}, PACKET_RTP},  {{128, 255}, PACKET_RTP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(packet_kind(rows[i].bytes, 2), rows[i].kind);
    assert_int_equal(packet_kind((const uint8_t[]){128}, 1), PACKET_OTHER);
    assert_int_equal(packet_kind(NULL, 0), PACKET_OTHER);
}

static void test_what_is_written_is_read(void **state)
{
    const struct rtp w = {
        .payload_type = 111, .marker = true, .sequence = 65535, .timestamp = 0xFFFFFFFE, .ssrc = 0x89ABCDEF};
    uint8_t packet[RTP_HEADER_LEN + 8 + 3] = {0};
    struct rtp r;
    bool voice = false;
    rtp_write(packet, &w);
    assert_int_equal(parse(&r, packet, RTP_HEADER_LEN), 0);
    assert_int_equal(r.payload_type, 111);
    assert_true(r.marker);
    assert_int_equal(r.sequence, 65535);
    assert_int_equal(r.timestamp, 0xFFFFFFFE);
    assert_int_equal(r.ssrc, 0x89ABCDEF);
    assert_int_equal(r.header_len, RTP_HEADER_LEN);
    assert_int_equal(r.payload_len, 0);
    assert_int_equal(r.ext_len, 0);
    assert_int_equal(rtp_audio_level(&r, packet, 1, &voice), -1);

    assert_int_equal(rtp_write_level(packet, &w, 14, true, 30), RTP_HEADER_LEN + 8);
    assert_int_equal(parse(&r, packet, sizeof packet), 0);
    assert_int_equal(r.header_len, RTP_HEADER_LEN + 8);
    assert_int_equal(r.payload_len, 3);
    assert_int_equal(rtp_audio_level(&r, packet, 14, &voice), 30);
    assert_true(voice);
    assert_int_equal(rtp_audio_level(&r, packet, 13, &voice), -1);

    rtp_set_sequence(packet, 0x1234);
    assert_int_equal(parse(&r, packet, sizeof packet), 0);
    assert_int_equal(r.sequence, 0x1234);
    assert_int_equal(r.ssrc, 0x89ABCDEF);
}

static void test_every_prefix_of_a_full_header(void **state)
{
    /* Two CSRCs, an extension of two words, three bytes of payload, two of padding. */
    uint8_t p[12 + 8 + 4 + 8 + 3 + 2] = {0xB2, 0x60, 0, 1};
    struct rtp r;
    p[20] = 0xBE, p[21] = 0xDE, p[23] = 2;
    p[sizeof p - 1] = 2;
    for (size_t len = 0; len < 32; len++)
        assert_int_equal(parse(&r, p, len), -EBADMSG);
    assert_int_equal(parse(&r, p, 32), -EBADMSG); /* padded, and no payload */
    assert_int_equal(parse(&r, p, sizeof p), 0);
    assert_int_equal(r.header_len, 32);
    assert_int_equal(r.payload_len, 3);
    assert_int_equal(r.ext_profile, 0xBEDE);
    assert_int_equal(r.ext_offset, 24);
    assert_int_equal(r.ext_len, 8);
}

static void test_versions(void **state)
{
    uint8_t p[12] = {0};
    struct rtp r;
    for (unsigned version = 0; version < 4; version++) {
        p[0] = (uint8_t)(version << 6);
        assert_int_equal(parse(&r, p, sizeof p), version == 2 ? 0 : -EBADMSG);
    }
}

static void test_csrc_counts(void **state)
{
    uint8_t p[12 + 60] = {0};
    struct rtp r;
    for (unsigned n = 0; n <= 15; n++) {
        p[0] = (uint8_t)(0x80 | n);
        if (n > 0)
            assert_int_equal(parse(&r, p, 12 + 4 * n - 1), -EBADMSG);
        assert_int_equal(parse(&r, p, 12 + 4 * n), 0);
        assert_int_equal(r.header_len, 12 + 4 * n);
        assert_int_equal(r.payload_len, 0);
    }
}

static void test_padding_that_lies(void **state)
{
    uint8_t p[12 + 10] = {0xA0};
    struct rtp r;
    for (unsigned padding = 0; padding <= 255; padding++) {
        p[sizeof p - 1] = (uint8_t)padding;
        bool right = padding >= 1 && padding <= 10;
        assert_int_equal(parse(&r, p, sizeof p), right ? 0 : -EBADMSG);
        if (right)
            assert_int_equal(r.payload_len, 10 - padding);
        assert_int_equal(rtp_parse_protected(&r, p, sizeof p), 0); /* encrypted: it can't be told */
        assert_int_equal(r.payload_len, 10);
    }
}

static void test_extension_lengths_that_overrun(void **state)
{
    uint8_t p[12 + 4 + 8] = {0x90};
    struct rtp r;
    p[12] = 0xBE, p[13] = 0xDE;
    for (unsigned words = 0; words <= 0xFFFF; words++) {
        p[14] = (uint8_t)(words >> 8);
        p[15] = (uint8_t)words;
        assert_int_equal(rtp_parse(&r, p, sizeof p), words <= 2 ? 0 : -EBADMSG);
        if (words <= 2)
            assert_int_equal(r.ext_len, 4 * words);
    }
    assert_int_equal(parse(&r, p, 15), -EBADMSG);
}

/* A packet with these extension bytes, which are a multiple of 4. */
static const uint8_t *with_extension(struct rtp *r, uint8_t *packet, unsigned profile, const char *bytes,
                                     size_t len)
{
    memset(packet, 0, RTP_HEADER_LEN);
    packet[0] = 0x90;
    packet[12] = (uint8_t)(profile >> 8), packet[13] = (uint8_t)profile;
    packet[14] = 0, packet[15] = (uint8_t)(len / 4);
    memcpy(packet + 16, bytes, len);
    assert_int_equal(rtp_parse(r, packet, 16 + len), 0);
    return packet;
}

static void test_extension_elements(void **state)
{
    static const struct {
        const char *what;
        unsigned profile;
        char bytes[12];
        size_t len;
        uint8_t id;
        int at; /* offset of the value, -1: none */
        size_t value_len;
    } rows[] = {
        {"the first", 0xBEDE, "\x10\xAA\x21\xBB\xCC\0\0", 8, 1, 1, 1},
        {"the second", 0xBEDE, "\x10\xAA\x21\xBB\xCC\0\0", 8, 2, 3, 2},
        {"none", 0xBEDE, "\x10\xAA\x21\xBB\xCC\0\0", 8, 3, -1, 0},
        {"behind padding", 0xBEDE, "\x10\xAA\0\0\x30\xDD\0", 8, 3, 5, 1},
        {"ends with the extension", 0xBEDE, "\x12\xAA\xBB\xCC", 4, 1, 1, 3},
        {"overruns by one", 0xBEDE, "\x13\xAA\xBB\xCC", 4, 1, -1, 0},
        {"behind one that overruns", 0xBEDE, "\x1F\x20\xBB\xCC", 4, 2, -1, 0},
        {"behind 15", 0xBEDE, "\xF0\xAA\x10\xCC", 4, 1, -1, 0},
        {"15 itself", 0xBEDE, "\xF0\xAA\x10\xCC", 4, 15, -1, 0},
        {"behind a zero that has a length", 0xBEDE, "\x01\xAA\x10\xCC", 4, 1, -1, 0},
        {"zero", 0xBEDE, "\0\0\0", 4, 0, -1, 0},
        {"two bytes", 0x1000, "\x01\x02\xAA\xBB", 4, 1, 2, 2},
        {"two bytes, of any application", 0x100F, "\x01\x02\xAA\xBB", 4, 1, 2, 2},
        {"two bytes, empty", 0x1000, "\x07\0\x01\x01\xAA\0\0", 8, 7, 2, 0},
        {"two bytes, behind an empty one", 0x1000, "\x07\0\x01\x01\xAA\0\0", 8, 1, 4, 1},
        {"two bytes, behind padding", 0x1000, "\0\x05\x01\xAA", 4, 5, 3, 1},
        {"two bytes, 15 is one like others", 0x1000, "\x0F\x01\xAA\0", 4, 15, 2, 1},
        {"two bytes, overruns", 0x1000, "\x01\x03\xAA\xBB", 4, 1, -1, 0},
        {"two bytes, no length", 0x1000, "\0\0\0\x09", 4, 9, -1, 0},
        {"another profile", 0x1010, "\x01\x02\xAA\xBB", 4, 1, -1, 0},
        {"another profile", 0xABAC, "\x10\xAA\0", 4, 1, -1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t packet[64];
        struct rtp r;
        size_t len = 0;
        with_extension(&r, packet, rows[i].profile, rows[i].bytes, rows[i].len);
        const uint8_t *value = rtp_extension(&r, packet, rows[i].id, &len);
        if ((value ? value - packet - 16 : -1) != rows[i].at || len != rows[i].value_len)
            fail_msg("%s: found at %td with %zu bytes", rows[i].what, value ? value - packet - 16 : -1, len);
    }
}

static void test_audio_levels(void **state)
{
    uint8_t packet[64];
    struct rtp r;
    bool voice = true;
    with_extension(&r, packet, 0xBEDE, "\x10\x7F\0", 4);
    assert_int_equal(rtp_audio_level(&r, packet, 1, &voice), RTP_AUDIO_LEVEL_SILENT);
    assert_false(voice);
    with_extension(&r, packet, 0x1000, "\x05\x01\x80", 4);
    assert_int_equal(rtp_audio_level(&r, packet, 5, &voice), 0);
    assert_true(voice);
    with_extension(&r, packet, 0x1000, "\x05\0\0", 4);
    assert_int_equal(rtp_audio_level(&r, packet, 5, &voice), -1); /* it has no byte */
}

static void test_order_of_sequences(void **state)
{
    assert_int_equal(rtp_sequence_distance(0, 65535), 1);
    assert_int_equal(rtp_sequence_distance(65535, 0), -1);
    assert_int_equal(rtp_sequence_distance(5, 5), 0);
    assert_int_equal(rtp_sequence_distance(32767, 0), 32767);
    assert_int_equal(rtp_sequence_distance(32768, 0), -32768);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_every_prefix_of_a_full_header),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_csrc_counts),
        cmocka_unit_test(test_padding_that_lies),
        cmocka_unit_test(test_extension_lengths_that_overrun),
        cmocka_unit_test(test_extension_elements),
        cmocka_unit_test(test_audio_levels),
        cmocka_unit_test(test_order_of_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
