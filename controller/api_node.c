/* What changes a node: registration, heartbeats, drain, removal. Invariant: a caller changes nodes of its own org only; the admin key
 * speaks for the cloud unless it names an org. */
#include "admission.h"
#include "api_body.h"
#include "api_links.h"
#include "api_nodes.h"
#include "api_peers.h"
#include "api_quota.h"
#include "catalogue.h"
#include "core/timefmt.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEARTBEAT_S = 5,
    LABELS_MAX = 64,
    LABEL_VALUE_MAX = 256,
    SERVICES_BYTES_MAX = 16384,
    MEDIA_KEY_LEN = 43,
    COUNT_MAX = 1000000000,
    KBPS_MAX = 1000000000,
};
static const double bandwidth_max = 1e13;

/* ---- POST /v1/nodes ---- */

struct registration {
    const char *org, *node, *cluster, *region, *tls_name;
    const char *addresses, *advertise, *labels, *location, *services, *tls_spki; /* JSON text */
    const char *media_key;
    int64_t capacity, capacity_kbps;
};

/* The text of a JSON value, kept with the request. */
static const char *kept_text(struct api_request *r, const json_t *j)
{
    char *text = j != NULL ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    const char *kept = text != NULL ? api_strdup(r, text) : NULL;

    free(text);
    return kept;
}

static bool read_addresses(struct api_request *r, const char *name, struct node_addresses *a,
                           const char **text)
{
    const json_t *j = json_object_get(r->body, name);
    struct doc_error e;

    if (j == NULL || json_is_null(j))
        return true;
    if (node_addresses_from_json(j, a, &e) != 0) {
        char pointer[sizeof(e.pointer) + 32];

        /* The document is a member of ours: its pointers start there. */
        snprintf(pointer, sizeof(pointer), "/%s%s", name, e.pointer);
        api_problem_at(r, 422, e.code, pointer, e.detail);
        return false;
    }
    *text = kept_text(r, j);
    return true;
}

static bool read_all_addresses(struct api_request *r, struct registration *g)
{
    struct node_addresses *bound = api_alloc(r, sizeof(*bound)),
                          *advertised = api_alloc(r, sizeof(*advertised));
    struct node_addresses *merged = api_alloc(r, sizeof(*merged));

    if (!read_addresses(r, "addresses", bound, &g->addresses) ||
        !read_addresses(r, "advertise", advertised, &g->advertise))
        return false;
    if (g->addresses == NULL)
        return body_refuse(r, "", "addresses", "this member is required");
    catalogue_merge_addresses(merged, bound, advertised);
    if (merged->n[TRANSPORT_UDP] + merged->n[TRANSPORT_TCP] + merged->n[TRANSPORT_TLS] == 0)
        return body_refuse(
            r, "", "addresses",
            "not one address is left that an agent could be told: give addresses, or advertise others");
    return true;
}

static bool read_labels(struct api_request *r, struct registration *g)
{
    const json_t *labels, *v;
    const char *key;

    if (!body_object(r, "labels", &labels))
        return false;
    if (json_object_size(labels) > LABELS_MAX)
        return body_refuse(r, "", "labels", "64 labels are the most.");
    json_object_foreach((json_t *)(uintptr_t)labels, key, v)
    {
        if (!id_valid(key, NODE_ID_MAX) || !json_is_string(v) || json_string_length(v) > LABEL_VALUE_MAX)
            return body_refuse(r, "", "labels",
                               "A label is a name (as a node's id) with a string of at most 256 bytes.");
    }
    g->labels = labels != NULL ? kept_text(r, labels) : "{}";
    return true;
}

static bool read_location(struct api_request *r, struct registration *g)
{
    const json_t *location;
    double lat = 1000, lon = 1000;
    char text[96];

    if (!body_object(r, "location", &location))
        return false;
    if (location == NULL)
        return true;
    if (!body_number(r, location, "/location", "lat", -90, 90, &lat) ||
        !body_number(r, location, "/location", "lon", -180, 180, &lon))
        return false;
    if (lat > 90 || lon > 180)
        return body_refuse(r, "", "location", "both lat and lon are wanted");
    snprintf(text, sizeof(text), "{\"lat\":%.6f,\"lon\":%.6f}", lat, lon);
    g->location = api_strdup(r, text);
    return true;
}

