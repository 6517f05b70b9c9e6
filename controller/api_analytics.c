/* What live reports tell of an org, or of all, as a whole: which transports work where, how far nodes are, what
 * calls measured. Invariant: reports that are alive and the org's own, by row-level security; of SAMPLE of them and
 * ROWS of their rows at most, over the queue of what may be slow. */
#include "api_analytics.h"
#include "analytics.h"
#include "core/doc.h"
#include "join_turn.h"
#include "modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_sites(struct api_request *r, struct analysis *a)
{
    const char *by = api_query(r, "by");

    a->by_prefix = a->all || (by != NULL && strcmp(by, "prefix") == 0);
    if (by != NULL && strcmp(by, "prefix") != 0 && strcmp(by, "network") != 0)
        api_problem(r, 400, "bad_request", "by is network or prefix");
    else if (a->network != NULL && !id_valid(a->network, NETWORK_ID_MAX))
        api_problem(r, 400, "bad_request", "network is the id of a network, as in a report");
    else if (a->all && (a->network != NULL || (by != NULL && strcmp(by, "network") == 0)))
        api_problem(r, 400, "bad_request", "each organisation names its own networks: say whose, with org");
    else
        return true;
    return false;
}

struct analysis *analysis_begin(struct api_request *r)
{
    struct analysis *a = api_alloc(r, sizeof(*a));
    const char *org = api_query(r, "org");
    bool operator_asks = r->caller.kind == CALLER_ADMIN;

    r->state = a;
    a->network = api_query(r, "network");
    a->all = operator_asks && org == NULL;
    a->org = a->all ? CLOUD_ORG : operator_asks ? org : r->caller.org;
    if (operator_asks && org != NULL && !org_id_valid(org)) {
        api_problem(r, 400, "bad_request", "org is the id of an organisation");
        return NULL;
    }
    if (!operator_asks && org != NULL && strcmp(org, a->org) != 0) {
        api_problem(r, 404, "not_found", "there is no such organisation");
        return NULL;
    }
    return read_sites(r, a) && api_page(r, &a->page) ? a : NULL;
}

/* ---- whose turn it is ---- */

struct waiting {
    struct join_turn turn; /* of the org; first: its start leads back here */
    struct api_request *r;
    api_handler *then;
};

static void start(struct join_turn *t)
{
    struct waiting *w = (struct waiting *)t;

    w->then(w->r);
}

static void late(struct join_turn *t)
{
    struct waiting *w = (struct waiting *)t;

    api_problem(w->r, 503, "overloaded", "too many analyses are asked for at once; try again soon");
}

/* The request has ended, answered or not. */
static void dispose(void *p)
{
    struct waiting *w = p;

    join_turn_done(&w->r->worker->joins, &w->turn);
}

void analysis_turn(struct api_request *r, api_handler *then)
{
    struct waiting *w = h2o_mem_alloc_shared(&r->req->pool, sizeof(*w), dispose);

    *w = (struct waiting){.turn = {.org = r->caller.kind == CALLER_ADMIN ? CLOUD_ORG : r->caller.org,
                                   .meeting = "",
                                   .deadline_us = r->deadline_us,
                                   .start = start,
                                   .late = late},
                          .r = r,
                          .then = then};
    if (!join_turn_take(&r->worker->joins, &w->turn))
        late(&w->turn);
}

/* ---- pages ---- */

static void on_listed(struct api_request *r, const struct db_result *result)
{
    const struct analysis *a = r->state;
    const PGresult *res = result->res[0];
    int n = PQntuples(res), shown = n > a->page.limit ? a->page.limit : n;
    json_t *items = json_array();

    if (result->error != 0) {
        api_db_failed(r, result);
        json_decref(items);
        return;
    }
    for (int i = 0; i < shown; i++)
        (void)json_array_append_new(items, a->item(r, res, i));
    api_json(r, 200,
             json_pack("{s:o,s:o,s:b}", "items", items, "next",
                       api_page_next(n > shown ? db_get(res, shown - 1, 0) : NULL), "sampled",
                       n > 0 && db_get_bool(res, 0, PQfnumber(res, "sampled"))));
}

struct db_param analysis_nodes(struct api_request *r, const struct analysis *a)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);
    struct catalogue_iter count = {0}, it = {0};
    const struct catalogue_node *node;
    const char **ids;
    size_t n = 0;

    while (catalogue_next(c, a->org, &count) != NULL)
        n++;
    ids = api_alloc(r, (n + 1) * sizeof(*ids));
    n = 0;
    while ((node = catalogue_next(c, a->org, &it)) != NULL)
        ids[n++] = node->id;
    return db_text_array(&r->req->pool, ids, n);
}

