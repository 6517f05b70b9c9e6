/* link: berth_controller_lib */
/* Tokens to callers, without a database. */
#include "auth.h"
#include "check.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MASTER_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define MASTER_B "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define ADMIN    "an-admin-key-of-some-length"

static const int64_t now_s = 1800000000;
static struct auth_keys keys;

static int setup(void **state)
{
    char err[256];

    (void)state;
    if (sodium_init() < 0)
        return -1;
    return auth_keys_parse(&keys, MASTER_A, strlen(MASTER_A), ADMIN "\n", strlen(ADMIN) + 1, err);
}

static void make_key(enum key_kind kind, char out[static API_KEY_MAX + 1], struct key_id *id)
{
    static const uint8_t random[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

    key_id_make(id, "oabc", kind, random);
    api_key_make(id, keys.master.key[0], out);
}

static enum auth_result check(const char *token, const struct auth_revoked *revoked, struct caller *c)
{
    char header[JWT_MAX + 16];
    const char *detail = NULL;
    enum auth_result r;

    snprintf(header, sizeof(header), "Bearer %s", token);
    r = auth_check(&keys, revoked, header, strlen(header), now_s, c, &detail);
    assert_true(r == AUTH_OK ? c->kind != CALLER_NOBODY : c->kind == CALLER_NOBODY);
    assert_true(r == AUTH_OK || detail != NULL);
    return r;
}

static void test_kinds(void **state)
{
    char org[API_KEY_MAX + 1], node[API_KEY_MAX + 1], token[JWT_MAX];
    struct jwt_claims claims = {.sub = "a1", .exp_s = now_s + 60, .grants = GRANT_JOIN};
    struct key_id id;
    struct caller c;

    (void)state;
    make_key(KEY_NODE, node, &id);
    assert_int_equal(check(node, NULL, &c), AUTH_OK);
    assert_int_equal(c.kind, CALLER_NODE);
    assert_string_equal(c.org, "oabc");
    claims.iss = id;
    assert_true(jwt_sign(node, &claims, token, sizeof(token)) > 0);
    assert_int_not_equal(check(token, NULL, &c), AUTH_OK); /* a node key signs for nobody */
    make_key(KEY_ORG, org, &id);
    assert_int_equal(check(org, NULL, &c), AUTH_OK);
    assert_int_equal(c.kind, CALLER_ORG);
    assert_int_equal(c.grants, GRANT_PROBE | GRANT_JOIN);
    claims.iss = id;
    assert_true(jwt_sign(org, &claims, token, sizeof(token)) > 0);
    assert_int_equal(check(token, NULL, &c), AUTH_OK);
    assert_int_equal(c.kind, CALLER_AGENT);
    assert_string_equal(c.agent, "a1");
    assert_string_equal(c.key_id, id.text);
    assert_int_equal(c.grants, GRANT_JOIN);
    assert_int_equal(check(ADMIN, NULL, &c), AUTH_OK);
    assert_int_equal(c.kind, CALLER_ADMIN);
    assert_string_equal(c.org, "");
    claims.exp_s = now_s;
    assert_true(jwt_sign(org, &claims, token, sizeof(token)) > 0);
    assert_int_equal(check(token, NULL, &c), AUTH_EXPIRED);
}

/* Every character of a key counts. */
static void test_one_character_off(void **state)
{
    char key[API_KEY_MAX + 1], admin[] = ADMIN;
    struct key_id id;
    struct caller c;

    (void)state;
    make_key(KEY_ORG, key, &id);
    for (size_t i = 0; i < strlen(key); i++) {
        char was = key[i];
        key[i] = was == 'x' ? 'y' : 'x';
        assert_int_not_equal(check(key, NULL, &c), AUTH_OK);
        key[i] = was;
    }
    for (size_t i = 0; i < strlen(admin); i++) {
        char was = admin[i];
        admin[i] = '!';
        assert_int_not_equal(check(admin, NULL, &c), AUTH_OK);
        admin[i] = was;
    }
    admin[strlen(admin) - 1] = '\0';
    assert_int_not_equal(check(admin, NULL, &c), AUTH_OK);
}

static void test_headers(void **state)
{
    static const char *const bad[] = {"",    "Bearer",      "Bearer ", "Bearer   ", "Basic " ADMIN,
                                      ADMIN, "Bearer" ADMIN};
    const char *detail = NULL;
    struct caller c;

    (void)state;
    assert_int_equal(auth_check(&keys, NULL, NULL, 0, now_s, &c, &detail), AUTH_MISSING);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(auth_check(&keys, NULL, bad[i], strlen(bad[i]), now_s, &c, &detail), AUTH_MALFORMED);
    assert_int_equal(auth_check(&keys, NULL, "bEARER  " ADMIN, strlen(ADMIN) + 8, now_s, &c, &detail),
                     AUTH_OK);
}

static struct auth_revoked *revoked_of(const char *key, const char *org)
{
    size_t len = strlen(key) + strlen(org) + 64;
    char *text = calloc(1, len), *p = text;

    assert_non_null(text);
    p = stpcpy(p, "zzz") + 1;
    p = stpcpy(p, key) + 1;
    p = stpcpy(p, "aaa") + 1;
    p = stpcpy(p, "ozz") + 1;
    (void)stpcpy(p, org);
    return auth_revoked_new(text, 3, 2);
}

static void test_revoked(void **state)
{
    char key[API_KEY_MAX + 1];
    struct auth_revoked *none, *by_key, *by_org;
    struct key_id id;
    struct caller c;

    (void)state;
    make_key(KEY_ORG, key, &id);
    none = revoked_of("other", "other");
    by_key = revoked_of(id.text, "other");
    by_org = revoked_of("other", "oabc");
    assert_int_equal(check(key, none, &c), AUTH_OK);
    assert_int_equal(check(key, by_key, &c), AUTH_REVOKED);
    assert_int_equal(check(key, by_org, &c), AUTH_REVOKED);
    assert_int_equal(check(ADMIN, by_org, &c), AUTH_OK);
    auth_revoked_destroy(none);
    auth_revoked_destroy(by_key);
    auth_revoked_destroy(by_org);
}

static void test_rotation(void **state)
{
    char key[API_KEY_MAX + 1], err[256];
    struct key_id id;
    struct caller c;

    (void)state;
    make_key(KEY_ORG, key, &id);
    assert_int_equal(
        auth_keys_parse(&keys, MASTER_B MASTER_A, 2 * strlen(MASTER_A), ADMIN, strlen(ADMIN), err), 0);
    assert_int_equal(check(key, NULL, &c), AUTH_OK);
    assert_int_equal(auth_keys_parse(&keys, MASTER_B, strlen(MASTER_B), ADMIN, strlen(ADMIN), err), 0);
    assert_int_not_equal(check(key, NULL, &c), AUTH_OK);
    assert_int_equal(setup(NULL), 0);
}

static void test_key_files(void **state)
{
    static const char *const bad_admin[] = {"", "# none\n\n", "short\n", ADMIN "\nshort\n"};
    struct auth_keys k;
    char err[256], long_line[ADMIN_KEY_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(bad_admin) / sizeof(bad_admin[0]); i++) {
        err[0] = '\0';
        assert_int_equal(
            auth_keys_parse(&k, MASTER_A, strlen(MASTER_A), bad_admin[i], strlen(bad_admin[i]), err),
            -EINVAL);
        assert_true(strstr(err, "admin") != NULL);
    }
    memset(long_line, 'x', sizeof(long_line));
    assert_int_equal(auth_keys_parse(&k, MASTER_A, strlen(MASTER_A), long_line, ADMIN_KEY_MAX + 1, err),
                     -EINVAL);
    assert_int_equal(auth_keys_parse(&k, MASTER_A, strlen(MASTER_A), long_line, ADMIN_KEY_MAX, err), 0);
    assert_int_equal(auth_keys_parse(&k, "nonsense\n", 9, ADMIN, strlen(ADMIN), err), -EINVAL);
    assert_non_null(strstr(err, "line 1"));
    assert_int_equal(auth_keys_parse(&k, MASTER_A, strlen(MASTER_A), "# ours\r\n\n" ADMIN " \r\n",
                                     strlen(ADMIN) + 12, err),
                     0);
    assert_int_equal(k.n_admin, 1);
}

static void write_file(const char *path, const char *text, size_t padding)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    for (size_t i = 0; i < padding; i++)
        assert_int_equal(fputc('\n', f), '\n');
    assert_int_equal(fclose(f), 0);
}

/* A file that is too large is refused whole: cut, it might lack a key, or hold half of one. */
static void test_key_files_have_a_size(void **state)
{
    char folder[] = "/tmp/berth-test-keys-XXXXXX", master[64], admin[64], err[256] = "";
    struct snapshot_slot slot;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(master, sizeof(master), "%s/master", folder);
    snprintf(admin, sizeof(admin), "%s/admin", folder);
    snapshot_slot_init(&slot);
    write_file(master, MASTER_A, 0);
    write_file(admin, ADMIN "\n", 16 * 1024 - sizeof(ADMIN));
    assert_int_equal(auth_keys_load(&slot, master, admin, err), 0);
    write_file(admin, ADMIN "\n", 16 * 1024 - sizeof(ADMIN) + 1);
    assert_int_equal(auth_keys_load(&slot, master, admin, err), -EINVAL);
    assert_non_null(strstr(err, admin));
    snapshot_slot_destroy(&slot);
    unlink(master);
    unlink(admin);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_one_character_off),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_key_files_have_a_size),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
