/* link: berth_core */
/* Stream framing: decided by the first message byte by byte, kept afterwards, and broken streams told early. */
#include "check.h"

#include "core/frame.h"
#include "core/stun.h"
#include "stun_vectors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Feeds ever longer prefixes, each in memory of exactly its size, until the first answer that isn't "more". */
static ssize_t feed(enum frame_mode *mode, const uint8_t *p, size_t len, size_t *at)
{
    for (size_t n = 0; n <= len; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        struct slice payload = {0};
        assert_non_null(copy);
        memcpy(copy, p, n);
        ssize_t answer = frame_next(mode, copy, n, &payload);
        if (answer > 0)
            assert_true(payload.p >= copy && payload.p + payload.len == copy + answer);
        free(copy);
        if (answer != 0) {
            *at = n;
            return answer;
        }
    }
    return 0;
}

static size_t framed(const uint8_t *p, size_t len, uint8_t *out)
{
    size_t n = frame_header(FRAME_RFC4571, len, out);
    memcpy(out + n, p, len);
    return n + len;
}

static void test_plain_stun_byte_by_byte(void **state)
{
    enum frame_mode mode = FRAME_UNDECIDED;
    size_t at = 0;
    assert_int_equal(feed(&mode, vector_request, sizeof vector_request, &at), sizeof vector_request);
    assert_int_equal(at, sizeof vector_request);
    assert_int_equal(mode, FRAME_STUN);
}

static void test_rfc4571_byte_by_byte(void **state)
{
    uint8_t buf[256];
    enum frame_mode mode = FRAME_UNDECIDED;
    size_t at = 0, len = framed(vector_request, sizeof vector_request, buf);
    assert_int_equal(len, sizeof vector_request + 2);
    assert_int_equal(feed(&mode, buf, len, &at), len);
    assert_int_equal(at, len);
    assert_int_equal(mode, FRAME_RFC4571);
}

static void test_decided_at_the_cookie(void **state)
{
    uint8_t buf[256];
    struct slice payload;
    enum frame_mode mode = FRAME_UNDECIDED;
    assert_int_equal(frame_next(&mode, vector_request, 7, &payload), 0);
    assert_int_equal(mode, FRAME_UNDECIDED);
    assert_int_equal(frame_next(&mode, vector_request, 8, &payload), 0);
    assert_int_equal(mode, FRAME_STUN);
    mode = FRAME_UNDECIDED;
    framed(vector_request, sizeof vector_request, buf);
    assert_int_equal(frame_next(&mode, buf, 9, &payload), 0);
    assert_int_equal(mode, FRAME_UNDECIDED);
    assert_int_equal(frame_next(&mode, buf, 10, &payload), 0);
    assert_int_equal(mode, FRAME_RFC4571);
}

static void test_many_frames_in_one_buffer(void **state)
{
    static const uint8_t media[] = {0x80, 0x60, 1, 2, 3, 4, 5};
    uint8_t buf[1024];
    size_t len = framed(vector_request, sizeof vector_request, buf), at = 0, frames = 0;
    len += framed(media, sizeof media, buf + len);
    len += framed(media, 0, buf + len); /* an empty frame */
    len += framed(vector_response_v4, sizeof vector_response_v4, buf + len);
    static const size_t want[] = {sizeof vector_request, sizeof media, 0, sizeof vector_response_v4};
    enum frame_mode mode = FRAME_UNDECIDED;
    struct slice payload;
    for (ssize_t n; (n = frame_next(&mode, buf + at, len - at, &payload)) > 0; at += (size_t)n)
        assert_int_equal(payload.len, want[frames++]);
    assert_int_equal(frames, 4);
    assert_int_equal(at, len);
}

static void test_plain_stun_carries_nothing_else(void **state)
{
    uint8_t buf[512];
    struct slice payload;
    enum frame_mode mode = FRAME_UNDECIDED;
    size_t len = sizeof vector_request;
    memcpy(buf, vector_request, len);
    len +=
        framed(vector_request, sizeof vector_request, buf + len); /* the other framing does not come later */
    assert_int_equal(frame_next(&mode, buf, len, &payload), sizeof vector_request);
    assert_int_equal(frame_next(&mode, buf + sizeof vector_request, len - sizeof vector_request, &payload),
                     -EBADMSG);
}