/* $1 the org, $2 the last page's end, $3 one row more than the page shows, $4 what the statement needs besides. Each
 * row says whether all of them are of a sample. */
static void list(struct api_request *r, struct analysis *a, const struct db_stmt *stmt,
                 const struct db_param *more, size_t n_params)
{
    char rows[24];
    struct db_batch *b;

    if ((b = api_db_begin_org(r, a->org)) == NULL)
        return;
    const struct db_param p[] = {db_text(a->org), db_text(a->page.after), db_i64(rows, a->page.limit + 1),
                                 more != NULL ? *more : db_text(NULL)};
    db_add(b, stmt, p, n_params);
    api_db_send(r, b, on_listed);
}

/* ---- which transports work ---- */

/* Of a report's rows, which transports reached something, or were tried. */
#define WORKS                                                                    \
    "coalesce(bool_or(x.s = 1), false) as any_ok,"                               \
    "  bool_or(x.t = 0 and x.s <> 0) as t0, bool_or(x.t = 0 and x.s = 1) as k0," \
    "  bool_or(x.t = 1 and x.s <> 0) as t1, bool_or(x.t = 1 and x.s = 1) as k1," \
    "  bool_or(x.t = 2 and x.s <> 0) as t2, bool_or(x.t = 2 and x.s = 1) as k2," \
    "  bool_or(x.t = 3 and x.s <> 0) as t3, bool_or(x.t = 3 and x.s = 1) as k3"
#define WORKS_COUNTS                                                                       \
    " count(*) filter (where t0), count(*) filter (where k0), count(*) filter (where t1)," \
    " count(*) filter (where k1), count(*) filter (where t2), count(*) filter (where k2)," \
    " count(*) filter (where t3), count(*) filter (where k3)"

/* From network to network by index, of each the newest reports: as many as make ANALYTICS_SAMPLE on a page and
 * ANALYTICS_ROWS rows. The newest one counts in any case, with its first rows. */
#define NETWORKS_ROWS ANALYTICS_ROWS " / $3::int"
static const struct db_stmt transports_stmt = {
    "analytics_transports",
    "with recursive walk(network, n) as (select $2::text collate \"C\", 0 union all"
    " select (select r.network from report r where r.org = $1 and r.network > w.network and r.expires_at > "
    "now()"
    "  order by r.network limit 1), w.n + 1 from walk w where w.network is not null and w.n < $3::int),"
    " sites as materialized (select w.network, s.* from walk w cross join lateral (select"
    "  count(*) filter (where kept), count(*) filter (where kept and not any_ok)," WORKS_COUNTS ","
    "  bool_or(c.looked_at > " ANALYTICS_SAMPLE " / $3::int or c.upto > " NETWORKS_ROWS ") as part from"
    "  (select d.*, d.nth = 1 or d.upto <= " NETWORKS_ROWS " as kept from"
    "   (select n.*, row_number() over newest as nth, sum(cardinality(n.transport)) over newest as upto from"
    "    (select distinct on (m.agent) m.*, count(*) over () as looked_at from"
    "     (select agent, measured_at, transport, status from report where org = $1 and network = w.network"
    "      and expires_at > now() order by measured_at desc limit " ANALYTICS_SAMPLE " / $3::int + 1) m"
    "     order by m.agent, m.measured_at desc) n"
    "    window newest as (order by n.measured_at desc rows unbounded preceding)) d) c"
    "  cross join lateral (select least(" NETWORKS_ROWS ", c.kept::int * " ANALYTICS_ROWS ") as most) rows"
    "  cross join lateral (select " WORKS
    "   from unnest(c.transport[:rows.most], c.status[:rows.most]) x (t, s)) u) s"
    "  where w.n > 0 and w.network is not null)"
    " select s.*, bool_or(s.part) over () as sampled from sites s order by s.network"};

/* Of each agent what works; then of each site. */
#define SITES(live, share)                                                                               \
    LIVE(live, BY_TURNS)                                                                                 \
    ", each as (select " BY_PREFIX " as site, l.org, u.* from live l cross join lateral (select " WORKS  \
    "  from unnest(l.transport, l.status) x (t, s)) u)"                                                  \
    " select site, count(*), count(*) filter (where not any_ok)," WORKS_COUNTS                           \
    ", count(distinct org)," SAMPLED(                                                                    \
        share) " from each where site collate \"C\" > $2::text collate \"C\" and ($1::text is not null)" \
               " group by site order by site collate \"C\" limit $3::int"
static const struct db_stmt prefixes_stmt = {"analytics_prefixes", SITES(OF_ORG, SHARE_OF_ORG)};
static const struct db_stmt prefixes_all_stmt = {"analytics_prefixes_all", SITES(OF_ALL, SHARE_OF_ALL)};

