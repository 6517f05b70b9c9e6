/* The media handshake and the consent check on the wire. Invariant: what is read is a view that nobody believes yet;
 * a success that an agent is told of had the right integrity, and an error is never longer than the request that it
 * answers. */
#include "media/handshake.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
    MEDIA_VERSION = 1,
    HELLO_LEN = 4 + MEDIA_RANDOM_LEN + MEDIA_SESSION_LEN,
    WELCOME_LEN = 4 + MEDIA_RANDOM_LEN + MEDIA_SESSION_LEN,
    SESSION_LEN = MEDIA_SESSION_LEN + 1,
    FLAG_LEAVE = 1,
    FLAG_MOVE_SOON = 1,
    EXTENSION_ID_MAX = 14, /* RFC 8285 4.2 */
    ATTR_HEADER_LEN = 4,
    INTEGRITY_LEN = ATTR_HEADER_LEN + STUN_SHA256_LEN,
    FINGERPRINT_LEN = ATTR_HEADER_LEN + 4,
    TAIL_LEN = INTEGRITY_LEN + FINGERPRINT_LEN,
    NONCE_ATTR_LEN = ATTR_HEADER_LEN + (MEDIA_NONCE_MAX + 3) / 4 * 4,
    /* A 438 with a nonce: what a request that may get one is filled up to. */
    STALE_LEN = STUN_HEADER_LEN + 8 + ATTR_HEADER_LEN + (MEDIA_NONCE_LEN + 3) / 4 * 4 + TAIL_LEN,
    NONCE_TIME_LEN = 4,
    NONCE_BYTES = 32,
};
static_assert(STUN_HEADER_LEN + ATTR_HEADER_LEN + STUN_USERNAME_MAX + NONCE_ATTR_LEN + ATTR_HEADER_LEN +
                      HELLO_LEN + TAIL_LEN <=
                  MEDIA_MESSAGE_MAX,
              "the longest hello fits");
static_assert((NONCE_BYTES * 4 + 2) / 3 == MEDIA_NONCE_LEN, "a nonce is 32 bytes as text");
static_assert((int)MEDIA_NONCE_LEN <= (int)MEDIA_NONCE_MAX, "agents take the nonces that nodes make");
static_assert(2 * TICKET_SECRET_LEN <= crypto_generichash_KEYBYTES_MAX, "secret and shared are one key");

static uint8_t suite_bit(enum srtp_suite s)
{
    return (uint8_t)(1u << s);
}

/* ---- writing ---- */

/* Integrity and fingerprint end every message that has them. */
static size_t finish(struct stun_writer *b, const char *password)
{
    size_t len = 0;
    if (password)
        stun_put_integrity_sha256(b, password, strlen(password));
    stun_put_fingerprint(b);
    return stun_finish(b, &len) == 0 ? len : 0;
}

static void put_nonce(struct stun_writer *b, struct slice nonce)
{
    if (nonce.p && nonce.len <= MEDIA_NONCE_MAX)
        stun_put(b, STUN_ATTR_NONCE, nonce.p, nonce.len);
}

size_t media_write_hello(uint8_t out[static MEDIA_MESSAGE_MAX], const uint8_t txid[static STUN_TXID_LEN],
                         const struct ticket_grant *grant, const struct media_hello *h, struct slice nonce)
{
    uint8_t value[HELLO_LEN];
    struct stun_writer b;
    struct wire_wr w = wire_wr_init(value, sizeof value);
    wire_wr_u8(&w, MEDIA_VERSION);
    wire_wr_u8(&w, (uint8_t)h->suites);
    wire_wr_u8(&w, h->audio_level_ext);
    wire_wr_u8(&w, h->transport_wide_ext);
    wire_wr_bytes(&w, h->random, sizeof h->random);
    wire_wr_bytes(&w, h->name.bytes, sizeof h->name.bytes);
    stun_begin(&b, out, MEDIA_MESSAGE_MAX, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_USERNAME, grant->username, strnlen(grant->username, STUN_USERNAME_MAX));
    put_nonce(&b, nonce);
    stun_put(&b, STUN_ATTR_BERTH_HELLO, value, sizeof value);
    return finish(&b, grant->password);
}