static bool read_services(struct api_request *r, struct registration *g)
{
    const json_t *services;

    if (!body_object(r, "services", &services))
        return false;
    if (!admission_turn_valid(json_object_get(services, "turn")))
        return body_refuse(
            r, "/services", "turn",
            "{\"urls\": [...]} is wanted: 1 to 8 of turn:, turns:, stun: and stuns:, and nothing "
            "else; credentials are made by the controllers");
    g->services = kept_text(r, services);
    if (g->services != NULL && strlen(g->services) > SERVICES_BYTES_MAX)
        return body_refuse(r, "", "services", "16 KiB are the most.");
    return true;
}

/* Whose node it is to be. */
static bool read_org(struct api_request *r, const char **org)
{
    const char *named = NULL;

    if (!body_id(r, "org", ORG_ID_MAX, false, &named))
        return false;
    if (r->caller.kind == CALLER_ADMIN) {
        *org = named != NULL ? named : CLOUD_ORG;
        return true;
    }
    if (named != NULL && strcmp(named, r->caller.org) != 0)
        return body_refuse(r, "", "org", "A key registers nodes of its own org; leave this out.");
    *org = r->caller.org;
    return true;
}

static bool read_tls_name(struct api_request *r, struct registration *g)
{
    g->tls_name = "";
    if (!body_text(r, "tls_name", HOST_MAX, false, &g->tls_name))
        return false;
    return g->tls_name[0] == '\0' || host_valid(g->tls_name) ||
           body_refuse(r, "", "tls_name", "A host name or an IP is wanted, without a port.");
}

static bool read_tls_spki(struct api_request *r, struct registration *g)
{
    const json_t *list = json_object_get(r->body, "tls_spki");
    struct node_spki spki;
    struct doc_error e;

    if (list == NULL || json_is_null(list))
        return true;
    if (node_spki_from_json(list, &spki, &e) != 0)
        return body_refuse(r, "", "tls_spki", e.detail);
    if (spki.n > 0)
        g->tls_spki = kept_text(r, list);
    return true;
}

