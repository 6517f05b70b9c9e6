/* The catalogue in memory: nodes sorted by (org, id), their loads beside them. Invariant: nothing here changes once
 * it is built, but for the count of snapshots that share the nodes. */
#include "catalogue.h"

#include <h2o.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct catalogue_nodes {
    _Atomic unsigned refs;
    int64_t version;
    size_t n;
    struct catalogue_node *at;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    h2o_mem_pool_t pool; /* everything that nodes point to */
};

struct catalogue {
    struct catalogue_nodes *nodes;
    struct links *links; /* NULL: none are known */
    struct catalogue_load loads[];
};

static const char *pool_dup(h2o_mem_pool_t *pool, const char *s)
{
    return s == NULL ? NULL : h2o_strdup(pool, s, SIZE_MAX).base;
}

static void addresses_read(struct node_addresses *out, const char *text)
{
    struct doc_error ignored;
    json_t *j = text != NULL ? json_loads(text, 0, NULL) : NULL;

    if (j == NULL || node_addresses_from_json(j, out, &ignored) != 0)
        memset(out, 0, sizeof(*out));
    json_decref(j);
}

void catalogue_merge_addresses(struct node_addresses *out, const struct node_addresses *bound,
                               const struct node_addresses *advertised)
{
    memset(out, 0, sizeof(*out));
    for (size_t t = 0; t < TRANSPORT_PROXY; t++) {
        const struct node_addresses *from = advertised->n[t] > 0 ? advertised : bound;

        for (size_t i = 0; i < from->n[t]; i++) {
            if (!addr_is_wildcard(&from->at[t][i]))
                out->at[t][out->n[t]++] = from->at[t][i];
        }
    }
}

static void spki_read(struct node_spki *out, const char *text)
{
    json_t *j = text != NULL ? json_loads(text, 0, NULL) : NULL;
    struct doc_error e;

    if (j == NULL || node_spki_from_json(j, out, &e) != 0)
        out->n = 0;
    json_decref(j);
}

static void render(h2o_mem_pool_t *pool, struct catalogue_node *n, const char *tls_spki)
{
    struct node_entry e = {.mesh = n->mesh, .addresses = n->addresses};
    json_t *j;
    char *text;

    snprintf(e.node, sizeof(e.node), "%s", n->id);
    snprintf(e.cluster, sizeof(e.cluster), "%s", n->cluster);
    snprintf(e.region, sizeof(e.region), "%s", n->region);
    snprintf(e.tls_name, sizeof(e.tls_name), "%s", n->tls_name);
    spki_read(&e.tls_spki, tls_spki);
    j = node_entry_to_json(&e);
    text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
    n->json = pool_dup(pool, text != NULL ? text : "{}");
    n->json_len = strlen(n->json);
    crypto_generichash(n->digest, sizeof(n->digest), (const uint8_t *)n->json, n->json_len, NULL, 0);
    free(text);
    json_decref(j);
}

static void location_read(struct catalogue_node *n, const char *text)
{
    json_t *j = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *lat = json_object_get(j, "lat"), *lon = json_object_get(j, "lon");

    n->located = json_is_number(lat) && json_is_number(lon);
    n->lat = json_number_value(lat);
    n->lon = json_number_value(lon);
    json_decref(j);
}

static void node_fill(h2o_mem_pool_t *pool, struct catalogue_node *n, const struct catalogue_row *r)
{
    struct node_addresses bound, advertised;

    *n = (struct catalogue_node){
        .org = pool_dup(pool, r->org),
        .id = pool_dup(pool, r->id),
        .cluster = pool_dup(pool, r->cluster),
        .region = pool_dup(pool, r->region),
        .tls_name = pool_dup(pool, r->tls_name),
        .labels = pool_dup(pool, r->labels),
        .location = pool_dup(pool, r->location),
        .services = pool_dup(pool, r->services),
        .mesh = strcmp(r->org, CLOUD_ORG) != 0,
        .drain = r->drain,
        .deleted = r->deleted,
        .capacity = r->capacity,
        .capacity_kbps = r->capacity_kbps,
        .weight = r->weight,
        .created_at_us = r->created_at_us,
        .link = link_id(r->org, r->id, strcmp(r->org, CLOUD_ORG) != 0),
    };
    location_read(n, r->location);
    addresses_read(&bound, r->addresses);
    addresses_read(&advertised, r->advertised);
    catalogue_merge_addresses(&n->addresses, &bound, &advertised);
    render(pool, n, r->tls_spki);
}

