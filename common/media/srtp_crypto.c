/* libsrtp2's ciphers over libcrypto: AES-GCM (RFC 7714), AES in counter mode (RFC 3711 4.1.1), HMAC-SHA1. Invariant:
 * a state has its key from `init` on, and nothing is allocated after that but by libcrypto itself. */
#include "media/srtp_crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <srtp2/auth.h>
#include <srtp2/cipher.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    IV_LEN = 16,
    GCM_IV_LEN = 12,
    GCM_TAG_LEN = 16,
    GCM_TAG_SHORT = 8 /* of libsrtp2's own vectors */,
    SALT_LEN = 14,
    SHA1_LEN = 20,
    HASH_KEY_MAX = 64
};

struct cipher {
    srtp_cipher_t base; /* what libsrtp2 holds; its state points here */
    EVP_CIPHER_CTX *ctx;
    bool gcm;
    int tag_len;
    uint8_t offset[IV_LEN]; /* of counter mode: the salt, shifted left by two bytes */
};

struct hash {
    srtp_auth_t base;
    EVP_MAC_CTX *ctx;
};

static srtp_err_status_t status(bool worked)
{
    return worked ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

/* ---- ciphers ---- */

static const srtp_cipher_type_t gcm_type, counter_type;

static srtp_err_status_t cipher_dealloc(srtp_cipher_t *base)
{
    struct cipher *c = base->state;
    EVP_CIPHER_CTX_free(c->ctx);
    explicit_bzero(c, sizeof *c);
    free(c);
    return srtp_err_status_ok;
}

static srtp_err_status_t cipher_alloc(srtp_cipher_t **out, bool gcm, int key_len, int tag_len)
{
    struct cipher *c = calloc(1, sizeof *c);
    EVP_CIPHER *type = EVP_CIPHER_fetch(NULL, gcm ? "AES-128-GCM" : "AES-128-CTR", NULL);
    bool ready = c && type;
    if (ready) {
        c->gcm = gcm;
        c->tag_len = tag_len;
        c->ctx = EVP_CIPHER_CTX_new();
        c->base = (srtp_cipher_t){.type = gcm ? &gcm_type : &counter_type,
                                  .state = c,
                                  .key_len = key_len,
                                  .algorithm = gcm ? SRTP_AES_GCM_128 : SRTP_AES_ICM_128};
        ready = c->ctx && EVP_CipherInit_ex2(c->ctx, type, NULL, NULL, 1, NULL);
    }
    EVP_CIPHER_free(type);
    if (!ready) {
        if (c)
            EVP_CIPHER_CTX_free(c->ctx);
        free(c);
        return srtp_err_status_alloc_fail;
    }
    *out = &c->base;
    return srtp_err_status_ok;
}

static srtp_err_status_t gcm_alloc(srtp_cipher_t **out, int key_len, int tag_len)
{
    if (key_len != SRTP_AES_GCM_128_KEY_LEN_WSALT || (tag_len != GCM_TAG_LEN && tag_len != GCM_TAG_SHORT))
        return srtp_err_status_bad_param;
    return cipher_alloc(out, true, key_len, tag_len);
}

static srtp_err_status_t counter_alloc(srtp_cipher_t **out, int key_len, int tag_len)
{
    if (key_len != SRTP_AES_ICM_128_KEY_LEN_WSALT)
        return srtp_err_status_bad_param;
    return cipher_alloc(out, false, key_len, 0);
}

static srtp_err_status_t cipher_init(void *state, const uint8_t *key)
{
    struct cipher *c = state;
    if (!c->gcm)
        memcpy(c->offset, key + SRTP_AES_128_KEY_LEN, SALT_LEN);
    return status(EVP_CipherInit_ex2(c->ctx, NULL, key, NULL, 1, NULL));
}

static srtp_err_status_t gcm_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t direction)
{
    struct cipher *c = state;
    return status(EVP_CipherInit_ex2(c->ctx, NULL, NULL, iv, direction == srtp_direction_encrypt, NULL));
}

static srtp_err_status_t counter_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t direction)
{
    struct cipher *c = state;
    uint8_t counter[IV_LEN];
    for (size_t i = 0; i < IV_LEN; i++)
        counter[i] = c->offset[i] ^ iv[i];
    return status(EVP_CipherInit_ex2(c->ctx, NULL, NULL, counter, 1, NULL));
}

static srtp_err_status_t gcm_set_aad(void *state, const uint8_t *aad, uint32_t len)
{
    struct cipher *c = state;
    int n;
    return status(EVP_CipherUpdate(c->ctx, NULL, &n, aad, (int)len));
}

