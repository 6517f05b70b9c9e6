/* What is known of agents: their live reports and where they take part. Invariant: whatever the cleaner does or
 * doesn't do, an expired report is never counted or shown. */
#include "api.h"
#include "core/timefmt.h"
#include "modules.h"
#include "report_store.h"

#include <stdio.h>
#include <string.h>

enum {
    AGENT_MEETINGS_MAX = 100,
    ERASE_MEETINGS_MAX = 200, /* in one transaction, and so */
    ERASE_REPORTS_MAX = 1000,
};

static void unknown_agent(struct api_request *r)
{
    api_problem(r, 404, "unknown_agent", "nothing is known of this agent");
}

/* False: answered. */
static bool agent_param(struct api_request *r)
{
    if (agent_id_valid(r->param[0]))
        return true;
    unknown_agent(r);
    return false;
}

static json_t *time_or_null(const PGresult *res, int row, int col)
{
    char text[TIME_TEXT_LEN];

    return db_null(res, row, col) ? json_null() : json_string(time_format(db_get_i64(res, row, col), text));
}

/* Columns: agent, last report, its end, its network. */
static json_t *agent_json(const PGresult *res, int row)
{
    json_t *network = db_null(res, row, 3) ? json_null() : json_string(db_get(res, row, 3));

    return json_pack("{s:s,s:o,s:o,s:o}", "agent", db_get(res, row, 0), "last_report_at",
                     time_or_null(res, row, 1), "expires_at", time_or_null(res, row, 2), "network", network);
}

/* ---- the list ---- */

/* From agent to agent by index: the cost is that of the page, not of all reports. Partitions of which nothing can be alive
 * are left out as a whole. */
static const struct db_stmt list_stmt = {
    "berth_agents_list",
    "with recursive oldest(at) as materialized "
    "(select min(lo) from report_partition where keep_until >= now()), "
    "walk(agent, n) as ("
    "select $2::text collate \"C\", 0 union all "
    "select least("
    "(select p.agent from participant p where p.org = $1 and p.agent > w.agent order by p.agent limit 1), "
    "(select r.agent from report r where r.org = $1 and r.agent > w.agent and r.expires_at > now() "
    "and r.measured_at >= (select at from oldest) order by r.agent limit 1)), w.n + 1 "
    "from walk w where w.agent is not null and w.n < $3::int) "
    "select w.agent, berth_us(l.received_at), berth_us(l.expires_at), l.network from walk w "
    "left join lateral live_report($1, array[w.agent::text], null) l on true "
    "where w.n > 0 and w.agent is not null order by w.agent"};

/* Each row looks into every partition that is alive: nobody's join is to wait for it. */
static const struct api_list agents_list = {DB_TENANT_SLOW, &list_stmt, agent_json};

static void list_agents(struct api_request *r)
{
    const struct db_param p[] = {db_text(r->caller.org)};

    api_list(r, &agents_list, p, 1);
}

/* ---- one ---- */

static const struct db_stmt one_stmt = {
    "berth_agent_one", "select agent, berth_us(received_at), berth_us(expires_at), network "
                       "from (select) one left join live_report($1, array[$2::text], null) on true"};
static const struct db_stmt meetings_stmt = {
    "berth_agent_meetings",
    "select meeting from participant where org = $1 and agent = $2 order by meeting limit $3::int"};

static void on_one(struct api_request *r, const struct db_result *result)
{
    const PGresult *res = result->res[0], *in = result->res[1];
    json_t *doc, *meetings;

    if (db_null(res, 0, 0) && PQntuples(in) == 0) {
        unknown_agent(r);
        return;
    }
    meetings = json_array();
    for (int i = 0; i < PQntuples(in); i++)
        (void)json_array_append_new(meetings, json_string(db_get(in, i, 0)));
    doc = agent_json(res, 0);
    (void)json_object_set_new(doc, "agent", json_string(r->param[0]));
    (void)json_object_set_new(doc, "meetings", meetings);
    api_json(r, 200, doc);
}

static void get_agent(struct api_request *r)
{
    char limit[24];
    const struct db_param params[] = {db_text(r->caller.org), db_text(r->param[0]),
                                      db_i64(limit, AGENT_MEETINGS_MAX)};
    struct db_batch *b = agent_param(r) ? api_db_begin(r, DB_TENANT) : NULL;

    if (b == NULL)
        return;
    db_add(b, &one_stmt, params, 2);
    db_add(b, &meetings_stmt, params, 3);
    api_db_send(r, b, on_one);
}

/* ---- its live report ---- */

static const struct db_stmt report_stmt = {"berth_agent_report",
                                           "select " REPORT_COLUMNS
                                           " from live_report($1, array[$2::text], array[$3::text]) r"};

static void on_report(struct api_request *r, const struct db_result *result)
{
    struct stored_report stored;
    char text[TIME_TEXT_LEN];
    json_t *doc;

    if (PQntuples(result->res[0]) == 0) {
        api_problem(r, 404, "no_live_report", "the agent has no report that is alive");
        return;
    }
    if (report_row_decode(&stored, result->res[0], 0, 0) != 0) {
        log_event(r->ctl->log, LOG_ERROR, "reports", "bad_row", LOG_S("id", r->id),
                  LOG_S("agent", r->param[0]));
        api_problem(r, 500, "internal", "the stored report can't be read");
        return;
    }
    doc = report_to_json(&stored.report);
    if (doc != NULL) {
        (void)json_object_set_new(doc, "received_at", json_string(time_format(stored.received_at_us, text)));
        (void)json_object_set_new(doc, "expires_at", json_string(time_format(stored.expires_at_us, text)));
    }
    report_clear(&stored.report);
    api_json(r, 200, doc);
}

