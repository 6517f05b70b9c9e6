/* Tokens to callers. Invariant: every comparison with a secret takes the same time whatever is presented, and no
 * secret outlives its use in memory: files' texts are wiped, admin keys are kept as hashes. */
#include "auth.h"

#include "core/lines.h"
#include "master_check.h"
#include "sys/file.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_FILE_MAX = 16 * 1024 };

/* ---- keys from files ---- */

static void admin_hash(uint8_t out[static AUTH_HASH_LEN], const char *key, size_t len)
{
    static const uint8_t label[] = "berth-admin-key-1";
    (void)crypto_generichash(out, AUTH_HASH_LEN, (const uint8_t *)key, len, label, sizeof(label) - 1);
}

static int admin_parse(struct auth_keys *k, const char *text, size_t len, char err[static 256])
{
    struct lines lines = lines_of(text, len);
    const char *key;
    size_t n;

    k->n_admin = 0;
    while (lines_next(&lines, &key, &n)) {
        if (n < ADMIN_KEY_MIN || n > ADMIN_KEY_MAX || k->n_admin == ADMIN_KEYS_MAX) {
            snprintf(err, 256, "admin keys, line %u: at most %d keys of %d to %d characters", lines.number,
                     ADMIN_KEYS_MAX, ADMIN_KEY_MIN, ADMIN_KEY_MAX);
            return -EINVAL;
        }
        admin_hash(k->admin[k->n_admin++], key, n);
    }
    if (k->n_admin == 0) {
        snprintf(err, 256, "admin keys: there is none");
        return -EINVAL;
    }
    return 0;
}

int auth_keys_parse(struct auth_keys *k, const char *master_text, size_t master_len, const char *admin_text,
                    size_t admin_len, char err[static 256])
{
    unsigned line = 0;

    if (master_keys_parse(&k->master, master_text, master_len, &line) != 0) {
        snprintf(err, 256, "master keys, line %u: 1 to %d lines of 64 hex digits are wanted", line,
                 MASTER_KEYS_MAX);
        return -EINVAL;
    }
    return admin_parse(k, admin_text, admin_len, err);
}

/* The whole file, to be wiped and freed; NULL with err. */
static char *key_file_read(const char *path, size_t *len, char err[static 256])
{
    char *text = malloc(KEY_FILE_MAX + 1);
    ssize_t n = text != NULL ? file_read(path, text, KEY_FILE_MAX + 1) : -ENOMEM;

    *len = n > 0 ? (size_t)n : 0;
    if (n >= 0 && n <= KEY_FILE_MAX)
        return text;
    snprintf(err, 256, "%s: %s", path, file_error(n < 0 ? n : -EFBIG));
    if (text != NULL)
        sodium_memzero(text, KEY_FILE_MAX + 1);
    free(text);
    return NULL;
}

/* A list that has nothing of the one in force is a mistake: with it, no key that there is would count. */
static int check_related(struct snapshot_slot *slot, const struct auth_keys *k, char err[static 256])
{
    struct snapshot *s = snapshot_acquire(slot);
    const struct auth_keys *in_force = s != NULL ? s->data : NULL;
    bool related = in_force == NULL || master_keys_related(&in_force->master, &k->master);

    snapshot_release(s);
    if (related)
        return 0;
    snprintf(
        err, 256,
        "master keys: none of those in force is left: put a new one above the old ones, reload, and take "
        "the old ones out at the next reload");
    return -EINVAL;
}

static void keys_destroy(void *data)
{
    sodium_memzero(data, sizeof(struct auth_keys));
    free(data);
}

int auth_keys_load(struct snapshot_slot *slot, const char *master_file, const char *admin_file,
                   char err[static 256])
{
    size_t master_len = 0, admin_len = 0;
    char *master = key_file_read(master_file, &master_len, err);
    char *admin = master != NULL ? key_file_read(admin_file, &admin_len, err) : NULL;
    struct auth_keys *k = calloc(1, sizeof(*k));
    int r = -EINVAL;

    if (admin == NULL || k == NULL)
        goto out;
    r = auth_keys_parse(k, master, master_len, admin, admin_len, err);
    if (r == 0)
        r = check_related(slot, k, err);
    if (r != 0)
        goto out;
    r = snapshot_publish(slot, k, keys_destroy);
    k = NULL;
    if (r != 0)
        snprintf(err, 256, "out of memory");
out:
    if (master != NULL)
        sodium_memzero(master, master_len);
    if (admin != NULL)
        sodium_memzero(admin, admin_len);
    free(master);
    free(admin);
    if (k != NULL)
        keys_destroy(k);
    return r;
}

