/* link: berth_media */
/* The media handshake: each message read is what was written; altered ones are refused; errors are small; nonces
 * hold for an address and a minute; the keys are the documented ones. */
#include "check.h"

#include "media/handshake.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const struct media_session_id session = {{1, 2, 3, 4, 5, 6, 7, 8}};
static const struct slice no_nonce;
static const struct addr v4 = {.family = ADDR_V4, .port = 5004, .ip = {192, 0, 2, 1}};
static const struct addr v6 = {.family = ADDR_V6, .port = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
static const char password[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";

struct message {
    uint8_t bytes[MEDIA_MESSAGE_MAX];
    size_t len;
};

static struct slice text_slice(const char *s)
{
    return (struct slice){.p = (const uint8_t *)s, .len = strlen(s)};
}

static struct ticket_grant grant_of(size_t username_len)
{
    struct ticket_grant g;
    memset(g.username, 'u', sizeof g.username);
    g.username[username_len] = '\0';
    strcpy(g.password, password);
    return g;
}

static struct media_hello usual_hello(void)
{
    struct media_hello h = {.suites = 1u << SRTP_AES_128_GCM | 1u << SRTP_AES_CM_128_SHA1_80,
                            .audio_level_ext = 1,
                            .transport_wide_ext = 3,
                            .name = {{8, 7, 6, 5, 4, 3, 2, 1}}};
    memset(h.random, 0xAA, sizeof h.random);
    return h;
}

static struct media_welcome usual_welcome(void)
{
    struct media_welcome w = {.suite = SRTP_AES_CM_128_SHA1_80, .last_n = 20, .session = session};
    memset(w.random, 0xBB, sizeof w.random);
    return w;
}

static struct message hello_message(struct slice nonce)
{
    struct message m;
    struct ticket_grant g = grant_of(100);
    struct media_hello h = usual_hello();
    m.len = media_write_hello(m.bytes, txid, &g, &h, nonce);
    assert_true(m.len > 0);
    return m;
}

static struct message consent_message(bool leave, struct slice nonce)
{
    struct message m;
    m.len = media_write_consent(m.bytes, txid, password, &session, leave, nonce);
    assert_true(m.len > 0);
    return m;
}

static struct media_request read_request(const struct message *m)
{
    struct media_request r;
    media_read_request(&r, m->bytes, m->len);
    return r;
}

/* ---- requests ---- */

static void test_hello(void **state)
{
    (void)state;
    char nonce[MEDIA_NONCE_MAX + 1];
    memset(nonce, 'n', sizeof nonce);
    nonce[MEDIA_NONCE_MAX] = '\0';
    for (size_t len = 1; len <= STUN_USERNAME_MAX; len++) {
        struct ticket_grant g = grant_of(len);
        struct media_hello h = usual_hello();
        struct message m;
        m.len = media_write_hello(m.bytes, txid, &g, &h, len % 2 ? no_nonce : text_slice(nonce));
        struct media_request r = read_request(&m);
        assert_int_equal(r.kind, MEDIA_REQUEST_HELLO);
        assert_true(r.hello_ok);
        assert_int_equal(r.username.len, len);
        assert_memory_equal(r.username.p, g.username, len);
        assert_int_equal(r.nonce.len, len % 2 ? 0 : MEDIA_NONCE_MAX);
        assert_true(len % 2 ? r.nonce.p == NULL : memcmp(r.nonce.p, nonce, MEDIA_NONCE_MAX) == 0);
        assert_int_equal(r.hello.suites, h.suites);
        assert_int_equal(r.hello.audio_level_ext, 1);
        assert_int_equal(r.hello.transport_wide_ext, 3);
        assert_memory_equal(r.hello.random, h.random, sizeof h.random);
        assert_memory_equal(r.hello.name.bytes, h.name.bytes, sizeof h.name.bytes);
        assert_int_equal(media_check_request(&r, password), 0);
        assert_int_equal(media_check_request(&r, "another"), -EACCES);
    }
}

static void test_consent(void **state)
{
    (void)state;
    for (int leave = 0; leave <= 1; leave++) {
        struct message m = consent_message(leave, leave ? text_slice("a nonce") : no_nonce);
        struct media_request r = read_request(&m);
        assert_int_equal(r.kind, MEDIA_REQUEST_CONSENT);
        assert_memory_equal(r.session.bytes, session.bytes, MEDIA_SESSION_LEN);
        assert_int_equal(r.leave, leave);
        assert_int_equal(r.nonce.len, leave ? 7 : 0);
        assert_null(r.username.p);
        assert_int_equal(media_check_request(&r, password), 0);
        assert_int_equal(media_check_request(&r, "another"), -EACCES);
    }
}

/* A message with these attributes, integrity and fingerprint. */
static struct message made(enum stun_class cls, uint16_t method, const struct stun_attr *attrs, size_t n)
{
    struct message m = {.len = 0};
    struct stun_writer b;
    stun_begin(&b, m.bytes, sizeof m.bytes, cls, method, txid);
    for (size_t i = 0; i < n; i++)
        stun_put(&b, attrs[i].type, attrs[i].value, attrs[i].len);
    stun_put_integrity_sha256(&b, password, strlen(password));
    stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &m.len), 0);
    return m;
}

