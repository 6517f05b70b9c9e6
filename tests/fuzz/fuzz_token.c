/* Keys and tokens: nothing that wasn't made with a master key verifies. Two bodies are tried, the input itself and the input
 * put where a signed token's claims stand, so that the claims' checks are reached. */
#include "core/token.h"
#include "fuzz.h"

#include <sodium.h>
#include <stdio.h>

static const struct master_keys masters = {.n = 2, .key = {{1}, {2}}};
enum { NOW = 1800000000 };

/* Signs `{"iss":...,<input>}` properly. */
static void signed_claims(const uint8_t *data, size_t size)
{
    static const uint8_t random[12];
    char key[API_KEY_MAX + 1], body[JWT_MAX], token[2 * JWT_MAX];
    struct key_id id;
    struct jwt_claims claims;
    if (size > JWT_MAX / 2)
        return;
    key_id_make(&id, "acme", KEY_ORG, random);
    api_key_make(&id, masters.key[1], key);
    int head_len = snprintf(body, sizeof body, "{\"iss\":\"%s\",", id.text);
    size_t body_len = (size_t)head_len;
    memcpy(body + body_len, data, size);
    body_len += size;
    body[body_len++] = '}';
    strcpy(token, "eyJhbGciOiJIUzI1NiJ9."); /* {"alg":"HS256"} */
    size_t n = strlen(token);
    sodium_bin2base64(token + n, sizeof token - n, (const uint8_t *)body, body_len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    n = strlen(token);
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, (const uint8_t *)key, strlen(key));
    crypto_auth_hmacsha256_update(&st, (const uint8_t *)token, n);
    crypto_auth_hmacsha256_final(&st, mac);
    token[n++] = '.';
    sodium_bin2base64(token + n, sizeof token - n, mac, sizeof mac, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    enum jwt_error answer = jwt_verify(token, strlen(token), &masters, NOW, &claims);
    FUZZ_CHECK(answer != JWT_ALGORITHM && answer != JWT_SIGNATURE);
    if (answer == JWT_OK) {
        FUZZ_CHECK(claims.exp_s > NOW && claims.exp_s <= NOW + JWT_LIFETIME_MAX_S);
        FUZZ_CHECK(agent_id_valid(claims.sub) && claims.grants <= (GRANT_PROBE | GRANT_JOIN));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct jwt_claims claims;
    struct key_id id;
    struct master_keys mk;
    unsigned line;
    FUZZ_CHECK(jwt_verify(text, size, &masters, NOW, &claims) != JWT_OK);
    FUZZ_CHECK(api_key_verify(text, size, &masters, &id) < 0);
    if (key_id_parse(&id, text, size) == 0)
        FUZZ_CHECK(strlen(id.text) == size && org_id_valid(id.org));
    if (master_keys_parse(&mk, text, size, &line) == 0)
        FUZZ_CHECK(mk.n >= 1 && mk.n <= MASTER_KEYS_MAX);
    signed_claims(data, size);
    free(text);
    return 0;
}