/* ---- what has been revoked ---- */

static int name_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct auth_revoked *auth_revoked_new(char *text, size_t n_keys, size_t n_orgs)
{
    struct auth_revoked *r = calloc(1, sizeof(*r));
    const char **names = calloc(n_keys + n_orgs + 1, sizeof(*names));
    const char *p = text;

    if (r == NULL || names == NULL) {
        free(text);
        free(names);
        free(r);
        return NULL;
    }
    for (size_t i = 0; i < n_keys + n_orgs; i++) {
        names[i] = p;
        p += strlen(p) + 1;
    }
    *r = (struct auth_revoked){
        .n_keys = n_keys, .n_orgs = n_orgs, .keys = names, .orgs = names + n_keys, .text = text};
    qsort(r->keys, n_keys, sizeof(*names), name_cmp);
    qsort(r->orgs, n_orgs, sizeof(*names), name_cmp);
    return r;
}

void auth_revoked_destroy(void *data)
{
    struct auth_revoked *r = data;

    if (r == NULL)
        return;
    free(r->keys);
    free(r->text);
    free(r);
}

bool auth_is_revoked(const struct auth_revoked *r, const char *key_id, const char *org)
{
    return bsearch(&key_id, r->keys, r->n_keys, sizeof(*r->keys), name_cmp) != NULL ||
           bsearch(&org, r->orgs, r->n_orgs, sizeof(*r->orgs), name_cmp) != NULL;
}

/* The names in one text, each with its NUL, keys first as the rows come. NULL: out of memory. */
static struct auth_revoked *revoked_from_rows(const PGresult *rows)
{
    size_t len = 1, n = (size_t)PQntuples(rows), n_keys = 0;
    char *text, *p;

    for (int i = 0; i < (int)n; i++)
        len += (size_t)PQgetlength(rows, i, 0) + 1;
    p = text = malloc(len);
    if (text == NULL)
        return NULL;
    for (int i = 0; i < (int)n; i++) {
        p = stpcpy(p, db_get(rows, i, 0)) + 1;
        n_keys += db_get_i64(rows, i, 1) == 0;
    }
    return auth_revoked_new(text, n_keys, n - n_keys);
}

/* 1: as many as before, 0: not; -EIO. Rows only ever become revoked or deleted, so an unchanged count is an unchanged set. */
static int revoked_unchanged(struct controller *ctl, struct db_sync *db, const struct auth_revoked *before)
{
    PGresult *count = db_sync_exec(db,
                                   "select (select count(*) from api_key where revoked_at is not null), "
                                   "(select count(*) from org where deleted_at is not null), "
                                   "berth_us(clock_timestamp())",
                                   NULL, 0);
    int same;

    if (count == NULL)
        return -EIO;
    same = before != NULL && (int64_t)before->n_keys == db_get_i64(count, 0, 0) &&
           (int64_t)before->n_orgs == db_get_i64(count, 0, 1);
    controller_told_unix_us(ctl, db_get_i64(count, 0, 2)); /* by which tokens end */
    PQclear(count);
    return same;
}

static int revoked_build(struct controller *ctl, struct db_sync *db, const void *old, void **data)
{
    int same = revoked_unchanged(ctl, db, old);
    PGresult *rows;

    if (same != 0)
        return same < 0 ? same : SNAPSHOT_UNCHANGED;
    rows = db_sync_exec(db,
                        "select key_id, 0 as what from api_key where revoked_at is not null "
                        "union all select id, 1 from org where deleted_at is not null order by what",
                        NULL, 0);
    if (rows == NULL)
        return -EIO;
    *data = revoked_from_rows(rows);
    PQclear(rows);
    return *data != NULL ? 0 : -ENOMEM;
}