static json_t *site_json(const struct api_request *r, const PGresult *res, int row)
{
    const struct analysis *a = r->state;
    json_t *by = json_object(), *j;

    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        int64_t tested = db_get_i64(res, row, 3 + 2 * t), works = db_get_i64(res, row, 4 + 2 * t);

        if (tested > 0)
            (void)json_object_set_new(by, transport_name((enum transport)t),
                                      json_pack("{s:I,s:I,s:f}", "tested", (json_int_t)tested, "works",
                                                (json_int_t)works, "share", (double)works / (double)tested));
    }
    j = json_pack("{s:s,s:I,s:I,s:o}", a->by_prefix ? "prefix" : "network", db_get(res, row, 0), "agents",
                  (json_int_t)db_get_i64(res, row, 1), "blocked", (json_int_t)db_get_i64(res, row, 2),
                  "transports", by);
    if (a->all)
        (void)json_object_set_new(j, "orgs", json_integer(db_get_i64(res, row, 11)));
    return j;
}

static void read_transports(struct api_request *r)
{
    struct analysis *a = analysis_begin(r);

    if (a == NULL)
        return;
    a->item = site_json;
    list(r, a, a->all ? &prefixes_all_stmt : a->by_prefix ? &prefixes_stmt : &transports_stmt, NULL, 3);
}

/* ---- how far nodes are ---- */

#define RTT_OF(where, order, share, only)                                                        \
    LIVE(where, order)                                                                           \
    PER("''::text", only)                                                                        \
    " select node, count(*) filter (where tested), count(used), min(used & 4294967295),"         \
    "  (percentile_disc(array[0.5, 0.95]) within group (order by used & 4294967295))[1],"        \
    "  (percentile_disc(array[0.5, 0.95]) within group (order by used & 4294967295))[2],"        \
    "  count(*) filter (where used >> 32 = 0), count(*) filter (where used >> 32 = 1),"          \
    "  count(*) filter (where used >> 32 = 2), count(*) filter (where used >> 32 = 3)," SAMPLED( \
        share) " from per where node > $2::text collate \"C\" and $1::text is not null"          \
               " group by node having bool_or(tested) order by node limit $3::int"

static const struct db_stmt rtt_stmt = {"analytics_rtt", RTT_OF(OF_ORG, BY_TURNS, SHARE_OF_ORG, "true")};
static const struct db_stmt rtt_network_stmt = {
    "analytics_rtt_network",
    RTT_OF("select " COLUMNS " from report where org = $1 and network = $4::text and expires_at > now()"
           " order by measured_at desc limit " ANALYTICS_SAMPLE,
           "r.measured_at desc", SHARE_OF_ORG, "true")};
/* Of all orgs the cloud's own nodes: others' names mean something to their org alone. */
static const struct db_stmt rtt_all_stmt = {
    "analytics_rtt_all", RTT_OF(OF_ALL, BY_TURNS, SHARE_OF_ALL, "x.name = any($4::text[])")};

static json_t *node_json(const struct api_request *r, const PGresult *res, int row)
{
    const struct analysis *a = r->state;
    const struct catalogue *c = r->snapshots[SNAPSHOT_CATALOGUE]->data;
    const struct catalogue_node *n = catalogue_resolve(c, a->org, db_get(res, row, 0));
    json_t *by = json_object(), *j;

    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        if (db_get_i64(res, row, 6 + t) > 0)
            (void)json_object_set_new(by, transport_name((enum transport)t),
                                      json_integer(db_get_i64(res, row, 6 + t)));
    }
    j = json_pack("{s:s,s:I,s:I,s:o}", "node", db_get(res, row, 0), "agents",
                  (json_int_t)db_get_i64(res, row, 1), "reached", (json_int_t)db_get_i64(res, row, 2),
                  "by_transport", by);
    if (n != NULL)
        (void)json_object_update_new(j, json_pack("{s:s,s:s,s:s}", "cluster", n->cluster, "region", n->region,
                                                  "class", n->mesh ? "mesh" : "cloud"));
    if (db_get_i64(res, row, 2) > 0)
        (void)json_object_set_new(j, "rtt_us",
                                  json_pack("{s:I,s:I,s:I}", "min", (json_int_t)db_get_i64(res, row, 3),
                                            "median", (json_int_t)db_get_i64(res, row, 4), "p95",
                                            (json_int_t)db_get_i64(res, row, 5)));
    return j;
}

static void read_rtt(struct api_request *r)
{
    struct analysis *a = analysis_begin(r);
    struct db_param more;

    if (a == NULL || api_catalogue(r) == NULL)
        return;
    a->item = node_json;
    if (a->all) {
        more = analysis_nodes(r, a);
        list(r, a, &rtt_all_stmt, &more, 4);
    } else if (a->network != NULL) {
        more = db_text(a->network);
        list(r, a, &rtt_network_stmt, &more, 4);
    } else {
        list(r, a, &rtt_stmt, NULL, 3);
    }
}

