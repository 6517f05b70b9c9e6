/* What changes a node that is registered: heartbeats, drain, weight, removal. Invariant: a caller changes nodes of
 * its own org only; the admin key speaks for the cloud unless it names an org. */
#include "admission.h"
#include "api_body.h"
#include "api_links.h"
#include "api_nodes.h"
#include "api_peers.h"
#include "catalogue.h"
#include "core/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 1000000000 };
static const double bandwidth_max = 1e13;

void api_node_tell_keys(struct api_request *r, json_t *answer, const char *org, const char *node,
                        int64_t now_us)
{
    char time[TIME_TEXT_LEN];

    json_object_set_new(answer, "org", json_string(org));
    json_object_set_new(answer, "now", json_string(time_format(now_us, time)));
    if (r->caller.kind != CALLER_NODE)
        return;
    json_object_set_new(answer, "ticket_keys", admission_node_keys(r->ctl, org, node, now_us));
    api_header(r, "cache-control", "no-store");
}

/* False: answered already. */
static bool target(struct api_request *r, struct db_param p[static 2])
{
    const char *org = r->caller.kind == CALLER_ADMIN ? api_query(r, "org") : r->caller.org;

    if (!id_valid(r->param[0], NODE_ID_MAX) || (org != NULL && !org_id_valid(org))) {
        api_problem(r, 404, "unknown_node", "there is no such node");
        return false;
    }
    p[0] = db_text(org);
    p[1] = db_text(r->param[0]);
    return true;
}

/* There is none that the caller may do this to. */
static const char *whose_else(struct api_request *r)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);

    if (r->caller.kind == CALLER_ADMIN)
        return "there is no such node; where several orgs have one of this id, name the org";
    if (c != NULL && catalogue_find(c, CLOUD_ORG, r->param[0]) != NULL)
        return "this is one of the cloud's nodes, which are the operator's; you have none of this id";
    return "there is no such node";
}

/* True: the batch did something to a node. Else answered already. */
static bool target_found(struct api_request *r, const struct db_result *result, size_t stmt)
{
    if (result->error != 0)
        api_problem(r, 409, "conflict", "the node was changed at the same time; try again");
    else if (PQntuples(result->res[stmt]) == 0)
        api_problem(r, 404, "unknown_node", whose_else(r));
    else
        return true;
    return false;
}

struct heartbeat {
    double cpu;
    int64_t packets, sessions, bandwidth;
    bool draining, stopping;
    const char *media_key; /* NULL: not said */
    struct peers_rtt rtt;
    struct links_place place;
};

static bool read_heartbeat(struct api_request *r, struct heartbeat *h)
{
    const json_t *load;
    double packets = 0, bandwidth = 0;

    if (!body_object(r, "load", &load) || !body_bool(r, "draining", &h->draining) ||
        !body_bool(r, "stopping", &h->stopping) ||
        !body_text(r, "media_key", MEDIA_KEY_LEN, false, &h->media_key))
        return false;
    if (!body_number(r, load, "/load", "cpu", 0, 1, &h->cpu) ||
        !body_number(r, load, "/load", "packets_per_s", 0, bandwidth_max, &packets) ||
        !body_int(r, load, "/load", "sessions", 0, COUNT_MAX, &h->sessions) ||
        !body_number(r, load, "/load", "bandwidth_bps", 0, bandwidth_max, &bandwidth))
        return false;
    if (!peers_read_rtt(r, &h->rtt) || !links_read_version(r, &h->place))
        return false;
    h->packets = (int64_t)packets;
    h->bandwidth = (int64_t)bandwidth;
    return true;
}

/* A heartbeat that a crash of the database forgets is told again in seconds: nobody waits for the disk. */
static const struct db_stmt unhurried_stmt = {"node_unhurried",
                                              "select set_config('synchronous_commit', 'off', true)"};

static const struct db_stmt heartbeat_stmt = {
    "node_heartbeat", NODE_TARGET
    " update node_load l set heartbeat_at = now(), cpu = $3::real, packets_per_s = $4::bigint,"
    " assigned = greatest(coalesce((select n from tally where tally.org = target.org and what = "
    "'participants' "
    "and name = target.id), 0) + coalesce((select sum(n) from tally_change c where c.org = target.org"
    " and c.what = 'participants' and c.name = target.id), 0), 0)::bigint,"
    " sessions = $5::bigint, bandwidth_bps = $6::bigint, draining = $7::boolean, stopping = $8::boolean"
    " from target where l.org = target.org and l.node = target.id"
    "  and coalesce($9 = target.media_key, true)"
    " returning target.drain, target.org, berth_us(clock_timestamp())"};

/* Is somebody else alive as this node? */
static const struct db_stmt heartbeat_other_stmt = {
    "node_heartbeat_other",
    NODE_TARGET " select from target join node_load l on l.org = target.org and l.node = target.id"
                " where target.media_key <> $3 and not l.stopping"
                "  and l.heartbeat_at > now() - $4::bigint * interval '1 second'"};

static void heartbeat_refused(struct api_request *r, const struct db_result *result)
{
    if (result->error != 0 || PQntuples(result->res[0]) == 0)
        api_problem(r, 404, "unknown_node", whose_else(r));
    else
        api_problem(r, 409, "node_replaced", "another program has registered as this node since");
}

