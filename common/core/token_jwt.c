/* JWTs, RFC 7519, signed with HS256 (RFC 7515) by an org's API key. Invariant: of a token whose signature did not verify
 * nothing is used but the issuer's id, which says which key to verify with. */
#include "core/token.h"

#include "core/doc.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    SKEW_MAX_S = 60, /* how far ahead nbf and iat may lie */
    SIGNATURE_LEN = crypto_auth_hmacsha256_BYTES,
    SIGNATURE_TEXT_LEN = 43,
};

static const char *const error_texts[] = {
    [JWT_OK] = "valid",
    [JWT_MALFORMED] = "not a JWT",
    [JWT_ALGORITHM] = "not signed with HS256, or with critical extensions",
    [JWT_SIGNATURE] = "the signature does not verify",
    [JWT_EXPIRED] = "expired",
    [JWT_EXP_TOO_FAR] = "expires more than 24 hours ahead",
    [JWT_NOT_YET] = "not valid yet",
    [JWT_CLAIMS] = "iss, sub, exp or grants missing or wrong",
};

const char *jwt_error_text(enum jwt_error e)
{
    return (unsigned)e < sizeof error_texts / sizeof error_texts[0] ? error_texts[e] : "unknown";
}

/* The three parts, as slices of the text. */
struct parts {
    struct slice head, body, signature;
    size_t signed_len; /* head, dot, body */
};

