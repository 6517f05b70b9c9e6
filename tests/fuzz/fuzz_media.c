/* Media handshakes and tickets: whatever comes is refused or read without harm; what a node reads it can answer,
 * never with more than it got where it refuses. The input is tried as it is, as the attributes of rightly signed
 * messages, and as the content of a rightly sealed ticket, so that what stands behind the seals is reached. */
#include "fuzz.h"
#include "media/handshake.h"

#include <sodium.h>
#include <stdbool.h>

static const char password[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";
static const struct addr from = {.family = ADDR_V4, .port = 5, .ip = {192, 0, 2, 1}};

static bool inside(struct slice s, const uint8_t *data, size_t size)
{
    return s.p == NULL ? s.len == 0 : s.p >= data && s.p + s.len <= data + size;
}

static void read_as_agent(const uint8_t *data, size_t size, bool is_signed)
{
    struct media_answer a;
    const uint8_t *txid = size >= STUN_HEADER_LEN ? data + 8 : (const uint8_t *)password;
    if (media_read_answer(&a, data, size, txid, password) < 0)
        return;
    FUZZ_CHECK(inside(a.nonce, data, size) && a.news.n_refused <= MEDIA_REFUSED_MAX);
    FUZZ_CHECK(a.error == 0 ? a.authentic && addr_is_set(&a.mapped) : a.error >= 300 && a.error <= 699);
    FUZZ_CHECK(is_signed || !a.authentic);
    FUZZ_CHECK(!a.has_welcome || a.welcome.suite < SRTP_SUITES);
}

static void answer_as_node(const struct media_request *r)
{
    uint8_t out[MEDIA_MESSAGE_MAX];
    const struct media_welcome w = {.suite = SRTP_AES_128_GCM};
    const struct media_news news = {.n_refused = MEDIA_REFUSED_MAX};
    const struct slice nonce = {.p = (const uint8_t *)password, .len = MEDIA_NONCE_LEN};
    size_t n = media_write_welcome(out, r, password, &from, &w);
    FUZZ_CHECK(n > 0);
    read_as_agent(out, n, true);
    n = media_write_consent_answer(out, r, password, &from, &news);
    FUZZ_CHECK(n > 0);
    read_as_agent(out, n, true);
    n = media_write_error(out, r, 438, password, nonce);
    FUZZ_CHECK(n <= r->msg.len);
}

static void read_as_node(const uint8_t *data, size_t size, bool is_signed)
{
    static const uint8_t nonce_key[MEDIA_NONCE_KEY_LEN] = {1};
    struct media_request r;
    media_read_request(&r, data, size);
    if (r.kind == MEDIA_REQUEST_NONE)
        return;
    FUZZ_CHECK(inside(r.username, data, size) && inside(r.nonce, data, size));
    FUZZ_CHECK((media_check_request(&r, password) == 0) <= is_signed);
    FUZZ_CHECK(!media_nonce_holds(r.nonce, nonce_key, &from, 0));
    answer_as_node(&r);
}

/* The input as the attributes of a message: rightly signed. */
static void signed_messages(const uint8_t *data, size_t size)
{
    static const uint8_t txid[STUN_TXID_LEN] = {1};
    uint8_t message[STUN_MESSAGE_MAX];
    size_t len;
    for (enum stun_class cls = STUN_REQUEST; cls <= STUN_ERROR; cls++) {
        struct stun_writer b;
        stun_begin(&b, message, sizeof message, cls, STUN_BINDING, txid);
        wire_wr_bytes(&b.w, data, size & ~(size_t)3);
        stun_put_integrity_sha256(&b, password, strlen(password));
        stun_put_fingerprint(&b);
        if (stun_finish(&b, &len) < 0)
            return;
        read_as_node(message, len, true);
        read_as_agent(message, len, true);
    }
}

static void check_ticket(const struct ticket *t)
{
    FUZZ_CHECK(t->kind == TICKET_PARTICIPANT || t->kind == TICKET_LINK);
    FUZZ_CHECK(t->number >= 0 && t->expires_s >= 0 && t->expires_s <= UINT32_MAX);
    FUZZ_CHECK(strnlen(t->org, sizeof t->org) - 1 < ORG_ID_MAX);
    FUZZ_CHECK(strnlen(t->meeting, sizeof t->meeting) - 1 < TICKET_MEETING_MAX);
    FUZZ_CHECK(strnlen(t->who, sizeof t->who) - 1 < AGENT_ID_MAX);
}

/* The input as a ticket's content, rightly sealed: what opens is sealed again to the same. */
static void sealed_content(const struct ticket_keys *keys, const uint8_t *data, size_t size)
{
    static const char name[] = "acme\0rack-1";
    static const uint8_t nonce[TICKET_NONCE_LEN] = {3};
    uint8_t sealed[STUN_MESSAGE_MAX] = {1};
    char text[STUN_USERNAME_MAX + 1], made[TICKET_PASSWORD_LEN + 1];
    unsigned long long n;
    struct ticket t;
    struct ticket_grant again;
    if (size > 330)
        return;
    memcpy(sealed + 1, keys->key[0].id, TICKET_KEY_ID_LEN);
    memcpy(sealed + 1 + TICKET_KEY_ID_LEN, nonce, sizeof nonce);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 1 + TICKET_KEY_ID_LEN + TICKET_NONCE_LEN, &n, data,
                                               size, (const uint8_t *)name, sizeof name - 1, NULL, nonce,
                                               keys->key[0].key);
    sodium_bin2base64(text, sizeof text, sealed, 1 + TICKET_KEY_ID_LEN + TICKET_NONCE_LEN + (size_t)n,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (ticket_open(&t, made, keys, (const uint8_t *)text, strlen(text)) < 0)
        return;
    check_ticket(&t);
    FUZZ_CHECK(ticket_seal(&again, &t, &keys->key[0], "acme", "rack-1", nonce) == 0);
    FUZZ_CHECK(strcmp(again.username, text) == 0 && strcmp(again.password, made) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t master[MASTER_KEY_LEN] = {1};
    struct ticket_keys keys = {.n = 1, .node_org = "acme", .node = "rack-1"};
    struct ticket t;
    char made[TICKET_PASSWORD_LEN + 1];
    ticket_key_derive(&keys.key[0], master, "acme", "rack-1", 20000);
    read_as_node(data, size, false);
    read_as_agent(data, size, false);
    signed_messages(data, size);
    FUZZ_CHECK(ticket_open(&t, made, &keys, data, size) < 0);
    sealed_content(&keys, data, size);
    return 0;
}
