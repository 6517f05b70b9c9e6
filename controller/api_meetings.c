/* /v1/meetings: made, looked at, ended. Invariant: a meeting's policy never changes, so making it again must mean the same. */
#include "api_meetings.h"
#include "api_body.h"
#include "api_quota.h"
#include "core/timefmt.h"
#include "meeting_policy.h"
#include "modules.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void api_unknown_meeting(struct api_request *r)
{
    api_problem(r, 404, "unknown_meeting", "there is no such meeting");
}

bool api_meeting_param(struct api_request *r)
{
    if (id_valid(r->param[0], MEETING_ID_MAX))
        return true;
    api_unknown_meeting(r);
    return false;
}

/* Of its people, those on each node: [{"node", "participants"}], most first. */
#define MEETING_COLUMNS                                                                                     \
    "m.id, m.policy, berth_us(m.created_at),"                                                               \
    " (select count(*) from participant p where p.org = m.org and p.meeting = m.id),"                       \
    " (select jsonb_agg(jsonb_build_object('node', s.node, 'participants', s.n) order by s.n desc, s.node)" \
    "  from (select p.node, count(*) as n from participant p where p.org = m.org and p.meeting = m.id "     \
    "group "                                                                                                \
    "by 1) s)"

static json_t *meeting_json(const PGresult *res, int row)
{
    char time[TIME_TEXT_LEN];
    json_t *j = json_pack("{s:s, s:o, s:s, s:I}", "id", db_get(res, row, 0), "policy",
                          json_loads(db_get(res, row, 1), 0, NULL), "created_at",
                          time_format(db_get_i64(res, row, 2), time), "participants",
                          (json_int_t)db_get_i64(res, row, 3)),
           *nodes;

    nodes = db_null(res, row, 4) ? NULL : json_loads(db_get(res, row, 4), 0, NULL);
    if (j != NULL && nodes != NULL) {
        json_object_set(j, "node", json_object_get(json_array_get(nodes, 0), "node"));
        json_object_set(j, "nodes", nodes);
    }
    json_decref(nodes);
    return j;
}

/* ---- POST ---- */

static const struct db_stmt create_stmt = {
    "meeting_create",
    "insert into meeting (org, id, policy) select $1, $2, coalesce($3::jsonb, '{}')"
    " where org_lives($1) and org_meetings($1) < $4::bigint on conflict do nothing returning id"};
static const struct db_stmt created_stmt = {
    "meeting_created", "select " MEETING_COLUMNS ", $3::jsonb is null or m.policy = $3::jsonb"
                       " from meeting m where m.org = $1 and m.id = $2"};

static const struct db_stmt org_lives_stmt = {"meeting_org_lives", "select org_lives($1)"};

static void created(struct api_request *r, const struct db_result *result)
{
    const PGresult *made = result->res[0], *res = result->res[1];

    if (result->error != 0)
        api_db_failed(r, result);
    else if (PQntuples(res) == 0 && db_get_bool(result->res[2], 0, 0))
        quota_refuse(r, QUOTA_MEETINGS);
    else if (PQntuples(res) == 0)
        api_problem(r, 401, "token_invalid", "the key's org is no more");
    else if (PQntuples(made) == 0 && !db_get_bool(res, 0, 5))
        api_problem_at(r, 409, "conflict", "/policy", "the meeting exists with another policy");
    else
        api_json(r, PQntuples(made) > 0 ? 201 : 200, meeting_json(res, 0));
}

static void random_meeting_id(char out[static MEETING_RANDOM_LEN + 2])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    out[0] = 'm';
    for (size_t i = 1; i <= MEETING_RANDOM_LEN; i++)
        out[i] = alphabet[randombytes_uniform(36)];
    out[MEETING_RANDOM_LEN + 1] = '\0';
}

