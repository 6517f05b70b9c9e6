/* link: berth_media */
/* Tickets: what is sealed opens for its node alone; whatever is altered is refused; what keys are made of. */
#include "check.h"

#include "media/ticket.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { DAY = 20000 };

static const uint8_t master[MASTER_KEY_LEN] = {1, 2, 3, [31] = 255};
static const uint8_t nonce[TICKET_NONCE_LEN] = {9, 8, 7, [23] = 1};

static struct ticket usual(void)
{
    return (struct ticket){
        .kind = TICKET_PARTICIPANT,
        .org = "acme",
        .meeting = "standup",
        .who = "alice",
        .number = 1763000000123456,
        .expires_s = 1763003600,
        .epoch = 7,
        .kbps = 2500,
        .last_n = 9,
    };
}

static struct ticket longest(void)
{
    struct ticket t = {.kind = TICKET_LINK,
                       .number = INT64_MAX,
                       .expires_s = UINT32_MAX,
                       .epoch = UINT64_MAX,
                       .kbps = UINT32_MAX,
                       .last_n = UINT16_MAX};
    memset(t.org, 'o', ORG_ID_MAX);
    memset(t.meeting, 'm', TICKET_MEETING_MAX);
    memset(t.who, 'w', AGENT_ID_MAX);
    return t;
}

static struct ticket_keys keys_of(const char *org, const char *node)
{
    struct ticket_keys k = {.n = 3};
    strcpy(k.node_org, org);
    strcpy(k.node, node);
    for (int day = 0; day < 3; day++)
        ticket_key_derive(&k.key[day], master, org, node, DAY - 1 + day);
    return k;
}

static struct ticket_grant seal(const struct ticket *t, const struct ticket_keys *k, size_t key)
{
    struct ticket_grant g;
    assert_int_equal(ticket_seal(&g, t, &k->key[key], k->node_org, k->node, nonce), 0);
    return g;
}

static int open_text(struct ticket *t, char *password, const struct ticket_keys *k, const char *username)
{
    return ticket_open(t, password, k, (const uint8_t *)username, strlen(username));
}

static void assert_same(const struct ticket *a, const struct ticket *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->org, b->org);
    assert_string_equal(a->meeting, b->meeting);
    assert_string_equal(a->who, b->who);
    assert_true(a->number == b->number && a->expires_s == b->expires_s && a->epoch == b->epoch);
    assert_true(a->kbps == b->kbps && a->last_n == b->last_n);
}

/* ---- keys ---- */

static void test_key_is_known(void **state)
{
    (void)state;
    static const uint8_t expected[TICKET_KEY_LEN] = {
        0x68, 0x80, 0x10, 0xe3, 0x32, 0x43, 0x9f, 0x73, 0x8e, 0x4f, 0x70, 0x59, 0xf6, 0xf1, 0xc8, 0x3c,
        0x5a, 0x59, 0xad, 0x2c, 0x6f, 0xae, 0xd8, 0xbd, 0xd1, 0x82, 0x47, 0xd0, 0xec, 0xc3, 0x24, 0x36};
    static const uint8_t id[TICKET_KEY_ID_LEN] = {0x34, 0xe4, 0x9c, 0x8d};
    struct ticket_key k;
    ticket_key_derive(&k, master, "acme", "rack-1", DAY);
    assert_memory_equal(k.key, expected, sizeof expected);
    assert_memory_equal(k.id, id, sizeof id);
}

static void test_keys_differ(void **state)
{
    (void)state;
    static const uint8_t other[MASTER_KEY_LEN] = {1, 2, 3, [31] = 254};
    struct ticket_key k[8];
    ticket_key_derive(&k[0], master, "acme", "rack-1", DAY);
    ticket_key_derive(&k[1], master, "acme", "rack-2", DAY);
    ticket_key_derive(&k[2], master, "acm", "erack-1", DAY);
    ticket_key_derive(&k[3], master, "", "rack-1", DAY);
    ticket_key_derive(&k[4], master, "acme", "rack-1", DAY + 1);
    ticket_key_derive(&k[5], other, "acme", "rack-1", DAY);
    ticket_key_derive(&k[6], master, "acme", "rack-1", DAY - 1);
    ticket_key_derive(&k[7], master, "acme", "rack-11", DAY);
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(k[i].key, k[j].key, TICKET_KEY_LEN);
            assert_memory_not_equal(k[i].id, k[j].id, TICKET_KEY_ID_LEN);
        }
    }
}

