/* What live reports tell of an org as a whole: which transports work where, how far nodes are, whom a node in a new place would help. Invariant:
 * reports that are alive and the org's own, by row-level security; of ANALYTICS_SAMPLE of them at most, over the queue of what may be slow. */
#include "analytics.h"
#include "api.h"
#include "catalogue.h"
#include "core/doc.h"
#include "modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE           4000 /* reports that one answer is made of, at most */
#define TEXT_OF(v)       #v
#define TEXT(macro)      TEXT_OF(macro)
#define ANALYTICS_SAMPLE TEXT(SAMPLE)

enum {
    SITES_MAX = 50, /* that a new node would help, in one answer */
    GAIN_DEFAULT_US = 5000,
    GAIN_MAX_US = 10000000,
};

struct analysis {
    struct api_page page;
    const char *org;
    const char *network, *like; /* as asked; NULL */
    double lat, lon;
    json_t *(*item)(const struct api_request *r, const PGresult *res, int row);
};

/* Whose: an org's own, or the one that the operator names. NULL: answered. */
static struct analysis *begin(struct api_request *r)
{
    struct analysis *a = api_alloc(r, sizeof(*a));
    const char *org = api_query(r, "org");

    a->network = api_query(r, "network");
    a->org = r->caller.org;
    r->state = a;
    if (r->caller.kind == CALLER_ADMIN && (org == NULL || !org_id_valid(org))) {
        api_problem(r, 400, "bad_request", "with the admin key, org says which organisation is meant");
        return NULL;
    }
    if (r->caller.kind == CALLER_ADMIN)
        a->org = org;
    else if (org != NULL && strcmp(org, a->org) != 0) {
        api_problem(r, 404, "not_found", "there is no such organisation");
        return NULL;
    }
    if (a->network != NULL && !id_valid(a->network, NETWORK_ID_MAX)) {
        api_problem(r, 400, "bad_request", "network is the id of a network, as in a report");
        return NULL;
    }
    return a;
}

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
    api_page_json(r, items, n > shown ? db_get(res, shown - 1, 0) : NULL);
}

/* $1 the org, $2 the last page's end, $3 one row more than the page shows, $4 the network. */
static void list(struct api_request *r, struct analysis *a, const struct db_stmt *stmt, size_t n_params)
{
    char rows[24];
    struct db_batch *b;

    if (!api_page(r, &a->page) || (b = api_db_begin_org(r, a->org)) == NULL)
        return;
    const struct db_param p[] = {db_text(a->org), db_text(a->page.after), db_i64(rows, a->page.limit + 1),
                                 db_text(a->network)};
    db_add(b, stmt, p, n_params);
    api_db_send(r, b, on_listed);
}

/* ---- which transports work ---- */

/* From network to network by index, of each the newest reports: as many as make ANALYTICS_SAMPLE on a page. */
static const struct db_stmt transports_stmt = {
    "analytics_transports",
    "with recursive walk(network, n) as (select $2::text collate \"C\", 0 union all"
    " select (select r.network from report r where r.org = $1 and r.network > w.network and r.expires_at > "
    "now()"
    "  order by r.network limit 1), w.n + 1 from walk w where w.network is not null and w.n < $3::int)"
    " select w.network, s.* from walk w cross join lateral (select count(*), count(*) filter (where not "
    "any_ok),"
    "  count(*) filter (where t0), count(*) filter (where k0), count(*) filter (where t1), count(*) filter "
    "(where k1),"
    "  count(*) filter (where t2), count(*) filter (where k2), count(*) filter (where t3), count(*) filter "
    "(where k3)"
    "  from (select distinct on (n.agent) n.* from (select * from report where org = $1 and network = "
    "w.network"
    "   and expires_at > now() order by measured_at desc limit " ANALYTICS_SAMPLE " / $3::int + 1) n"
    "   order by n.agent, n.measured_at desc) r"
    "  cross join lateral (select coalesce(bool_or(x.s = 1), false) as any_ok,"
    "   bool_or(x.t = 0 and x.s <> 0) as t0, bool_or(x.t = 0 and x.s = 1) as k0,"
    "   bool_or(x.t = 1 and x.s <> 0) as t1, bool_or(x.t = 1 and x.s = 1) as k1,"
    "   bool_or(x.t = 2 and x.s <> 0) as t2, bool_or(x.t = 2 and x.s = 1) as k2,"
    "   bool_or(x.t = 3 and x.s <> 0) as t3, bool_or(x.t = 3 and x.s = 1) as k3"
    "   from unnest(r.transport, r.status) x (t, s)) u) s"
    " where w.n > 0 and w.network is not null order by w.network"};

