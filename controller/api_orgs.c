/* /v1/orgs: the operator's customers. Invariant: an org is first marked deleted, so that its keys stop, and then its
 * data is erased; asking again finishes what was interrupted. */
#include "api_body.h"
#include "core/timefmt.h"
#include "modules.h"
#include "sys/clock.h"

#include <sodium.h>
#include <string.h>

enum { ORG_NAME_MAX = 200, ORG_RANDOM_LEN = 10 };

static void random_org_id(char out[static ORG_ID_MAX + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    out[0] = 'o';
    for (size_t i = 1; i <= ORG_RANDOM_LEN; i++)
        out[i] = alphabet[randombytes_uniform(36)];
    out[ORG_RANDOM_LEN + 1] = '\0';
}

static json_t *org_json(const PGresult *res, int row)
{
    char time[TIME_TEXT_LEN];

    return json_pack("{s:s, s:s, s:s}", "id", db_get(res, row, 0), "name", db_get(res, row, 1), "created_at",
                     time_format(db_get_i64(res, row, 2), time));
}

#define ORG_COLUMNS "id, name, berth_us(created_at)"

static const struct db_stmt create_stmt = {
    "org_create", "insert into org (id, name) values ($1, $2) returning " ORG_COLUMNS};

static void created(struct api_request *r, const struct db_result *result)
{
    if (result->error != 0)
        api_problem(r, 503, "overloaded", "the new id was taken; try again");
    else
        api_json(r, 201, org_json(result->res[0], 0));
}

static void orgs_post(struct api_request *r)
{
    char id[ORG_ID_MAX + 1];
    const char *name = NULL;
    struct db_batch *b;

    if (!body_text(r, "name", ORG_NAME_MAX, true, &name) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    random_org_id(id);
    const struct db_param p[] = {db_text(id), db_text(name)};
    db_add(b, &create_stmt, p, 2);
    api_db_send(r, b, created);
}

static const struct db_stmt list_stmt = {"org_list", "select " ORG_COLUMNS
                                                     " from org where deleted_at is null and id > $1"
                                                     " order by id limit $2::bigint"};

static const struct api_list orgs_list = {DB_OPERATOR, &list_stmt, org_json};

static void orgs_get(struct api_request *r)
{
    api_list(r, &orgs_list, NULL, 0);
}

static const struct db_stmt get_stmt = {"org_get", "select " ORG_COLUMNS
                                                   " from org where id = $1 and deleted_at is null"};

static void got(struct api_request *r, const struct db_result *result)
{
    if (PQntuples(result->res[0]) == 0)
        api_problem(r, 404, "not_found", "there is no such org");
    else
        api_json(r, 200, org_json(result->res[0], 0));
}

static void org_get(struct api_request *r)
{
    const struct db_param p[] = {db_text(r->param[0])};
    struct db_batch *b;

    if (!org_id_valid(r->param[0]) ||
        (r->caller.kind != CALLER_ADMIN && strcmp(r->caller.org, r->param[0]) != 0)) {
        api_problem(r, 404, "not_found", "there is no such org");
        return;
    }
    if ((b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    db_add(b, &get_stmt, p, 1);
    api_db_send(r, b, got);
}

/* ---- DELETE: stop the keys, remove the nodes; then erase, as the org itself would ---- */

static const struct db_stmt stop_stmt = {
    "org_stop",
    "update org set deleted_at = coalesce(deleted_at, now()), name = '' where id = $1 returning id"};
static const struct db_stmt stop_nodes_stmt = {
    "org_stop_nodes", "update node set deleted_at = now() where org = $1 and deleted_at is null"};
static const struct db_stmt stop_loads_stmt = {"org_stop_loads", "delete from node_load where org = $1"};
/* A bounded piece a transaction, so that nobody waits long and what is done stays done. The same ctid in several
 * partitions only erases more of the same org. */
static const struct db_stmt erase_meetings_stmt = {"org_erase_meetings",
                                                   "delete from meeting where org = $1 and id = any (array("
                                                   "select id from meeting where org = $1 limit 200))"};
static const struct db_stmt erase_reports_stmt = {"org_erase_reports",
                                                  "delete from report where org = $1 and ctid = any (array("
                                                  "select ctid from report where org = $1 limit 5000))"};
static const struct db_stmt erase_heads_stmt = {
    "org_erase_heads", "delete from outbox_head where org = $1 and ctid = any (array("
                       "select ctid from outbox_head where org = $1 limit 5000))"};
static const struct db_stmt erase_outbox_stmt = {"org_erase_outbox",
                                                 "delete from outbox where org = $1 and ctid = any (array("
                                                 "select ctid from outbox where org = $1 limit 5000))"};
static const struct db_stmt erase_failures_stmt = {
    "org_erase_failures", "delete from node_failure where org = $1 and ctid = any (array("
                          "select ctid from node_failure where org = $1 limit 5000))"};

static bool erased_any(const struct db_result *result)
{
    for (size_t i = 0; i < result->n; i++)
        if (strcmp(PQcmdTuples(result->res[i]), "0") != 0)
            return true;
    return false;
}

static void erase_some(struct api_request *r);

static void erased_some(struct api_request *r, const struct db_result *result)
{
    if (result->error != 0)
        api_db_failed(r, result);
    else if (!erased_any(result))
        api_empty(r, 204);
    else if (clock_mono_us() >= r->deadline_us)
        api_problem(r, 503, "overloaded", "there is more to erase than fits in a request: ask again");
    else
        erase_some(r);
}

static void erase_some(struct api_request *r)
{
    const struct db_param p[] = {db_text(r->param[0])};
    struct db_batch *b = api_db_begin_org(r, r->param[0]);

    if (b == NULL)
        return;
    db_add(b, &erase_meetings_stmt, p, 1);
    db_add(b, &erase_reports_stmt, p, 1);
    db_add(b, &erase_heads_stmt, p, 1);
    db_add(b, &erase_outbox_stmt, p, 1);
    db_add(b, &erase_failures_stmt, p, 1);
    api_db_send(r, b, erased_some);
}

static void stopped(struct api_request *r, const struct db_result *result)
{
    if (result->error != 0)
        api_db_failed(r, result);
    else if (PQntuples(result->res[0]) == 0)
        api_problem(r, 404, "not_found", "there is no such org");
    else
        erase_some(r);
}

static void org_delete(struct api_request *r)
{
    const struct db_param p[] = {db_text(r->param[0])};
    struct db_batch *b;

    if (!org_id_valid(r->param[0])) {
        api_problem(r, 404, "not_found", "there is no such org");
        return;
    }
    if (strcmp(r->param[0], "cloud") == 0) {
        api_problem(r, 409, "conflict", "the cloud's own org can't be deleted");
        return;
    }
    if ((b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    db_add(b, &stop_stmt, p, 1);
    db_add(b, &stop_nodes_stmt, p, 1);
    db_add(b, &stop_loads_stmt, p, 1);
    api_db_send(r, b, stopped);
}

const struct api_route api_orgs_routes[API_ORGS_ROUTES] = {
    {"POST", "/v1/orgs", CALLER_ADMIN, 0, API_BODY_OBJECT, orgs_post},
    {"GET", "/v1/orgs", CALLER_ADMIN, 0, API_BODY_NONE, orgs_get},
    {"GET", "/v1/orgs/{org}", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, org_get},
    {"DELETE", "/v1/orgs/{org}", CALLER_ADMIN, 0, API_BODY_NONE, org_delete},
};
