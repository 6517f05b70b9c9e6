/* link: berth_core */
/* The server's answer: what is answered, with what, how small, and what is met with silence. */
#include "check.h"

#include "core/stun.h"
#include "stun_vectors.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = {VECTOR_TXID};
static const struct stun_binding_opts plain = {0};

static struct addr source_of(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

static size_t answer(const uint8_t *req, size_t len, const char *source, uint8_t out[static 512])
{
    struct addr a = source_of(source);
    return stun_binding_answer(req, len, &a, &plain, out, 512);
}

static size_t request(uint8_t *buf, size_t cap, uint16_t method, const uint16_t *types, size_t n,
                      bool fingerprint)
{
    struct stun_writer b;
    size_t len;
    stun_begin(&b, buf, cap, STUN_REQUEST, method, txid);
    for (size_t i = 0; i < n; i++)
        stun_put(&b, types[i], "abcd", 4);
    if (fingerprint)
        stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &len), 0);
    return len;
}

static struct stun_msg parse(const uint8_t *p, size_t len)
{
    struct stun_msg m;
    assert_int_equal(stun_parse(&m, p, len), 0);
    assert_memory_equal(m.txid, txid, sizeof txid);
    return m;
}

static void assert_error(const uint8_t *p, size_t len, int want)
{
    struct stun_msg m = parse(p, len);
    struct stun_attr a;
    struct slice reason;
    int code;
    assert_int_equal(m.cls, STUN_ERROR);
    assert_true(stun_find(&m, STUN_ATTR_ERROR_CODE, &a));
    assert_int_equal(stun_attr_error(&a, &code, &reason), 0);
    assert_int_equal(code, want);
}

static void test_success_is_the_smallest_there_is(void **state)
{
    static const char *const sources[] = {"192.0.2.1:32853", "[2001:db8::2]:1"};
    static const size_t want_len[] = {32, 44};
    for (size_t i = 0; i < 2; i++) {
        uint8_t req[64], out[512];
        struct addr mapped;
        char text[ADDR_TEXT_LEN];
        size_t n = answer(req, request(req, sizeof req, STUN_BINDING, NULL, 0, false), sources[i], out);
        assert_int_equal(n, want_len[i]);
        struct stun_msg m = parse(out, n);
        assert_int_equal(m.cls, STUN_SUCCESS);
        assert_int_equal(stun_mapped_address(&m, &mapped), 0);
        assert_string_equal(addr_format(&mapped, text), sources[i]);
        assert_int_equal(stun_check_fingerprint(&m), -ENOENT);
    }
}