/* Whoever registered last is the node. Once that one is silent, the other finds itself unknown, and registers again. */
static void refuse_heartbeat(struct api_request *r)
{
    const struct heartbeat *h = r->state;
    char alive_s[24];
    struct db_param p[4];
    struct db_batch *b;

    if (!target(r, p) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    p[2] = db_text(h->media_key);
    p[3] = db_i64(alive_s, CATALOGUE_HEALTHY_US / 1000000);
    db_add(b, &heartbeat_other_stmt, p, 4);
    api_db_send(r, b, heartbeat_refused);
}

static void heartbeat_done(struct api_request *r, const struct db_result *result)
{
    char version[CATALOGUE_VERSION_LEN + 1];
    const struct heartbeat *h = r->state;
    const PGresult *res;
    json_t *answer;

    if (result->error == 0 && PQntuples(result->res[1]) == 0 && h->media_key != NULL) {
        refuse_heartbeat(r);
        return;
    }
    if (!target_found(r, result, 1))
        return;
    res = result->res[1];
    answer = json_pack("{s:i, s:b, s:s*}", "heartbeat_s", HEARTBEAT_S, "drain", db_get_bool(res, 0, 0),
                       "peers_version", peers_version(r, db_get(res, 0, 1), version));
    api_node_tell_keys(r, answer, db_get(res, 0, 1), r->param[0], db_get_i64(res, 0, 2));
    if (h->place.given)
        json_object_set_new(answer, "links_changed", json_boolean(db_get_bool(result->res[2], 0, 0)));
    api_json(r, 200, answer);
}

void api_node_heartbeat(struct api_request *r)
{
    struct heartbeat *h = api_alloc(r, sizeof(*h));
    struct db_param p[9];
    char cpu[32], packets[24], sessions[24], bandwidth[24];
    struct db_batch *b;

    if (!target(r, p) || !read_heartbeat(r, h) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    snprintf(cpu, sizeof(cpu), "%.4f", h->cpu);
    p[2] = db_text(cpu);
    p[3] = db_i64(packets, h->packets);
    p[4] = db_i64(sessions, h->sessions);
    p[5] = db_i64(bandwidth, h->bandwidth);
    p[6] = db_bool(h->draining);
    p[7] = db_bool(h->stopping);
    p[8] = db_text(h->media_key);
    r->state = h;
    db_add(b, &unhurried_stmt, NULL, 0);
    db_add(b, &heartbeat_stmt, p, 9);
    links_add_look(b, p, &h->place);
    peers_add_rtt(r, b, p, &h->rtt);
    api_db_send(r, b, heartbeat_done);
}

static const struct db_stmt drain_stmt = {
    "node_drain", NODE_TARGET ", changed as (update node n set drain = $3::boolean from target"
                              " where n.org = target.org and n.id = target.id and n.drain <> $3::boolean)"
                              " select org from target"};

static void drain_done(struct api_request *r, const struct db_result *result)
{
    if (target_found(r, result, 0))
        api_json(r, 200, json_pack("{s:s, s:b}", "node", r->param[0], "drain", r->state != NULL));
}

static void set_drain(struct api_request *r, bool drain)
{
    struct db_param p[3];
    struct db_batch *b;

    if (!target(r, p) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    r->state = drain ? r : NULL;
    p[2] = db_bool(drain);
    db_add(b, &drain_stmt, p, 3);
    api_db_send(r, b, drain_done);
}

void api_node_drain(struct api_request *r)
{
    set_drain(r, true);
}

void api_node_undrain(struct api_request *r)
{
    set_drain(r, false);
}

static const struct db_stmt weight_stmt = {
    "node_weight", NODE_TARGET ", changed as (update node n set weight = $3::real from target"
                               " where n.org = target.org and n.id = target.id and n.weight <> $3::real)"
                               " select org from target"};
static const double weight_least = 0.1, weight_most = 10;

static void weight_done(struct api_request *r, const struct db_result *result)
{
    if (target_found(r, result, 0))
        api_json(r, 200,
                 json_pack("{s:s, s:O}", "node", r->param[0], "weight", json_object_get(r->body, "weight")));
}

void api_node_weight(struct api_request *r)
{
    double weight = 0;
    struct db_param p[3];
    char text[32];
    struct db_batch *b;

    if (!body_number(r, r->body, "", "weight", weight_least, weight_most, &weight))
        return;
    if (weight <= 0) {
        (void)body_refuse(r, "", "weight", "this member is required");
        return;
    }
    if (!target(r, p) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    snprintf(text, sizeof(text), "%.6f", weight);
    p[2] = db_text(text);
    db_add(b, &weight_stmt, p, 3);
    api_db_send(r, b, weight_done);
}

static const struct db_stmt delete_stmt = {
    "node_delete", NODE_TARGET
    ", gone as (update node n set deleted_at = now() from target where n.org = target.org and n.id = "
    "target.id),"
    " silent as (delete from node_load l using target where l.org = target.org and l.node = target.id)"
    " select org from target"};
/* Rows of nodes that were deleted long ago: nobody's report can name them any more. */
static const struct db_stmt purge_stmt = {"node_purge",
                                          "delete from node where deleted_at < now() - interval '7 days'"};

static void delete_done(struct api_request *r, const struct db_result *result)
{
    if (target_found(r, result, 0))
        api_empty(r, 204);
}

void api_node_delete(struct api_request *r)
{
    struct db_param p[2];
    struct db_batch *b;

    if (!target(r, p) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    db_add(b, &delete_stmt, p, 2);
    db_add(b, &purge_stmt, NULL, 0);
    api_db_send(r, b, delete_done);
}