static bool split(const char *text, size_t len, struct parts *out)
{
    const char *first = memchr(text, '.', len), *end = text + len;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (len > JWT_MAX || !second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    const uint8_t *bytes = (const uint8_t *)text;
    out->head = (struct slice){.p = bytes, .len = (size_t)(first - text)};
    out->body = (struct slice){.p = (const uint8_t *)first + 1, .len = (size_t)(second - first - 1)};
    out->signature = (struct slice){.p = (const uint8_t *)second + 1, .len = (size_t)(end - second - 1)};
    out->signed_len = (size_t)(second - text);
    return true;
}

/* A base64url part that holds a JSON object; NULL if it does not. */
static json_t *decode_object(struct slice part)
{
    uint8_t bytes[JWT_MAX];
    size_t len = 0;
    struct doc_error e;
    if (sodium_base642bin(bytes, sizeof bytes, (const char *)part.p, part.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return NULL;
    json_t *j = doc_parse((const char *)bytes, len, &e);
    if (json_is_object(j))
        return j;
    json_decref(j);
    return NULL;
}

/* RFC 8725 3.1: the algorithm is ours to choose; the header may only agree. */
static enum jwt_error check_head(struct slice part)
{
    json_t *head = decode_object(part);
    if (!head)
        return JWT_MALFORMED;
    const json_t *alg = json_object_get(head, "alg");
    enum jwt_error answer = JWT_OK;
    if (!json_is_string(alg))
        answer = JWT_MALFORMED;
    else if (strcmp(json_string_value(alg), "HS256") != 0 || json_object_get(head, "crit"))
        answer = JWT_ALGORITHM;
    json_decref(head);
    return answer;
}

static void sign_text(const char *api_key, const char *text, size_t len, uint8_t mac[static SIGNATURE_LEN])
{
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, (const uint8_t *)api_key, strlen(api_key));
    crypto_auth_hmacsha256_update(&st, (const uint8_t *)text, len);
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_memzero(&st, sizeof st);
}

static enum jwt_error check_signature(const char *text, const struct parts *parts, const struct key_id *iss,
                                      const struct master_keys *mk)
{
    uint8_t given[SIGNATURE_LEN], mac[SIGNATURE_LEN];
    size_t given_len = 0;
    if (sodium_base642bin(given, sizeof given, (const char *)parts->signature.p, parts->signature.len, NULL,
                          &given_len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return JWT_MALFORMED;
    if (given_len != sizeof given)
        return JWT_SIGNATURE;
    char api_key[API_KEY_MAX + 1];
    bool right = false;
    for (size_t i = 0; i < mk->n; i++) {
        api_key_make(iss, mk->key[i], api_key);
        sign_text(api_key, text, parts->signed_len, mac);
        right |= sodium_memcmp(mac, given, sizeof mac) == 0;
    }
    sodium_memzero(api_key, sizeof api_key);
    sodium_memzero(mac, sizeof mac);
    return right ? JWT_OK : JWT_SIGNATURE;
}

/* ---- claims ---- */

/* RFC 7519 section 2, NumericDate: seconds, perhaps with a fraction. What is beyond any date is cut to its bound. */
static enum jwt_error get_date(const json_t *body, const char *name, bool *present, int64_t *out)
{
    static const double bound = 1e15;
    const json_t *j = json_object_get(body, name);
    *present = j != NULL;
    if (!j)
        return JWT_OK;
    if (!json_is_number(j))
        return JWT_MALFORMED;
    double v = floor(json_number_value(j));
    *out = (int64_t)(v > bound ? bound : v < -bound ? -bound : v);
    return JWT_OK;
}

static enum jwt_error check_times(const json_t *body, int64_t now_s, int64_t *exp_s)
{
    static const char *const starts[] = {"nbf", "iat"};
    bool present;
    int64_t exp = 0, start = 0;
    if (get_date(body, "exp", &present, &exp) != JWT_OK)
        return JWT_MALFORMED;
    if (!present)
        return JWT_CLAIMS;
    if (exp <= now_s)
        return JWT_EXPIRED;
    if (exp > now_s + JWT_LIFETIME_MAX_S)
        return JWT_EXP_TOO_FAR;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (get_date(body, starts[i], &present, &start) != JWT_OK)
            return JWT_MALFORMED;
        if (present && start > now_s + SKEW_MAX_S)
            return JWT_NOT_YET;
    }
    *exp_s = exp;
    return JWT_OK;
}

static enum jwt_error get_issuer(const json_t *body, struct key_id *iss)
{
    const json_t *j = json_object_get(body, "iss");
    if (!j)
        return JWT_CLAIMS;
    if (!json_is_string(j))
        return JWT_MALFORMED;
    if (key_id_parse(iss, json_string_value(j), json_string_length(j)) < 0 || iss->kind != KEY_ORG)
        return JWT_CLAIMS;
    return JWT_OK;
}

static enum jwt_error get_subject(const json_t *body, char sub[static AGENT_ID_MAX + 1])
{
    const json_t *j = json_object_get(body, "sub");
    if (!j)
        return JWT_CLAIMS;
    if (!json_is_string(j))
        return JWT_MALFORMED;
    if (!agent_id_valid(json_string_value(j)))
        return JWT_CLAIMS;
    memcpy(sub, json_string_value(j), json_string_length(j) + 1);
    return JWT_OK;
}

static enum jwt_error get_grants(const json_t *body, unsigned *grants)
{
    const json_t *j = json_object_get(body, "grants");
    *grants = j ? 0 : GRANT_PROBE | GRANT_JOIN;
    if (!j)
        return JWT_OK;
    if (!json_is_array(j))
        return JWT_MALFORMED;
    for (size_t i = 0; i < json_array_size(j); i++) {
        const char *grant = json_string_value(json_array_get(j, i));
        if (!grant)
            return JWT_MALFORMED;
        if (strcmp(grant, "probe") == 0)
            *grants |= GRANT_PROBE;
        else if (strcmp(grant, "join") == 0)
            *grants |= GRANT_JOIN;
        else
            return JWT_CLAIMS;
    }
    return JWT_OK;
}

enum jwt_error jwt_verify(const char *text, size_t len, const struct master_keys *mk, int64_t now_s,
                          struct jwt_claims *out)
{
    struct parts parts;
    struct jwt_claims claims = {0};
    if (!split(text, len, &parts))
        return JWT_MALFORMED;
    enum jwt_error answer = check_head(parts.head);
    if (answer != JWT_OK)
        return answer;
    json_t *body = decode_object(parts.body);
    if (!body)
        return JWT_MALFORMED;
    answer = get_issuer(body, &claims.iss);
    if (answer == JWT_OK)
        answer = check_signature(text, &parts, &claims.iss, mk);
    if (answer == JWT_OK)
        answer = check_times(body, now_s, &claims.exp_s);
    if (answer == JWT_OK)
        answer = get_subject(body, claims.sub);
    if (answer == JWT_OK)
        answer = get_grants(body, &claims.grants);
    json_decref(body);
    if (answer == JWT_OK)
        *out = claims;
    return answer;
}

/* ---- minting ---- */

static const char *grants_text(unsigned grants)
{
    switch (grants & (GRANT_PROBE | GRANT_JOIN)) {
    case GRANT_PROBE:
        return "[\"probe\"]";
    case GRANT_JOIN:
        return "[\"join\"]";
    case GRANT_PROBE | GRANT_JOIN:
        return "[\"probe\",\"join\"]";
    default:
        return "[]";
    }
}

int jwt_sign(const char *api_key, const struct jwt_claims *claims, char *out, size_t cap)
{
    static const char head[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."; /* {"alg":"HS256","typ":"JWT"} */
    struct key_id iss;
    const char *dot = strchr(api_key, '.');
    if (!dot || strlen(dot + 1) != KEY_SECRET_LEN || key_id_parse(&iss, api_key, (size_t)(dot - api_key)) < 0)
        return -EINVAL;
    if (!agent_id_valid(claims->sub))
        return -EINVAL;
    char body[AGENT_ID_MAX + KEY_ID_MAX + 128];
    int body_len = snprintf(body, sizeof body, "{\"iss\":\"%s\",\"sub\":\"%s\",\"exp\":%lld,\"grants\":%s}",
                            iss.text, claims->sub, (long long)claims->exp_s, grants_text(claims->grants));
    if (body_len < 0 || (size_t)body_len >= sizeof body)
        return -EINVAL;
    size_t n = sizeof head - 1;
    size_t body_text = sodium_base64_ENCODED_LEN((size_t)body_len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (cap < n + body_text + SIGNATURE_TEXT_LEN + 1) /* body_text counts a NUL: the second dot's place */
        return -ENOBUFS;
    memcpy(out, head, n);
    sodium_bin2base64(out + n, body_text, (const uint8_t *)body, (size_t)body_len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    n += body_text - 1;
    uint8_t mac[SIGNATURE_LEN];
    sign_text(api_key, out, n, mac);
    out[n++] = '.';
    sodium_bin2base64(out + n, SIGNATURE_TEXT_LEN + 1, mac, sizeof mac,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return (int)(n + SIGNATURE_TEXT_LEN);
}