size_t media_write_consent(uint8_t out[static MEDIA_MESSAGE_MAX], const uint8_t txid[static STUN_TXID_LEN],
                           const char *password, const struct media_session_id *s, bool leave,
                           struct slice nonce)
{
    static const uint8_t zeros[STALE_LEN];
    struct stun_writer b;
    uint8_t value[SESSION_LEN];
    memcpy(value, s->bytes, MEDIA_SESSION_LEN);
    value[MEDIA_SESSION_LEN] = leave ? FLAG_LEAVE : 0;
    stun_begin(&b, out, MEDIA_MESSAGE_MAX, STUN_REQUEST, STUN_BINDING, txid);
    put_nonce(&b, nonce);
    stun_put(&b, STUN_ATTR_BERTH_SESSION, value, sizeof value);
    size_t taken = wire_wr_len(&b.w) + ATTR_HEADER_LEN + TAIL_LEN;
    if (taken < STALE_LEN)
        stun_put(&b, STUN_ATTR_PADDING, zeros, STALE_LEN - taken);
    return finish(&b, password);
}

size_t media_write_welcome(uint8_t out[static MEDIA_MESSAGE_MAX], const struct media_request *r,
                           const char *password, const struct addr *mapped, const struct media_welcome *w)
{
    uint8_t value[WELCOME_LEN];
    struct stun_writer b;
    struct wire_wr v = wire_wr_init(value, sizeof value);
    wire_wr_u8(&v, MEDIA_VERSION);
    wire_wr_u8(&v, suite_bit(w->suite));
    wire_wr_u16(&v, w->last_n);
    wire_wr_bytes(&v, w->random, sizeof w->random);
    wire_wr_bytes(&v, w->session.bytes, sizeof w->session.bytes);
    stun_begin(&b, out, MEDIA_MESSAGE_MAX, STUN_SUCCESS, STUN_BINDING, r->msg.txid);
    stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, mapped);
    stun_put(&b, STUN_ATTR_BERTH_WELCOME, value, sizeof value);
    return finish(&b, password);
}

static void put_news(struct stun_writer *b, const struct media_news *news)
{
    uint8_t value[2 + 4 * MEDIA_REFUSED_MAX];
    size_t n = news->n_refused <= MEDIA_REFUSED_MAX ? news->n_refused : MEDIA_REFUSED_MAX;
    struct wire_wr w = wire_wr_init(value, sizeof value);
    wire_wr_u8(&w, news->move_soon ? FLAG_MOVE_SOON : 0);
    wire_wr_u8(&w, (uint8_t)n);
    for (size_t i = 0; i < n; i++)
        wire_wr_u32(&w, news->refused[i]);
    stun_put(b, STUN_ATTR_BERTH_NEWS, value, wire_wr_len(&w));
}

size_t media_write_consent_answer(uint8_t out[static MEDIA_MESSAGE_MAX], const struct media_request *r,
                                  const char *password, const struct addr *mapped,
                                  const struct media_news *news)
{
    struct stun_writer b;
    stun_begin(&b, out, MEDIA_MESSAGE_MAX, STUN_SUCCESS, STUN_BINDING, r->msg.txid);
    stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, mapped);
    if (news)
        put_news(&b, news);
    return finish(&b, password);
}

size_t media_write_error(uint8_t out[static MEDIA_MESSAGE_MAX], const struct media_request *r, int code,
                         const char *password, struct slice nonce)
{
    struct stun_writer b;
    stun_begin(&b, out, MEDIA_MESSAGE_MAX, STUN_ERROR, STUN_BINDING, r->msg.txid);
    stun_put_error(&b, code, NULL);
    put_nonce(&b, nonce);
    size_t len = finish(&b, password);
    return len <= r->msg.len ? len : 0;
}

/* ---- reading ---- */

/* The first attribute of each type that counts; what isn't there has no value. */
struct found {
    struct stun_attr username, nonce, hello, welcome, session, news;
};