/* ---- sealing and opening ---- */

static void test_round(void **state)
{
    (void)state;
    const struct ticket all[] = {usual(), longest()};
    struct ticket_keys k = keys_of("acme", "rack-1");
    for (size_t i = 0; i < 2; i++) {
        for (size_t key = 0; key < k.n; key++) {
            struct ticket t;
            char password[TICKET_PASSWORD_LEN + 1];
            struct ticket_grant g = seal(&all[i], &k, key);
            assert_true(strlen(g.username) <= STUN_USERNAME_MAX);
            assert_int_equal(open_text(&t, password, &k, g.username), 0);
            assert_same(&t, &all[i]);
            assert_string_equal(password, g.password);
            assert_int_equal(strlen(g.password), TICKET_PASSWORD_LEN);
        }
    }
}

static void test_seal_is_known(void **state)
{
    (void)state;
    struct ticket t = usual();
    struct ticket_keys k = keys_of("acme", "rack-1");
    struct ticket_grant g = seal(&t, &k, 1);
    assert_string_equal(g.username, "ATTknI0JCAcAAAAAAAAAAAAAAAAAAAAAAAAAAAGpLgLbxX4fJJPu7lXNtvB9vMF3HQwan78m"
                                    "gWLssi2TYwwrWY-zu3qOWrXSXHND61G3CIBcFx5Zsd9eqvDzYA");
    assert_string_equal(g.password, "4uUKPKiDBBQlWr7xFmpq85DFjWZp16kTC6nSdIrm-U0");
}

static void test_longest_names_of_nodes(void **state)
{
    (void)state;
    struct ticket t = longest();
    struct ticket_keys k = {.n = 1};
    char password[TICKET_PASSWORD_LEN + 1];
    memset(k.node_org, 'o', ORG_ID_MAX);
    memset(k.node, 'n', TICKET_NODE_MAX);
    ticket_key_derive(&k.key[0], master, k.node_org, k.node, DAY);
    struct ticket_grant g = seal(&t, &k, 0);
    assert_true(strlen(g.username) <= STUN_USERNAME_MAX);
    assert_int_equal(open_text(&t, password, &k, g.username), 0);
}

/* Every field tells: altered, it makes another ticket and another password, though the nonce is the same. */
static void test_every_field_is_carried(void **state)
{
    (void)state;
    struct ticket_keys k = keys_of("acme", "rack-1");
    struct ticket t[10];
    struct ticket_grant g[10];
    for (size_t i = 0; i < 10; i++)
        t[i] = usual();
    t[1].kind = TICKET_LINK;
    strcpy(t[2].org, "acne");
    strcpy(t[3].meeting, "standur");
    strcpy(t[4].who, "alicf");
    t[5].number++;
    t[6].expires_s++;
    t[7].epoch++;
    t[8].kbps++;
    t[9].last_n++;
    for (size_t i = 0; i < 10; i++) {
        struct ticket opened;
        char password[TICKET_PASSWORD_LEN + 1];
        g[i] = seal(&t[i], &k, 1);
        assert_int_equal(open_text(&opened, password, &k, g[i].username), 0);
        assert_same(&opened, &t[i]);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(g[i].username, g[j].username);
            assert_string_not_equal(g[i].password, g[j].password);
        }
    }
}

