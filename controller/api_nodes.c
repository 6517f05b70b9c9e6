/* GET /v1/nodes and /v1/clusters, out of the catalogue in memory. Invariant: an org is shown cloud nodes and its
 * own, and of the cloud's load nothing. */
#include "api_nodes.h"

#include "catalogue.h"
#include "modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- GET /v1/nodes ---- */

static json_t *load_json(const struct catalogue_load *l)
{
    if (!l->told)
        return json_null();
    return json_pack("{s:f, s:I, s:I, s:I}", "cpu", l->cpu, "packets_per_s", (json_int_t)l->packets_per_s,
                     "sessions", (json_int_t)l->sessions, "bandwidth_bps", (json_int_t)l->bandwidth_bps);
}

static void set_text(json_t *o, const char *name, const char *json_text)
{
    if (json_text != NULL)
        json_object_set_new(o, name, json_loads(json_text, JSON_DECODE_ANY, NULL));
}

/* One node as the operator sees it. */
static json_t *operator_node(const struct catalogue *c, const struct catalogue_node *n)
{
    const struct catalogue_load *l = catalogue_load_of(c, n);
    json_t *o = json_loadb(n->json, n->json_len, 0, NULL);

    if (o == NULL)
        return NULL;
    json_object_set_new(o, "org", json_string(n->org));
    json_object_set_new(o, "state", json_string(node_state_name(node_state_of(n, l))));
    json_object_set_new(o, "health", json_string(health_state_name(l->health)));
    json_object_set_new(o, "drain", json_boolean(n->drain));
    json_object_set_new(o, "capacity", json_integer(n->capacity));
    json_object_set_new(o, "capacity_kbps", json_integer(n->capacity_kbps));
    json_object_set_new(o, "weight", json_real(n->weight));
    json_object_set_new(o, "participants", json_integer(l->assigned));
    json_object_set_new(o, "load", load_json(l));
    json_object_set_new(o, "heartbeat_age_s",
                        l->heartbeat_age_us < 0 ? json_null() : json_real((double)l->heartbeat_age_us / 1e6));
    set_text(o, "labels", n->labels);
    set_text(o, "location", n->location);
    set_text(o, "services", n->services);
    return o;
}

static void list_for_operator(struct api_request *r, const struct catalogue *c)
{
    char version[CATALOGUE_VERSION_LEN + 1];
    struct catalogue_iter it = {0};
    const struct catalogue_node *n;
    json_t *nodes = json_array();

    while ((n = catalogue_next(c, NULL, &it)) != NULL)
        json_array_append_new(nodes, operator_node(c, n));
    catalogue_version(c, NULL, &r->ctl->options->probe, version);
    api_header(r, "cache-control", "no-store");
    api_json(r, 200,
             json_pack("{s:s, s:o, s:o}", "version", version, "policy",
                       probe_policy_to_json(&r->ctl->options->probe), "nodes", nodes));
}

static void nodes_get(struct api_request *r)
{
    const struct catalogue *c = api_catalogue(r);
    char version[CATALOGUE_VERSION_LEN + 1], etag[CATALOGUE_VERSION_LEN + 3];
    size_t len = 0;
    char *body;

    if (c == NULL)
        return;
    api_header(r, "vary", "Authorization");
    if (r->caller.kind == CALLER_ADMIN) {
        list_for_operator(r, c);
        return;
    }
    catalogue_version(c, r->caller.org, &r->ctl->options->probe, version);
    snprintf(etag, sizeof(etag), "\"%s\"", version);
    api_header(r, "etag", etag);
    api_header(r, "cache-control", "private");
    if (!api_none_match(r, etag)) {
        api_empty(r, 304);
        return;
    }
    body = catalogue_list_json(c, r->caller.org, &r->ctl->options->probe, &len);
    if (body != NULL)
        api_bytes(r, 200, "application/json", body, len);
    else
        api_problem(r, 500, "internal", "out of memory");
    free(body);
}

/* ---- GET /v1/clusters ---- */

struct cluster_sum {
    const char *name, *region;
    bool mesh, mixed_regions;
    int64_t states[3], participants, capacity;
    bool unlimited;
    int64_t told; /* nodes that `cpu` sums up */
    double cpu;
};

static int by_cluster(const void *a, const void *b)
{
    const struct cluster_sum *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r != 0 ? r : (int)x->mesh - (int)y->mesh;
}

static void sum_add(struct cluster_sum *to, const struct cluster_sum *one)
{
    for (int i = 0; i < 3; i++)
        to->states[i] += one->states[i];
    to->mixed_regions = to->mixed_regions || strcmp(to->region, one->region) != 0;
    to->participants += one->participants;
    to->capacity += one->capacity;
    to->unlimited = to->unlimited || one->unlimited;
    to->told += one->told;
    to->cpu += one->cpu;
}

static const char *cluster_state(const struct cluster_sum *s)
{
    if (s->states[NODE_UP] == 0)
        return s->states[NODE_DRAINING] > 0 ? "draining" : "down";
    return s->states[NODE_DOWN] + s->states[NODE_DRAINING] > 0 ? "degraded" : "up";
}

