/* GET /v1/analytics/new-node: whom a node in a new place would help, and by how much. Invariant: the database brings
 * each agent's figures together, and analytics.c says what they mean. */
#include "analytics.h"
#include "api_analytics.h"

#include <stdlib.h>

enum {
    SITES_MAX = 50, /* that a new node would help, in one answer */
    GAIN_DEFAULT_US = 5000,
    GAIN_MAX_US = 10000000,
};

/* Without those of the place nothing is known of it. */
#define THERE_FIRST "(r.network = $2::text) desc nulls last, " BY_TURNS
/* One row an agent: its site, its least round trip now; over the nodes that it and the place are known to reach, the
 * greatest difference of their round trips and the least sum; whether it is in the place. $3, $4: the place by round
 * trips from it; or it is the network $2. */
#define GAIN_OF(where, share, site, only)                                                                  \
    LIVE(where, THERE_FIRST)                                                                               \
    PER(site, only)                                                                                        \
    ", place as materialized (select v.node, v.rtt::bigint as rtt from unnest($3::text[], $4::int[])"      \
    "   as v (node, rtt)"                                                                                  \
    "  union all select p.node, percentile_disc(0.5) within group (order by used & 4294967295) from per p" \
    "   where p.agent in (select l.org || ' ' || l.agent from live l where l.network = $2::text)"          \
    "   and p.used is not null group by 1),"                                                               \
    " there as (select l.org || ' ' || l.agent as agent from live l where l.network = $2::text)"           \
    " select p.site, min(p.used & 4294967295), max(abs((p.used & 4294967295) - l.rtt)),"                   \
    "  min((p.used & 4294967295) + l.rtt), p.agent in (select agent from there),"                          \
    "  (select count(*) from place)," SAMPLED(share) " from per p left join place l on l.node = p.node "   \
                                                     "where p.used is not null and $1::text is not null"   \
                                                     " group by p.agent, p.site"
#define OF_ORG_AND_NETWORK                                                \
    "(" OF_ORG ") union (select " COLUMNS                                 \
    " from report where org = $1 and network = $2 and expires_at > now()" \
    " order by measured_at desc limit 200)"
static const struct db_stmt new_node_stmt = {"analytics_new_node",
                                             GAIN_OF(OF_ORG_AND_NETWORK, SHARE_OF_ORG, BY_NETWORK, "true")};
static const struct db_stmt new_node_prefix_stmt = {
    "analytics_new_node_prefix", GAIN_OF(OF_ORG_AND_NETWORK, SHARE_OF_ORG, BY_PREFIX, "true")};
static const struct db_stmt new_node_all_stmt = {
    "analytics_new_node_all", GAIN_OF(OF_ALL, SHARE_OF_ALL, BY_PREFIX, "x.name = any($5::text[])")};
enum { NEW_SITE, NEW_NOW, NEW_APART, NEW_MOST, NEW_THERE, NEW_LANDMARKS, NEW_SAMPLED };

static void on_new_node(struct api_request *r, const struct db_result *result)
{
    const struct analysis *a = r->state;
    const PGresult *res = result->res[0];
    size_t n = (size_t)PQntuples(res), told;
    struct analytics_agent *agents;
    int64_t landmarks;
    json_t *j;

    if (result->error != 0) {
        api_db_failed(r, result);
        return;
    }
    landmarks = n > 0 ? db_get_i64(res, 0, NEW_LANDMARKS) : (int64_t)a->landmarks;
    agents = api_alloc(r, (n + 1) * sizeof(*agents));
    for (size_t i = 0; i < n; i++) {
        int row = (int)i;

        agents[i] = (struct analytics_agent){
            .site = db_null(res, row, NEW_SITE) ? NULL : db_get(res, row, NEW_SITE),
            .now_us = db_get_i64(res, row, NEW_NOW),
            .apart_us = db_null(res, row, NEW_APART) ? NOT_MEASURED : db_get_i64(res, row, NEW_APART),
            .most_us = db_get_i64(res, row, NEW_MOST),
            .there = db_get_bool(res, row, NEW_THERE)};
    }
    j = analytics_gain(agents, n, a->gain_us, SITES_MAX, a->by_prefix ? "prefix" : "network", &told);
    if (j == NULL) {
        api_problem(r, 503, "overloaded", "out of memory; ask again");
        return;
    }
    if (landmarks == 0 || (told == 0 && n > 0)) {
        json_decref(j);
        api_problem(
            r, 409, "place_unknown",
            "no round trips are known from there to nodes that live reports speak of; a place is known "
            "by nodes' own locations (berth-node --location), or by what nodes and agents measured");
        return;
    }
    (void)json_object_set_new(j, "landmarks", json_integer(landmarks));
    (void)json_object_set_new(j, "sampled", json_boolean(n > 0 && db_get_bool(res, 0, NEW_SAMPLED)));
    api_json(r, 200, j);
}

static bool read_degrees(const char *text, double most, double *out)
{
    char *end;

    if (text == NULL)
        return false;
    *out = strtod(text, &end);
    return end != text && *end == '\0' &&
           strspn(text, "+-.0123456789eE") == strlen(text) && /* none hexadecimal, no blank */
           *out >= -most && *out <= most;
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
static void landmarks(struct api_request *r, struct analysis *a, const struct catalogue_node *like,
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
    a->landmarks = n;
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

static void read_new_node(struct api_request *r)
{
    struct analysis *a = analysis_begin(r);
    const struct catalogue_node *like;
    struct catalogue_node there = {0};
    struct db_param names, rtts;
    struct db_batch *b;

    if (a == NULL || api_catalogue(r) == NULL || !read_place(r, a, &like, &there) ||
        !read_gain(r, &a->gain_us))
        return;
    landmarks(r, a, like, &there, &names, &rtts);
    if ((b = api_db_begin_org(r, a->org)) == NULL)
        return;
    const struct db_param p[] = {db_text(a->org), db_text(a->network), names, rtts, analysis_nodes(r, a)};
    db_add(b,
           a->all         ? &new_node_all_stmt
           : a->by_prefix ? &new_node_prefix_stmt
                          : &new_node_stmt,
           p, a->all ? 5 : 4);
    api_db_send(r, b, on_new_node);
}

void api_new_node(struct api_request *r)
{
    analysis_turn(r, read_new_node);
}