static void test_what_cannot_be_sealed(void **state)
{
    (void)state;
    struct ticket_keys k = keys_of("acme", "rack-1");
    struct ticket_grant g;
    struct ticket t[9];
    for (size_t i = 0; i < 9; i++)
        t[i] = usual();
    t[0].org[0] = '\0';
    t[1].meeting[0] = '\0';
    t[2].who[0] = '\0';
    t[3].number = -1;
    t[4].expires_s = -1;
    t[5].expires_s = (int64_t)UINT32_MAX + 1;
    t[6].kind = 0;
    t[7].kind = 3;
    memset(t[8].org, 'o', sizeof t[8].org); /* no NUL ends it */
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(ticket_seal(&g, &t[i], &k.key[0], "acme", "rack-1", nonce), -EINVAL);
    t[0] = usual();
    assert_int_equal(ticket_seal(&g, &t[0], &k.key[0], "acme", "", nonce), -EINVAL);
    char node[TICKET_NODE_MAX + 2] = {0};
    memset(node, 'n', TICKET_NODE_MAX + 1);
    assert_int_equal(ticket_seal(&g, &t[0], &k.key[0], "acme", node, nonce), -EINVAL);
    assert_int_equal(ticket_seal(&g, &t[0], &k.key[0], "acme", "rack-1", nonce), 0);
}

/* ---- what is refused ---- */

static void test_another_node(void **state)
{
    (void)state;
    static const char *const others[][2] = {
        {"acme", "rack-2"}, {"", "rack-1"}, {"acm", "erack-1"}, {"other", "rack-1"}};
    struct ticket t = usual();
    struct ticket_keys k = keys_of("acme", "rack-1");
    struct ticket_grant g = seal(&t, &k, 1);
    char password[TICKET_PASSWORD_LEN + 1];
    for (size_t i = 0; i < 4; i++) {
        struct ticket_keys other = keys_of(others[i][0], others[i][1]);
        assert_int_equal(open_text(&t, password, &other, g.username), -EACCES);
        /* Not even with the right keys: the name itself is sealed in. */
        memcpy(other.key, k.key, sizeof k.key);
        assert_int_equal(open_text(&t, password, &other, g.username), -EACCES);
    }
}

static void test_days(void **state)
{
    (void)state;
    struct ticket t = usual();
    struct ticket_keys k = keys_of("acme", "rack-1");
    char password[TICKET_PASSWORD_LEN + 1];
    for (int day = DAY - 2; day <= DAY + 2; day++) {
        struct ticket_key key;
        struct ticket_grant g;
        ticket_key_derive(&key, master, "acme", "rack-1", day);
        assert_int_equal(ticket_seal(&g, &t, &key, "acme", "rack-1", nonce), 0);
        bool known = day >= DAY - 1 && day <= DAY + 1;
        assert_int_equal(open_text(&t, password, &k, g.username), known ? 0 : -EACCES);
    }
    k.n = 0;
    struct ticket_grant g = seal(&t, &k, 1);
    assert_int_equal(open_text(&t, password, &k, g.username), -EACCES);
}

/* Two keys with the same id: the right one is found behind the other. */
static void test_key_ids_collide(void **state)
{
    (void)state;
    struct ticket t = usual();
    struct ticket_keys k = keys_of("acme", "rack-1");
    struct ticket_grant g = seal(&t, &k, 1);
    char password[TICKET_PASSWORD_LEN + 1];
    memcpy(k.key[0].id, k.key[1].id, TICKET_KEY_ID_LEN);
    assert_int_equal(open_text(&t, password, &k, g.username), 0);
    assert_string_equal(password, g.password);
}

