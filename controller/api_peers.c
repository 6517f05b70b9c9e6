/* GET /v1/nodes/{node}/peers, and what heartbeats tell of round trips. Invariant: a node is shown, and may speak of,
 * cloud nodes and the mesh nodes of its own org; a cloud node, of cloud nodes alone. */
#include "api_peers.h"

#include "api_nodes.h"
#include "catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whom the admin means: ?org='s node, else the cloud's, else the only one. */
static const struct catalogue_node *admins_node(const struct catalogue *c, const char *org, const char *id)
{
    struct catalogue_iter it = {0};
    const struct catalogue_node *n, *found = catalogue_find(c, org != NULL ? org : CLOUD_ORG, id);

    if (org != NULL || found != NULL)
        return found;
    while ((n = catalogue_next(c, NULL, &it)) != NULL) {
        if (strcmp(n->id, id) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = n;
    }
    return found;
}

const struct catalogue_node *api_node_of(struct api_request *r, const struct catalogue *c)
{
    const char *id = r->param[0];

    return r->caller.kind == CALLER_ADMIN ? admins_node(c, api_query(r, "org"), id)
                                          : catalogue_find(c, r->caller.org, id);
}

const char *peers_version(struct api_request *r, const char *org, char *out)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);

    if (c == NULL)
        return NULL;
    catalogue_peers_version(c, org, out);
    return out;
}

void api_node_peers(struct api_request *r)
{
    const struct catalogue *c = api_catalogue(r);
    const struct catalogue_node *n = c != NULL ? api_node_of(r, c) : NULL;
    size_t len = 0;
    char *body;

    if (c == NULL)
        return;
    if (n == NULL) {
        api_problem(r, 404, "unknown_node", "there is no such node");
        return;
    }
    body = catalogue_peers_json(c, n, controller_unix_us(r->ctl) / 1000000, &len);
    api_header(r, "cache-control", "no-store");
    if (body != NULL)
        api_bytes(r, 200, "application/json", body, len);
    else
        api_problem(r, 500, "internal", "out of memory");
    free(body);
}

/* ---- round trips ---- */

static bool refuse_figure(struct api_request *r, size_t i, const char *member, const char *code,
                          const char *detail)
{
    char pointer[48];

    snprintf(pointer, sizeof(pointer), "/rtt/%zu%s%s", i, member[0] != '\0' ? "/" : "", member);
    api_problem_at(r, 422, code, pointer, detail);
    return false;
}

/* The figures of one heartbeat as they are read. */
struct reading {
    const struct catalogue *c;
    const struct catalogue_node *self; /* NULL: not in the catalogue yet */
    const char *org;                   /* whose node it is */
    const json_t *list;
    bool *seen; /* by node of the catalogue */
};

static bool read_figure(struct api_request *r, const struct reading *in, size_t i, struct peers_rtt *out)
{
    const json_t *j = json_array_get(in->list, i), *id = json_object_get(j, "node"),
                 *us = json_object_get(j, "rtt_us");
    const struct catalogue_node *to;
    char number[24];
    bool *seen;

    if (!json_is_object(j))
        return refuse_figure(r, i, "", "invalid_member", "an object with node and rtt_us is wanted");
    if (!json_is_string(id) || strlen(json_string_value(id)) != json_string_length(id) ||
        !id_valid(json_string_value(id), NODE_ID_MAX))
        return refuse_figure(r, i, "node", "invalid_member", "a node's id is wanted");
    if (!json_is_null(us) &&
        (!json_is_integer(us) || json_integer_value(us) < 0 || json_integer_value(us) > RTT_MAX_US))
        return refuse_figure(r, i, "rtt_us", "invalid_member",
                             "a whole number from 0 to 60000000 is wanted, or null: out of reach");
    to = catalogue_resolve(in->c, in->org, json_string_value(id));
    if (to == NULL && !catalogue_knows(in->c, in->org, json_string_value(id)))
        return refuse_figure(r, i, "node", "unknown_node", "there is no such node");
    if (to == NULL)
        return true;
    if (to == in->self)
        return refuse_figure(r, i, "node", "invalid_member", "a node has no way to itself");
    seen = &in->seen[catalogue_nodes_index(catalogue_shared(in->c), to->org, to->id)];
    if (*seen)
        return refuse_figure(r, i, "node", "invalid_member", "one figure a node is wanted");
    *seen = true;
    (void)db_i64(number, json_is_null(us) ? NOT_MEASURED : json_integer_value(us));
    out->to_org[out->n] = to->org;
    out->to_node[out->n] = to->id;
    out->rtt_us[out->n++] = api_strdup(r, number);
    return true;
}

