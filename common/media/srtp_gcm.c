/* SRTP's AES-128-GCM, the sender's side of RTP alone, which is what a node does most: its caller knows each packet's
 * index, so nothing is looked up, and a receiver of a thousand SSRCs has one state. All else, receiving, RTCP and
 * the other suite, which keep windows and counters for each SSRC, is libsrtp2's (srtp_leg.c). Invariant: what it
 * makes is what libsrtp makes of the same packet, index and keys. */
#include "media/srtp_gcm.h"

#include "media/rtp.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_LEN = 16,
    SALT_LEN = 12,
    TAG_LEN = 16,
    BLOCK_LEN = 16,
    SSRC_AT = 8,
    LABEL_KEY = 0, /* RFC 3711 4.3.2 */
    LABEL_SALT = 2,
    LABEL_AT = 7, /* of a block of the key derivation: 48 bits of index behind it, then the counter */
};

struct srtp_gcm {
    EVP_CIPHER_CTX *cipher;
    uint8_t salt[SALT_LEN];
};

/* RFC 3711 4.3.3 with a key derivation rate of 0: AES in counter mode, under the master key, from the salt with the
 * label. One block is enough. */
static int derive(uint8_t out[static BLOCK_LEN], const struct srtp_keys *keys, uint8_t label)
{
    static const uint8_t zeros[BLOCK_LEN];
    uint8_t counter[BLOCK_LEN] = {0};
    int n = 0, err = -EIO;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (!c)
        return -ENOMEM;
    memcpy(counter, keys->bytes + KEY_LEN, SALT_LEN);
    counter[LABEL_AT] ^= label;
    if (EVP_EncryptInit_ex(c, EVP_aes_128_ctr(), NULL, keys->bytes, counter) == 1 &&
        EVP_EncryptUpdate(c, out, &n, zeros, BLOCK_LEN) == 1 && n == BLOCK_LEN)
        err = 0;
    EVP_CIPHER_CTX_free(c);
    return err;
}

int srtp_gcm_new(struct srtp_gcm **out, const struct srtp_keys *sends)
{
    uint8_t key[BLOCK_LEN], salt[BLOCK_LEN];
    struct srtp_gcm *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    int err = derive(key, sends, LABEL_KEY);
    if (err == 0)
        err = derive(salt, sends, LABEL_SALT);
    if (err < 0)
        goto out;
    memcpy(g->salt, salt, sizeof g->salt);
    err = -ENOMEM;
    g->cipher = EVP_CIPHER_CTX_new();
    if (!g->cipher)
        goto out;
    err = EVP_EncryptInit_ex(g->cipher, EVP_aes_128_gcm(), NULL, key, NULL) == 1 ? 0 : -EIO;
    if (err == 0) {
        *out = g;
        g = NULL;
    }
out:
    explicit_bzero(key, sizeof key);
    explicit_bzero(salt, sizeof salt);
    srtp_gcm_destroy(g);
    return err;
}

void srtp_gcm_destroy(struct srtp_gcm *g)
{
    if (!g)
        return;
    EVP_CIPHER_CTX_free(g->cipher);
    explicit_bzero(g, sizeof *g);
    free(g);
}

/* RFC 7714 8.1: two zeros, SSRC, rollover counter and sequence number, with the salt. */
static void make_iv(uint8_t iv[static SALT_LEN], const struct srtp_gcm *g, const uint8_t *packet,
                    uint64_t index)
{
    memset(iv, 0, 2);
    memcpy(iv + 2, packet + SSRC_AT, 4);
    for (size_t i = 0; i < 6; i++)
        iv[6 + i] = (uint8_t)(index >> (8 * (5 - i)));
    for (size_t i = 0; i < SALT_LEN; i++)
        iv[i] ^= g->salt[i];
}

int srtp_gcm_protect(struct srtp_gcm *g, uint8_t *bytes, size_t *len, size_t header_len, uint64_t index)
{
    uint8_t iv[SALT_LEN];
    int n = 0, last = 0;
    if (header_len < RTP_HEADER_LEN || *len < header_len || *len > RTP_PACKET_MAX || index >> 48 != 0)
        return -EINVAL;
    int payload = (int)(*len - header_len);
    make_iv(iv, g, bytes, index);
    if (EVP_EncryptInit_ex(g->cipher, NULL, NULL, NULL, iv) != 1 ||
        EVP_EncryptUpdate(g->cipher, NULL, &n, bytes, (int)header_len) != 1 ||
        (payload > 0 &&
         EVP_EncryptUpdate(g->cipher, bytes + header_len, &n, bytes + header_len, payload) != 1) ||
        EVP_EncryptFinal_ex(g->cipher, bytes + *len, &last) != 1 ||
        EVP_CIPHER_CTX_ctrl(g->cipher, EVP_CTRL_GCM_GET_TAG, TAG_LEN, bytes + *len) != 1)
        return -EINVAL;
    *len += TAG_LEN;
    return 0;
}