static json_t *cluster_json(const struct cluster_sum *s, bool operator)
{
    int64_t nodes = s->states[NODE_UP] + s->states[NODE_DRAINING] + s->states[NODE_DOWN];
    json_t *j =
        json_pack("{s:s, s:s, s:s*, s:s, s:I, s:I, s:I, s:I}", "cluster", s->name, "class",
                  s->mesh ? "mesh" : "cloud", "region", s->mixed_regions ? NULL : s->region, "state",
                  cluster_state(s), "nodes", (json_int_t)nodes, "up", (json_int_t)s->states[NODE_UP],
                  "draining", (json_int_t)s->states[NODE_DRAINING], "down", (json_int_t)s->states[NODE_DOWN]);

    if (j != NULL && operator) {
        json_object_set_new(j, "participants", json_integer(s->participants));
        json_object_set_new(j, "capacity", json_integer(s->unlimited ? 0 : s->capacity));
        json_object_set_new(j, "cpu", s->told > 0 ? json_real(s->cpu / (double)s->told) : json_null());
    }
    return j;
}

/* One entry a node, so that sorting brings clusters together. */
static size_t cluster_entries(struct api_request *r, const struct catalogue *c, struct cluster_sum **out)
{
    const char *org = r->caller.kind == CALLER_ADMIN ? NULL : r->caller.org;
    struct catalogue_iter count = {0}, it = {0};
    const struct catalogue_node *n;
    struct cluster_sum *all;
    size_t len = 0;

    while (catalogue_next(c, org, &count) != NULL)
        len++;
    all = api_alloc(r, (len + 1) * sizeof(*all));
    len = 0;
    while ((n = catalogue_next(c, org, &it)) != NULL) {
        const struct catalogue_load *l = catalogue_load_of(c, n);
        struct cluster_sum *s = &all[len++];

        *s = (struct cluster_sum){.name = n->cluster,
                                  .region = n->region,
                                  .mesh = n->mesh,
                                  .participants = l->assigned,
                                  .capacity = n->capacity,
                                  .unlimited = n->capacity == 0,
                                  .told = l->told,
                                  .cpu = l->told ? l->cpu : 0};
        s->states[node_state_of(n, l)] = 1;
    }
    *out = all;
    return len;
}

static void clusters_get(struct api_request *r)
{
    const struct catalogue *c = api_catalogue(r);
    struct cluster_sum *all;
    struct api_page page;
    const char *last = NULL;
    json_t *items;
    size_t n;

    if (c == NULL || !api_page(r, &page))
        return;
    n = cluster_entries(r, c, &all);
    qsort(all, n, sizeof(*all), by_cluster);
    items = json_array();
    for (size_t i = 0, k; i < n; i = k) {
        char key[NODE_ID_MAX + 3];

        for (k = i + 1; k < n && by_cluster(&all[i], &all[k]) == 0; k++)
            sum_add(&all[i], &all[k]);
        snprintf(key, sizeof(key), "%s %d", all[i].name, all[i].mesh);
        if (strcmp(key, page.after) <= 0)
            continue;
        if (json_array_size(items) == (size_t)page.limit) {
            api_page_json(r, items, last);
            return;
        }
        json_array_append_new(items, cluster_json(&all[i], r->caller.kind == CALLER_ADMIN));
        last = api_strdup(r, key);
    }
    api_page_json(r, items, NULL);
}

#define MANAGERS (CALLER_ADMIN | CALLER_ORG)

const struct api_route api_nodes_routes[API_NODES_ROUTES] = {
    {"GET", "/v1/nodes", CALLER_ADMIN | CALLER_ORG | CALLER_AGENT, GRANT_PROBE, API_BODY_NONE, nodes_get},
    {"POST", "/v1/nodes", MANAGERS | CALLER_NODE, 0, API_BODY_OBJECT, api_node_register},
    {"POST", "/v1/nodes/{node}/heartbeat", MANAGERS | CALLER_NODE, 0, API_BODY_OBJECT, api_node_heartbeat},
    {"GET", "/v1/nodes/{node}/peers", MANAGERS | CALLER_NODE, 0, API_BODY_NONE, api_node_peers},
    {"GET", "/v1/nodes/{node}/links", CALLER_NODE, 0, API_BODY_NONE, api_node_links},
    {"GET", "/v1/nodes/{node}/turn-secret", MANAGERS | CALLER_NODE, 0, API_BODY_NONE, api_node_turn_secret},
    {"POST", "/v1/nodes/{node}/drain", MANAGERS, 0, API_BODY_OPTIONAL, api_node_drain},
    {"POST", "/v1/nodes/{node}/undrain", MANAGERS, 0, API_BODY_OPTIONAL, api_node_undrain},
    {"POST", "/v1/nodes/{node}/weight", MANAGERS, 0, API_BODY_OBJECT, api_node_weight},
    {"DELETE", "/v1/nodes/{node}", MANAGERS, 0, API_BODY_NONE, api_node_delete},
    {"GET", "/v1/clusters", MANAGERS, 0, API_BODY_NONE, clusters_get},
};