static void prepare(struct api_request *r, struct reading *in, struct peers_rtt *out)
{
    size_t n = json_array_size(in->list) + 1, nodes = catalogue_nodes_count(catalogue_shared(in->c)) + 1;

    in->self = api_node_of(r, in->c);
    in->org = r->caller.kind != CALLER_ADMIN ? r->caller.org : in->self != NULL ? in->self->org : CLOUD_ORG;
    in->seen = api_alloc(r, nodes * sizeof(*in->seen));
    memset(in->seen, 0, nodes * sizeof(*in->seen));
    out->to_org = api_alloc(r, n * sizeof(*out->to_org));
    out->to_node = api_alloc(r, n * sizeof(*out->to_node));
    out->rtt_us = api_alloc(r, n * sizeof(*out->rtt_us));
}

/* So one org's figures can't keep the database and the controllers busy. */
static bool within_org_limit(struct api_request *r, const char *org, size_t n)
{
    if (strcmp(org, CLOUD_ORG) == 0 ||
        limiter_take_many(r->ctl->figures, org, strlen(org), (int64_t)n, r->started_us).allowed)
        return true;
    counter_add(&r->worker->counters, figures_held_back, n);
    return false;
}

bool peers_read_rtt(struct api_request *r, struct peers_rtt *out)
{
    struct reading in = {.list = json_object_get(r->body, "rtt")};
    size_t n = json_array_size(in.list);

    *out = (struct peers_rtt){0};
    if (in.list == NULL || json_is_null(in.list))
        return true;
    if (!json_is_array(in.list) || n > PEERS_RTT_MAX) {
        api_problem_at(r, 422, "invalid_member", "/rtt", "an array of at most 256 figures is wanted");
        return false;
    }
    if (n == 0)
        return true;
    in.c = api_catalogue(r);
    if (in.c == NULL)
        return false;
    prepare(r, &in, out);
    for (size_t i = 0; i < n; i++) {
        if (!read_figure(r, &in, i, out))
            return false;
    }
    if (!within_org_limit(r, in.org, out->n))
        out->n = 0;
    return true;
}

/* Written where it says something new, or says that the old still holds. */
static const struct db_stmt rtt_stmt = {
    "node_rtt", NODE_TARGET
    " insert into node_rtt as r (org, node, to_org, to_node, rtt_us, at)"
    " select target.org, target.id, t.to_org, t.to_node, t.rtt_us, now()"
    " from target, unnest($3::text[], $4::text[], $5::int[]) as t (to_org, to_node, rtt_us)"
    " where t.to_org in ('cloud', target.org) order by 3, 4"
    " on conflict (org, node, to_org, to_node) do update set rtt_us = excluded.rtt_us, at = excluded.at"
    " where r.at < now() - interval '4 minutes' or (excluded.rtt_us < 0) <> (r.rtt_us < 0)"
    "  or abs(excluded.rtt_us - r.rtt_us) > greatest(1000, r.rtt_us / 20)"};

void peers_add_rtt(struct api_request *r, struct db_batch *b, const struct db_param target[static 2],
                   const struct peers_rtt *rtt)
{
    h2o_mem_pool_t *pool = &r->req->pool;

    if (rtt->n == 0)
        return;
    const struct db_param p[] = {target[0], target[1], db_text_array(pool, rtt->to_org, rtt->n),
                                 db_text_array(pool, rtt->to_node, rtt->n),
                                 db_text_array(pool, rtt->rtt_us, rtt->n)};
    db_add(b, &rtt_stmt, p, 5);
}