static uint64_t hash_id(const struct catalogue_nodes *s, const char *id)
{
    uint8_t h[crypto_shorthash_BYTES];
    uint64_t out;

    _Static_assert(sizeof(out) == sizeof(h), "all of it");
    crypto_shorthash(h, (const uint8_t *)id, strlen(id), s->hash_key);
    memcpy(&out, h, sizeof(out));
    return out;
}

uint64_t catalogue_hash_id(const struct catalogue *c, const char *id)
{
    return hash_id(c->nodes, id);
}

struct catalogue_nodes *catalogue_nodes_new(int64_t version, const struct catalogue_row *rows, size_t n)
{
    struct catalogue_nodes *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    atomic_init(&s->refs, 1);
    s->version = version;
    s->n = n;
    h2o_mem_init_pool(&s->pool);
    s->at = h2o_mem_alloc_pool(&s->pool, (n + 1) * sizeof(s->at[0]));
    crypto_shorthash_keygen(s->hash_key);
    for (size_t i = 0; i < n; i++) {
        node_fill(&s->pool, &s->at[i], &rows[i]);
        s->at[i].id_hash = hash_id(s, s->at[i].id);
    }
    return s;
}

void catalogue_nodes_unref(struct catalogue_nodes *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    h2o_mem_clear_pool(&s->pool);
    free(s);
}

struct catalogue *catalogue_new(struct catalogue_nodes *nodes, const struct catalogue_load *loads)
{
    struct catalogue *c = malloc(sizeof(*c) + nodes->n * sizeof(c->loads[0]));

    if (c == NULL)
        return NULL;
    atomic_fetch_add_explicit(&nodes->refs, 1, memory_order_relaxed);
    c->nodes = nodes;
    c->links = NULL;
    if (nodes->n > 0)
        memcpy(c->loads, loads, nodes->n * sizeof(c->loads[0]));
    return c;
}

void catalogue_destroy(void *p)
{
    struct catalogue *c = p;

    if (c == NULL)
        return;
    catalogue_nodes_unref(c->nodes);
    links_unref(c->links);
    free(c);
}

struct catalogue_nodes *catalogue_shared(const struct catalogue *c)
{
    return c->nodes;
}

void catalogue_set_links(struct catalogue *c, struct links *links)
{
    links_unref(c->links);
    c->links = links_ref(links);
}

struct links *catalogue_links(const struct catalogue *c)
{
    return c->links;
}

int64_t catalogue_nodes_version(const struct catalogue_nodes *n)
{
    return n->version;
}

/* ---- finding ---- */

static int order(const struct catalogue_node *n, const char *org, const char *id)
{
    int r = strcmp(n->org, org);

    return r != 0 ? r : strcmp(n->id, id);
}