static bool read_media_key(struct api_request *r, struct registration *g)
{
    uint8_t key[crypto_kx_PUBLICKEYBYTES];
    size_t n = 0;

    if (!body_text(r, "media_key", MEDIA_KEY_LEN, false, &g->media_key))
        return false;
    return g->media_key == NULL ||
           (sodium_base642bin(key, sizeof(key), g->media_key, strlen(g->media_key), NULL, &n, NULL,
                              sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
            n == sizeof(key)) ||
           body_refuse(r, "", "media_key", "A public key of 32 bytes is wanted, as base64url.");
}

static bool read_registration(struct api_request *r, struct registration *g)
{
    return read_org(r, &g->org) && body_id(r, "node", NODE_ID_MAX, true, &g->node) &&
           body_id(r, "cluster", NODE_ID_MAX, true, &g->cluster) &&
           body_id(r, "region", NODE_ID_MAX, true, &g->region) && read_tls_name(r, g) &&
           read_tls_spki(r, g) && read_media_key(r, g) &&
           body_int(r, r->body, "", "capacity", 0, COUNT_MAX, &g->capacity) &&
           body_int(r, r->body, "", "capacity_kbps", 0, KBPS_MAX, &g->capacity_kbps) &&
           read_all_addresses(r, g) && read_labels(r, g) && read_location(r, g) && read_services(r, g);
}

/* An unchanged node is no change of the catalogue. A node that was deleted comes back, not drained. What stood there before, and whether
 * somebody kept it alive, is told too: two programs with one id show by that. */
static const struct db_stmt register_stmt = {
    "node_register",
    "insert into node as n (org, id, cluster, region, addresses, advertised, tls_name, capacity, labels, "
    "location, services, tls_spki, capacity_kbps, media_key)"
    " select $1, $2, $3, $4, $5::jsonb, $6::jsonb, $7, $8::bigint, $9::jsonb, $10::jsonb, $11::jsonb, "
    "$12::jsonb, $15::bigint, $16"
    " where org_lives($1) and ($1 = 'cloud'"
    "  or not exists (select from node c where c.org = 'cloud' and c.id = $2 and c.deleted_at is null))"
    " and ($1 = 'cloud' or exists (select from node m where m.org = $1 and m.id = $2 and m.deleted_at is "
    "null)"
    "  or (select count(*) from node m where m.org = $1 and m.deleted_at is null) < $13::bigint)"
    " on conflict (org, id) do update set cluster = excluded.cluster, region = excluded.region,"
    "  addresses = excluded.addresses, advertised = excluded.advertised, tls_name = excluded.tls_name,"
    "  capacity = excluded.capacity, capacity_kbps = excluded.capacity_kbps,"
    "  labels = excluded.labels, location = excluded.location,"
    "  services = excluded.services, tls_spki = excluded.tls_spki, media_key = excluded.media_key,"
    "  drain = n.drain and n.deleted_at is null, deleted_at = null"
    " where n.deleted_at is not null"
    "  or (n.cluster, n.region, n.addresses, n.advertised, n.tls_name, n.capacity, n.labels, n.location, "
    "n.services, n.tls_spki, n.capacity_kbps, n.media_key)"
    "  is distinct from (excluded.cluster, excluded.region, excluded.addresses, excluded.advertised,"
    "  excluded.tls_name, excluded.capacity, excluded.labels, excluded.location, excluded.services,"
    "  excluded.tls_spki, excluded.capacity_kbps, excluded.media_key)"
    " returning xmax = 0, (select coalesce(w.advertised, w.addresses)::text from node w, node_load l where "
    "w.org = $1"
    "  and w.id = $2 and l.org = $1 and l.node = $2 and w.deleted_at is null and not l.stopping"
    "  and l.heartbeat_at > now() - $14::bigint * interval '1 second'"
    "  and (w.addresses, w.advertised) is distinct from ($5::jsonb, $6::jsonb)),"
    " coalesce(n.advertised, n.addresses)::text"};

static const struct db_stmt register_load_stmt = {
    "node_register_load",
    "insert into node_load (org, node) select n.org, n.id from node n where n.org = $1 and n.id = $2"
    " and n.deleted_at is null and (n.org = 'cloud'"
    "  or not exists (select from node c where c.org = 'cloud' and c.id = $2 and c.deleted_at is null))"
    " on conflict (org, node) do update set heartbeat_at = now(), draining = false, stopping = false,"
    "  cpu = null, packets_per_s = null, sessions = null, bandwidth_bps = null"
    " returning (select drain from node n where n.org = $1 and n.id = $2), berth_us(clock_timestamp())"};

/* Why there is no such node after all. */
static const struct db_stmt register_refusal_stmt = {
    "node_register_refusal",
    "select org_lives($1), $1 <> 'cloud' and exists (select from node c where c.org = 'cloud' and c.id = $2"
    " and c.deleted_at is null)"};

static void refuse_registration(struct api_request *r, const PGresult *why)
{
    bool lives = db_get_bool(why, 0, 0), taken = db_get_bool(why, 0, 1);

    if (lives && !taken)
        quota_refuse(r, QUOTA_NODES);
    else if (r->caller.kind == CALLER_ADMIN)
        api_problem_at(r, 422, "invalid_member", lives ? "/node" : "/org",
                       lives ? "a cloud node has this id" : "there is no such org");
    else if (lives)
        api_problem(r, 403, "node_not_yours", "a cloud node has this id: give yours another");
    else
        api_problem(r, 401, "token_invalid", "the key's org is no more");
}

/* Whoever had this id was alive at other addresses: it has moved without saying that it stops, or there are two of them, and each takes
 * the other's place. */
static void warn_of_two(const struct api_request *r, const struct registration *g, const PGresult *res)
{
    if (PQntuples(res) == 1 && !db_null(res, 0, 1))
        log_event(r->ctl->log, LOG_WARN, "nodes", "registered_while_alive_elsewhere", LOG_S("org", g->org),
                  LOG_S("node", g->node), LOG_S("was", db_get(res, 0, 1)), LOG_S("now", db_get(res, 0, 2)),
                  LOG_S("key", r->caller.key_id),
                  LOG_S("hint", "if both run, give one of them another --node"));
}

/* The time, and the keys that open tickets: for whoever has a node's key, so for the node itself. Keys of an org or the operator's manage nodes, they
 * aren't told what admits to them. */
static void tell_keys(struct api_request *r, json_t *answer, const char *org, const char *node,
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

static void registered(struct api_request *r, const struct db_result *result)
{
    const struct registration *g = r->state;
    bool created = result->error == 0 && PQntuples(result->res[0]) == 1 && db_get_bool(result->res[0], 0, 0);
    json_t *answer;

    if (result->error != 0) {
        api_problem(r, 409, "conflict", "another registration of this node is under way");
        return;
    }
    if (PQntuples(result->res[1]) == 0) {
        refuse_registration(r, result->res[2]);
        return;
    }
    warn_of_two(r, g, result->res[0]);
    answer = json_pack("{s:s, s:s, s:i, s:b}", "node", g->node, "class",
                       strcmp(g->org, CLOUD_ORG) == 0 ? "cloud" : "mesh", "heartbeat_s", HEARTBEAT_S, "drain",
                       db_get_bool(result->res[1], 0, 0));
    tell_keys(r, answer, g->org, g->node, db_get_i64(result->res[1], 0, 1));
    api_json(r, created ? 201 : 200, answer);
}

void api_node_register(struct api_request *r)
{
    struct registration *g = api_alloc(r, sizeof(*g));
    struct db_batch *b;
    char capacity[24], kbps[24], most[24], alive_s[24];

    r->state = g;
    if (!read_registration(r, g) || (b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    const struct db_param p[] = {
        db_text(g->org),
        db_text(g->node),
        db_text(g->cluster),
        db_text(g->region),
        db_text(g->addresses),
        db_text(g->advertise),
        db_text(g->tls_name),
        db_i64(capacity, g->capacity),
        db_text(g->labels),
        db_text(g->location),
        db_text(g->services),
        db_text(g->tls_spki),
        quota_param(r, QUOTA_NODES, most),
        db_i64(alive_s, CATALOGUE_HEALTHY_US / 1000000),
        db_i64(kbps, g->capacity_kbps),
        db_text(g->media_key),
    };
    db_add(b, &register_stmt, p, sizeof(p) / sizeof(p[0]));
    db_add(b, &register_load_stmt, p, 2);
    db_add(b, &register_refusal_stmt, p, 2);
    api_db_send(r, b, registered);
}

/* ---- calls on one node ---- */

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
        return "there is no such node; where several orgs have one of this id, say which with ?org=";
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
    struct peers_rtt rtt;
    struct links_place place;
};

static bool read_heartbeat(struct api_request *r, struct heartbeat *h)
{
    const json_t *load;
    double packets = 0, bandwidth = 0;

    if (!body_object(r, "load", &load) || !body_bool(r, "draining", &h->draining) ||
        !body_bool(r, "stopping", &h->stopping))
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
    " returning target.drain, target.org, berth_us(clock_timestamp())"};

static void heartbeat_done(struct api_request *r, const struct db_result *result)
{
    char version[CATALOGUE_VERSION_LEN + 1];
    const struct heartbeat *h = r->state;
    const PGresult *res;
    json_t *answer;

    if (!target_found(r, result, 1))
        return;
    res = result->res[1];
    answer = json_pack("{s:i, s:b, s:s*}", "heartbeat_s", HEARTBEAT_S, "drain", db_get_bool(res, 0, 0),
                       "peers_version", peers_version(r, db_get(res, 0, 1), version));
    tell_keys(r, answer, db_get(res, 0, 1), r->param[0], db_get_i64(res, 0, 2));
    if (h->place.given)
        json_object_set_new(answer, "links_changed", json_boolean(db_get_bool(result->res[2], 0, 0)));
    api_json(r, 200, answer);
}

void api_node_heartbeat(struct api_request *r)
{
    struct heartbeat *h = api_alloc(r, sizeof(*h));
    struct db_param p[8];
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
    r->state = h;
    db_add(b, &unhurried_stmt, NULL, 0);
    db_add(b, &heartbeat_stmt, p, 8);
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
