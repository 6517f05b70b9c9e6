/* link: berth_core */
/* Parsing and iterating: real messages, every truncation of them, every length off by some, overruns, random bytes. */
#include "check.h"

#include "core/stun.h"
#include "stun_vectors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = {VECTOR_TXID};

/* A copy in memory of exactly that size, so that the sanitizer sees any read beyond it. */
static uint8_t *exact(const uint8_t *p, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, p, len);
    return copy;
}

static void test_request_is_read(void **state)
{
    static const struct {
        uint16_t type;
        size_t len;
    } want[] = {{STUN_ATTR_SOFTWARE, 16}, {STUN_ATTR_PRIORITY, 4},           {STUN_ATTR_ICE_CONTROLLED, 8},
                {STUN_ATTR_USERNAME, 9},  {STUN_ATTR_MESSAGE_INTEGRITY, 20}, {STUN_ATTR_FINGERPRINT, 4}};
    struct stun_msg m;
    assert_int_equal(stun_parse(&m, vector_request, sizeof vector_request), 0);
    assert_int_equal(m.cls, STUN_REQUEST);
    assert_int_equal(m.method, STUN_BINDING);
    assert_memory_equal(m.txid, txid, sizeof txid);
    struct stun_attr_iter it = stun_attrs(&m);
    struct stun_attr a;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_true(stun_attr_next(&it, &a));
        assert_int_equal(a.type, want[i].type);
        assert_int_equal(a.len, want[i].len);
        assert_ptr_equal(a.value, m.bytes + a.offset + 4);
    }
    assert_false(stun_attr_next(&it, &a));
    assert_true(stun_find(&m, STUN_ATTR_USERNAME, &a));
    assert_memory_equal(a.value, "evtj:h6vY", 9);
    assert_false(stun_find(&m, STUN_ATTR_REALM, &a));
}

static void test_every_truncation_is_refused(void **state)
{
    for (size_t len = 0; len < sizeof vector_request; len++) {
        uint8_t *copy = exact(vector_request, len);
        struct stun_msg m;
        assert_int_equal(stun_parse(&m, copy, len), -EBADMSG);
        if (len < 8)
            assert_false(stun_looks_like(copy, len));
        else
            assert_true(stun_looks_like(copy, len));
        free(copy);
    }
}

/* Truncated with the header's length made to fit: right only where an attribute ends. */
static void test_every_truncation_with_its_length_mended(void **state)
{
    static const size_t ends[] = {20, 40, 48, 60, 76, 100, 108};
    for (size_t len = STUN_HEADER_LEN; len <= sizeof vector_request; len++) {
        uint8_t *copy = exact(vector_request, len);
        copy[3] = (uint8_t)(len - STUN_HEADER_LEN);
        bool at_end = false;
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
            at_end |= ends[i] == len;
        struct stun_msg m;
        assert_int_equal(stun_parse(&m, copy, len), at_end ? 0 : -EBADMSG);
        free(copy);
    }
}

static void test_every_length_field_off_by_some(void **state)
{
    static const size_t length_fields[] = {2, 22, 42, 50, 62, 78, 102};
    for (size_t i = 0; i < sizeof length_fields / sizeof length_fields[0]; i++) {
        for (int delta = -8; delta <= 8; delta++) {
            uint8_t *copy = exact(vector_request, sizeof vector_request);
            uint8_t *field = copy + length_fields[i];
            int was = field[0] << 8 | field[1], v = was + delta;
            field[0] = (uint8_t)(v >> 8);
            field[1] = (uint8_t)v;
            struct stun_msg m;
            int answer = stun_parse(&m, copy, sizeof vector_request);
            bool same_padded = v >= 0 && (was + 3) / 4 == (v + 3) / 4;
            if (delta == 0 || (i > 0 && same_padded)) /* ends at the same place */
                assert_int_equal(answer, 0);
            if (i == 0 && delta != 0)
                assert_int_equal(answer, -EBADMSG);
            if (answer == 0) { /* then what it says is inside */
                struct stun_attr_iter it = stun_attrs(&m);
                struct stun_attr a;
                while (stun_attr_next(&it, &a))
                    assert_true(a.offset + 4 + a.len <= m.len);
            }
            free(copy);
        }
    }
}

static void test_header_refusals(void **state)
{
    uint8_t p[STUN_HEADER_LEN + 4] = {0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xA4, 0x42};
    struct stun_msg m;
    assert_int_equal(stun_parse(&m, p, STUN_HEADER_LEN), 0);
    p[0] = 0x40; /* the first two bits are zero */
    assert_int_equal(stun_parse(&m, p, STUN_HEADER_LEN), -EBADMSG);
    p[0] = 0x80;
    assert_int_equal(stun_parse(&m, p, STUN_HEADER_LEN), -EBADMSG);
    p[0] = 0;
    p[7] ^= 1; /* the cookie */
    assert_int_equal(stun_parse(&m, p, STUN_HEADER_LEN), -EBADMSG);
    p[7] ^= 1;
    p[3] = 2; /* a length is a multiple of 4 */
    assert_int_equal(stun_parse(&m, p, STUN_HEADER_LEN + 2), -EBADMSG);
    p[3] = 0; /* bytes after the message */
    assert_int_equal(stun_parse(&m, p, STUN_HEADER_LEN + 4), -EBADMSG);
    assert_int_equal(stun_parse(&m, p, 0), -EBADMSG);
    assert_false(stun_looks_like((const uint8_t *)"\x16\x03\x01\x02\x00\x01\x00\x01", 8));
    assert_false(stun_looks_like((const uint8_t *)"\x04\x01\x00\x00\x21\x12\xA4\x42", 8));
}

