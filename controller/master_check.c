/* Fingerprints of master keys, compared with the database's. Invariant: the database is never given a key, nor what
 * a key could be guessed from. */
#include "master_check.h"

#include "db.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void master_fingerprint(const uint8_t key[static MASTER_KEY_LEN], char out[static MASTER_FINGERPRINT_TEXT])
{
    static const uint8_t label[] = "berth-master-fingerprint-1";
    uint8_t hash[MASTER_FINGERPRINT_LEN];

    (void)crypto_generichash(hash, sizeof(hash), label, sizeof(label) - 1, key, MASTER_KEY_LEN);
    sodium_bin2hex(out, MASTER_FINGERPRINT_TEXT, hash, sizeof(hash));
}

bool master_keys_related(const struct master_keys *a, const struct master_keys *b)
{
    int found = 0;

    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++)
            found |= sodium_memcmp(a->key[i], b->key[k], MASTER_KEY_LEN) == 0;
    return found != 0;
}

static char *put_all(char *p, const struct master_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++) {
        char before = p[-1];

        *p++ = before == '{' ? ' ' : ',';
        master_fingerprint(keys->key[i], p);
        p += strlen(p);
    }
    return p;
}

int master_keys_fit(struct db_sync *db, const struct master_keys *keys, const struct master_keys *before)
{
    char list[2 * MASTER_KEYS_MAX * MASTER_FINGERPRINT_TEXT + 3] = "{";
    const char *const params[] = {list};
    char *p = put_all(list + 1, keys);
    PGresult *res;
    int fit;

    if (before != NULL)
        p = put_all(p, before);
    memcpy(p, "}", 2);
    res = db_sync_exec(db, "select master_keys_fit($1::text[])", params, 1);
    fit = res == NULL ? -EIO : db_get_bool(res, 0, 0) ? 1 : 0;
    PQclear(res);
    return fit;
}