static struct media_request made_request(uint16_t type, const void *value, size_t len)
{
    static struct message m; /* the answer points into it */
    struct stun_attr a = {.type = type, .value = value, .len = len};
    m = made(STUN_REQUEST, STUN_BINDING, &a, 1);
    return read_request(&m);
}

static void test_hellos_that_cannot_be_read(void **state)
{
    (void)state;
    static const uint8_t wrong_ids[][2] = {{15, 0}, {0, 15}, {255, 1}, {5, 5}};
    uint8_t value[64] = {1, 3};
    for (size_t len = 0; len <= sizeof value; len++) {
        struct media_request r = made_request(STUN_ATTR_BERTH_HELLO, value, len);
        assert_int_equal(r.kind, MEDIA_REQUEST_HELLO);
        assert_int_equal(r.hello_ok, len == 44);
        assert_null(r.username.p);
    }
    for (int version = 0; version < 256; version++) {
        value[0] = (uint8_t)version;
        assert_int_equal(made_request(STUN_ATTR_BERTH_HELLO, value, 44).hello_ok, version == 1);
    }
    value[0] = 1;
    for (size_t i = 0; i < 4; i++) {
        memcpy(value + 2, wrong_ids[i], 2);
        assert_false(made_request(STUN_ATTR_BERTH_HELLO, value, 44).hello_ok);
    }
    value[2] = value[3] = 0;
    assert_true(made_request(STUN_ATTR_BERTH_HELLO, value, 44).hello_ok);
    for (size_t len = 0; len <= 20; len++)
        assert_int_equal(made_request(STUN_ATTR_BERTH_SESSION, value, len).kind,
                         len == 9 ? MEDIA_REQUEST_CONSENT : MEDIA_REQUEST_NONE);
}

static void test_what_is_none_of_ours(void **state)
{
    (void)state;
    static const uint8_t value[44] = {1, 3};
    const struct stun_attr hello = {.type = STUN_ATTR_BERTH_HELLO, .value = value, .len = sizeof value};
    const struct stun_attr unknown[] = {hello, {.type = 0x7ABC, .value = value, .len = 4}};
    const struct stun_attr optional[] = {hello, {.type = 0xFABC, .value = value, .len = 4}};
    struct message m = made(STUN_SUCCESS, STUN_BINDING, &hello, 1);
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_NONE);
    m = made(STUN_INDICATION, STUN_BINDING, &hello, 1);
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_NONE);
    m = made(STUN_REQUEST, 3, &hello, 1);
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_NONE);
    m = made(STUN_REQUEST, STUN_BINDING, NULL, 0);
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_NONE);
    m = made(STUN_REQUEST, STUN_BINDING, unknown, 2); /* the ordinary answer is 420 */
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_NONE);
    m = made(STUN_REQUEST, STUN_BINDING, optional, 2);
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_HELLO);
    m = made(STUN_REQUEST, STUN_BINDING, &hello, 1);
    m.bytes[m.len - 1] ^= 1;
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_NONE);
    m.bytes[m.len - 1] ^= 1;
    m.bytes[m.len - 7] ^= 1; /* another attribute's type: there is no fingerprint */
    assert_int_equal(read_request(&m).kind, MEDIA_REQUEST_NONE);
}