static srtp_err_status_t cipher_run(void *state, uint8_t *bytes, unsigned *len)
{
    struct cipher *c = state;
    int n = 0;
    return status(*len == 0 || EVP_CipherUpdate(c->ctx, bytes, &n, bytes, (int)*len));
}

static srtp_err_status_t gcm_get_tag(void *state, uint8_t *tag, uint32_t *len)
{
    struct cipher *c = state;
    uint8_t none[1];
    int n = 0;
    *len = (uint32_t)c->tag_len;
    return status(EVP_CipherFinal_ex(c->ctx, none, &n) &&
                  EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, c->tag_len, tag));
}

/* The tag stands behind the text, and is taken off. */
static srtp_err_status_t gcm_decrypt(void *state, uint8_t *bytes, unsigned *len)
{
    struct cipher *c = state;
    uint8_t none[1];
    int n = 0;
    if (*len < (unsigned)c->tag_len)
        return srtp_err_status_bad_param;
    *len -= (unsigned)c->tag_len;
    if (!EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, c->tag_len, bytes + *len))
        return srtp_err_status_cipher_fail;
    if (*len > 0 && !EVP_CipherUpdate(c->ctx, bytes, &n, bytes, (int)*len))
        return srtp_err_status_cipher_fail;
    return EVP_CipherFinal_ex(c->ctx, none, &n) ? srtp_err_status_ok : srtp_err_status_auth_fail;
}

/* ---- HMAC-SHA1 ---- */

static const srtp_auth_type_t hash_type;

static srtp_err_status_t hash_dealloc(srtp_auth_t *base)
{
    struct hash *h = base->state;
    EVP_MAC_CTX_free(h->ctx);
    free(h);
    return srtp_err_status_ok;
}

static srtp_err_status_t hash_alloc(srtp_auth_t **out, int key_len, int tag_len)
{
    if (key_len > HASH_KEY_MAX || tag_len > SHA1_LEN)
        return srtp_err_status_bad_param;
    struct hash *h = calloc(1, sizeof *h);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (h && mac)
        h->ctx = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    if (!h || !h->ctx) {
        free(h);
        return srtp_err_status_alloc_fail;
    }
    h->base = (srtp_auth_t){.type = &hash_type, .state = h, .out_len = tag_len, .key_len = key_len};
    *out = &h->base;
    return srtp_err_status_ok;
}

static srtp_err_status_t hash_init(void *state, const uint8_t *key, int key_len)
{
    struct hash *h = state;
    char digest[] = "SHA1";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    return status(EVP_MAC_init(h->ctx, key, (size_t)key_len, params));
}

static srtp_err_status_t hash_start(void *state)
{
    struct hash *h = state;
    return status(EVP_MAC_init(h->ctx, NULL, 0, NULL));
}

static srtp_err_status_t hash_update(void *state, const uint8_t *bytes, int len)
{
    struct hash *h = state;
    return status(EVP_MAC_update(h->ctx, bytes, (size_t)len));
}

static srtp_err_status_t hash_compute(void *state, const uint8_t *bytes, int len, int tag_len, uint8_t *tag)
{
    struct hash *h = state;
    uint8_t whole[SHA1_LEN];
    size_t n;
    if (tag_len > SHA1_LEN)
        return srtp_err_status_bad_param;
    if (!EVP_MAC_update(h->ctx, bytes, (size_t)len) || !EVP_MAC_final(h->ctx, whole, &n, sizeof whole))
        return srtp_err_status_auth_fail;
    memcpy(tag, whole, (size_t)tag_len);
    return srtp_err_status_ok;
}

/* ---- vectors: libsrtp2 takes nothing that has none ---- */

