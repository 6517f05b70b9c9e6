/* POST /v1/nodes: a registration is read whole, then it is one statement's. Invariant: a caller registers nodes of
 * its own org only, and what is not changed is no change of the catalogue. */
#include "admission.h"
#include "api_body.h"
#include "api_nodes.h"
#include "api_quota.h"
#include "catalogue.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABELS_MAX = 64,
    LABEL_VALUE_MAX = 256,
    SERVICES_BYTES_MAX = 16384,
    CAPACITY_MAX = 1000000000,
    KBPS_MAX = 1000000000,
};

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
           body_int(r, r->body, "", "capacity", 0, CAPACITY_MAX, &g->capacity) &&
           body_int(r, r->body, "", "capacity_kbps", 0, KBPS_MAX, &g->capacity_kbps) &&
           read_all_addresses(r, g) && read_labels(r, g) && read_location(r, g) && read_services(r, g);
}

/* An unchanged node is no change of the catalogue. A node that was deleted comes back, not drained. What stood there
 * before, and whether somebody kept it alive, is told too: two programs with one id show by that. */
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

/* Whoever had this id was alive at other addresses: it has moved without saying that it stops, or there are two of
 * them, and each takes the other's place. */
static void warn_of_two(const struct api_request *r, const struct registration *g, const PGresult *res)
{
    if (PQntuples(res) == 1 && !db_null(res, 0, 1))
        log_event(r->ctl->log, LOG_WARN, "nodes", "registered_while_alive_elsewhere", LOG_S("org", g->org),
                  LOG_S("node", g->node), LOG_S("was", db_get(res, 0, 1)), LOG_S("now", db_get(res, 0, 2)),
                  LOG_S("key", r->caller.key_id),
                  LOG_S("hint", "if both run, give one of them another --node"));
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
    api_node_tell_keys(r, answer, g->org, g->node, db_get_i64(result->res[1], 0, 1));
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