/* What stands behind the integrity is nobody's word. */
static void test_behind_the_integrity(void **state)
{
    (void)state;
    static const uint8_t value[44] = {1, 3};
    struct message m;
    struct stun_writer b;
    stun_begin(&b, m.bytes, sizeof m.bytes, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_BERTH_SESSION, value, 9);
    stun_put_integrity_sha256(&b, password, strlen(password));
    stun_put(&b, STUN_ATTR_BERTH_HELLO, value, sizeof value);
    stun_put(&b, STUN_ATTR_NONCE, "later", 5);
    stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &m.len), 0);
    struct media_request r = read_request(&m);
    assert_int_equal(r.kind, MEDIA_REQUEST_CONSENT);
    assert_null(r.nonce.p);
    assert_int_equal(media_check_request(&r, password), 0);
}

/* Any byte of a request altered: it is nothing of ours, or its integrity is wrong. Fingerprints are made right again. */
static void every_byte(const struct message *original)
{
    enum { FINGERPRINT = 8 };
    for (size_t bit = 0; bit < 8 * (original->len - FINGERPRINT); bit++) {
        struct message m = *original;
        if (bit / 8 == 2 || bit / 8 == 3)
            continue; /* the length: the writer makes it right again, too */
        m.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct media_request r = read_request(&m);
        assert_int_equal(r.kind, MEDIA_REQUEST_NONE);
        struct stun_writer b = {
            .w = {.start = m.bytes, .p = m.bytes + m.len - FINGERPRINT, .end = m.bytes + sizeof m.bytes}};
        stun_put_fingerprint(&b);
        media_read_request(&r, m.bytes, m.len);
        if (r.kind != MEDIA_REQUEST_NONE)
            assert_int_equal(media_check_request(&r, password), -EACCES);
    }
    for (size_t len = 0; len < original->len; len++) {
        struct media_request r;
        media_read_request(&r, original->bytes, len);
        assert_int_equal(r.kind, MEDIA_REQUEST_NONE);
    }
}

static void test_every_byte_of_requests(void **state)
{
    (void)state;
    struct message m = hello_message(text_slice("a nonce"));
    every_byte(&m);
    m = consent_message(true, no_nonce);
    every_byte(&m);
}

/* ---- answers ---- */

static void test_welcome(void **state)
{
    (void)state;
    const struct addr *const from[] = {&v4, &v6};
    struct message request = hello_message(no_nonce), m;
    struct media_request r = read_request(&request);
    struct media_welcome w = usual_welcome();
    struct media_answer a;
    for (size_t i = 0; i < 2; i++) {
        w.suite = i == 0 ? SRTP_AES_128_GCM : SRTP_AES_CM_128_SHA1_80;
        m.len = media_write_welcome(m.bytes, &r, password, from[i], &w);
        assert_true(m.len > 0 && m.len <= request.len);
        assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), 0);
        assert_true(a.error == 0 && a.authentic && a.has_welcome && addr_eq(&a.mapped, from[i]));
        assert_int_equal(a.welcome.suite, w.suite);
        assert_int_equal(a.welcome.last_n, w.last_n);
        assert_memory_equal(a.welcome.random, w.random, sizeof w.random);
        assert_memory_equal(a.welcome.session.bytes, session.bytes, MEDIA_SESSION_LEN);
        assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, "another"), -EBADMSG);
        m.bytes[12] ^= 1;
        assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), -ENOENT);
    }
    assert_int_equal(media_read_answer(&a, request.bytes, request.len, txid, password), -ENOENT);
}

