/* link: berth_core */
/* API keys and JWTs: what verifies, and every way in which a forged or worn one does not. */
#include "check.h"

#include "core/token.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { NOW = 1800000000 };

static struct master_keys masters(size_t n)
{
    struct master_keys mk = {.n = n};
    for (size_t i = 0; i < n; i++)
        memset(mk.key[i], (int)(i + 1), MASTER_KEY_LEN);
    return mk;
}

static struct key_id key_of(const char *org, enum key_kind kind)
{
    static const uint8_t random[12] = {0, 1, 2, 25, 26, 35, 36, 71, 72, 200, 254, 255};
    struct key_id id;
    key_id_make(&id, org, kind, random);
    return id;
}

static const char *api_key(enum key_kind kind, size_t master, char out[static API_KEY_MAX + 1])
{
    struct master_keys mk = masters(MASTER_KEYS_MAX);
    struct key_id id = key_of("acme", kind);
    api_key_make(&id, mk.key[master], out);
    return out;
}

/* ---- ids and keys ---- */

static void test_ids(void **state)
{
    static const char *const orgs[] = {"a", "o123456789z", "0123456789abcdef0123456789abcdef"};
    static const char *const wrong_orgs[] = {"", "A", "a_b", "a.b", "0123456789abcdef0123456789abcdef0", "é"};
    char longest[AGENT_ID_MAX + 2];
    for (size_t i = 0; i < 3; i++)
        assert_true(org_id_valid(orgs[i]));
    for (size_t i = 0; i < 6; i++)
        assert_false(org_id_valid(wrong_orgs[i]));
    memset(longest, 'x', sizeof longest);
    longest[AGENT_ID_MAX] = '\0';
    assert_true(agent_id_valid(longest));
    longest[AGENT_ID_MAX] = 'x';
    longest[AGENT_ID_MAX + 1] = '\0';
    assert_false(agent_id_valid(longest));
    for (int c = 1; c < 256; c++) {
        char one[2] = {(char)c, '\0'};
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool agent = alnum || c == '.' || c == '_' || c == '-';
        assert_int_equal(agent_id_valid(one), agent);
        assert_int_equal(id_valid(one, 64), agent || c == ':');
    }
    assert_false(agent_id_valid(""));
    assert_false(id_valid("", 64));
    assert_true(id_valid("abcd", 4));
    assert_false(id_valid("abcde", 4));
}

static void test_key_ids(void **state)
{
    static const char *const wrong[] = {"",
                                        "_o123456789012",
                                        "acme_o12345678901",
                                        "acme_o1234567890123",
                                        "acme_x123456789012",
                                        "acme_O123456789012",
                                        "Acme_o123456789012",
                                        "acme_o12345678901_",
                                        "acmeo123456789012",
                                        "ac.me_o123456789012",
                                        "acme_o1234567890é"};
    struct key_id id;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(key_id_parse(&id, wrong[i], strlen(wrong[i])), -EINVAL);
    struct key_id made = key_of("0123456789abcdef0123456789abcdef", KEY_NODE);
    assert_int_equal(key_id_parse(&id, made.text, strlen(made.text)), 0);
    assert_string_equal(id.text, made.text);
    assert_string_equal(id.org, "0123456789abcdef0123456789abcdef");
    assert_int_equal(id.kind, KEY_NODE);
    assert_int_equal(key_of("acme", KEY_ORG).text[5], 'o');
}