static void get_report(struct api_request *r)
{
    const char *network = api_query(r, "network");
    const struct db_param params[] = {db_text(r->caller.org), db_text(r->param[0]), db_text(network)};
    struct db_batch *b;

    if (!agent_param(r))
        return;
    if (network != NULL && !id_valid(network, NETWORK_ID_MAX)) {
        api_problem(r, 400, "bad_request", "network is the id of a network, as in a report");
        return;
    }
    if ((b = api_db_begin(r, DB_TENANT)) == NULL)
        return;
    db_add(b, &report_stmt, params, 3);
    api_db_send(r, b, on_report);
}

/* ---- erasing ---- */

/* A bounded piece a transaction, over the queue for what is slow: others get their turn between, and what is done
 * stays done. The same ctid in several partitions only erases more of the same agent. */
static const struct db_stmt erase_participant_stmt = {
    "berth_agent_erase_participant",
    "with bumped as (update meeting set epoch = epoch + 1 where org = $1 and id = any (array("
    "  select meeting from participant where org = $1 and agent = $2 order by meeting limit $3::int))"
    " returning id)"
    " delete from participant p using bumped where p.org = $1 and p.meeting = bumped.id and p.agent = $2"};
static const struct db_stmt erase_reports_stmt = {
    "berth_agent_erase_reports", "delete from report where org = $1 and agent = $2 and ctid = any (array("
                                 "select ctid from report where org = $1 and agent = $2 limit $3::int))"};

/* First the head, which waits for who is just putting an event; 256 of them at most. */
static const struct db_stmt erase_head_stmt = {"berth_agent_erase_head",
                                               "delete from outbox_head where org = $1 and agent = $2"};
static const struct db_stmt erase_outbox_stmt = {"berth_agent_erase_outbox",
                                                 "delete from outbox where org = $1 and agent = $2"};
static const struct db_stmt erase_failures_stmt = {"berth_agent_erase_failures",
                                                   "delete from node_failure where org = $1 and agent = $2"};

static const struct db_stmt erase_prediction_stmt = {"berth_agent_erase_prediction",
                                                     "delete from prediction where org = $1 and agent = $2"};
/* What nodes are to be told of it, from now on without its name. */
static const struct db_stmt erase_news_stmt = {"berth_agent_erase_news",
                                               "select from node_news_erase($1, $2) as found where found"};

struct erasure {
    bool found; /* anything yet */
};

static void erase_piece(struct api_request *r);

static bool erased_any(const struct db_result *result)
{
    for (size_t i = 0; i < result->n; i++)
        if (strcmp(PQcmdTuples(result->res[i]), "0") != 0)
            return true;
    return false;
}

static void on_erased(struct api_request *r, const struct db_result *result)
{
    struct erasure *e = r->state;

    if (result->error != 0) {
        api_db_failed(r, result);
    } else if (erased_any(result)) {
        e->found = true;
        erase_piece(r);
    } else if (e->found) {
        api_empty(r, 204);
    } else {
        unknown_agent(r);
    }
}

/* Until a piece finds nothing; past the deadline api_db_begin says 503, and asking again goes on. */
static void erase_piece(struct api_request *r)
{
    char meetings[24], reports[24];
    const struct db_param p[] = {db_text(r->caller.org), db_text(r->param[0]),
                                 db_i64(meetings, ERASE_MEETINGS_MAX)};
    const struct db_param q[] = {p[0], p[1], db_i64(reports, ERASE_REPORTS_MAX)};
    struct db_batch *b = api_db_begin(r, DB_TENANT_SLOW);

    if (b == NULL)
        return;
    db_add(b, &erase_participant_stmt, p, 3);
    db_add(b, &erase_reports_stmt, q, 3);
    db_add(b, &erase_head_stmt, p, 2);
    db_add(b, &erase_outbox_stmt, p, 2);
    db_add(b, &erase_failures_stmt, p, 2);
    db_add(b, &erase_prediction_stmt, p, 2);
    db_add(b, &erase_news_stmt, p, 2);
    api_db_send(r, b, on_erased);
}

static void delete_agent(struct api_request *r)
{
    if (!agent_param(r))
        return;
    r->state = api_alloc(r, sizeof(struct erasure));
    erase_piece(r);
}

const struct api_route api_agents_routes[API_AGENTS_ROUTES] = {
    {"GET", "/v1/agents", CALLER_ORG, 0, API_BODY_NONE, list_agents},
    {"GET", "/v1/agents/{agent}", CALLER_ORG, 0, API_BODY_NONE, get_agent},
    {"GET", "/v1/agents/{agent}/report", CALLER_ORG, 0, API_BODY_NONE, get_report},
    {"DELETE", "/v1/agents/{agent}", CALLER_ORG, 0, API_BODY_NONE, delete_agent},
};
