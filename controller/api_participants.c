/* Who is in a meeting: listing and leaving (api_join.c has joining). Invariant: every change of who is where raises the
 * meeting's epoch. */
#include "api_meetings.h"
#include "catalogue.h"
#include "core/timefmt.h"
#include "modules.h"
#include "reviews.h"

static const struct db_stmt exists_stmt = {"participants_meeting",
                                           "select 1 from meeting where org = $1 and id = $2"};
static const struct db_stmt list_stmt = {
    "participants_list",
    "select agent, node_org, node, transport, network, berth_us(joined_at) from participant"
    " where org = $1 and meeting = $2 and agent > $3 order by agent limit $4::bigint + 1"};

static json_t *participant_json(const struct catalogue *c, const PGresult *res, int row)
{
    const struct catalogue_node *n =
        c != NULL ? catalogue_find(c, db_get(res, row, 1), db_get(res, row, 2)) : NULL;
    char time[TIME_TEXT_LEN];
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s}", "participant", db_get(res, row, 0), "node", db_get(res, row, 2),
                  "transport", transport_name((enum transport)db_get_i64(res, row, 3)), "joined_at",
                  time_format(db_get_i64(res, row, 5), time));

    if (j != NULL && n != NULL)
        json_object_set_new(j, "cluster", json_string(n->cluster));
    if (j != NULL && !db_null(res, row, 4))
        json_object_set_new(j, "network", json_string(db_get(res, row, 4)));
    return j;
}

static void listed(struct api_request *r, const struct db_result *result)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);
    const struct api_page *page = r->state;
    const PGresult *res = result->res[1];
    int n = PQntuples(res);
    json_t *items;

    if (PQntuples(result->res[0]) == 0) {
        api_unknown_meeting(r);
        return;
    }
    items = json_array();
    for (int i = 0; i < n && i < page->limit; i++)
        json_array_append_new(items, participant_json(c, res, i));
    api_page_json(r, items, n > page->limit ? db_get(res, page->limit - 1, 0) : NULL);
}

static void participants_get(struct api_request *r)
{
    struct api_page *page = api_alloc(r, sizeof(*page));
    struct db_batch *b;
    char limit[24];

    r->state = page;
    if (!api_meeting_param(r) || !api_page(r, page) || (b = api_db_begin(r, DB_TENANT)) == NULL)
        return;
    const struct db_param p[] = {db_text(r->caller.org), db_text(r->param[0]), db_text(page->after),
                                 db_i64(limit, page->limit)};
    db_add(b, &exists_stmt, p, 2);
    db_add(b, &list_stmt, p, 4);
    api_db_send(r, b, listed);
}

/* ---- DELETE ---- */

static const struct db_stmt leave_stmt = {
    "participant_leave",
    "with bumped as (update meeting m set epoch = m.epoch + 1 where m.org = $1 and m.id = $2"
    "  and exists (select from participant p where p.org = $1 and p.meeting = $2 and p.agent = $3) returning "
    "m.org, m.id)"
    " delete from participant p using bumped where p.org = bumped.org and p.meeting = bumped.id and p.agent "
    "= $3"
    " returning p.agent"};

static void left(struct api_request *r, const struct db_result *result)
{
    if (result->error != 0) {
        api_db_failed(r, result);
    } else if (PQntuples(result->res[0]) == 0) {
        api_unknown_meeting(r);
    } else if (PQntuples(result->res[1]) == 0) {
        api_problem(r, 404, "unknown_agent", "this agent is not in the meeting");
    } else {
        reviews_add(r->worker->reviews, r->caller.org, r->param[0]);
        api_empty(r, 204);
    }
}

/* Where somebody decides on the meeting at the moment, its row is waited for, as a join does. */
static void participant_delete(struct api_request *r)
{
    const char *agent = api_agent(r, r->param[1]);
    struct db_batch *b;

    if (agent == NULL || !api_meeting_param(r) || (b = api_db_begin(r, DB_TENANT_WRITE)) == NULL)
        return;
    r->again = participant_delete;
    const struct db_param p[] = {db_text(r->caller.org), db_text(r->param[0]), db_text(agent)};
    db_add(b, &exists_stmt, p, 2);
    db_add(b, &leave_stmt, p, 3);
    api_db_send(r, b, left);
}

#define PARTICIPANTS "/v1/meetings/{meeting}/participants"

const struct api_route api_participants_routes[API_PARTICIPANTS_ROUTES] = {
    {"POST", PARTICIPANTS, CALLER_ORG | CALLER_AGENT, GRANT_JOIN, API_BODY_OPTIONAL, api_participant_join},
    {"GET", PARTICIPANTS, CALLER_ORG | CALLER_AGENT, GRANT_JOIN, API_BODY_NONE, participants_get},
    {"DELETE", PARTICIPANTS "/{agent}", CALLER_ORG | CALLER_AGENT, GRANT_JOIN, API_BODY_NONE,
     participant_delete},
};
