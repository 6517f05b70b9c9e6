/* What nodes are told for their media: joined nodes and who has left, and the secret of the TURN server beside one.
 * Invariant: a place that is given to a node has nothing before it that the node hasn't been told, whatever commits
 * in whatever order. */
#include "api_links.h"

#include "admission.h"
#include "api_body.h"
#include "api_nodes.h"
#include "catalogue.h"

#include <stdio.h>
#include <string.h>

/* ---- places: "<since>.<second>", and in the midst ".<a or n>.<changed>/<org>/<meeting>/<agent>" behind it ---- */

static bool is_number(const char *s)
{
    size_t n = strlen(s);

    return n >= 1 && n <= LINKS_NUMBER_LEN && strspn(s, "0123456789") == n;
}

/* The part up to `end`, which is cut off; NULL: there is no `end`. */
static char *cut(char **rest, char end)
{
    char *part = *rest, *at = part != NULL ? strchr(part, end) : NULL;

    if (at == NULL)
        return NULL;
    *at = '\0';
    *rest = at + 1;
    return part;
}

static bool parse_paging(struct links_place *p, char *rest)
{
    const char *how = cut(&rest, '.');

    p->changed = cut(&rest, '/');
    p->org = cut(&rest, '/');
    p->meeting = cut(&rest, '/');
    p->agent = rest;
    p->paging = true;
    p->whole = how != NULL && strcmp(how, "a") == 0;
    return how != NULL && p->meeting != NULL && is_number(p->changed) && org_id_valid(p->org) &&
           id_valid(p->meeting, 128) &&
           (p->agent[0] == '\0' || agent_id_valid(p->agent + (p->agent[0] == '~')));
}

static bool parse_place(struct links_place *p, char *text)
{
    char *rest = text;

    p->given = true;
    p->since = cut(&rest, '.');
    if (p->since == NULL || !is_number(p->since))
        return false;
    p->at_s = rest;
    if (strchr(rest, '.') != NULL) {
        p->at_s = cut(&rest, '.');
        if (!parse_paging(p, rest))
            return false;
    }
    return is_number(p->at_s);
}

bool links_read_version(struct api_request *r, struct links_place *place)
{
    const json_t *v = json_object_get(r->body, "links_version");
    const char *text = json_string_value(v);

    if (v == NULL || json_is_null(v))
        return true;
    return (text != NULL && strlen(text) <= LINKS_PLACE_MAX &&
            parse_place(place, (char *)(uintptr_t)api_strdup(r, text)) && !place->paging) ||
           body_refuse(r, "", "links_version", "the `version` of the last answer to GET .../links is wanted");
}

/* What was dropped since isn't known any more, and a transaction that is yet to come is another database's. */
#define PLACE_IS_LOST(since, at_s)                                 \
    "(" at_s "::bigint < extract(epoch from now())::bigint - 3000" \
    " or " since "::xid8 > pg_snapshot_xmax(pg_current_snapshot()))"

static const struct db_stmt look_stmt = {
    "node_links_look", NODE_TARGET
    " select " PLACE_IS_LOST("$3", "$4") " or node_news_since(target.org, target.id, $3::xid8) from target"};

void links_add_look(struct db_batch *b, const struct db_param target[static 2],
                    const struct links_place *place)
{
    const struct db_param p[] = {target[0], target[1], db_text(place->since), db_text(place->at_s)};

    if (place->given)
        db_add(b, &look_stmt, p, 4);
}

/* ---- GET /v1/nodes/{node}/links ---- */

/* The snapshot's oldest transaction is read before the rows: what they don't show yet is not below it. */
static const struct db_stmt now_stmt = {
    "node_links_now", "select pg_snapshot_xmin(pg_current_snapshot()), berth_us(clock_timestamp()),"
                      " not $3::boolean and " PLACE_IS_LOST("$1", "$2")};
static const struct db_stmt read_stmt = {
    "node_links_read",
    "select changed, org, meeting, agent, epoch, gone, leaf, hub, berth_us(at), others from "
    "node_news_read($1, $2,"
    " case when not $5::boolean and " PLACE_IS_LOST("$3", "$4") " then '0' else $3 end::xid8,"
                                                                " $6::xid8, $7, $8, $9, $10::bigint)"};
enum {
    COL_CHANGED,
    COL_ORG,
    COL_MEETING,
    COL_AGENT,
    COL_EPOCH,
    COL_GONE,
    COL_LEAF,
    COL_HUB,
    COL_AT,
    COL_OTHERS
};