static void test_every_byte_flipped(void **state)
{
    (void)state;
    const struct ticket all[] = {usual(), longest()};
    struct ticket_keys k = keys_of("acme", "rack-1");
    for (size_t i = 0; i < 2; i++) {
        struct ticket_grant g = seal(&all[i], &k, 1);
        uint8_t sealed[STUN_USERNAME_MAX];
        size_t len = 0;
        assert_int_equal(sodium_base642bin(sealed, sizeof sealed, g.username, strlen(g.username), NULL, &len,
                                           NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                         0);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            char text[STUN_USERNAME_MAX + 1], password[TICKET_PASSWORD_LEN + 1] = "untouched";
            struct ticket t = {.who = "untouched"};
            sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            sodium_bin2base64(text, sizeof text, sealed, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
            assert_int_equal(open_text(&t, password, &k, text), bit < 8 ? -EBADMSG : -EACCES);
            assert_string_equal(t.who, "untouched");
            assert_string_equal(password, "untouched");
            sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* Each character has one right value; each length but one is wrong. */
static void test_every_character(void **state)
{
    (void)state;
    struct ticket t = usual();
    struct ticket_keys k = keys_of("acme", "rack-1");
    struct ticket_grant g = seal(&t, &k, 1);
    char password[TICKET_PASSWORD_LEN + 1], right;
    size_t len = strlen(g.username);
    for (size_t i = 0; i < len; i++) {
        right = g.username[i];
        for (int c = 0; c < 256; c++) {
            g.username[i] = (char)c;
            int answer = ticket_open(&t, password, &k, (const uint8_t *)g.username, len);
            assert_true((char)c == right ? answer == 0 : answer < 0);
        }
        g.username[i] = right;
    }
    for (size_t n = 0; n < len; n++)
        assert_true(ticket_open(&t, password, &k, (const uint8_t *)g.username, n) < 0);
    g.username[len] = 'A';
    assert_true(ticket_open(&t, password, &k, (const uint8_t *)g.username, len + 1) < 0);
}

static void test_no_ticket(void **state)
{
    (void)state;
    struct ticket t;
    struct ticket_keys k = keys_of("acme", "rack-1");
    char password[TICKET_PASSWORD_LEN + 1];
    uint8_t text[STUN_USERNAME_MAX + 1];
    memset(text, 'A', sizeof text);
    for (size_t n = 0; n <= sizeof text; n++)
        assert_int_equal(ticket_open(&t, password, &k, text, n), -EBADMSG);
    assert_int_equal(ticket_open(&t, password, &k, (const uint8_t *)"alice:bob", 9), -EBADMSG);
}

/* Rightly sealed, but what is in it isn't a ticket's content: somebody else's software has our keys. */
static void test_sealed_nonsense(void **state)
{
    (void)state;
    struct ticket_keys k = keys_of("acme", "rack-1");
    const uint8_t name[] = "acme\0rack-1";
    uint64_t seed = 5;
    for (size_t len = 0; len <= 318; len++) {
        uint8_t content[320], sealed[420] = {1};
        char text[600], password[TICKET_PASSWORD_LEN + 1];
        unsigned long long n;
        struct ticket t;
        for (size_t i = 0; i < len; i++)
            content[i] = (uint8_t)check_random(&seed);
        if (len % 2 == 0)
            content[0] = TICKET_PARTICIPANT;
        memcpy(sealed + 1, k.key[1].id, TICKET_KEY_ID_LEN);
        memcpy(sealed + 5, nonce, TICKET_NONCE_LEN);
        crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 29, &n, content, len, name, sizeof name - 1, NULL,
                                                   nonce, k.key[1].key);
        sodium_bin2base64(text, sizeof text, sealed, 29 + n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        assert_int_equal(open_text(&t, password, &k, text), -EBADMSG);
    }
}

static void test_secret(void **state)
{
    (void)state;
    struct ticket t = usual();
    struct ticket_keys k = keys_of("acme", "rack-1");
    struct ticket_grant g = seal(&t, &k, 1);
    uint8_t secret[TICKET_SECRET_LEN];
    char again[TICKET_PASSWORD_LEN + 1], longer[TICKET_PASSWORD_LEN + 2] = {0};
    assert_int_equal(ticket_secret(secret, g.password), 0);
    sodium_bin2base64(again, sizeof again, secret, sizeof secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    assert_string_equal(again, g.password);
    memcpy(longer, g.password, TICKET_PASSWORD_LEN);
    longer[TICKET_PASSWORD_LEN] = 'A';
    assert_int_equal(ticket_secret(secret, longer), -EINVAL);
    g.password[5] = '=';
    assert_int_equal(ticket_secret(secret, g.password), -EINVAL);
    g.password[TICKET_PASSWORD_LEN - 1] = '\0';
    assert_int_equal(ticket_secret(secret, g.password), -EINVAL);
    assert_int_equal(ticket_secret(secret, ""), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_is_known),
        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_seal_is_known),
        cmocka_unit_test(test_longest_names_of_nodes),
        cmocka_unit_test(test_every_field_is_carried),
        cmocka_unit_test(test_what_cannot_be_sealed),
        cmocka_unit_test(test_another_node),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_key_ids_collide),
        cmocka_unit_test(test_every_byte_flipped),
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_no_ticket),
        cmocka_unit_test(test_sealed_nonsense),
        cmocka_unit_test(test_secret),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