static json_t *site_json(const struct api_request *r, const PGresult *res, int row)
{
    json_t *by = json_object();

    (void)r;
    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        int64_t tested = db_get_i64(res, row, 3 + 2 * t), works = db_get_i64(res, row, 4 + 2 * t);

        if (tested > 0)
            (void)json_object_set_new(by, transport_name((enum transport)t),
                                      json_pack("{s:I,s:I,s:f}", "tested", (json_int_t)tested, "works",
                                                (json_int_t)works, "share", (double)works / (double)tested));
    }
    return json_pack("{s:s,s:I,s:I,s:o}", "network", db_get(res, row, 0), "agents",
                     (json_int_t)db_get_i64(res, row, 1), "blocked", (json_int_t)db_get_i64(res, row, 2),
                     "transports", by);
}

static void get_transports(struct api_request *r)
{
    struct analysis *a = begin(r);

    if (a == NULL)
        return;
    a->item = site_json;
    list(r, a, &transports_stmt, 3);
}

/* ---- how far nodes are ---- */

/* The newest of each agent's among these; and of each agent and node the transport that it would use, with its least round trip below. */
#define LIVE(where)                                                                                        \
    "with live as materialized (select distinct on (r.agent) r.* from (" where                             \
    ") r order by r.agent, r.measured_at desc),"                                                           \
    " per as materialized (select l.agent, l.network, l.names[x.node] as node, bool_or(x.status <> 0) as " \
    "tested,"                                                                                              \
    "  min(x.transport::bigint << 32 | x.rtt) filter (where x.status = 1 and x.rtt >= 0) as used"          \
    "  from live l cross join lateral unnest(l.node, l.transport, l.status, l.rtt_min_us)"                 \
    "   as x (node, transport, status, rtt) group by 1, 2, 3)"
#define OF_ORG \
    "select * from report where org = $1 and expires_at > now() order by agent limit " ANALYTICS_SAMPLE
#define RTT_OF(live)                                                                           \
    live " select node, count(*) filter (where tested), count(used), min(used & 4294967295),"  \
         "  (percentile_disc(array[0.5, 0.95]) within group (order by used & 4294967295))[1]," \
         "  (percentile_disc(array[0.5, 0.95]) within group (order by used & 4294967295))[2]," \
         "  count(*) filter (where used >> 32 = 0), count(*) filter (where used >> 32 = 1),"   \
         "  count(*) filter (where used >> 32 = 2), count(*) filter (where used >> 32 = 3)"    \
         " from per where node > $2::text collate \"C\" group by node having bool_or(tested)"  \
         " order by node limit $3::int"

static const struct db_stmt rtt_stmt = {"analytics_rtt", RTT_OF(LIVE(OF_ORG))};
static const struct db_stmt rtt_network_stmt = {
    "analytics_rtt_network",
    RTT_OF(LIVE("select * from report where org = $1 and network = $4 and expires_at > now()"
                " order by measured_at desc limit " ANALYTICS_SAMPLE))};

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

static void get_rtt(struct api_request *r)
{
    struct analysis *a = begin(r);

    if (a == NULL || api_catalogue(r) == NULL)
        return;
    a->item = node_json;
    if (a->network != NULL)
        list(r, a, &rtt_network_stmt, 4);
    else
        list(r, a, &rtt_stmt, 3);
}

/* ---- what calls measured ---- */

/* The newest of them: reports that brought any, and calls in all. */
#define CALLS_OF(from)                                                                                \
    "select c->>'node', c->>'transport', (c->'rtt_us'->>'min')::bigint, c->'expected'->>'transport'," \
    " (c->'expected'->>'rtt_us')::bigint, (c->>'seconds')::bigint, (c->>'received')::bigint,"         \
    " (c->>'lost')::bigint from (" from ") r cross join lateral jsonb_array_elements(r.calls) c"      \
    " limit " ANALYTICS_SAMPLE
static const struct db_stmt calls_stmt = {
    "analytics_calls", CALLS_OF("select calls from report where org = $1 and calls is not null"
                                " and measured_at > now() - $2::bigint * interval '1 second'"
                                " order by measured_at desc limit " ANALYTICS_SAMPLE)};
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

static void get_calls(struct api_request *r)
{
    struct analysis *a = begin(r);
    char lifetime[24];
    struct db_batch *b;

    if (a == NULL || (b = api_db_begin_org(r, a->org)) == NULL)
        return;
    const struct db_param p[] = {db_text(a->org), db_i64(lifetime, r->ctl->options->report_lifetime_s)};
    db_add(b, &calls_stmt, p, 2);
    api_db_send(r, b, on_calls);
}