/* McGrew and Viega's test case 4, with a salt behind the key that isn't used here. */
static const uint8_t gcm_key[SRTP_AES_GCM_128_KEY_LEN_WSALT] = {
    0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
static uint8_t gcm_iv[GCM_IV_LEN] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
static const uint8_t gcm_aad[] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                                  0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
static const uint8_t gcm_plain[] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
                                    0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda,
                                    0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95,
                                    0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
                                    0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
static const uint8_t gcm_sealed[] = {
    0x42, 0x83, 0x1e, 0xc2, 0x21, 0x77, 0x74, 0x24, 0x4b, 0x72, 0x21, 0xb7, 0x84, 0xd0, 0xd4, 0x9c,
    0xe3, 0xaa, 0x21, 0x2f, 0x2c, 0x02, 0xa4, 0xe0, 0x35, 0xc1, 0x7e, 0x23, 0x29, 0xac, 0xa1, 0x2e,
    0x21, 0xd5, 0x14, 0xb2, 0x54, 0x66, 0x93, 0x1c, 0x7d, 0x8f, 0x6a, 0x5a, 0xac, 0x84, 0xaa, 0x05,
    0x1b, 0xa3, 0x0b, 0x39, 0x6a, 0x0a, 0xac, 0x97, 0x3d, 0x58, 0xe0, 0x91, 0x5b, 0xc9, 0x4f, 0xbc,
    0x32, 0x21, 0xa5, 0xdb, 0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47};
static const srtp_cipher_test_case_t gcm_test = {.key_length_octets = sizeof gcm_key,
                                                 .key = gcm_key,
                                                 .idx = gcm_iv,
                                                 .plaintext_length_octets = sizeof gcm_plain,
                                                 .plaintext = gcm_plain,
                                                 .ciphertext_length_octets = sizeof gcm_sealed,
                                                 .ciphertext = gcm_sealed,
                                                 .aad_length_octets = sizeof gcm_aad,
                                                 .aad = gcm_aad,
                                                 .tag_length_octets = GCM_TAG_LEN};

/* RFC 3711 B.2 */
static const uint8_t counter_key[SRTP_AES_ICM_128_KEY_LEN_WSALT] = {
    0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f,
    0x3c, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd};
static uint8_t counter_iv[IV_LEN];
static const uint8_t counter_plain[32];
static const uint8_t counter_sealed[32] = {0xe0, 0x3e, 0xad, 0x09, 0x35, 0xc9, 0x5e, 0x80, 0xe1, 0x66, 0xb1,
                                           0x6d, 0xd9, 0x2b, 0x4e, 0xb4, 0xd2, 0x35, 0x13, 0x16, 0x2b, 0x02,
                                           0xd0, 0xf7, 0x2a, 0x43, 0xa2, 0xfe, 0x4a, 0x5f, 0x97, 0xab};
static const srtp_cipher_test_case_t counter_test = {.key_length_octets = sizeof counter_key,
                                                     .key = counter_key,
                                                     .idx = counter_iv,
                                                     .plaintext_length_octets = sizeof counter_plain,
                                                     .plaintext = counter_plain,
                                                     .ciphertext_length_octets = sizeof counter_sealed,
                                                     .ciphertext = counter_sealed};

/* RFC 2202, test case 1 */
static const uint8_t hash_key[SHA1_LEN] = {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
                                           0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b};
static const uint8_t hash_data[] = {'H', 'i', ' ', 'T', 'h', 'e', 'r', 'e'};
static const uint8_t hash_tag[SHA1_LEN] = {0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b,
                                           0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00};
static const srtp_auth_test_case_t hash_test = {.key_length_octets = sizeof hash_key,
                                                .key = hash_key,
                                                .data_length_octets = sizeof hash_data,
                                                .data = hash_data,
                                                .tag_length_octets = sizeof hash_tag,
                                                .tag = hash_tag};

static const srtp_cipher_type_t gcm_type = {.alloc = gcm_alloc,
                                            .dealloc = cipher_dealloc,
                                            .init = cipher_init,
                                            .set_aad = gcm_set_aad,
                                            .encrypt = cipher_run,
                                            .decrypt = gcm_decrypt,
                                            .set_iv = gcm_set_iv,
                                            .get_tag = gcm_get_tag,
                                            .description = "AES-128-GCM",
                                            .test_data = &gcm_test,
                                            .id = SRTP_AES_GCM_128};

static const srtp_cipher_type_t counter_type = {.alloc = counter_alloc,
                                                .dealloc = cipher_dealloc,
                                                .init = cipher_init,
                                                .encrypt = cipher_run,
                                                .decrypt = cipher_run,
                                                .set_iv = counter_set_iv,
                                                .description = "AES-128 in counter mode",
                                                .test_data = &counter_test,
                                                .id = SRTP_AES_ICM_128};

static const srtp_auth_type_t hash_type = {.alloc = hash_alloc,
                                           .dealloc = hash_dealloc,
                                           .init = hash_init,
                                           .compute = hash_compute,
                                           .update = hash_update,
                                           .start = hash_start,
                                           .description = "HMAC-SHA1",
                                           .test_data = &hash_test,
                                           .id = SRTP_HMAC_SHA1};

int srtp_crypto_install(void)
{
    bool taken = srtp_replace_cipher_type(&gcm_type, SRTP_AES_GCM_128) == srtp_err_status_ok &&
                 srtp_replace_cipher_type(&counter_type, SRTP_AES_ICM_128) == srtp_err_status_ok &&
                 srtp_replace_auth_type(&hash_type, SRTP_HMAC_SHA1) == srtp_err_status_ok;
    return taken ? 0 : -EIO;
}