/* Where a first message is broken, the answer comes at the first byte that shows it. */
static void test_broken_first_messages(void **state)
{
    static const struct {
        const char *bytes;
        size_t len, told_at;
    } cases[] = {
        {"GET / HTTP/1.1", 14, 1},          /* HTTP on a STUN port */
        {"\x16\x03\x01\x02\x00", 5, 1},     /* TLS where none is spoken */
        {"\x80\x00\x00\x00", 4, 1},         /* media first */
        {"\x09\x00", 2, 1},                 /* a frame larger than the most */
        {"\x08\x04", 2, 2},                 /* the same, told by the second byte */
        {"\x00\x01\x00\x02\x21", 5, 4},     /* plain: a length that is no multiple of 4; framed: too short */
        {"\x00\x01\x08\x00\x21", 5, 3},     /* plain: longer than the most */
        {"\x00\x01\x00\x00\x22\x12", 6, 5}, /* no cookie */
        {"\x00\x01\x00\x00\x21\x12\xA4\x43", 8, 8}, /* the cookie's last byte */
        {"\x00\x14\x00\x01\x00\x04\x21\x12", 8, 6}, /* the frame and its message disagree */
        {"\x00\x14\x00\x01\x00\x00\x21\x12\xA4\x40", 10, 10},
        {"\x00\x14\x40\x01\x00\x00\x21\x12\xA4\x42", 10, 3},
        {"\x00\x00\x00\x14\x00\x01", 6, 5}, /* an empty frame decides nothing */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum frame_mode mode = FRAME_UNDECIDED;
        size_t at = 0;
        assert_int_equal(feed(&mode, (const uint8_t *)cases[i].bytes, cases[i].len, &at), -EBADMSG);
        assert_int_equal(at, cases[i].told_at);
        assert_int_equal(mode, FRAME_UNDECIDED);
    }
}

static void test_largest_frames(void **state)
{
    uint8_t *buf = calloc(1, FRAME_PAYLOAD_MAX + 2);
    struct slice payload;
    enum frame_mode mode = FRAME_RFC4571;
    assert_non_null(buf);
    frame_header(mode, FRAME_PAYLOAD_MAX, buf);
    assert_int_equal(frame_next(&mode, buf, FRAME_PAYLOAD_MAX + 1, &payload), 0);
    assert_int_equal(frame_next(&mode, buf, FRAME_PAYLOAD_MAX + 2, &payload), FRAME_PAYLOAD_MAX + 2);
    frame_header(mode, FRAME_PAYLOAD_MAX + 1, buf);
    assert_int_equal(frame_next(&mode, buf, 2, &payload), -EBADMSG);
    buf[0] = 0xFF;
    assert_int_equal(frame_next(&mode, buf, 1, &payload), -EBADMSG);
    mode = FRAME_STUN;
    memcpy(buf, vector_request, STUN_HEADER_LEN);
    buf[2] = (FRAME_PAYLOAD_MAX - STUN_HEADER_LEN) >> 8;
    buf[3] = (FRAME_PAYLOAD_MAX - STUN_HEADER_LEN) & 0xFF;
    assert_int_equal(frame_next(&mode, buf, FRAME_PAYLOAD_MAX - 1, &payload), 0);
    assert_int_equal(frame_next(&mode, buf, FRAME_PAYLOAD_MAX, &payload), FRAME_PAYLOAD_MAX);
    buf[3] += 4;
    assert_int_equal(frame_next(&mode, buf, FRAME_PAYLOAD_MAX, &payload), -EBADMSG);
    free(buf);
}

static void test_headers(void **state)
{
    uint8_t out[FRAME_HEADER_MAX] = {0xAA, 0xAA};
    assert_int_equal(frame_header(FRAME_STUN, 300, out), 0);
    assert_int_equal(out[0], 0xAA);
    assert_int_equal(frame_header(FRAME_RFC4571, 300, out), 2);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 44);
}

/* Random cuts of a right stream give the same messages as the whole. */
static void test_random_cuts(void **state)
{
    uint64_t seed = 42;
    for (unsigned round = 0; round < 300; round++) {
        uint8_t stream[2048];
        size_t len = 0, begin = 0, end = 0, frames = 0;
        bool rfc4571 = round % 2;
        for (size_t i = 0; i < 8; i++) {
            if (rfc4571)
                len += framed(vector_request, sizeof vector_request, stream + len);
            else
                memcpy(stream + len, vector_request, sizeof vector_request), len += sizeof vector_request;
        }
        enum frame_mode mode = FRAME_UNDECIDED;
        while (end < len) {
            struct slice payload;
            ssize_t n;
            end += check_random(&seed) % 150 + 1;
            end = end < len ? end : len;
            while ((n = frame_next(&mode, stream + begin, end - begin, &payload)) > 0) {
                assert_int_equal(payload.len, sizeof vector_request);
                assert_memory_equal(payload.p, vector_request, payload.len);
                begin += (size_t)n;
                frames++;
            }
            assert_int_equal(n, 0);
        }
        assert_int_equal(frames, 8);
        assert_int_equal(begin, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_stun_byte_by_byte),
        cmocka_unit_test(test_rfc4571_byte_by_byte),
        cmocka_unit_test(test_decided_at_the_cookie),
        cmocka_unit_test(test_many_frames_in_one_buffer),
        cmocka_unit_test(test_plain_stun_carries_nothing_else),
        cmocka_unit_test(test_broken_first_messages),
        cmocka_unit_test(test_largest_frames),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_random_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
