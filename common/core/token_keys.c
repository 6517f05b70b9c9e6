/* API keys: their ids, and the secrets derived from master keys. Invariant: a secret is compared in constant time, and
 * always against every master key. */
#include "core/token.h"

#include "core/lines.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { KEY_RANDOM_LEN = 12, MASTER_KEY_HEX_LEN = 2 * MASTER_KEY_LEN };

/* Lower case letters and digits: what an org's id and a key's random part are made of. */
static bool is_small_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool org_chars(const char *s, size_t len)
{
    if (len == 0 || len > ORG_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_small_alnum(s[i]))
            return false;
    }
    return true;
}

bool org_id_valid(const char *s)
{
    return org_chars(s, strlen(s));
}

static bool chars_valid(const char *s, size_t max, const char *punctuation)
{
    size_t len = strnlen(s, max + 1);
    if (len == 0 || len > max)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_small_alnum(s[i]) && !(s[i] >= 'A' && s[i] <= 'Z') && !strchr(punctuation, s[i]))
            return false;
    }
    return true;
}

bool agent_id_valid(const char *s)
{
    return chars_valid(s, AGENT_ID_MAX, "._-");
}

bool id_valid(const char *s, size_t max)
{
    return chars_valid(s, max, "._:-");
}

static int parse_master(const char *hex, size_t len, uint8_t key[static MASTER_KEY_LEN])
{
    size_t n = 0;
    if (len != MASTER_KEY_HEX_LEN)
        return -EINVAL;
    if (sodium_hex2bin(key, MASTER_KEY_LEN, hex, len, NULL, &n, NULL) != 0 || n != MASTER_KEY_LEN)
        return -EINVAL;
    return 0;
}

/* *line: where it is wrong; 0: there are too many keys. */
static int parse_masters(struct master_keys *mk, const char *text, size_t len, unsigned *line)
{
    struct lines lines = lines_of(text, len);
    const char *hex;
    size_t hex_len;
    while (lines_next(&lines, &hex, &hex_len)) {
        *line = mk->n == MASTER_KEYS_MAX ? 0 : lines.number;
        if (*line == 0 || parse_master(hex, hex_len, mk->key[mk->n]) < 0)
            return -EINVAL;
        mk->n++;
    }
    *line = 0;
    return mk->n > 0 ? 0 : -EINVAL;
}

int master_keys_parse(struct master_keys *mk, const char *text, size_t len, unsigned *line)
{
    struct master_keys parsed = {0};
    int answer = parse_masters(&parsed, text, len, line);
    if (answer == 0)
        *mk = parsed;
    sodium_memzero(&parsed, sizeof parsed);
    return answer;
}

int key_id_parse(struct key_id *id, const char *text, size_t len)
{
    struct key_id parsed = {0};
    const char *underscore = memchr(text, '_', len);
    if (!underscore || !org_chars(text, (size_t)(underscore - text)))
        return -EINVAL;
    size_t org_len = (size_t)(underscore - text);
    const char *kind = underscore + 1;
    if (len != org_len + 2 + KEY_RANDOM_LEN || (*kind != KEY_ORG && *kind != KEY_NODE))
        return -EINVAL;
    for (size_t i = 1; i <= KEY_RANDOM_LEN; i++) {
        if (!is_small_alnum(kind[i]))
            return -EINVAL;
    }
    memcpy(parsed.text, text, len);
    memcpy(parsed.org, text, org_len);
    parsed.kind = (enum key_kind) * kind;
    *id = parsed;
    return 0;
}

void key_id_make(struct key_id *id, const char *org, enum key_kind kind, const uint8_t random[static 12])
{
    static const char alphabet[36] = "abcdefghijklmnopqrstuvwxyz0123456789";
    *id = (struct key_id){.kind = kind};
    size_t n = strnlen(org, ORG_ID_MAX);
    memcpy(id->org, org, n);
    memcpy(id->text, org, n);
    id->text[n++] = '_';
    id->text[n++] = (char)kind;
    for (size_t i = 0; i < KEY_RANDOM_LEN; i++)
        id->text[n++] = alphabet[random[i] % sizeof alphabet];
}

void api_key_make(const struct key_id *id, const uint8_t master[static MASTER_KEY_LEN],
                  char out[static API_KEY_MAX + 1])
{
    static const char context[] = "berth-api-key-1";
    crypto_auth_hmacsha256_state st;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    size_t n = strlen(id->text);
    crypto_auth_hmacsha256_init(&st, master, MASTER_KEY_LEN);
    crypto_auth_hmacsha256_update(&st, (const uint8_t *)context, sizeof context - 1);
    crypto_auth_hmacsha256_update(&st, (const uint8_t *)id->text, n);
    crypto_auth_hmacsha256_final(&st, mac);
    memcpy(out, id->text, n);
    out[n++] = '.';
    sodium_bin2base64(out + n, KEY_SECRET_LEN + 1, mac, sizeof mac, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(&st, sizeof st);
    sodium_memzero(mac, sizeof mac);
}

int api_key_verify(const char *text, size_t len, const struct master_keys *mk, struct key_id *out)
{
    struct key_id id;
    const char *dot = memchr(text, '.', len);
    if (!dot || len - (size_t)(dot - text) != 1 + KEY_SECRET_LEN || memchr(dot + 1, '.', KEY_SECRET_LEN) ||
        key_id_parse(&id, text, (size_t)(dot - text)) < 0)
        return -EBADMSG;
    char expected[API_KEY_MAX + 1];
    bool right = false;
    for (size_t i = 0; i < mk->n; i++) {
        api_key_make(&id, mk->key[i], expected);
        right |= sodium_memcmp(expected, text, len) == 0;
    }
    sodium_memzero(expected, sizeof expected);
    if (!right)
        return -EACCES;
    *out = id;
    return 0;
}
