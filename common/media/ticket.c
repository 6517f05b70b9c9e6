/* Tickets: sealing and opening. Invariant: nothing of a ticket is believed, or written for the caller, before its
 * seal has been found right with a key of this very node. */
#include "media/ticket.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
    TICKET_VERSION = 1,
    /* kind, number, expiry, epoch, kbps, last_n, and the lengths of three ids */
    CONTENT_FIXED = 1 + 8 + 4 + 8 + 4 + 2 + 3,
    CONTENT_MAX = CONTENT_FIXED + ORG_ID_MAX + TICKET_MEETING_MAX + AGENT_ID_MAX,
    TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    PREFIX_LEN = 1 + TICKET_KEY_ID_LEN + TICKET_NONCE_LEN,
    SEALED_MAX = PREFIX_LEN + CONTENT_MAX + TAG_LEN,
    NAME_MAX_LEN = ORG_ID_MAX + 1 + TICKET_NODE_MAX,
};
static_assert((SEALED_MAX * 4 + 2) / 3 <= STUN_USERNAME_MAX, "the longest ticket is a username");
static_assert(TICKET_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a ticket key is the cipher's");
static_assert(TICKET_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "so is the nonce");
static_assert((TICKET_SECRET_LEN * 4 + 2) / 3 == TICKET_PASSWORD_LEN, "a password is a secret's text");

/* "<org> NUL <node>": no id holds a NUL, so no two nodes have the same. 0: too long, or no node. */
static size_t node_name(uint8_t out[static NAME_MAX_LEN], const char *org, const char *node)
{
    size_t org_len = strnlen(org, ORG_ID_MAX + 1), node_len = strnlen(node, TICKET_NODE_MAX + 1);
    if (org_len > ORG_ID_MAX || node_len == 0 || node_len > TICKET_NODE_MAX)
        return 0;
    memcpy(out, org, org_len);
    out[org_len] = '\0';
    memcpy(out + org_len + 1, node, node_len);
    return org_len + 1 + node_len;
}

void ticket_key_derive(struct ticket_key *out, const uint8_t master[static MASTER_KEY_LEN],
                       const char *node_org, const char *node, int64_t day)
{
    static const char context[] = "berth-ticket-key-1";
    uint8_t name[NAME_MAX_LEN], number[8], hash[crypto_generichash_BYTES];
    crypto_generichash_state st;
    size_t len = node_name(name, node_org, node);
    struct wire_wr w = wire_wr_init(number, sizeof number);
    wire_wr_u64(&w, (uint64_t)day);
    crypto_generichash_init(&st, master, MASTER_KEY_LEN, TICKET_KEY_LEN);
    crypto_generichash_update(&st, (const uint8_t *)context, sizeof context); /* its NUL ends it */
    crypto_generichash_update(&st, name, len);
    crypto_generichash_update(&st, (const uint8_t *)"", 1);
    crypto_generichash_update(&st, number, sizeof number);
    crypto_generichash_final(&st, out->key, TICKET_KEY_LEN);
    crypto_generichash(hash, sizeof hash, out->key, TICKET_KEY_LEN, NULL, 0);
    memcpy(out->id, hash, TICKET_KEY_ID_LEN);
    sodium_memzero(&st, sizeof st);
}

/* ---- the content ---- */

static bool put_id(struct wire_wr *w, const char *id, size_t max)
{
    size_t len = strnlen(id, max + 1);
    wire_wr_u8(w, (uint8_t)len);
    wire_wr_bytes(w, id, len);
    return len > 0 && len <= max;
}

/* The length of the content, 0: it can't be told. */
static size_t write_content(uint8_t out[static CONTENT_MAX], const struct ticket *t)
{
    struct wire_wr w = wire_wr_init(out, CONTENT_MAX);
    if ((t->kind != TICKET_PARTICIPANT && t->kind != TICKET_LINK) || t->number < 0 || t->expires_s < 0 ||
        t->expires_s > UINT32_MAX)
        return 0;
    wire_wr_u8(&w, (uint8_t)t->kind);
    wire_wr_u64(&w, (uint64_t)t->number);
    wire_wr_u32(&w, (uint32_t)t->expires_s);
    wire_wr_u64(&w, t->epoch);
    wire_wr_u32(&w, t->kbps);
    wire_wr_u16(&w, t->last_n);
    bool whole = put_id(&w, t->org, ORG_ID_MAX) && put_id(&w, t->meeting, TICKET_MEETING_MAX) &&
                 put_id(&w, t->who, AGENT_ID_MAX);
    return whole && !w.bad ? wire_wr_len(&w) : 0;
}

/* Into `out` of max + 1 bytes. */
static bool read_id(struct wire_rd *r, char *out, size_t max)
{
    size_t len = wire_rd_u8(r);
    struct slice s = wire_rd_bytes(r, len);
    if (r->bad || len == 0 || len > max || memchr(s.p, '\0', len))
        return false;
    memcpy(out, s.p, len);
    out[len] = '\0';
    return true;
}

static bool read_content(struct ticket *t, const uint8_t *p, size_t len)
{
    struct wire_rd r = wire_rd_init(p, len);
    unsigned kind = wire_rd_u8(&r);
    uint64_t number = wire_rd_u64(&r);
    *t = (struct ticket){.number = (int64_t)number};
    t->expires_s = wire_rd_u32(&r);
    t->epoch = wire_rd_u64(&r);
    t->kbps = wire_rd_u32(&r);
    t->last_n = wire_rd_u16(&r);
    if ((kind != TICKET_PARTICIPANT && kind != TICKET_LINK) || number > INT64_MAX)
        return false;
    t->kind = (enum ticket_kind)kind;
    return read_id(&r, t->org, ORG_ID_MAX) && read_id(&r, t->meeting, TICKET_MEETING_MAX) &&
           read_id(&r, t->who, AGENT_ID_MAX) && wire_rd_left(&r) == 0 && !r.bad;
}

/* ---- the seal ---- */

static void make_password(char out[static TICKET_PASSWORD_LEN + 1], const struct ticket_key *key,
                          const uint8_t *sealed, size_t len)
{
    uint8_t secret[TICKET_SECRET_LEN];
    crypto_generichash(secret, sizeof secret, sealed, len, key->key, TICKET_KEY_LEN);
    sodium_bin2base64(out, TICKET_PASSWORD_LEN + 1, secret, sizeof secret,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof secret);
}

int ticket_seal(struct ticket_grant *out, const struct ticket *t, const struct ticket_key *key,
                const char *node_org, const char *node, const uint8_t nonce[static TICKET_NONCE_LEN])
{
    uint8_t content[CONTENT_MAX], sealed[SEALED_MAX], name[NAME_MAX_LEN];
    unsigned long long len = 0;
    size_t content_len = write_content(content, t), name_len = node_name(name, node_org, node);
    if (content_len == 0 || name_len == 0)
        return -EINVAL;
    struct wire_wr w = wire_wr_init(sealed, sizeof sealed);
    wire_wr_u8(&w, TICKET_VERSION);
    wire_wr_bytes(&w, key->id, TICKET_KEY_ID_LEN);
    wire_wr_bytes(&w, nonce, TICKET_NONCE_LEN);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + PREFIX_LEN, &len, content, content_len, name,
                                               name_len, NULL, nonce, key->key);
    size_t sealed_len = PREFIX_LEN + (size_t)len;
    sodium_bin2base64(out->username, sizeof out->username, sealed, sealed_len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    make_password(out->password, key, sealed, sealed_len);
    return 0;
}

/* Opens with that key: the content's length, 0: it isn't that key's. */
static size_t unseal(uint8_t content[static CONTENT_MAX], const struct ticket_key *key,
                     const struct ticket_keys *keys, const uint8_t *sealed, size_t len)
{
    uint8_t name[NAME_MAX_LEN];
    unsigned long long n = 0;
    size_t name_len = node_name(name, keys->node_org, keys->node);
    if (name_len == 0 || memcmp(key->id, sealed + 1, TICKET_KEY_ID_LEN) != 0)
        return 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(content, &n, NULL, sealed + PREFIX_LEN, len - PREFIX_LEN,
                                                   name, name_len, sealed + 1 + TICKET_KEY_ID_LEN,
                                                   key->key) != 0)
        return 0;
    return (size_t)n;
}

