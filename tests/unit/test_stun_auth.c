/* link: berth_core */
/* MESSAGE-INTEGRITY (SHA-1, SHA-256) and FINGERPRINT against the RFCs' vectors, both ways, and against every change of a bit. */
#include "check.h"

#include "core/stun.h"
#include "stun_vectors.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = {VECTOR_TXID};
static const uint8_t long_txid[STUN_TXID_LEN] = {VECTOR_LONG_TXID};

static struct stun_msg parse(const uint8_t *p, size_t len)
{
    struct stun_msg m;
    assert_int_equal(stun_parse(&m, p, len), 0);
    return m;
}

/* RFC 8489 9.2.2: the long-term key is a hash of "user:realm:password". */
static void long_term_key(const EVP_MD *md, uint8_t *key, unsigned *len)
{
    static const char text[] = VECTOR_LONG_USER ":" VECTOR_LONG_REALM ":" VECTOR_LONG_PASSWORD;
    assert_int_equal(EVP_Digest(text, sizeof text - 1, key, len, md, NULL), 1);
}

static void test_vectors_verify(void **state)
{
    static const struct {
        const uint8_t *p;
        size_t len;
    } vectors[] = {
        {vector_request, sizeof vector_request},
        {vector_response_v4, sizeof vector_response_v4},
        {vector_response_v6, sizeof vector_response_v6},
    };
    for (size_t i = 0; i < 3; i++) {
        struct stun_msg m = parse(vectors[i].p, vectors[i].len);
        assert_int_equal(stun_check_integrity_sha1(&m, VECTOR_PASSWORD, strlen(VECTOR_PASSWORD)), 0);
        assert_int_equal(stun_check_integrity_sha1(&m, "wrong", 5), -EACCES);
        assert_int_equal(stun_check_integrity_sha256(&m, VECTOR_PASSWORD, strlen(VECTOR_PASSWORD)), -ENOENT);
        assert_int_equal(stun_check_fingerprint(&m), 0);
    }
}

static void test_long_term_vectors_verify(void **state)
{
    uint8_t key[EVP_MAX_MD_SIZE];
    unsigned len;
    long_term_key(EVP_md5(), key, &len);
    struct stun_msg m = parse(vector_long_term, sizeof vector_long_term);
    assert_int_equal(stun_check_integrity_sha1(&m, key, len), 0);
    assert_int_equal(stun_check_fingerprint(&m), -ENOENT);

    long_term_key(EVP_sha256(), key, &len);
    m = parse(vector_sha256, sizeof vector_sha256);
    assert_int_equal(stun_check_integrity_sha256(&m, key, len), 0);
    assert_int_equal(stun_check_integrity_sha1(&m, key, len), -ENOENT);
    key[0] ^= 1;
    assert_int_equal(stun_check_integrity_sha256(&m, key, len), -EACCES);
}

/* The RFC pads with spaces; the writer pads with zeros. The bytes before the MAC count, so they are set before it. */
static void pad_with_spaces(struct stun_writer *b, size_t n)
{
    memset(b->w.p - n, ' ', n);
}

static void assert_written(struct stun_writer *b, const uint8_t *want, size_t want_len)
{
    size_t len = 0;
    assert_int_equal(stun_finish(b, &len), 0);
    assert_int_equal(len, want_len);
    assert_memory_equal(b->w.start, want, want_len);
}

static void test_request_is_written_byte_for_byte(void **state)
{
    static const uint8_t tie_breaker[8] = {0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36};
    uint8_t buf[256];
    struct stun_writer b;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_SOFTWARE, "STUN test client", 16);
    stun_put_u32(&b, STUN_ATTR_PRIORITY, 0x6e0001ff);
    stun_put(&b, STUN_ATTR_ICE_CONTROLLED, tie_breaker, sizeof tie_breaker);
    stun_put(&b, STUN_ATTR_USERNAME, "evtj:h6vY", 9);
    pad_with_spaces(&b, 3);
    stun_put_integrity_sha1(&b, VECTOR_PASSWORD, strlen(VECTOR_PASSWORD));
    stun_put_fingerprint(&b);
    assert_written(&b, vector_request, sizeof vector_request);
}

static void write_response(const char *mapped, const uint8_t *want, size_t want_len)
{
    uint8_t buf[256];
    struct stun_writer b;
    struct addr a;
    assert_int_equal(addr_parse(&a, mapped), 0);
    stun_begin(&b, buf, sizeof buf, STUN_SUCCESS, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_SOFTWARE, "test vector", 11);
    pad_with_spaces(&b, 1);
    stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &a);
    stun_put_integrity_sha1(&b, VECTOR_PASSWORD, strlen(VECTOR_PASSWORD));
    stun_put_fingerprint(&b);
    assert_written(&b, want, want_len);
}

static void test_responses_are_written_byte_for_byte(void **state)
{
    write_response("192.0.2.1:32853", vector_response_v4, sizeof vector_response_v4);
    write_response("[2001:db8:1234:5678:11:2233:4455:6677]:32853", vector_response_v6,
                   sizeof vector_response_v6);
}