/* ---- what calls measured ---- */

/* The newest of them: reports that brought any, and calls in all. */
#define CALLS_OF(from, only)                                                                          \
    "select c->>'node', c->>'transport', (c->'rtt_us'->>'min')::bigint, c->'expected'->>'transport'," \
    " (c->'expected'->>'rtt_us')::bigint, (c->>'seconds')::bigint, (c->>'received')::bigint,"         \
    " (c->>'lost')::bigint from (" from ") r cross join lateral jsonb_array_elements(r.calls) c"      \
    " where $1::text is not null and " only " limit " ANALYTICS_SAMPLE
static const struct db_stmt calls_stmt = {
    "analytics_calls", CALLS_OF("select calls from report where org = $1 and calls is not null"
                                " and measured_at > now() - $2::bigint * interval '1 second'"
                                " order by measured_at desc limit " ANALYTICS_SAMPLE,
                                "true")};
static const struct db_stmt calls_all_stmt = {
    "analytics_calls_all", CALLS_OF("select calls from analytics_told($2::bigint, " ANALYTICS_SAMPLE ")",
                                    "c->>'node' = any($3::text[])")};
enum {
    CALL_COL_NODE,
    CALL_COL_TRANSPORT,
    CALL_COL_RTT,
    CALL_COL_EXPECTED_TRANSPORT,
    CALL_COL_EXPECTED,
    CALL_COL_SECONDS,
    CALL_COL_RECEIVED,
    CALL_COL_LOST
};

static int64_t measured(const PGresult *res, int row, int col)
{
    return db_null(res, row, col) ? NOT_MEASURED : db_get_i64(res, row, col);
}

static void on_calls(struct api_request *r, const struct db_result *result)
{
    const PGresult *res = result->res[0];
    struct analytics_call *calls;
    size_t n = 0;
    json_t *items;

    if (result->error != 0) {
        api_db_failed(r, result);
        return;
    }
    calls = api_alloc(r, ((size_t)PQntuples(res) + 1) * sizeof(*calls));
    for (int i = 0; i < PQntuples(res); i++) {
        struct analytics_call *c = &calls[n];

        *c = (struct analytics_call){.node = db_get(res, i, CALL_COL_NODE),
                                     .rtt_us = db_get_i64(res, i, CALL_COL_RTT),
                                     .expected = {.rtt_us = measured(res, i, CALL_COL_EXPECTED)},
                                     .seconds = db_get_i64(res, i, CALL_COL_SECONDS),
                                     .received = measured(res, i, CALL_COL_RECEIVED),
                                     .lost = measured(res, i, CALL_COL_LOST)};
        if (transport_parse(db_get(res, i, CALL_COL_TRANSPORT), &c->transport) < 0 ||
            (c->expected.rtt_us != NOT_MEASURED &&
             transport_parse(db_get(res, i, CALL_COL_EXPECTED_TRANSPORT), &c->expected.transport) < 0))
            continue; /* not as this program writes it */
        n++;
    }
    items = analytics_calls(calls, n);
    if (items == NULL)
        api_problem(r, 503, "overloaded", "out of memory; ask again");
    else
        api_json(r, 200,
                 json_pack("{s:o, s:I, s:b}", "items", items, "calls", (json_int_t)n, "sampled",
                           PQntuples(res) >= SAMPLE));
}

static void read_calls(struct api_request *r)
{
    const struct analysis *a = analysis_begin(r);
    char lifetime[24];
    struct db_batch *b;

    if (a == NULL || api_catalogue(r) == NULL || (b = api_db_begin_org(r, a->org)) == NULL)
        return;
    const struct db_param p[] = {db_text(a->org), db_i64(lifetime, r->ctl->options->report_lifetime_s),
                                 analysis_nodes(r, a)};
    db_add(b, a->all ? &calls_all_stmt : &calls_stmt, p, a->all ? 3 : 2);
    api_db_send(r, b, on_calls);
}

static void get_transports(struct api_request *r)
{
    analysis_turn(r, read_transports);
}

static void get_rtt(struct api_request *r)
{
    analysis_turn(r, read_rtt);
}

static void get_calls(struct api_request *r)
{
    analysis_turn(r, read_calls);
}

const struct api_route api_analytics_routes[API_ANALYTICS_ROUTES] = {
    {"GET", "/v1/analytics/transports", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, get_transports},
    {"GET", "/v1/analytics/rtt", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, get_rtt},
    {"GET", "/v1/analytics/calls", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, get_calls},
    {"GET", "/v1/analytics/new-node", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, api_new_node},
};