int ticket_open(struct ticket *t, char password[static TICKET_PASSWORD_LEN + 1],
                const struct ticket_keys *keys, const uint8_t *username, size_t len)
{
    uint8_t sealed[SEALED_MAX], content[CONTENT_MAX];
    struct ticket opened;
    size_t sealed_len = 0;
    if (len > STUN_USERNAME_MAX)
        return -EBADMSG;
    /* The only text of those bytes is taken: libsodium refuses leftover bits, padding, and whatever isn't of the alphabet. */
    if (sodium_base642bin(sealed, sizeof sealed, (const char *)username, len, NULL, &sealed_len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        sealed_len < PREFIX_LEN + CONTENT_FIXED + TAG_LEN || sealed[0] != TICKET_VERSION)
        return -EBADMSG;
    for (size_t i = 0; i < keys->n; i++) { /* two keys may have the same id */
        size_t n = unseal(content, &keys->key[i], keys, sealed, sealed_len);
        if (n == 0)
            continue;
        if (!read_content(&opened, content, n))
            return -EBADMSG;
        *t = opened;
        make_password(password, &keys->key[i], sealed, sealed_len);
        return 0;
    }
    return -EACCES;
}

int ticket_secret(uint8_t secret[static TICKET_SECRET_LEN], const char *password)
{
    uint8_t bytes[TICKET_SECRET_LEN];
    size_t n = 0;
    size_t len = strnlen(password, TICKET_PASSWORD_LEN + 1);
    if (len != TICKET_PASSWORD_LEN ||
        sodium_base642bin(bytes, sizeof bytes, password, len, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n != sizeof bytes)
        return -EINVAL;
    memcpy(secret, bytes, sizeof bytes);
    sodium_memzero(bytes, sizeof bytes);
    return 0;
}