/* ---- whom a node in a new place would help ---- */

/* Round trips from the place to nodes that an agent measured as well say what it would measure to the place: half as much again as the
 * greatest difference, and 5 ms, and no more than the least sum. docs/placement.md says how far that was from measured matrices. In a network
 * of its own: 2 ms. One row of all first, then the networks that gain most. */
#define OF_ORG_AND_NETWORK                                                                                \
    "(" OF_ORG ") union all (select * from report where org = $1 and network = $2 and expires_at > now()" \
    " order by measured_at desc limit 200)"
#define LIVE_THERE LIVE(OF_ORG_AND_NETWORK)
static const struct db_stmt new_node_stmt = {
    "analytics_new_node", LIVE_THERE
    ", place as materialized (select v.node, v.rtt::bigint as rtt from unnest($3::text[], $4::int[])"
    "   as v (node, rtt)"
    "  union all select node, percentile_disc(0.5) within group (order by used & 4294967295) from per"
    "   where network = $2 and used is not null group by node),"
    " each as (select p.agent, p.network, min(p.used & 4294967295) as now,"
    "  max(abs((p.used & 4294967295) - l.rtt)) as apart, min((p.used & 4294967295) + l.rtt) as most"
    "  from per p left join place l on l.node = p.node where p.used is not null group by 1, 2),"
    " told as (select network, now, case when network = $2 then least(now, 2000)"
    "  when apart is not null then least(most, apart * 3 / 2 + 5000) end as later from each),"
    " gain as (select *, now - later >= $5::bigint as helped from told)"
    " select network, count(*), count(later), count(*) filter (where helped),"
    "  percentile_disc(0.5) within group (order by now) filter (where helped),"
    "  percentile_disc(0.5) within group (order by later) filter (where helped),"
    "  percentile_disc(0.5) within group (order by now - later) filter (where helped),"
    "  coalesce(sum(now - later) filter (where helped), 0) as total, (select count(*) from place),"
    "  (select count(*) >= " ANALYTICS_SAMPLE " from live), grouping(network)"
    " from gain group by grouping sets ((network), ())"
    " having grouping(network) = 1 or count(*) filter (where helped) > 0"
    " order by grouping(network) desc, total desc, network limit $6::int"};
enum {
    NEW_NETWORK,
    NEW_AGENTS,
    NEW_TOLD,
    NEW_HELPED,
    NEW_NOW,
    NEW_LATER,
    NEW_GAIN,
    NEW_TOTAL,
    NEW_LANDMARKS,
    NEW_SAMPLED
};

static json_t *gain_json(const PGresult *res, int row)
{
    json_t *j = json_pack("{s:I,s:I}", "agents", (json_int_t)db_get_i64(res, row, NEW_AGENTS), "helped",
                          (json_int_t)db_get_i64(res, row, NEW_HELPED));

    if (db_get_i64(res, row, NEW_HELPED) > 0)
        (void)json_object_update_new(j, json_pack("{s:I,s:I,s:I}", "rtt_now_us",
                                                  (json_int_t)db_get_i64(res, row, NEW_NOW), "rtt_then_us",
                                                  (json_int_t)db_get_i64(res, row, NEW_LATER), "gain_us",
                                                  (json_int_t)db_get_i64(res, row, NEW_GAIN)));
    return j;
}

static void on_new_node(struct api_request *r, const struct db_result *result)
{
    const PGresult *res = result->res[0];
    json_t *j, *sites;

    if (result->error != 0) {
        api_db_failed(r, result);
        return;
    }
    if (PQntuples(res) == 0 || db_get_i64(res, 0, NEW_LANDMARKS) == 0 ||
        (db_get_i64(res, 0, NEW_TOLD) == 0 && db_get_i64(res, 0, NEW_AGENTS) > 0)) {
        api_problem(
            r, 409, "place_unknown",
            "no round trips are known from there to nodes that live reports speak of; a place is known "
            "by nodes' own locations (berth-node --location), or by what nodes and agents measured");
        return;
    }
    j = gain_json(res, 0);
    sites = json_array();
    for (int i = 1; i < PQntuples(res); i++) {
        json_t *site = gain_json(res, i);

        (void)json_object_set_new(site, "network", json_string(db_get(res, i, NEW_NETWORK)));
        (void)json_array_append_new(sites, site);
    }
    (void)json_object_set_new(j, "landmarks", json_integer(db_get_i64(res, 0, NEW_LANDMARKS)));
    (void)json_object_set_new(j, "sampled", json_boolean(db_get_bool(res, 0, NEW_SAMPLED)));
    (void)json_object_set_new(j, "sites", sites);
    api_json(r, 200, j);
}