static struct stun_attr *found_slot(struct found *f, uint16_t type)
{
    switch (type) {
    case STUN_ATTR_USERNAME:
        return &f->username;
    case STUN_ATTR_NONCE:
        return &f->nonce;
    case STUN_ATTR_BERTH_HELLO:
        return &f->hello;
    case STUN_ATTR_BERTH_WELCOME:
        return &f->welcome;
    case STUN_ATTR_BERTH_SESSION:
        return &f->session;
    case STUN_ATTR_BERTH_NEWS:
        return &f->news;
    default:
        return NULL;
    }
}

/* One pass: nothing of ours counts behind an integrity attribute, RFC 8489 14.5 and 14.6. */
static struct found find_all(const struct stun_msg *m)
{
    struct found f = {0};
    struct stun_attr_iter it = stun_attrs(m);
    struct stun_attr a;
    while (stun_attr_next(&it, &a) && a.type != STUN_ATTR_MESSAGE_INTEGRITY &&
           a.type != STUN_ATTR_MESSAGE_INTEGRITY_SHA256) {
        struct stun_attr *slot = found_slot(&f, a.type);
        if (slot && !slot->value)
            *slot = a;
    }
    return f;
}

static struct slice value_of(const struct stun_attr *a)
{
    return (struct slice){.p = a->value, .len = a->len};
}

static bool extensions_valid(uint8_t a, uint8_t b)
{
    return a <= EXTENSION_ID_MAX && b <= EXTENSION_ID_MAX && (a == 0 || a != b);
}

static bool read_hello(struct media_hello *h, struct slice s)
{
    struct wire_rd r = wire_rd_init(s.p, s.len);
    if (s.len != HELLO_LEN || wire_rd_u8(&r) != MEDIA_VERSION)
        return false;
    h->suites = wire_rd_u8(&r);
    h->audio_level_ext = wire_rd_u8(&r);
    h->transport_wide_ext = wire_rd_u8(&r);
    memcpy(h->random, wire_rd_bytes(&r, MEDIA_RANDOM_LEN).p, MEDIA_RANDOM_LEN);
    memcpy(h->name.bytes, wire_rd_bytes(&r, MEDIA_SESSION_LEN).p, MEDIA_SESSION_LEN);
    return extensions_valid(h->audio_level_ext, h->transport_wide_ext);
}

static bool read_welcome(struct media_welcome *out, struct slice s)
{
    struct wire_rd r = wire_rd_init(s.p, s.len);
    if (s.len != WELCOME_LEN || wire_rd_u8(&r) != MEDIA_VERSION)
        return false;
    unsigned bit = wire_rd_u8(&r);
    if (bit != suite_bit(SRTP_AES_128_GCM) && bit != suite_bit(SRTP_AES_CM_128_SHA1_80))
        return false;
    out->suite = bit == suite_bit(SRTP_AES_128_GCM) ? SRTP_AES_128_GCM : SRTP_AES_CM_128_SHA1_80;
    out->last_n = wire_rd_u16(&r);
    memcpy(out->random, wire_rd_bytes(&r, MEDIA_RANDOM_LEN).p, MEDIA_RANDOM_LEN);
    memcpy(out->session.bytes, wire_rd_bytes(&r, MEDIA_SESSION_LEN).p, MEDIA_SESSION_LEN);
    return true;
}

static bool read_news(struct media_news *out, struct slice s)
{
    struct wire_rd r = wire_rd_init(s.p, s.len);
    out->move_soon = wire_rd_u8(&r) & FLAG_MOVE_SOON;
    out->n_refused = wire_rd_u8(&r);
    if (r.bad || out->n_refused > MEDIA_REFUSED_MAX || wire_rd_left(&r) != 4 * out->n_refused)
        return false;
    for (size_t i = 0; i < out->n_refused; i++)
        out->refused[i] = wire_rd_u32(&r);
    return true;
}