static void test_every_byte_of_a_welcome(void **state)
{
    (void)state;
    struct message request = hello_message(no_nonce), original;
    struct media_request r = read_request(&request);
    struct media_welcome w = usual_welcome();
    original.len = media_write_welcome(original.bytes, &r, password, &v4, &w);
    for (size_t bit = 0; bit < 8 * original.len; bit++) {
        struct message m = original;
        struct media_answer a = {.error = 999};
        m.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(media_read_answer(&a, m.bytes, m.len, txid, password) < 0);
        assert_int_equal(a.error, 999);
    }
}

static void test_news(void **state)
{
    (void)state;
    struct message request = consent_message(false, no_nonce), m;
    struct media_request r = read_request(&request);
    struct media_news news = {.move_soon = true};
    struct media_answer a;
    for (size_t n = 0; n <= MEDIA_REFUSED_MAX; n++) {
        news.n_refused = n;
        news.refused[n < MEDIA_REFUSED_MAX ? n : 0] = (uint32_t)n << 28 | 5;
        m.len = media_write_consent_answer(m.bytes, &r, password, &v4, &news);
        assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), 0);
        assert_true(!a.has_welcome && a.news.move_soon && a.news.n_refused == n);
        assert_memory_equal(a.news.refused, news.refused, 4 * n);
    }
    news.n_refused = MEDIA_REFUSED_MAX + 1; /* more than it holds: the first are named */
    m.len = media_write_consent_answer(m.bytes, &r, password, &v4, &news);
    assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), 0);
    assert_int_equal(a.news.n_refused, MEDIA_REFUSED_MAX);
    m.len = media_write_consent_answer(m.bytes, &r, password, &v6, NULL);
    assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), 0);
    assert_true(!a.news.move_soon && a.news.n_refused == 0 && addr_eq(&a.mapped, &v6));
}

static int answer_with(uint16_t type, const uint8_t *value, size_t len)
{
    static const uint8_t mapped[] = {0, 1, 1, 2, 3, 4, 5, 6};
    const struct stun_attr attrs[] = {
        {.type = STUN_ATTR_XOR_MAPPED_ADDRESS, .value = mapped, .len = sizeof mapped},
        {.type = type, .value = value, .len = len}};
    struct message m = made(STUN_SUCCESS, STUN_BINDING, attrs, 2);
    struct media_answer a;
    return media_read_answer(&a, m.bytes, m.len, txid, password);
}

/* Rightly signed, but not what the protocol says: broken. */
static void test_broken_answers(void **state)
{
    (void)state;
    uint8_t value[80] = {1};
    struct media_answer a;
    for (int suite = 0; suite < 256; suite++) {
        value[1] = (uint8_t)suite;
        assert_int_equal(answer_with(STUN_ATTR_BERTH_WELCOME, value, 44),
                         suite == 1 || suite == 2 ? 0 : -EBADMSG);
    }
    value[1] = 1;
    for (size_t len = 0; len <= 60; len++)
        assert_int_equal(answer_with(STUN_ATTR_BERTH_WELCOME, value, len), len == 44 ? 0 : -EBADMSG);
    value[0] = 2;
    assert_int_equal(answer_with(STUN_ATTR_BERTH_WELCOME, value, 44), -EBADMSG);
    for (size_t n = 0; n < 20; n++) {
        value[1] = (uint8_t)n;
        for (size_t len = 0; len <= sizeof value; len++)
            assert_int_equal(answer_with(STUN_ATTR_BERTH_NEWS, value, len),
                             len == 2 + 4 * n && n <= MEDIA_REFUSED_MAX ? 0 : -EBADMSG);
    }
    struct message m = made(STUN_SUCCESS, STUN_BINDING, NULL, 0); /* no address */
    assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), -EBADMSG);
    m = made(STUN_ERROR, STUN_BINDING, NULL, 0); /* no code */
    assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), -EBADMSG);
}

