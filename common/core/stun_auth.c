/* MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256. Invariant: a MAC covers the message up to its own attribute, with the
 * header's length reaching that attribute's end (RFC 8489 14.5, 14.6), and is compared in constant time. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: see mac_sha256 */
#include "core/stun.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

/* The header's first four bytes as they stand when the message ends at `end`. */
static void header_until(const uint8_t *msg, size_t end, uint8_t out[static 4])
{
    size_t length = end - STUN_HEADER_LEN;
    memcpy(out, msg, 2);
    out[2] = (uint8_t)(length >> 8);
    out[3] = (uint8_t)length;
}

/* OpenSSL has no stable streaming HMAC short of EVP_MAC's allocations, so the bytes are laid out once. */
static bool mac_sha1(const uint8_t *msg, size_t offset, const void *key, size_t key_len,
                     uint8_t out[static STUN_SHA1_LEN])
{
    uint8_t copy[STUN_MESSAGE_MAX];
    unsigned len = STUN_SHA1_LEN;
    if (offset > sizeof copy || key_len > INT_MAX)
        return false;
    memcpy(copy, msg, offset);
    header_until(msg, offset + 4 + STUN_SHA1_LEN, copy);
    return HMAC(EVP_sha1(), key, (int)key_len, copy, offset, out, &len) != NULL;
}

/* One of the two passes of HMAC (RFC 2104): a block of the key under a pad, then the text. */
static void begin_pass(SHA256_CTX *c, const uint8_t key[static SHA256_CBLOCK], uint8_t pad)
{
    uint8_t block[SHA256_CBLOCK];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    SHA256_Init(c);
    SHA256_Update(c, block, sizeof block);
    sodium_memzero(block, sizeof block);
}

/* By libcrypto's oldest functions: they are on the stack and use the processor's instructions, where libsodium's
 * HMAC has none, EVP_MAC allocates, and HMAC() looks its digest up. A packet is signed in a fifth of the time. */
static void mac_sha256(const uint8_t *msg, size_t offset, size_t tag_len, const void *key, size_t key_len,
                       uint8_t out[static STUN_SHA256_LEN])
{
    SHA256_CTX c;
    uint8_t head[4], block[SHA256_CBLOCK] = {0}, inner[STUN_SHA256_LEN];
    header_until(msg, offset + 4 + tag_len, head);
    if (key_len > sizeof block)
        SHA256(key, key_len, block);
    else if (key_len > 0)
        memcpy(block, key, key_len);
    begin_pass(&c, block, 0x36);
    SHA256_Update(&c, head, sizeof head);
    SHA256_Update(&c, msg + sizeof head, offset - sizeof head);
    SHA256_Final(inner, &c);
    begin_pass(&c, block, 0x5c);
    SHA256_Update(&c, inner, sizeof inner);
    SHA256_Final(out, &c);
    sodium_memzero(block, sizeof block);
    sodium_memzero(&c, sizeof c);
}

int stun_check_integrity_sha1(const struct stun_msg *m, const void *key, size_t key_len)
{
    struct stun_attr a;
    uint8_t tag[STUN_SHA1_LEN];
    if (!stun_find(m, STUN_ATTR_MESSAGE_INTEGRITY, &a))
        return -ENOENT;
    if (a.len != STUN_SHA1_LEN)
        return -EBADMSG;
    if (!mac_sha1(m->bytes, a.offset, key, key_len, tag))
        return -EACCES;
    return sodium_memcmp(tag, a.value, sizeof tag) == 0 ? 0 : -EACCES;
}

int stun_check_integrity_sha256(const struct stun_msg *m, const void *key, size_t key_len)
{
    struct stun_attr a;
    uint8_t tag[STUN_SHA256_LEN];
    if (!stun_find(m, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, &a))
        return -ENOENT;
    if (a.len < 16 || a.len > STUN_SHA256_LEN || a.len % 4 != 0)
        return -EBADMSG;
    mac_sha256(m->bytes, a.offset, a.len, key, key_len, tag);
    return sodium_memcmp(tag, a.value, a.len) == 0 ? 0 : -EACCES;
}

void stun_put_integrity_sha1(struct stun_writer *b, const void *key, size_t key_len)
{
    uint8_t tag[STUN_SHA1_LEN];
    if (b->w.bad || !mac_sha1(b->w.start, wire_wr_len(&b->w), key, key_len, tag)) {
        b->w.bad = true;
        return;
    }
    stun_put(b, STUN_ATTR_MESSAGE_INTEGRITY, tag, sizeof tag);
}

void stun_put_integrity_sha256(struct stun_writer *b, const void *key, size_t key_len)
{
    uint8_t tag[STUN_SHA256_LEN];
    if (b->w.bad)
        return;
    mac_sha256(b->w.start, wire_wr_len(&b->w), sizeof tag, key, key_len, tag);
    stun_put(b, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, tag, sizeof tag);
}