static void test_fingerprint_for_fingerprint(void **state)
{
    uint8_t req[64], out[512];
    size_t len = request(req, sizeof req, STUN_BINDING, NULL, 0, true);
    size_t n = answer(req, len, "192.0.2.1:1", out);
    struct stun_msg m = parse(out, n);
    assert_int_equal(n, 40);
    assert_int_equal(stun_check_fingerprint(&m), 0);
    for (size_t bit = 0; bit < 32; bit++) { /* a wrong one: silence */
        req[len - 4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(answer(req, len, "192.0.2.1:1", out), 0);
        req[len - 4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_an_ice_check_is_answered(void **state)
{
    uint8_t out[512];
    size_t n = answer(vector_request, sizeof vector_request, "192.0.2.1:32853", out);
    struct stun_msg m = parse(out, n);
    assert_int_equal(m.cls, STUN_SUCCESS);
    assert_int_equal(stun_check_fingerprint(&m), 0);
}

static void test_unknown_attributes_are_named(void **state)
{
    static const uint16_t types[] = {0x7001,
                                     STUN_ATTR_USERNAME,
                                     0x8FFF,
                                     STUN_ATTR_CHANGE_REQUEST,
                                     STUN_ATTR_PADDING,
                                     STUN_ATTR_RESPONSE_PORT};
    static const uint8_t named[] = {0x70, 0x01, 0x00, 0x03, 0x00, 0x27};
    for (int fingerprint = 0; fingerprint < 2; fingerprint++) {
        uint8_t req[128], out[512];
        struct stun_attr a;
        size_t len = request(req, sizeof req, STUN_BINDING, types, 6, fingerprint);
        size_t n = answer(req, len, "192.0.2.1:1", out);
        assert_error(out, n, 420);
        struct stun_msg m = parse(out, n);
        assert_true(stun_find(&m, STUN_ATTR_UNKNOWN_ATTRIBUTES, &a));
        assert_int_equal(a.len, sizeof named);
        assert_memory_equal(a.value, named, sizeof named);
        assert_int_equal(stun_check_fingerprint(&m), fingerprint ? 0 : -ENOENT);
    }
}

static void test_no_answer_is_larger_than_promised(void **state)
{
    uint16_t types[100];
    uint8_t req[1000], out[512];
    for (uint16_t i = 0; i < 100; i++)
        types[i] = (uint16_t)(0x7000 + i);
    size_t len = request(req, sizeof req, STUN_BINDING, types, 100, true);
    size_t n = answer(req, len, "[2001:db8::2]:1", out);
    assert_error(out, n, 420);
    assert_true(n <= STUN_BINDING_ANSWER_MAX);
    assert_true(n < len); /* nothing to amplify with */
}

static void test_other_methods_are_met_with_silence(void **state)
{
    uint8_t req[64], out[512];
    for (uint16_t method = 0; method < 0x1000; method++) {
        size_t n = answer(req, request(req, sizeof req, method, NULL, 0, false), "192.0.2.1:1", out);
        assert_int_equal(n > 0, method == STUN_BINDING);
    }
}

static void test_silence(void **state)
{
    uint8_t out[512], req[64];
    assert_int_equal(answer(vector_response_v4, sizeof vector_response_v4, "192.0.2.1:1", out), 0);
    size_t len = request(req, sizeof req, STUN_BINDING, NULL, 0, false);
    req[1] = 0x11; /* an indication */
    assert_int_equal(answer(req, len, "192.0.2.1:1", out), 0);
    for (size_t n = 0; n < sizeof vector_request; n++)
        assert_int_equal(answer(vector_request, n, "192.0.2.1:1", out), 0);
    assert_int_equal(answer((const uint8_t *)"GET / HTTP/1.1\r\n\r\n..", 20, "192.0.2.1:1", out), 0);
}

static void test_software_and_small_buffers(void **state)
{
    static const struct stun_binding_opts named = {.software = "berth"};
    uint8_t req[64], out[512];
    struct addr a = source_of("192.0.2.1:1");
    struct stun_attr attr;
    size_t len = request(req, sizeof req, STUN_BINDING, NULL, 0, true);
    size_t n = stun_binding_answer(req, len, &a, &named, out, sizeof out);
    struct stun_msg m = parse(out, n);
    assert_true(stun_find(&m, STUN_ATTR_SOFTWARE, &attr));
    assert_memory_equal(attr.value, "berth", 5);
    for (size_t cap = 0; cap < n; cap++)
        assert_int_equal(stun_binding_answer(req, len, &a, &named, out, cap), 0);
    assert_int_equal(stun_binding_answer(req, len, &a, NULL, out, sizeof out), 40);
}

/* No allocation on the packet path. mallinfo2 counts what the C library gives out; under a sanitizer, which has its own
 * allocator, it stays at zero and the import test stands alone. */
static void test_nothing_is_allocated(void **state)
{
    uint8_t out[512];
    struct mallinfo2 before = mallinfo2();
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(answer(vector_request, sizeof vector_request, "192.0.2.1:1", out), 40);
    struct mallinfo2 after = mallinfo2();
    assert_int_equal(after.uordblks, before.uordblks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success_is_the_smallest_there_is),
        cmocka_unit_test(test_fingerprint_for_fingerprint),
        cmocka_unit_test(test_an_ice_check_is_answered),
        cmocka_unit_test(test_unknown_attributes_are_named),
        cmocka_unit_test(test_no_answer_is_larger_than_promised),
        cmocka_unit_test(test_other_methods_are_met_with_silence),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_software_and_small_buffers),
        cmocka_unit_test(test_nothing_is_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