/* ---- errors ---- */

static void test_errors(void **state)
{
    (void)state;
    static const int codes[] = {400, 401, 437, 438, 486, 508};
    char nonce[MEDIA_NONCE_LEN + 1];
    memset(nonce, 'n', sizeof nonce);
    nonce[MEDIA_NONCE_LEN] = '\0';
    const struct message requests[] = {hello_message(no_nonce), consent_message(false, no_nonce),
                                       consent_message(true, text_slice(nonce))};
    for (size_t i = 0; i < 3 * 6 * 4; i++) {
        const struct message *request = &requests[i / 24];
        struct media_request r = read_request(request);
        struct media_answer a;
        struct message m;
        bool signed_ = i % 2, with_nonce = i / 2 % 2;
        int code = codes[i / 4 % 6];
        m.len = media_write_error(m.bytes, &r, code, signed_ ? password : NULL,
                                  with_nonce ? text_slice(nonce) : no_nonce);
        assert_true(m.len > 0 && m.len <= request->len); /* even the longest fits the shortest request */
        assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, password), 0);
        assert_int_equal(a.error, code);
        assert_int_equal(a.authentic, signed_);
        assert_int_equal(a.nonce.len, with_nonce ? MEDIA_NONCE_LEN : 0);
        assert_int_equal(media_read_answer(&a, m.bytes, m.len, txid, "another"), signed_ ? -EBADMSG : 0);
    }
}

/* A request that somebody made as short as it can be: where the error would be longer, there is none. */
static void test_an_error_is_never_longer(void **state)
{
    (void)state;
    struct message request = {.len = 0}, m;
    struct stun_writer b;
    stun_begin(&b, request.bytes, sizeof request.bytes, STUN_REQUEST, STUN_BINDING, txid);
    stun_put(&b, STUN_ATTR_BERTH_HELLO, "", 0);
    stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &request.len), 0);
    struct media_request r = read_request(&request);
    assert_int_equal(r.kind, MEDIA_REQUEST_HELLO);
    assert_int_equal(media_write_error(m.bytes, &r, 400, NULL, no_nonce), 0);
    assert_int_equal(media_write_error(m.bytes, &r, 438, password, text_slice("n")), 0);
    assert_int_equal(media_check_request(&r, password), -EACCES);
}

/* ---- nonces ---- */

static void test_nonces(void **state)
{
    (void)state;
    static const uint8_t key[MEDIA_NONCE_KEY_LEN] = {1}, other_key[MEDIA_NONCE_KEY_LEN] = {2};
    enum { S = 1000000 };
    const int64_t now = 5000 * (int64_t)S + 999999;
    char nonce[MEDIA_NONCE_LEN + 1];
    struct addr other = v4;
    media_nonce_make(nonce, key, &v4, now);
    struct slice n = text_slice(nonce);
    assert_int_equal(n.len, MEDIA_NONCE_LEN);
    assert_true(media_nonce_holds(n, key, &v4, now));
    assert_true(media_nonce_holds(n, key, &v4, now + 60 * (int64_t)S));
    assert_false(media_nonce_holds(n, key, &v4, now + 61 * (int64_t)S));
    assert_false(media_nonce_holds(n, key, &v4, now - S)); /* of the future: none that we made */
    assert_false(media_nonce_holds(n, other_key, &v4, now));
    assert_false(media_nonce_holds(n, key, &v6, now));
    other.port++;
    assert_false(media_nonce_holds(n, key, &other, now));
    other = v4;
    other.ip[3]++;
    assert_false(media_nonce_holds(n, key, &other, now));
    assert_false(media_nonce_holds(no_nonce, key, &v4, now));
    for (size_t i = 0; i < MEDIA_NONCE_LEN; i++) {
        char right = nonce[i];
        nonce[i] = right == 'A' ? 'E' : 'A';
        assert_false(media_nonce_holds(n, key, &v4, now));
        nonce[i] = right;
        assert_false(media_nonce_holds((struct slice){n.p, i}, key, &v4, now));
    }
    assert_true(media_nonce_holds(n, key, &v4, now));
}