/* The first node not before (org, id). */
static size_t lower_bound(const struct catalogue_nodes *s, const char *org, const char *id)
{
    size_t lo = 0, hi = s->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (order(&s->at[mid], org, id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

size_t catalogue_nodes_count(const struct catalogue_nodes *n)
{
    return n->n;
}

size_t catalogue_nodes_index(const struct catalogue_nodes *n, const char *org, const char *id)
{
    size_t i = lower_bound(n, org, id);

    return i < n->n && order(&n->at[i], org, id) == 0 ? i : n->n;
}

static const struct catalogue_node *find_any(const struct catalogue *c, const char *org, const char *id)
{
    size_t i = catalogue_nodes_index(c->nodes, org, id);

    return i < c->nodes->n ? &c->nodes->at[i] : NULL;
}

const struct catalogue_node *catalogue_find(const struct catalogue *c, const char *org, const char *id)
{
    const struct catalogue_node *n = find_any(c, org, id);

    return n != NULL && !n->deleted ? n : NULL;
}

const struct catalogue_node *catalogue_resolve(const struct catalogue *c, const char *org, const char *id)
{
    const struct catalogue_node *n = catalogue_find(c, CLOUD_ORG, id);

    return n != NULL ? n : catalogue_find(c, org, id);
}

bool catalogue_knows(const struct catalogue *c, const char *org, const char *id)
{
    return find_any(c, CLOUD_ORG, id) != NULL || find_any(c, org, id) != NULL;
}

static bool visible(const struct catalogue *c, const struct catalogue_node *n, const char *org)
{
    if (n->deleted)
        return false;
    return org == NULL || !n->mesh || catalogue_find(c, CLOUD_ORG, n->id) == NULL;
}

const struct catalogue_node *catalogue_next(const struct catalogue *c, const char *org,
                                            struct catalogue_iter *it)
{
    const struct catalogue_nodes *s = c->nodes;
    const char *range = it->mesh ? org : CLOUD_ORG;

    if (it->at == 0) /* positions are kept from 1 */
        it->at = 1 + (org == NULL ? 0 : lower_bound(s, range, ""));
    for (;;) {
        const struct catalogue_node *n = it->at <= s->n ? &s->at[it->at - 1] : NULL;

        if (n != NULL && (org == NULL || strcmp(n->org, range) == 0)) {
            it->at++;
            if (visible(c, n, org))
                return n;
            continue;
        }
        if (org == NULL || it->mesh || strcmp(org, CLOUD_ORG) == 0)
            return NULL;
        it->mesh = true;
        range = org;
        it->at = 1 + lower_bound(s, range, "");
    }
}

const struct catalogue_node *catalogue_at(const struct catalogue *c, size_t i)
{
    return i < c->nodes->n ? &c->nodes->at[i] : NULL;
}

/* ---- state ---- */

const struct catalogue_load *catalogue_load_of(const struct catalogue *c, const struct catalogue_node *n)
{
    return &c->loads[n - c->nodes->at];
}

bool node_healthy(const struct catalogue_load *l)
{
    return l->heartbeat_age_us >= 0 && l->heartbeat_age_us < CATALOGUE_HEALTHY_US && !l->stopping;
}

bool node_usable(const struct catalogue_load *l)
{
    return l->health != HEALTH_QUARANTINED && !l->stopping && l->heartbeat_age_us >= 0 &&
           (l->doubt || node_healthy(l));
}

bool node_listed(const struct catalogue_load *l)
{
    return l->heartbeat_age_us >= 0 && l->heartbeat_age_us < CATALOGUE_LISTED_US;
}

enum node_state node_state_of(const struct catalogue_node *n, const struct catalogue_load *l)
{
    if (!node_healthy(l))
        return NODE_DOWN;
    return n->drain || l->draining ? NODE_DRAINING : NODE_UP;
}

const char *node_state_name(enum node_state s)
{
    static const char *const names[] = {"up", "draining", "down"};

    return names[s];
}

unsigned node_transports(const struct catalogue_node *n)
{
    unsigned bits = 0;

    for (unsigned t = 0; t < TRANSPORT_PROXY; t++) {
        if (n->addresses.n[t] > 0)
            bits |= 1u << t;
    }
    if (bits & (1u << TRANSPORT_TLS))
        bits |= 1u << TRANSPORT_PROXY;
    return bits;
}

/* ---- round trips between nodes ---- */

bool catalogue_link(const struct catalogue *c, const struct catalogue_node *a, const struct catalogue_node *b,
                    struct link *out)
{
    return links_find(c->links, a->link, b->link, out);
}

bool catalogue_apart(const struct catalogue *c, const struct catalogue_node *a,
                     const struct catalogue_node *b)
{
    return links_apart(c->links, a->link, b->link);
}

bool catalogue_rtt(const struct catalogue *c, const struct catalogue_node *a, const struct catalogue_node *b,
                   int32_t *rtt_us)
{
    struct link link = {0};

    if (a != b && !catalogue_link(c, a, b, &link))
        return false;
    *rtt_us = link.rtt_us;
    return true;
}

bool catalogue_rtt_by_place(const struct catalogue_node *a, const struct catalogue_node *b, int32_t *rtt_us)
{
    if (!a->located || !b->located)
        return false;
    *rtt_us = a == b ? 0 : link_rtt_by_place(a->lat, a->lon, b->lat, b->lon);
    return true;
}