/* The secret's derivation is a contract with every controller: made here in another way, with one-shot HMAC. */
static void test_api_key_derivation(void **state)
{
    struct key_id id = key_of("acme", KEY_ORG);
    struct master_keys mk = masters(1);
    char key[API_KEY_MAX + 1], input[128], secret[64];
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    snprintf(input, sizeof input, "berth-api-key-1%s", id.text);
    crypto_auth_hmacsha256(mac, (const uint8_t *)input, strlen(input), mk.key[0]);
    sodium_bin2base64(secret, sizeof secret, mac, sizeof mac, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    api_key_make(&id, mk.key[0], key);
    assert_int_equal(strncmp(key, id.text, strlen(id.text)), 0);
    assert_int_equal(key[strlen(id.text)], '.');
    assert_string_equal(key + strlen(id.text) + 1, secret);
    assert_int_equal(strlen(secret), KEY_SECRET_LEN);
}

static void test_api_keys_verify_under_every_master(void **state)
{
    struct master_keys mk = masters(3);
    for (size_t i = 0; i < MASTER_KEYS_MAX; i++) {
        char key[API_KEY_MAX + 1];
        struct key_id id = {.text = "untouched"};
        api_key(KEY_NODE, i, key);
        int answer = api_key_verify(key, strlen(key), &mk, &id);
        assert_int_equal(answer, i < 3 ? 0 : -EACCES);
        assert_string_equal(id.text, i < 3 ? key_of("acme", KEY_NODE).text : "untouched");
    }
}

static void test_changed_api_keys(void **state)
{
    struct master_keys mk = masters(1);
    struct key_id id;
    char key[API_KEY_MAX + 2];
    api_key(KEY_ORG, 0, key);
    size_t len = strlen(key);
    for (size_t i = 0; i < len; i++) {
        char was = key[i];
        key[i] = was == 'b' ? 'c' : 'b';
        assert_true(api_key_verify(key, len, &mk, &id) < 0);
        key[i] = '.';
        assert_true(was == '.' || api_key_verify(key, len, &mk, &id) == -EBADMSG);
        key[i] = was;
        assert_true(api_key_verify(key, i, &mk, &id) == -EBADMSG); /* cut short */
    }
    key[len] = 'A';
    assert_int_equal(api_key_verify(key, len + 1, &mk, &id), -EBADMSG);
    assert_int_equal(api_key_verify(key, len, &mk, &id), 0);
    mk.n = 0;
    assert_int_equal(api_key_verify(key, len, &mk, &id), -EACCES);
}

static void test_master_key_files(void **state)
{
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    char text[2048];
    struct master_keys mk;
    unsigned line = 99;
    int len = snprintf(text, sizeof text, "# newest\n\n  %s \t\r\n#%s\n%s", hex, hex, hex);
    assert_int_equal(master_keys_parse(&mk, text, (size_t)len, &line), 0);
    assert_int_equal(mk.n, 2);
    for (uint8_t i = 0; i < MASTER_KEY_LEN; i++)
        assert_int_equal(mk.key[1][i], i);
    assert_int_equal(master_keys_parse(&mk, "# none\n", 7, &line), -EINVAL);
    assert_int_equal(line, 0);
    len = snprintf(text, sizeof text, "%s\n%.63s\n", hex, hex);
    assert_int_equal(master_keys_parse(&mk, text, (size_t)len, &line), -EINVAL);
    assert_int_equal(line, 2);
    len = snprintf(text, sizeof text, "\n\n%.63sg\n", hex);
    assert_int_equal(master_keys_parse(&mk, text, (size_t)len, &line), -EINVAL);
    assert_int_equal(line, 3);
    len = 0;
    for (int i = 0; i <= MASTER_KEYS_MAX; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s\n", hex);
    assert_int_equal(master_keys_parse(&mk, text, (size_t)len, &line), -EINVAL);
    assert_int_equal(line, 0);
    assert_int_equal(master_keys_parse(&mk, text, 65 * MASTER_KEYS_MAX, &line), 0);
    assert_int_equal(mk.n, MASTER_KEYS_MAX);
}

/* ---- JWTs ---- */

static void append_base64(char *out, const void *p, size_t len)
{
    size_t n = strlen(out);
    sodium_bin2base64(out + n, JWT_MAX * 4 - n, p, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* A token as any library would make it: these two JSON texts, signed with that key. */
static const char *token_of(const char *head, const char *body, const char *key, char out[static JWT_MAX * 4])
{
    crypto_auth_hmacsha256_state st;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    out[0] = '\0';
    append_base64(out, head, strlen(head));
    strcat(out, ".");
    append_base64(out, body, strlen(body));
    crypto_auth_hmacsha256_init(&st, (const uint8_t *)key, strlen(key));
    crypto_auth_hmacsha256_update(&st, (const uint8_t *)out, strlen(out));
    crypto_auth_hmacsha256_final(&st, mac);
    strcat(out, ".");
    append_base64(out, mac, sizeof mac);
    return out;
}

static const char hs256[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

/* A body: iss of the org key, then what is given. */
static const char *body_of(const char *rest, char out[static 1024])
{
    snprintf(out, 1024, "{\"iss\":\"%s\"%s}", key_of("acme", KEY_ORG).text, rest);
    return out;
}

static enum jwt_error verify(const char *head, const char *body, struct jwt_claims *claims)
{
    char key[API_KEY_MAX + 1], token[JWT_MAX * 4];
    struct master_keys mk = masters(1);
    token_of(head, body, api_key(KEY_ORG, 0, key), token);
    return jwt_verify(token, strlen(token), &mk, NOW, claims);
}

static void test_signed_tokens_verify(void **state)
{
    struct master_keys mk = masters(2);
    for (unsigned grants = 0; grants < 4; grants++) {
        char key[API_KEY_MAX + 1], token[JWT_MAX];
        struct jwt_claims in = {.sub = "agent-1", .exp_s = NOW + 60, .grants = grants}, out;
        int len = jwt_sign(api_key(KEY_ORG, grants % 2, key), &in, token, sizeof token);
        assert_true(len > 0);
        assert_int_equal(len, strlen(token));
        assert_int_equal(jwt_verify(token, (size_t)len, &mk, NOW, &out), JWT_OK);
        assert_string_equal(out.sub, "agent-1");
        assert_string_equal(out.iss.org, "acme");
        assert_int_equal(out.exp_s, NOW + 60);
        assert_int_equal(out.grants, grants);
        for (size_t cap = 0; cap <= (size_t)len; cap += 7)
            assert_int_equal(jwt_sign(key, &in, token, cap), -ENOBUFS);
        assert_int_equal(jwt_sign(key, &in, token, (size_t)len + 1), len);
    }
}

static void test_what_cannot_be_signed(void **state)
{
    char key[API_KEY_MAX + 1], token[JWT_MAX];
    struct jwt_claims in = {.sub = "a\"b", .exp_s = NOW};
    assert_int_equal(jwt_sign(api_key(KEY_ORG, 0, key), &in, token, sizeof token), -EINVAL);
    strcpy(in.sub, "a");
    assert_int_equal(jwt_sign("no-key", &in, token, sizeof token), -EINVAL);
    assert_int_equal(jwt_sign("acme_oabcdefghijkl.short", &in, token, sizeof token), -EINVAL);
}

static void test_algorithms(void **state)
{
    static const struct {
        const char *head;
        enum jwt_error want;
    } cases[] = {
        {"{\"alg\":\"HS256\"}", JWT_OK},
        {"{\"typ\":\"at+jwt\",\"kid\":\"x\",\"alg\":\"HS256\"}", JWT_OK},
        {"{\"alg\":\"none\"}", JWT_ALGORITHM},
        {"{\"alg\":\"None\"}", JWT_ALGORITHM},
        {"{\"alg\":\"hs256\"}", JWT_ALGORITHM},
        {"{\"alg\":\"HS384\"}", JWT_ALGORITHM},
        {"{\"alg\":\"RS256\"}", JWT_ALGORITHM},
        {"{\"alg\":\"\"}", JWT_ALGORITHM},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", JWT_ALGORITHM},
        {"{\"alg\":\"HS256\",\"crit\":null}", JWT_ALGORITHM},
        {"{}", JWT_MALFORMED},
        {"{\"alg\":1}", JWT_MALFORMED},
        {"{\"alg\":null}", JWT_MALFORMED},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", JWT_MALFORMED},
        {"[\"HS256\"]", JWT_MALFORMED},
        {"", JWT_MALFORMED},
        {"{\"alg\":\"HS256\"}x", JWT_MALFORMED},
    };
    char body[1024];
    struct jwt_claims claims;
    body_of(",\"sub\":\"a\",\"exp\":1800000060", body);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (verify(cases[i].head, body, &claims) != cases[i].want)
            fail_msg("head %s", cases[i].head);
    }
}

static void test_claims(void **state)
{
    static const struct {
        const char *rest;
        enum jwt_error want;
    } cases[] = {
        {",\"sub\":\"a\",\"exp\":1800000001", JWT_OK},
        {",\"sub\":\"a\",\"exp\":1800086400", JWT_OK},
        {",\"sub\":\"a\",\"exp\":1800000001.9", JWT_OK},
        {",\"sub\":\"a\",\"exp\":1800000060,\"nbf\":1800000060,\"iat\":1800000060", JWT_OK},
        {",\"sub\":\"a\",\"exp\":1800000060,\"aud\":[\"x\"],\"more\":{\"a\":[1]}", JWT_OK},
        {",\"sub\":\"a\",\"exp\":1800000000", JWT_EXPIRED},
        {",\"sub\":\"a\",\"exp\":1800000000.9", JWT_EXPIRED},
        {",\"sub\":\"a\",\"exp\":0", JWT_EXPIRED},
        {",\"sub\":\"a\",\"exp\":-1e300", JWT_EXPIRED},
        {",\"sub\":\"a\",\"exp\":1800086401", JWT_EXP_TOO_FAR},
        {",\"sub\":\"a\",\"exp\":9223372036854775807", JWT_EXP_TOO_FAR},
        {",\"sub\":\"a\",\"exp\":1e300", JWT_EXP_TOO_FAR},
        {",\"sub\":\"a\",\"exp\":9223372036854775808", JWT_MALFORMED},
        {",\"sub\":\"a\",\"exp\":\"1800000060\"", JWT_MALFORMED},
        {",\"sub\":\"a\",\"exp\":null", JWT_MALFORMED},
        {",\"sub\":\"a\"", JWT_CLAIMS},
        {",\"sub\":\"a\",\"exp\":1800000060,\"nbf\":1800000061", JWT_NOT_YET},
        {",\"sub\":\"a\",\"exp\":1800000060,\"iat\":1800000061", JWT_NOT_YET},
        {",\"sub\":\"a\",\"exp\":1800000060,\"nbf\":\"soon\"", JWT_MALFORMED},
        {",\"exp\":1800000060", JWT_CLAIMS},
        {",\"sub\":\"\",\"exp\":1800000060", JWT_CLAIMS},
        {",\"sub\":\"a b\",\"exp\":1800000060", JWT_CLAIMS},
        {",\"sub\":7,\"exp\":1800000060", JWT_MALFORMED},
        {",\"sub\":\"a\\u0000b\",\"exp\":1800000060", JWT_MALFORMED},
        {",\"sub\":\"a\",\"sub\":\"b\",\"exp\":1800000060", JWT_MALFORMED},
        {",\"sub\":\"a\",\"exp\":1800000060,\"grants\":[\"probe\",\"admin\"]", JWT_CLAIMS},
        {",\"sub\":\"a\",\"exp\":1800000060,\"grants\":\"probe\"", JWT_MALFORMED},
        {",\"sub\":\"a\",\"exp\":1800000060,\"grants\":[1]", JWT_MALFORMED},
        {",\"sub\":\"a\",\"exp\":1800000060,\"grants\":null", JWT_MALFORMED},
        {",\"sub\":\"a\",\"exp\":1800000060,\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", JWT_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[1024];
        struct jwt_claims claims = {.sub = "untouched"};
        if (verify(hs256, body_of(cases[i].rest, body), &claims) != cases[i].want)
            fail_msg("body %s", body);
        assert_string_equal(claims.sub, cases[i].want == JWT_OK ? "a" : "untouched");
    }
}

static void test_grants(void **state)
{
    static const struct {
        const char *grants;
        unsigned want;
    } cases[] = {{"", GRANT_PROBE | GRANT_JOIN},
                 {",\"grants\":[]", 0},
                 {",\"grants\":[\"probe\"]", GRANT_PROBE},
                 {",\"grants\":[\"join\",\"join\"]", GRANT_JOIN},
                 {",\"grants\":[\"join\",\"probe\"]", GRANT_PROBE | GRANT_JOIN}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char rest[128], body[1024];
        struct jwt_claims claims;
        snprintf(rest, sizeof rest, ",\"sub\":\"a\",\"exp\":1800000060%s", cases[i].grants);
        assert_int_equal(verify(hs256, body_of(rest, body), &claims), JWT_OK);
        assert_int_equal(claims.grants, cases[i].want);
    }
}

static void test_issuers(void **state)
{
    static const char rest[] = "\"sub\":\"a\",\"exp\":1800000060}";
    char body[1024];
    struct jwt_claims claims;
    snprintf(body, sizeof body, "{%s", rest);
    assert_int_equal(verify(hs256, body, &claims), JWT_CLAIMS);
    snprintf(body, sizeof body, "{\"iss\":5,%s", rest);
    assert_int_equal(verify(hs256, body, &claims), JWT_MALFORMED);
    snprintf(body, sizeof body, "{\"iss\":\"nobody\",%s", rest);
    assert_int_equal(verify(hs256, body, &claims), JWT_CLAIMS);
    /* A node key signs no token, and another org's id isn't this key's. */
    char key[API_KEY_MAX + 1], token[JWT_MAX * 4];
    struct master_keys mk = masters(1);
    snprintf(body, sizeof body, "{\"iss\":\"%s\",%s", key_of("acme", KEY_NODE).text, rest);
    token_of(hs256, body, api_key(KEY_NODE, 0, key), token);
    assert_int_equal(jwt_verify(token, strlen(token), &mk, NOW, &claims), JWT_CLAIMS);
    snprintf(body, sizeof body, "{\"iss\":\"%s\",%s", key_of("other", KEY_ORG).text, rest);
    assert_int_equal(verify(hs256, body, &claims), JWT_SIGNATURE);
}

static void test_rotation(void **state)
{
    for (size_t signer = 0; signer < 4; signer++) {
        for (size_t n = 0; n < 4; n++) {
            char key[API_KEY_MAX + 1], token[JWT_MAX];
            struct master_keys mk = masters(n);
            struct jwt_claims in = {.sub = "a", .exp_s = NOW + 60}, out;
            int len = jwt_sign(api_key(KEY_ORG, signer, key), &in, token, sizeof token);
            assert_true(len > 0);
            assert_int_equal(jwt_verify(token, (size_t)len, &mk, NOW, &out),
                             signer < n ? JWT_OK : JWT_SIGNATURE);
        }
    }
}

/* Any character changed, and any cut. A last character of base64 whose unused bits are set is refused as well. */
static void test_tampering(void **state)
{
    char key[API_KEY_MAX + 1], token[JWT_MAX];
    struct master_keys mk = masters(1);
    struct jwt_claims in = {.sub = "a", .exp_s = NOW + 60, .grants = GRANT_JOIN}, out;
    int signed_len = jwt_sign(api_key(KEY_ORG, 0, key), &in, token, sizeof token);
    assert_true(signed_len > 0);
    size_t len = (size_t)signed_len;
    static const char others[] = "AZaz09-_.=+/ \n";
    for (size_t i = 0; i < len; i++) {
        char was = token[i];
        for (const char *c = others; *c; c++) {
            token[i] = *c;
            assert_int_equal(jwt_verify(token, len, &mk, NOW, &out) == JWT_OK, *c == was);
        }
        token[i] = was;
        assert_int_not_equal(jwt_verify(token, i, &mk, NOW, &out), JWT_OK);
    }
    assert_int_equal(jwt_verify(token, len, &mk, NOW, &out), JWT_OK);
    strcat(token, ".");
    assert_int_equal(jwt_verify(token, len + 1, &mk, NOW, &out), JWT_MALFORMED);
}

static void test_shapes(void **state)
{
    static const char *const wrong[] = {"",
                                        ".",
                                        "..",
                                        "...",
                                        "a.b",
                                        "a.b.c",
                                        "e30.e30.",
                                        "e30.e30.e30",
                                        "eyJhbGciOiJIUzI1NiJ9..",
                                        "eyJhbGciOiJIUzI1NiJ9=.e30.AA"};
    struct master_keys mk = masters(1);
    struct jwt_claims out;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(jwt_verify(wrong[i], strlen(wrong[i]), &mk, NOW, &out), JWT_MALFORMED);
    char rest[JWT_MAX], body[JWT_MAX + 256], key[API_KEY_MAX + 1], token[JWT_MAX * 4];
    memset(rest, 'x', sizeof rest - 1);
    rest[sizeof rest - 1] = '\0';
    snprintf(body, sizeof body, "{\"iss\":\"%s\",\"sub\":\"a\",\"exp\":1800000060,\"x\":\"%s\"}",
             key_of("acme", KEY_ORG).text, rest);
    token_of(hs256, body, api_key(KEY_ORG, 0, key), token);
    assert_true(strlen(token) > JWT_MAX);
    assert_int_equal(jwt_verify(token, strlen(token), &mk, NOW, &out), JWT_MALFORMED);
}

static void test_error_texts(void **state)
{
    for (int e = JWT_OK; e <= JWT_CLAIMS; e++)
        assert_true(strlen(jwt_error_text((enum jwt_error)e)) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_key_ids),
        cmocka_unit_test(test_api_key_derivation),
        cmocka_unit_test(test_api_keys_verify_under_every_master),
        cmocka_unit_test(test_changed_api_keys),
        cmocka_unit_test(test_master_key_files),
        cmocka_unit_test(test_signed_tokens_verify),
        cmocka_unit_test(test_what_cannot_be_signed),
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_issuers),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_tampering),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_error_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