struct asking {
    struct links_place place;
    const struct catalogue *c;
    const struct catalogue_node *self;
    bool behind; /* the catalogue doesn't have a node yet that is to be named */
};

static bool flag(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

/* A mesh node may not be reached from outside; among equals somebody has to be first, and the other may try as well. */
static bool dials(const struct catalogue_node *a, const struct catalogue_node *b)
{
    int by_id = strcmp(a->id, b->id);

    if (a->mesh != b->mesh)
        return a->mesh;
    return by_id != 0 ? by_id < 0 : strcmp(a->org, b->org) < 0;
}

static json_t *peer_json(struct api_request *r, const struct asking *a, const struct catalogue_node *n,
                         const json_t *other, const struct admission_link *link, int64_t now_us)
{
    json_t *j = json_loadb(n->json, n->json_len, 0, NULL);
    bool dial = dials(a->self, n);

    json_object_set_new(j, "org", json_string(n->org));
    json_object_set_new(j, "role", json_string(dial ? "dial" : "accept"));
    json_object_set_new(j, "leaf", json_boolean(flag(other, "leaf")));
    if (json_is_string(json_object_get(other, "key")))
        json_object_set(j, "key", json_object_get(other, "key"));
    if (dial || n->mesh == a->self->mesh)
        json_object_set_new(j, "ticket", admission_link(r->ctl, link, now_us));
    return j;
}

/* Is there a link to that one? A leaf has one, to the hub; all others are linked to each other. */
static bool linked(bool leaf, bool hub, const json_t *other)
{
    return leaf ? flag(other, "hub") : hub || !flag(other, "leaf");
}

static json_t *peers_json(struct api_request *r, struct asking *a, const PGresult *res, int row,
                          const json_t *others, int64_t now_us)
{
    bool leaf = db_get_bool(res, row, COL_LEAF), hub = db_get_bool(res, row, COL_HUB);
    json_t *peers = json_array();
    const json_t *o;
    size_t i;

    json_array_foreach(others, i, o)
    {
        const char *org = json_string_value(json_object_get(o, "org")),
                   *id = json_string_value(json_object_get(o, "node"));
        const struct catalogue_node *n = catalogue_find(a->c, org, id);
        const struct admission_link link = {db_get(res, row, COL_ORG),
                                            db_get(res, row, COL_MEETING),
                                            db_get_i64(res, row, COL_EPOCH),
                                            a->self->org,
                                            a->self->id,
                                            org,
                                            id};

        if (!linked(leaf, hub, o))
            continue;
        a->behind = a->behind || (n == NULL && flag(o, "known"));
        if (n != NULL && !n->deleted)
            json_array_append_new(peers, peer_json(r, a, n, o, &link, now_us));
    }
    return peers;
}

static void put_hub(json_t *link, const struct asking *a, bool self_is, const json_t *others)
{
    const json_t *o;
    size_t i;

    json_object_set_new(link, "is_hub", json_boolean(self_is));
    if (self_is)
        json_object_set_new(link, "hub", json_string(a->self->id));
    json_array_foreach(others, i, o)
    {
        if (flag(o, "hub"))
            json_object_set(link, "hub", json_object_get(o, "node"));
    }
}

static json_t *link_json(struct api_request *r, struct asking *a, const PGresult *res, int row,
                         int64_t now_us)
{
    json_t *others =
        !db_null(res, row, COL_OTHERS) ? json_loads(db_get(res, row, COL_OTHERS), 0, NULL) : NULL;
    json_t *j =
        json_pack("{s:s, s:s, s:I, s:b, s:o}", "org", db_get(res, row, COL_ORG), "meeting",
                  db_get(res, row, COL_MEETING), "epoch", (json_int_t)db_get_i64(res, row, COL_EPOCH), "leaf",
                  db_get_bool(res, row, COL_LEAF), "peers", peers_json(r, a, res, row, others, now_us));

    put_hub(j, a, db_get_bool(res, row, COL_HUB), others);
    json_decref(others);
    return j;
}

/* Where the next question goes on: behind the last row, or, where that was all, at what was under way when these were read. */
static const char *next_place(struct api_request *r, const struct asking *a, const struct db_result *result,
                              int shown, bool more, bool whole)
{
    const PGresult *now = result->res[0], *res = result->res[1];
    const struct links_place *p = &a->place;
    char text[LINKS_PLACE_MAX + 1], second[24];
    const char *since = p->paging ? p->since : db_get(now, 0, 0);
    const char *at_s = p->paging ? p->at_s : second;

    (void)db_i64(second, db_get_i64(now, 0, 1) / 1000000);
    if (more)
        snprintf(text, sizeof(text), "%s.%s.%s.%s/%s/%s/%s", since, at_s, whole ? "a" : "n",
                 db_get(res, shown - 1, COL_CHANGED), db_get(res, shown - 1, COL_ORG),
                 db_get(res, shown - 1, COL_MEETING), db_get(res, shown - 1, COL_AGENT));
    else
        snprintf(text, sizeof(text), "%s.%s", since, at_s);
    return api_strdup(r, text);
}

static void links_read(struct api_request *r, const struct db_result *result)
{
    struct asking *a = r->state;
    const PGresult *now, *res;
    json_t *links, *removed;
    int n, shown;
    bool whole;

    if (result->error != 0) {
        api_db_failed(r, result);
        return;
    }
    now = result->res[0];
    res = result->res[1];
    n = PQntuples(res);
    shown = n > LINKS_ROWS_MAX ? LINKS_ROWS_MAX : n;
    whole = a->place.paging ? a->place.whole : !a->place.given || db_get_bool(now, 0, 2);
    links = json_array();
    removed = json_array();
    for (int i = 0; i < shown; i++) {
        if (db_get(res, i, COL_AGENT)[0] == '\0')
            json_array_append_new(links, link_json(r, a, res, i, db_get_i64(now, 0, 1)));
        else
            json_array_append_new(removed,
                                  json_pack("{s:s, s:s, s:s, s:I}", "org", db_get(res, i, COL_ORG), "meeting",
                                            db_get(res, i, COL_MEETING), "agent", db_get(res, i, COL_AGENT),
                                            "number", (json_int_t)db_get_i64(res, i, COL_AT)));
    }
    if (a->behind) {
        json_decref(links);
        json_decref(removed);
        api_problem(r, 503, "database_unavailable",
                    "a node that is to be named isn't known here yet; try again soon");
        return;
    }
    api_header(r, "cache-control", "no-store");
    api_json(r, 200,
             json_pack("{s:s, s:b, s:b, s:o, s:o}", "version",
                       next_place(r, a, result, shown, n > shown, whole), "more", n > shown, "all", whole,
                       "links", links, "removed", removed));
}

void api_node_links(struct api_request *r)
{
    const char *since = api_query(r, "since");
    struct asking *a = api_alloc(r, sizeof(*a));
    struct links_place *p = &a->place;
    struct db_batch *b;
    char most[24];

    r->state = a;
    a->c = api_catalogue(r);
    if (a->c == NULL)
        return;
    a->self = api_node_of(r, a->c);
    if (a->self == NULL) {
        api_problem(r, 404, "unknown_node", "there is no such node");
        return;
    }
    if (since != NULL &&
        (strlen(since) > LINKS_PLACE_MAX || !parse_place(p, (char *)(uintptr_t)api_strdup(r, since)))) {
        api_problem(r, 400, "bad_request", "`since` is the `version` of an answer before");
        return;
    }
    if ((b = api_db_begin(r, DB_OPERATOR)) == NULL)
        return;
    const struct db_param from = db_text(p->given ? p->since : "0"), at = db_text(p->given ? p->at_s : "0"),
                          paging = db_bool(p->paging);
    const struct db_param now[] = {from, at, paging};
    const struct db_param read[] = {db_text(a->self->org),
                                    db_text(a->self->id),
                                    p->paging ? db_text("0") : from,
                                    at,
                                    paging,
                                    db_text(p->paging ? p->changed : "0"),
                                    db_text(p->paging ? p->org : ""),
                                    db_text(p->paging ? p->meeting : ""),
                                    db_text(p->paging ? p->agent : ""),
                                    db_i64(most, LINKS_ROWS_MAX + 1)};
    db_add(b, &now_stmt, now, 3);
    db_add(b, &read_stmt, read, 10);
    api_db_send(r, b, links_read);
}

/* ---- GET /v1/nodes/{node}/turn-secret ---- */

void api_node_turn_secret(struct api_request *r)
{
    const struct catalogue *c = api_catalogue(r);
    const struct catalogue_node *n = c != NULL ? api_node_of(r, c) : NULL;

    if (c == NULL)
        return;
    if (n == NULL) {
        api_problem(r, 404, "unknown_node", "there is no such node");
        return;
    }
    api_header(r, "cache-control", "no-store");
    api_json(
        r, 200,
        json_pack("{s:s, s:o}", "node", n->id, "secrets", admission_turn_secrets(r->ctl, n->org, n->id)));
}