static void test_long_term_requests_are_written_byte_for_byte(void **state)
{
    uint8_t buf[256], key[EVP_MAX_MD_SIZE];
    unsigned key_len;
    struct stun_writer b;
    long_term_key(EVP_md5(), key, &key_len);
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, long_txid);
    stun_put(&b, STUN_ATTR_USERNAME, VECTOR_LONG_USER, strlen(VECTOR_LONG_USER));
    stun_put(&b, STUN_ATTR_NONCE, VECTOR_LONG_NONCE, strlen(VECTOR_LONG_NONCE));
    stun_put(&b, STUN_ATTR_REALM, VECTOR_LONG_REALM, strlen(VECTOR_LONG_REALM));
    stun_put_integrity_sha1(&b, key, key_len);
    assert_written(&b, vector_long_term, sizeof vector_long_term);

    long_term_key(EVP_sha256(), key, &key_len);
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, long_txid);
    stun_put(&b, STUN_ATTR_USERHASH, vector_sha256 + 24, 32);
    stun_put(&b, STUN_ATTR_NONCE, VECTOR_SHA256_NONCE, strlen(VECTOR_SHA256_NONCE));
    stun_put(&b, STUN_ATTR_REALM, VECTOR_LONG_REALM, strlen(VECTOR_LONG_REALM));
    stun_put_u32(&b, STUN_ATTR_PASSWORD_ALGORITHM, 0x00020000);
    stun_put_integrity_sha256(&b, key, key_len);
    assert_written(&b, vector_sha256, sizeof vector_sha256);
}

/* Every bit of the request is under the MAC or under the fingerprint; no change goes unseen by both. */
static void test_every_changed_bit_is_seen(void **state)
{
    uint8_t copy[sizeof vector_request];
    for (size_t bit = 0; bit < sizeof copy * 8; bit++) {
        memcpy(copy, vector_request, sizeof copy);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct stun_msg m;
        if (stun_parse(&m, copy, sizeof copy) < 0)
            continue;
        int mac = stun_check_integrity_sha1(&m, VECTOR_PASSWORD, strlen(VECTOR_PASSWORD));
        assert_true(mac != 0 || stun_check_fingerprint(&m) != 0);
        if (bit / 8 < sizeof copy - 8)
            assert_int_not_equal(mac, 0);
    }
}

static void test_both_integrities_in_one_message(void **state)
{
    uint8_t buf[256];
    struct stun_writer b;
    size_t len;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_USERNAME, "u", 1);
    stun_put_integrity_sha1(&b, "k", 1);
    stun_put_integrity_sha256(&b, "k", 1);
    stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &len), 0);
    struct stun_msg m = parse(buf, len);
    assert_int_equal(stun_check_integrity_sha1(&m, "k", 1), 0);
    assert_int_equal(stun_check_integrity_sha256(&m, "k", 1), 0);
    assert_int_equal(stun_check_integrity_sha256(&m, "", 0), -EACCES);
    assert_int_equal(stun_check_fingerprint(&m), 0);
}

/* The MAC is libcrypto's HMAC for keys of all lengths, about a block's above all, and messages of several blocks. */
static void test_sha256_keys(void **state)
{
    static const size_t lengths[] = {0, 1, 43, 63, 64, 65, 127, 200};
    uint8_t key[200], value[100], buf[256], want[STUN_SHA256_LEN];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(7 * i + 1);
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t n = 0; n <= sizeof value; n++) {
            struct stun_writer b;
            size_t len;
            unsigned want_len = sizeof want;
            stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
            stun_put(&b, STUN_ATTR_USERNAME, value, n);
            stun_put_integrity_sha256(&b, key, lengths[i]);
            assert_int_equal(stun_finish(&b, &len), 0);
            assert_non_null(HMAC(EVP_sha256(), key, (int)lengths[i], buf, len - 36, want, &want_len));
            assert_memory_equal(buf + len - sizeof want, want, sizeof want);
        }
    }
}

/* The tag of a truncated MESSAGE-INTEGRITY-SHA256 is the full MAC's first bytes, over a length that reaches its own end. */
static void test_truncated_sha256(void **state)
{
    uint8_t tag_key[] = "some key", buf[128];
    for (size_t tag_len = 0; tag_len <= 36; tag_len++) {
        struct stun_writer b;
        size_t len;
        /* The MAC's input, laid out by hand: a header whose length reaches the end of the truncated attribute. */
        stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
        uint8_t head[20];
        memcpy(head, buf, sizeof head);
        head[3] = (uint8_t)(4 + tag_len);
        uint8_t mac[EVP_MAX_MD_SIZE] = {0};
        size_t mac_len = 0;
        assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, tag_key, sizeof tag_key, head,
                                  sizeof head, mac, sizeof mac, &mac_len));
        stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
        stun_put(&b, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, mac, tag_len);
        assert_int_equal(stun_finish(&b, &len), 0);
        struct stun_msg m = parse(buf, len);
        bool legal = tag_len >= 16 && tag_len <= 32 && tag_len % 4 == 0;
        assert_int_equal(stun_check_integrity_sha256(&m, tag_key, sizeof tag_key), legal ? 0 : -EBADMSG);
    }
}

static void test_malformed_tags(void **state)
{
    uint8_t buf[128];
    struct stun_writer b;
    size_t len;
    stun_begin(&b, buf, sizeof buf, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_MESSAGE_INTEGRITY, buf, 19);
    stun_put(&b, STUN_ATTR_FINGERPRINT, buf, 3);
    assert_int_equal(stun_finish(&b, &len), 0);
    struct stun_msg m = parse(buf, len);
    assert_int_equal(stun_check_integrity_sha1(&m, "k", 1), -EBADMSG);
    assert_int_equal(stun_check_fingerprint(&m), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_verify),
        cmocka_unit_test(test_long_term_vectors_verify),
        cmocka_unit_test(test_request_is_written_byte_for_byte),
        cmocka_unit_test(test_responses_are_written_byte_for_byte),
        cmocka_unit_test(test_long_term_requests_are_written_byte_for_byte),
        cmocka_unit_test(test_every_changed_bit_is_seen),
        cmocka_unit_test(test_both_integrities_in_one_message),
        cmocka_unit_test(test_sha256_keys),
        cmocka_unit_test(test_truncated_sha256),
        cmocka_unit_test(test_malformed_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