void media_read_request(struct media_request *r, const uint8_t *bytes, size_t len)
{
    uint16_t unknown[STUN_UNKNOWN_MAX];
    *r = (struct media_request){.kind = MEDIA_REQUEST_NONE};
    if (stun_parse(&r->msg, bytes, len) < 0 || r->msg.cls != STUN_REQUEST || r->msg.method != STUN_BINDING)
        return;
    struct found f = find_all(&r->msg);
    if (!f.hello.value && !f.session.value)
        return;
    if (stun_check_fingerprint(&r->msg) < 0 || stun_unknown_attrs(&r->msg, unknown) > 0)
        return;
    r->nonce = value_of(&f.nonce);
    if (f.hello.value) {
        r->kind = MEDIA_REQUEST_HELLO;
        r->username = value_of(&f.username);
        r->hello_ok = read_hello(&r->hello, value_of(&f.hello));
    } else if (f.session.len == SESSION_LEN) {
        r->kind = MEDIA_REQUEST_CONSENT;
        memcpy(r->session.bytes, f.session.value, MEDIA_SESSION_LEN);
        r->leave = f.session.value[MEDIA_SESSION_LEN] & FLAG_LEAVE;
    }
}

int media_check_request(const struct media_request *r, const char *password)
{
    return stun_check_integrity_sha256(&r->msg, password, strlen(password)) == 0 ? 0 : -EACCES;
}

static bool read_success(struct media_answer *a, const struct stun_msg *m, const struct found *f)
{
    a->has_welcome = f->welcome.value;
    if (a->has_welcome && !read_welcome(&a->welcome, value_of(&f->welcome)))
        return false;
    if (f->news.value && !read_news(&a->news, value_of(&f->news)))
        return false;
    return stun_mapped_address(m, &a->mapped) == 0;
}

int media_read_answer(struct media_answer *a, const uint8_t *bytes, size_t len,
                      const uint8_t txid[static STUN_TXID_LEN], const char *password)
{
    struct media_answer read = {0};
    struct stun_msg m;
    struct stun_attr error;
    struct slice reason;
    if (stun_parse(&m, bytes, len) < 0 || m.method != STUN_BINDING ||
        (m.cls != STUN_SUCCESS && m.cls != STUN_ERROR) || memcmp(m.txid, txid, STUN_TXID_LEN) != 0)
        return -ENOENT;
    int checked = stun_check_integrity_sha256(&m, password, strlen(password));
    read.authentic = checked == 0;
    if (stun_check_fingerprint(&m) < 0 || (!read.authentic && (checked != -ENOENT || m.cls == STUN_SUCCESS)))
        return -EBADMSG;
    struct found f = find_all(&m);
    read.nonce = value_of(&f.nonce);
    if (m.cls == STUN_SUCCESS) {
        if (!read_success(&read, &m, &f))
            return -EBADMSG;
    } else if (!stun_find(&m, STUN_ATTR_ERROR_CODE, &error) ||
               stun_attr_error(&error, &read.error, &reason) < 0 || read.nonce.len > MEDIA_NONCE_MAX) {
        return -EBADMSG;
    }
    *a = read;
    return 0;
}

/* ---- nonces ---- */

/* NONCE_BYTES: seconds, and what only the key's owner can make of them and the address. */
static void nonce_bytes(uint8_t out[static NONCE_BYTES], const uint8_t key[static MEDIA_NONCE_KEY_LEN],
                        const struct addr *from, uint32_t seconds)
{
    uint8_t text[NONCE_TIME_LEN + 1 + 2 + sizeof from->ip];
    struct wire_wr w = wire_wr_init(text, sizeof text), o = wire_wr_init(out, NONCE_BYTES);
    wire_wr_u32(&w, seconds);
    wire_wr_u8(&w, from->family);
    wire_wr_u16(&w, from->port);
    wire_wr_bytes(&w, from->ip, sizeof from->ip);
    wire_wr_u32(&o, seconds);
    crypto_generichash(out + NONCE_TIME_LEN, NONCE_BYTES - NONCE_TIME_LEN, text, sizeof text, key,
                       MEDIA_NONCE_KEY_LEN);
}

static uint32_t seconds_of(int64_t now_us)
{
    return (uint32_t)(now_us / 1000000);
}