const struct snapshot_builder auth_snapshot_builder = {
    .name = "auth",
    .channel = "berth_auth",
    .period_us = SNAPSHOT_PERIOD_US,
    .build = revoked_build,
    .destroy = auth_revoked_destroy,
    .slot = SNAPSHOT_AUTH,
};

/* ---- checking a request ---- */

static bool is_admin(const struct auth_keys *keys, const char *token, size_t len)
{
    uint8_t hash[AUTH_HASH_LEN];
    int found = 0;

    admin_hash(hash, token, len);
    for (size_t i = 0; i < keys->n_admin; i++)
        found |= sodium_memcmp(hash, keys->admin[i], AUTH_HASH_LEN) == 0;
    return found != 0;
}

static enum auth_result check_jwt(const struct auth_keys *keys, const char *token, size_t len, int64_t now_s,
                                  struct caller *out, const char **detail)
{
    struct jwt_claims claims;
    enum jwt_error e = jwt_verify(token, len, &keys->master, now_s, &claims);

    if (e != JWT_OK) {
        *detail = jwt_error_text(e);
        return e == JWT_EXPIRED ? AUTH_EXPIRED : AUTH_INVALID;
    }
    if (claims.iss.kind != KEY_ORG) {
        *detail = "a node key can't sign for agents";
        return AUTH_INVALID;
    }
    out->kind = CALLER_AGENT;
    out->grants = claims.grants;
    out->expires_s = claims.exp_s;
    memcpy(out->org, claims.iss.org, sizeof(out->org));
    memcpy(out->key_id, claims.iss.text, sizeof(out->key_id));
    memcpy(out->agent, claims.sub, sizeof(out->agent));
    return AUTH_OK;
}

static enum auth_result check_key(const struct auth_keys *keys, const char *token, size_t len,
                                  struct caller *out, const char **detail)
{
    struct key_id id;
    int r = api_key_verify(token, len, &keys->master, &id);

    if (r != 0) {
        *detail = r == -EBADMSG
                      ? "the token is neither a key, <key_id>.<secret>, nor a JWT"
                      : "the key's secret is wrong, or was derived from a master key that no longer counts";
        return r == -EBADMSG ? AUTH_MALFORMED : AUTH_INVALID;
    }
    out->kind = id.kind == KEY_ORG ? CALLER_ORG : CALLER_NODE;
    out->grants = id.kind == KEY_ORG ? GRANT_PROBE | GRANT_JOIN : 0;
    memcpy(out->org, id.org, sizeof(out->org));
    memcpy(out->key_id, id.text, sizeof(out->key_id));
    return AUTH_OK;
}

static size_t count_dots(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += s[i] == '.';
    return n;
}

enum auth_result auth_check(const struct auth_keys *keys, const struct auth_revoked *revoked,
                            const char *header, size_t len, int64_t now_s, struct caller *out,
                            const char **detail)
{
    static const char scheme[] = "Bearer ";
    enum auth_result r;

    memset(out, 0, sizeof(*out));
    out->kind = CALLER_NOBODY;
    if (header == NULL)
        return AUTH_MISSING;
    *detail = "Authorization must be \"Bearer <token>\"";
    if (len <= sizeof(scheme) - 1 || strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
        return AUTH_MALFORMED;
    header += sizeof(scheme) - 1;
    len -= sizeof(scheme) - 1;
    while (len > 0 && *header == ' ') {
        header++;
        len--;
    }
    if (is_admin(keys, header, len)) {
        out->kind = CALLER_ADMIN;
        return AUTH_OK;
    }
    r = count_dots(header, len) == 2 ? check_jwt(keys, header, len, now_s, out, detail)
                                     : check_key(keys, header, len, out, detail);
    if (r == AUTH_OK && revoked != NULL && auth_is_revoked(revoked, out->key_id, out->org)) {
        *detail = "the key has been revoked";
        r = AUTH_REVOKED;
    }
    if (r != AUTH_OK)
        out->kind = CALLER_NOBODY;
    return r;
}