/* The policy in its one form; NULL where the request has none. False: answered already. */
static bool read_policy(struct api_request *r, const char **text)
{
    const json_t *j = json_object_get(r->body, "policy");
    struct meeting_policy policy;
    char pointer[sizeof(((struct doc_error *)0)->pointer) + 16], *dumped;
    struct doc_error e;
    json_t *normal;

    if (j == NULL || json_is_null(j))
        return true;
    if (meeting_policy_check_members(j, &e) != 0 || meeting_policy_from_json(j, &policy, &e) != 0) {
        snprintf(pointer, sizeof(pointer), "/policy%s", e.pointer);
        api_problem_at(r, 422, e.code, pointer, e.detail);
        return false;
    }
    normal = meeting_policy_to_json(&policy);
    dumped = normal != NULL ? json_dumps(normal, JSON_COMPACT) : NULL;
    *text = dumped != NULL ? api_strdup(r, dumped) : NULL;
    free(dumped);
    json_decref(normal);
    return true;
}

static void meetings_post(struct api_request *r)
{
    char made_up[MEETING_RANDOM_LEN + 2], most[24];
    const char *id = NULL, *policy = NULL;
    struct db_batch *b;

    if (!body_id(r, "id", MEETING_ID_MAX, false, &id) || !read_policy(r, &policy))
        return;
    if (id == NULL) {
        random_meeting_id(made_up);
        id = made_up;
    }
    if ((b = api_db_begin(r, DB_TENANT_WRITE)) == NULL)
        return;
    const struct db_param p[] = {db_text(r->caller.org), db_text(id), db_text(policy),
                                 quota_param(r, QUOTA_MEETINGS, most)};
    db_add(b, &create_stmt, p, 4);
    db_add(b, &created_stmt, p, 3);
    db_add(b, &org_lives_stmt, p, 1);
    api_db_send(r, b, created);
}

/* ---- GET, DELETE ---- */

static const struct db_stmt list_stmt = {"meeting_list", "select " MEETING_COLUMNS
                                                         " from meeting m where m.org = $1 and m.id > $2"
                                                         " order by m.id limit $3::bigint"};

/* Counting who is in up to 500 meetings may take a while: nobody's join is to wait for it. */
static const struct api_list meetings_list = {DB_TENANT_SLOW, &list_stmt, meeting_json};

static void meetings_get(struct api_request *r)
{
    const struct db_param p[] = {db_text(r->caller.org)};

    api_list(r, &meetings_list, p, 1);
}

static const struct db_stmt get_stmt = {"meeting_get", "select " MEETING_COLUMNS
                                                       " from meeting m where m.org = $1 and m.id = $2"};

static void got(struct api_request *r, const struct db_result *result)
{
    if (PQntuples(result->res[0]) == 0)
        api_unknown_meeting(r);
    else
        api_json(r, 200, meeting_json(result->res[0], 0));
}

static const struct db_stmt delete_stmt = {"meeting_delete",
                                           "delete from meeting where org = $1 and id = $2 returning id"};

static void deleted(struct api_request *r, const struct db_result *result)
{
    if (result->error != 0)
        api_db_failed(r, result);
    else if (PQntuples(result->res[0]) == 0)
        api_unknown_meeting(r);
    else
        api_empty(r, 204);
}

static void on_meeting(struct api_request *r, enum db_role role, const struct db_stmt *stmt, api_db_cb *then)
{
    const struct db_param p[] = {db_text(r->caller.org), db_text(r->param[0])};
    struct db_batch *b;

    if (!api_meeting_param(r) || (b = api_db_begin(r, role)) == NULL)
        return;
    db_add(b, stmt, p, 2);
    api_db_send(r, b, then);
}

static void meeting_get(struct api_request *r)
{
    on_meeting(r, DB_TENANT, &get_stmt, got);
}

static void meeting_delete(struct api_request *r)
{
    r->again = meeting_delete;
    on_meeting(r, DB_TENANT_WRITE, &delete_stmt, deleted);
}

const struct api_route api_meetings_routes[API_MEETINGS_ROUTES] = {
    {"POST", "/v1/meetings", CALLER_ORG, 0, API_BODY_OPTIONAL, meetings_post},
    {"GET", "/v1/meetings", CALLER_ORG, 0, API_BODY_NONE, meetings_get},
    {"GET", "/v1/meetings/{meeting}", CALLER_ORG, 0, API_BODY_NONE, meeting_get},
    {"DELETE", "/v1/meetings/{meeting}", CALLER_ORG, 0, API_BODY_NONE, meeting_delete},
};