void media_nonce_make(char out[static MEDIA_NONCE_LEN + 1], const uint8_t key[static MEDIA_NONCE_KEY_LEN],
                      const struct addr *from, int64_t now_us)
{
    uint8_t bytes[NONCE_BYTES];
    nonce_bytes(bytes, key, from, seconds_of(now_us));
    sodium_bin2base64(out, MEDIA_NONCE_LEN + 1, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool media_nonce_holds(struct slice nonce, const uint8_t key[static MEDIA_NONCE_KEY_LEN],
                       const struct addr *from, int64_t now_us)
{
    uint8_t bytes[NONCE_BYTES], expected[NONCE_BYTES];
    size_t n = 0;
    if (nonce.len != MEDIA_NONCE_LEN ||
        sodium_base642bin(bytes, sizeof bytes, (const char *)nonce.p, nonce.len, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n != sizeof bytes)
        return false;
    struct wire_rd r = wire_rd_init(bytes, sizeof bytes);
    uint32_t made = wire_rd_u32(&r);
    nonce_bytes(expected, key, from, made);
    return sodium_memcmp(bytes, expected, sizeof bytes) == 0 &&
           seconds_of(now_us) - made <= MEDIA_NONCE_LIFE_S;
}

/* ---- keys ---- */

/* One direction's, of its half of the root. */
static void half_keys(struct srtp_keys *out, const uint8_t half[static 32], enum srtp_suite suite)
{
    static const char context[] = "srtp";
    uint8_t hash[crypto_generichash_BYTES_MAX];
    size_t len = suite == SRTP_AES_128_GCM ? 16 + 12 : 16 + 14;
    crypto_generichash(hash, sizeof hash, (const uint8_t *)context, sizeof context - 1, half, 32);
    *out = (struct srtp_keys){0};
    memcpy(out->bytes, hash, len);
    sodium_memzero(hash, sizeof hash);
}

void media_session_keys(struct srtp_keys *agent_sends, struct srtp_keys *node_sends,
                        const uint8_t secret[static TICKET_SECRET_LEN], const uint8_t *shared,
                        enum srtp_suite suite, const uint8_t agent_random[static MEDIA_RANDOM_LEN],
                        const uint8_t node_random[static MEDIA_RANDOM_LEN],
                        const struct media_session_id *session)
{
    static const char context[] = "berth-media-1";
    uint8_t key[2 * TICKET_SECRET_LEN], root[crypto_generichash_BYTES_MAX];
    uint8_t bit = suite_bit(suite);
    crypto_generichash_state st;
    memcpy(key, secret, TICKET_SECRET_LEN);
    if (shared)
        memcpy(key + TICKET_SECRET_LEN, shared, TICKET_SECRET_LEN);
    crypto_generichash_init(&st, key, shared ? sizeof key : TICKET_SECRET_LEN, sizeof root);
    crypto_generichash_update(&st, (const uint8_t *)context, sizeof context - 1);
    crypto_generichash_update(&st, &bit, 1);
    crypto_generichash_update(&st, agent_random, MEDIA_RANDOM_LEN);
    crypto_generichash_update(&st, node_random, MEDIA_RANDOM_LEN);
    crypto_generichash_update(&st, session->bytes, MEDIA_SESSION_LEN);
    crypto_generichash_final(&st, root, sizeof root);
    half_keys(agent_sends, root, suite);
    half_keys(node_sends, root + sizeof root / 2, suite);
    sodium_memzero(key, sizeof key);
    sodium_memzero(root, sizeof root);
    sodium_memzero(&st, sizeof st);
}

void media_link_name(struct media_session_id *name, const uint8_t shared[static TICKET_SECRET_LEN],
                     const uint8_t random[static MEDIA_RANDOM_LEN])
{
    static const char context[] = "berth-link-1";
    uint8_t hash[crypto_generichash_BYTES];
    crypto_generichash_state st;
    crypto_generichash_init(&st, shared, TICKET_SECRET_LEN, sizeof hash);
    crypto_generichash_update(&st, (const uint8_t *)context, sizeof context - 1);
    crypto_generichash_update(&st, random, MEDIA_RANDOM_LEN);
    crypto_generichash_final(&st, hash, sizeof hash);
    memcpy(name->bytes, hash, sizeof name->bytes);
    sodium_memzero(&st, sizeof st);
}
