/* /v1/keys: making, listing and revoking API keys. Invariant: the database learns a key's id and never its secret,
 * which is in one answer and nowhere else. */
#include "api_body.h"
#include "api_quota.h"
#include "auth.h"
#include "core/timefmt.h"
#include "modules.h"

#include <sodium.h>
#include <string.h>

#define KEY_COLUMNS "key_id, org, kind, berth_us(created_at), berth_us(revoked_at)"

static json_t *key_json(const PGresult *res, int row)
{
    char time[TIME_TEXT_LEN];
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s}", "key_id", db_get(res, row, 0), "org", db_get(res, row, 1), "kind",
                  db_get(res, row, 2), "created_at", time_format(db_get_i64(res, row, 3), time));

    if (j != NULL && !db_null(res, row, 4))
        json_object_set_new(j, "revoked_at", json_string(time_format(db_get_i64(res, row, 4), time)));
    return j;
}

static void no_such_key(struct api_request *r)
{
    api_problem(r, 404, "not_found", "there is no such key");
}

/* ---- POST ---- */

static const struct db_stmt create_stmt = {
    "key_create", "insert into api_key (org, key_id, kind) select id, $2, $3 from org where id = $1"
                  " and deleted_at is null and (id = 'cloud' or"
                  " (select count(*) from api_key k where k.org = $1 and k.revoked_at is null) < $4::bigint)"
                  " returning " KEY_COLUMNS};
static const struct db_stmt org_lives_stmt = {"key_org_lives", "select org_lives($1)"};

static void created(struct api_request *r, const struct db_result *result)
{
    const struct auth_keys *keys = api_snapshot(r, SNAPSHOT_KEYS);
    const struct key_id *id = r->state;
    char key[API_KEY_MAX + 1];
    json_t *j;

    if (result->error != 0) {
        api_problem(r, 503, "overloaded", "the new id was taken; try again");
        return;
    }
    if (PQntuples(result->res[0]) == 0) {
        if (db_get_bool(result->res[1], 0, 0))
            quota_refuse(r, QUOTA_KEYS);
        else
            api_problem_at(r, 404, "not_found", "/org", "there is no such org");
        return;
    }
    api_key_make(id, keys->master.key[0], key);
    j = key_json(result->res[0], 0);
    if (j != NULL)
        json_object_set_new(j, "key", json_string(key));
    sodium_memzero(key, sizeof(key));
    api_header(r, "cache-control", "no-store");
    api_json(r, 201, j);
}

/* Whose key it is to be: the admin says, an org means itself. */
static bool read_org(struct api_request *r, const char **org)
{
    const char *named = NULL;

    if (!body_id(r, "org", ORG_ID_MAX, r->caller.kind == CALLER_ADMIN, &named))
        return false;
    if (named != NULL &&
        (!org_id_valid(named) || (r->caller.kind == CALLER_ORG && strcmp(named, r->caller.org) != 0))) {
        api_problem_at(r, 404, "not_found", "/org", "there is no such org");
        return false;
    }
    *org = named != NULL ? named : r->caller.org;
    return true;
}

static bool read_kind(struct api_request *r, const char *org, const char **kind)
{
    if (!body_text(r, "kind", 8, true, kind))
        return false;
    if (strcmp(*kind, "org") != 0 && strcmp(*kind, "node") != 0)
        return body_refuse(r, "", "kind", "org or node is wanted.");
    if (strcmp(org, "cloud") == 0 && strcmp(*kind, "org") == 0)
        return body_refuse(r, "", "kind", "the cloud has node keys only");
    return true;
}

static void keys_post(struct api_request *r)
{
    struct key_id *id = api_alloc(r, sizeof(*id));
    const char *org = NULL, *kind = NULL;
    uint8_t random[12];
    char most[24];
    struct db_batch *b;

    r->state = id;
    if (!atomic_load(&r->ctl->keys_fit)) {
        api_problem(r, 503, "database_unavailable",
                    "whether the master keys are this database's isn't known yet; try again soon");
        return;
    }
    if (!read_org(r, &org) || !read_kind(r, org, &kind) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    randombytes_buf(random, sizeof(random));
    key_id_make(id, org, strcmp(kind, "org") == 0 ? KEY_ORG : KEY_NODE, random);
    const struct db_param p[] = {db_text(org), db_text(id->text), db_text(kind),
                                 quota_param(r, QUOTA_KEYS, most)};
    db_add(b, &create_stmt, p, 4);
    db_add(b, &org_lives_stmt, p, 1);
    api_db_send(r, b, created);
}

/* ---- GET ---- */

static const struct db_stmt list_stmt = {
    "key_list", "select " KEY_COLUMNS " from api_key where ($1::text is null or org = $1)"
                " and (org, key_id) > (split_part($2, '_', 1), $2) order by org, key_id limit $3::bigint"};

static const struct api_list keys_list = {DB_OPERATOR, &list_stmt, key_json};

static void keys_get(struct api_request *r)
{
    const char *org = api_query(r, "org");

    if (r->caller.kind == CALLER_ORG && org == NULL)
        org = r->caller.org;
    if (org != NULL &&
        (!org_id_valid(org) || (r->caller.kind == CALLER_ORG && strcmp(org, r->caller.org) != 0))) {
        api_problem(r, 404, "not_found", "there is no such org");
        return;
    }
    const struct db_param p[] = {db_text(org)};
    api_list(r, &keys_list, p, 1);
}

/* The key that the path means, if this caller may know of it. False: answered already. */
static bool path_key(struct api_request *r, struct key_id *id)
{
    if (key_id_parse(id, r->param[0], strlen(r->param[0])) == 0 &&
        (r->caller.kind == CALLER_ADMIN || strcmp(id->org, r->caller.org) == 0))
        return true;
    no_such_key(r);
    return false;
}

static const struct db_stmt get_stmt = {"key_get",
                                        "select " KEY_COLUMNS " from api_key where org = $1 and key_id = $2"};

static void got(struct api_request *r, const struct db_result *result)
{
    if (PQntuples(result->res[0]) == 0)
        no_such_key(r);
    else
        api_json(r, 200, key_json(result->res[0], 0));
}

static void key_get(struct api_request *r)
{
    struct db_batch *b;
    struct key_id id;

    if (!path_key(r, &id) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    const struct db_param p[] = {db_text(id.org), db_text(id.text)};
    db_add(b, &get_stmt, p, 2);
    api_db_send(r, b, got);
}

/* ---- DELETE ---- */

static const struct db_stmt revoke_stmt = {
    "key_revoke", "update api_key set revoked_at = coalesce(revoked_at, now()) where org = $1 and key_id = $2"
                  " returning key_id"};

static void revoked(struct api_request *r, const struct db_result *result)
{
    if (result->error != 0)
        api_db_failed(r, result);
    else if (PQntuples(result->res[0]) == 0)
        no_such_key(r);
    else
        api_empty(r, 204);
}

static void key_delete(struct api_request *r)
{
    struct db_batch *b;
    struct key_id id;

    if (!path_key(r, &id) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    const struct db_param p[] = {db_text(id.org), db_text(id.text)};
    db_add(b, &revoke_stmt, p, 2);
    api_db_send(r, b, revoked);
}

const struct api_route api_keys_routes[API_KEYS_ROUTES] = {
    {"POST", "/v1/keys", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_OBJECT, keys_post},
    {"GET", "/v1/keys", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, keys_get},
    {"GET", "/v1/keys/{key}", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, key_get},
    {"DELETE", "/v1/keys/{key}", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, key_delete},
};
