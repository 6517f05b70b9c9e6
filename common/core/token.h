/* API keys that need no secret in a database, and the JWTs made with them.
 *
 * key_id = <org>_<k><12 random>, k = 'o' (org key) or 'n' (node key); secret = base64url(HMAC-SHA256(master key,
 * "berth-api-key-1" || key_id)), 43 characters. An API key on the wire is "<key_id>.<secret>"; it has exactly one dot.
 * A JWT (RFC 7519, HS256 only) has iss = key_id and is signed with that whole string. */
#ifndef BERTH_CORE_TOKEN_H
#define BERTH_CORE_TOKEN_H

#include "core/wire.h"

#include <jansson.h>

enum {
    MASTER_KEY_LEN = 32,
    MASTER_KEYS_MAX = 8,
    ORG_ID_MAX = 32, /* [a-z0-9]{1,32} */
    KEY_ID_MAX = 47, /* org, '_', kind, 12 of [a-z0-9] */
    KEY_SECRET_LEN = 43,
    API_KEY_MAX = KEY_ID_MAX + 1 + KEY_SECRET_LEN,
    AGENT_ID_MAX = 128, /* [A-Za-z0-9._-]{1,128} */
    JWT_MAX = 2048,
    JWT_LIFETIME_MAX_S = 24 * 3600,
};

enum key_kind { KEY_ORG = 'o', KEY_NODE = 'n' };
enum grant { GRANT_PROBE = 1, GRANT_JOIN = 2 };

/* The newest is first: it signs; all verify. Wipe with sodium_memzero when done. */
struct master_keys {
    size_t n;
    uint8_t key[MASTER_KEYS_MAX][MASTER_KEY_LEN];
};

/* One key a line, 64 hex digits; blank lines and lines from '#' are skipped. 0, or -EINVAL with *line set (1-based; 0: no key,
 * or too many). */
int master_keys_parse(struct master_keys *mk, const char *text, size_t len, unsigned *line)
    __attribute__((warn_unused_result));

struct key_id {
    char text[KEY_ID_MAX + 1];
    char org[ORG_ID_MAX + 1];
    enum key_kind kind;
};

bool org_id_valid(const char *s);
bool agent_id_valid(const char *s);
/* Also ids of nodes, clusters, regions, meetings and networks: 1 to `max` of [A-Za-z0-9._:-]. */
bool id_valid(const char *s, size_t max);
int key_id_parse(struct key_id *id, const char *text, size_t len) __attribute__((warn_unused_result));
/* `random` is 12 bytes of the caller's randomness. */
void key_id_make(struct key_id *id, const char *org, enum key_kind kind, const uint8_t random[static 12]);
/* The whole "<key_id>.<secret>" under one master key. */
void api_key_make(const struct key_id *id, const uint8_t master[static MASTER_KEY_LEN],
                  char out[static API_KEY_MAX + 1]);
/* Verifies "<key_id>.<secret>" against every master key in constant time. 0, -EBADMSG (shape), -EACCES (no master made it). */
int api_key_verify(const char *text, size_t len, const struct master_keys *mk, struct key_id *out)
    __attribute__((warn_unused_result));

struct jwt_claims {
    struct key_id iss;
    char sub[AGENT_ID_MAX + 1];
    int64_t exp_s;   /* Unix time */
    unsigned grants; /* enum grant, ORed; both where the claim is absent */
};

enum jwt_error {
    JWT_OK = 0,
    JWT_MALFORMED,   /* not three base64url parts of JSON objects, too long, a claim of the wrong type */
    JWT_ALGORITHM,   /* alg is not HS256 ("none" included), or a crit header */
    JWT_SIGNATURE,   /* no master key verifies it */
    JWT_EXPIRED,     /* exp <= now */
    JWT_EXP_TOO_FAR, /* more than 24 h ahead */
    JWT_NOT_YET,     /* nbf or iat is more than 60 s ahead */
    JWT_CLAIMS,      /* iss, sub, exp or grants missing or not as they must be */
};
const char *jwt_error_text(enum jwt_error e);

enum jwt_error jwt_verify(const char *text, size_t len, const struct master_keys *mk, int64_t now_s,
                          struct jwt_claims *out) __attribute__((warn_unused_result));
/* Mints a token (for tests, quickstart and the command's `berth key token`). Its length, or -EINVAL, -ENOBUFS. */
int jwt_sign(const char *api_key, const struct jwt_claims *claims, char *out, size_t cap)
    __attribute__((warn_unused_result));

#endif
