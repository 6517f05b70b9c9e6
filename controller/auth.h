/* Who calls: tokens checked against the keys in force and what has been revoked. */
#ifndef BERTH_CONTROLLER_AUTH_H
#define BERTH_CONTROLLER_AUTH_H

#include "api.h"
#include "snapshot.h"

enum { ADMIN_KEYS_MAX = 8, ADMIN_KEY_MIN = 16, ADMIN_KEY_MAX = 256, AUTH_HASH_LEN = 32 };

/* Data of SNAPSHOT_KEYS. Of admin keys only a hash is kept. */
struct auth_keys {
    struct master_keys master;
    size_t n_admin;
    uint8_t admin[ADMIN_KEYS_MAX][AUTH_HASH_LEN];
};
/* Admin keys: one a line, blank lines and lines from '#' skipped. -EINVAL with a reason that names the line. */
int auth_keys_parse(struct auth_keys *k, const char *master_text, size_t master_len, const char *admin_text,
                    size_t admin_len, char err[static 256]) __attribute__((warn_unused_result));
/* Reads both files and publishes them; on failure what was in force stays. */
int auth_keys_load(struct snapshot_slot *slot, const char *master_file, const char *admin_file,
                   char err[static 256]) __attribute__((warn_unused_result));

/* Data of SNAPSHOT_AUTH: sorted names of what no longer counts. */
struct auth_revoked {
    size_t n_keys, n_orgs;
    const char **keys; /* key ids */
    const char **orgs; /* deleted orgs */
    char *text;        /* what the names point into */
};
/* `text` holds n_keys + n_orgs NUL-terminated names, the keys first; taken over (also on failure). NULL: out of memory. */
struct auth_revoked *auth_revoked_new(char *text, size_t n_keys, size_t n_orgs);
void auth_revoked_destroy(void *data);
bool auth_is_revoked(const struct auth_revoked *r, const char *key_id, const char *org);

enum auth_result {
    AUTH_OK,
    AUTH_MISSING, /* no Authorization at all: the caller is nobody */
    AUTH_MALFORMED,
    AUTH_INVALID,
    AUTH_EXPIRED,
    AUTH_REVOKED,
};
/* `header`: the Authorization header's value; NULL: none. */
enum auth_result auth_check(const struct auth_keys *keys, const struct auth_revoked *revoked,
                            const char *header, size_t len, int64_t now_s, struct caller *out,
                            const char **detail);

#endif