/* ---- keys ---- */

static void assert_keys(const struct srtp_keys *k, const char *hex)
{
    char text[2 * SRTP_KEYS_LEN + 1];
    sodium_bin2hex(text, sizeof text, k->bytes, sizeof k->bytes);
    assert_string_equal(text, hex);
}

static void test_keys_are_known(void **state)
{
    (void)state;
    static const struct {
        enum srtp_suite suite;
        bool shared;
        const char *agent, *node;
    } known[] = {
        {SRTP_AES_128_GCM, false, "1a45ca975baa9a3f25e7119925d7d5d6d2708959bdacefbd33f0b0ac0000",
         "7eb76140494d98bd6c1edc6b624d59ec34f077c7d43ff3c2085592680000"},
        {SRTP_AES_128_GCM, true, "768709427db73f7c985616493c82991a53e42fa424c98b30044e85690000",
         "0ac0b4ba6c8315de15021469d605d514bf441648a76aad49873926ba0000"},
        {SRTP_AES_CM_128_SHA1_80, false, "84b5e000cd72dff51fe2f70bf1b6f7e86c88102b082043f4d1e04bd98f84",
         "2945075138d19c72d6834d4b22e952b95d0dabfc773ab6395af9da825b29"},
        {SRTP_AES_CM_128_SHA1_80, true, "10f81cbc53a1911f8dbf59e5439ca60d2ec21989a7808836dd604da384f7",
         "b0ff9248ba5352a342bf89aa3a333eda3b8db2797696dd4349c3a7c41281"},
    };
    uint8_t secret[TICKET_SECRET_LEN], shared[32], agent[MEDIA_RANDOM_LEN], node[MEDIA_RANDOM_LEN];
    memset(secret, 0x11, sizeof secret);
    memset(shared, 0x55, sizeof shared);
    memset(agent, 0xAA, sizeof agent);
    memset(node, 0xBB, sizeof node);
    for (size_t i = 0; i < 4; i++) {
        struct srtp_keys a, n;
        media_session_keys(&a, &n, secret, known[i].shared ? shared : NULL, known[i].suite, agent, node,
                           &session);
        assert_keys(&a, known[i].agent);
        assert_keys(&n, known[i].node);
    }
}

/* Whatever differs, both directions' keys do. */
static void test_keys_differ(void **state)
{
    (void)state;
    struct srtp_keys k[12];
    static const uint8_t zero[32];
    for (size_t i = 0; i < 6; i++) {
        uint8_t secret[32] = {i == 1}, shared[32] = {0}, agent[32] = {i == 3}, node[32] = {i == 4};
        struct media_session_id s = {{i == 5}};
        media_session_keys(&k[2 * i], &k[2 * i + 1], secret, i == 2 ? shared : NULL, SRTP_AES_128_GCM, agent,
                           node, &s);
    }
    for (size_t i = 0; i < 12; i++) {
        assert_memory_not_equal(k[i].bytes, zero, 28);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(k[i].bytes, k[j].bytes, 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_consent),
        cmocka_unit_test(test_hellos_that_cannot_be_read),
        cmocka_unit_test(test_what_is_none_of_ours),
        cmocka_unit_test(test_behind_the_integrity),
        cmocka_unit_test(test_every_byte_of_requests),
        cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_every_byte_of_a_welcome),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_an_error_is_never_longer),
        cmocka_unit_test(test_nonces),
        cmocka_unit_test(test_keys_are_known),
        cmocka_unit_test(test_keys_differ),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