static bool read_degrees(const char *text, double most, double *out)
{
    char *end;

    if (text == NULL)
        return false;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= -most && *out <= most;
}

/* False: answered. */
static bool read_place(struct api_request *r, struct analysis *a, const struct catalogue_node **like,
                       struct catalogue_node *there)
{
    const char *lat = api_query(r, "lat"), *lon = api_query(r, "lon");
    bool located = lat != NULL || lon != NULL;

    a->like = api_query(r, "like");
    if ((a->network != NULL) + (a->like != NULL) + located != 1) {
        api_problem(r, 400, "bad_request", "say where: like=NODE, network=ID, or lat= and lon=");
        return false;
    }
    if (located && (!read_degrees(lat, 90, &there->lat) || !read_degrees(lon, 180, &there->lon))) {
        api_problem(r, 400, "bad_request", "lat and lon are degrees, -90 to 90 and -180 to 180");
        return false;
    }
    there->located = located;
    *like = a->like != NULL ? catalogue_resolve(api_snapshot(r, SNAPSHOT_CATALOGUE), a->org, a->like) : NULL;
    if (a->like != NULL && (*like == NULL || (*like)->deleted)) {
        api_problem(r, 404, "unknown_node", "there is no such node");
        return false;
    }
    return true;
}

static bool rtt_to(const struct catalogue *c, const struct catalogue_node *like,
                   const struct catalogue_node *there, const struct catalogue_node *n, int32_t *us)
{
    *us = 0;
    if (n == like)
        return true;
    if (there->located)
        return catalogue_rtt_by_place(there, n, us);
    return like != NULL && (catalogue_rtt(c, like, n, us) || catalogue_rtt_by_place(like, n, us));
}

/* A place as round trips to nodes; a network is one by what its agents measured, which the database knows. */
static void landmarks(struct api_request *r, const struct analysis *a, const struct catalogue_node *like,
                      const struct catalogue_node *there, struct db_param *names, struct db_param *rtts)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);
    struct catalogue_iter count = {0}, it = {0};
    const struct catalogue_node *node;
    const char **ids, **figures;
    size_t n = 0;

    while (catalogue_next(c, a->org, &count) != NULL)
        n++;
    ids = api_alloc(r, (n + 1) * sizeof(*ids));
    figures = api_alloc(r, (n + 1) * sizeof(*figures));
    n = 0;
    while ((node = catalogue_next(c, a->org, &it)) != NULL) {
        char text[24];
        int32_t us;

        if (!rtt_to(c, like, there, node, &us))
            continue;
        (void)db_i64(text, us);
        ids[n] = node->id;
        figures[n++] = api_strdup(r, text);
    }
    *names = db_text_array(&r->req->pool, ids, n);
    *rtts = db_text_array(&r->req->pool, figures, n);
}

static bool read_gain(struct api_request *r, int64_t *out)
{
    const char *text = api_query(r, "min_gain_us");
    char *end;

    *out = GAIN_DEFAULT_US;
    if (text == NULL)
        return true;
    *out = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && *out >= 1 && *out <= GAIN_MAX_US)
        return true;
    api_problem(r, 400, "bad_request", "min_gain_us must be 1 to 10000000");
    return false;
}

static void get_new_node(struct api_request *r)
{
    struct analysis *a = begin(r);
    const struct catalogue_node *like;
    struct catalogue_node there = {0};
    struct db_param names, rtts;
    char least[24], most[24];
    struct db_batch *b;
    int64_t gain;

    if (a == NULL || api_catalogue(r) == NULL || !read_place(r, a, &like, &there) || !read_gain(r, &gain))
        return;
    landmarks(r, a, like, &there, &names, &rtts);
    if ((b = api_db_begin_org(r, a->org)) == NULL)
        return;
    const struct db_param p[] = {db_text(a->org),     db_text(a->network),        names, rtts,
                                 db_i64(least, gain), db_i64(most, SITES_MAX + 1)};
    db_add(b, &new_node_stmt, p, sizeof(p) / sizeof(p[0]));
    api_db_send(r, b, on_new_node);
}

const struct api_route api_analytics_routes[API_ANALYTICS_ROUTES] = {
    {"GET", "/v1/analytics/transports", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, get_transports},
    {"GET", "/v1/analytics/rtt", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, get_rtt},
    {"GET", "/v1/analytics/calls", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, get_calls},
    {"GET", "/v1/analytics/new-node", CALLER_ADMIN | CALLER_ORG, 0, API_BODY_NONE, get_new_node},
};