static void test_types_go_both_ways(void **state)
{
    uint8_t buf[STUN_HEADER_LEN];
    for (unsigned method = 0; method < 0x1000; method++) {
        for (unsigned cls = 0; cls < 4; cls++) {
            struct stun_writer b;
            struct stun_msg m;
            size_t len;
            stun_begin(&b, buf, sizeof buf, (enum stun_class)cls, (uint16_t)method, txid);
            assert_int_equal(stun_finish(&b, &len), 0);
            assert_int_equal(stun_parse(&m, buf, len), 0);
            assert_int_equal(m.cls, cls);
            assert_int_equal(m.method, method);
        }
    }
}

static void test_nothing_may_follow_fingerprint(void **state)
{
    uint8_t buf[128];
    struct stun_writer b;
    struct stun_msg m;
    size_t len;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    stun_put_fingerprint(&b);
    stun_put(&b, STUN_ATTR_SOFTWARE, "x", 1);
    assert_int_equal(stun_finish(&b, &len), 0);
    assert_int_equal(stun_parse(&m, buf, len), -EBADMSG);
}

static void test_what_follows_integrity_does_not_count(void **state)
{
    uint8_t buf[256];
    struct stun_writer b;
    struct stun_msg m;
    struct stun_attr a;
    uint16_t unknown[STUN_UNKNOWN_MAX];
    size_t len;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, 0x7001, NULL, 0);
    stun_put_integrity_sha1(&b, "k", 1);
    stun_put(&b, STUN_ATTR_USERNAME, "evil", 4);
    stun_put(&b, 0x7002, NULL, 0);
    stun_put_integrity_sha256(&b, "k", 1);
    stun_put_integrity_sha1(&b, "k", 1);
    stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &len), 0);
    assert_int_equal(stun_parse(&m, buf, len), 0);
    assert_false(stun_find(&m, STUN_ATTR_USERNAME, &a));
    assert_true(stun_find(&m, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, &a));
    assert_true(stun_find(&m, STUN_ATTR_FINGERPRINT, &a));
    assert_true(stun_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a));
    assert_int_equal(a.offset, 24);
    assert_int_equal(stun_unknown_attrs(&m, unknown), 1);
    assert_int_equal(unknown[0], 0x7001);
}

static void test_unknown_attributes_are_bounded(void **state)
{
    uint8_t buf[512];
    struct stun_writer b;
    struct stun_msg m;
    uint16_t unknown[STUN_UNKNOWN_MAX];
    size_t len;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    for (uint16_t i = 0; i < 2 * STUN_UNKNOWN_MAX; i++)
        stun_put(&b, (uint16_t)(0x7000 + i), NULL, 0);
    stun_put(&b, 0x9000, NULL, 0); /* comprehension-optional */
    assert_int_equal(stun_finish(&b, &len), 0);
    assert_int_equal(stun_parse(&m, buf, len), 0);
    assert_int_equal(stun_unknown_attrs(&m, unknown), STUN_UNKNOWN_MAX);
    for (uint16_t i = 0; i < STUN_UNKNOWN_MAX; i++)
        assert_int_equal(unknown[i], 0x7000 + i);
}

static void test_more_than_the_most_is_refused(void **state)
{
    uint8_t *p = calloc(1, STUN_MESSAGE_MAX + 4);
    struct stun_msg m;
    struct stun_writer b;
    size_t len;
    assert_non_null(p);
    stun_begin(&b, p, STUN_MESSAGE_MAX + 4, STUN_REQUEST, STUN_BINDING, txid);
    uint8_t zeros[STUN_MESSAGE_MAX - STUN_HEADER_LEN - 4] = {0};
    stun_put(&b, STUN_ATTR_SOFTWARE, zeros, sizeof zeros);
    assert_int_equal(stun_finish(&b, &len), 0);
    assert_int_equal(len, STUN_MESSAGE_MAX);
    assert_int_equal(stun_parse(&m, p, len), 0);
    stun_put(&b, STUN_ATTR_USE_CANDIDATE, NULL, 0);
    assert_int_equal(stun_finish(&b, &len), -ENOBUFS);
    p[2] = (STUN_MESSAGE_MAX - 16) >> 8;
    p[3] = (STUN_MESSAGE_MAX - 16) & 0xFF;
    assert_int_equal(stun_parse(&m, p, STUN_MESSAGE_MAX + 4), -EBADMSG);
    free(p);
}

/* Messages with bytes changed at random: whatever parses can be gone through and checked without harm. */
static void test_random_changes(void **state)
{
    uint64_t seed = 0x5EED;
    unsigned parsed = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t *p = exact(vector_request, sizeof vector_request);
        for (uint64_t n = check_random(&seed) % 4 + 1; n > 0; n--)
            p[check_random(&seed) % sizeof vector_request] = (uint8_t)check_random(&seed);
        struct stun_msg m;
        struct addr a;
        if (stun_parse(&m, p, sizeof vector_request) == 0) {
            uint16_t unknown[STUN_UNKNOWN_MAX];
            parsed++;
            assert_true(stun_unknown_attrs(&m, unknown) <= STUN_UNKNOWN_MAX);
            assert_true(stun_check_fingerprint(&m) <= 0);
            assert_true(stun_mapped_address(&m, &a) <= 0);
        }
        free(p);
    }
    assert_true(parsed > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_is_read),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_every_truncation_with_its_length_mended),
        cmocka_unit_test(test_every_length_field_off_by_some),
        cmocka_unit_test(test_header_refusals),
        cmocka_unit_test(test_types_go_both_ways),
        cmocka_unit_test(test_nothing_may_follow_fingerprint),
        cmocka_unit_test(test_what_follows_integrity_does_not_count),
        cmocka_unit_test(test_unknown_attributes_are_bounded),
        cmocka_unit_test(test_more_than_the_most_is_refused),
        cmocka_unit_test(test_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
