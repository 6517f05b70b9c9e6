/* GET /v1/ip-ranges, out of the catalogue in memory: every node that is registered, also one that is down or drained, so that no
 * firewall has to follow its health. Invariant: whoever isn't of an org is told the cloud alone. */
#include "api_ip_ranges.h"

#include "catalogue.h"
#include "ip_ranges.h"
#include "modules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_AGE_S = 300, HTTPS_PORT = 443 };

struct ip_ranges_cache {
    int64_t catalogue_version;
    char version[IP_RANGES_VERSION_LEN + 1];
    struct ip_ranges *ranges;
    struct {
        char *text; /* NULL: not asked for yet */
        size_t len;
    } written[IP_RANGES_FORMATS];
};

void ip_ranges_cache_destroy(struct ip_ranges_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < IP_RANGES_FORMATS; i++)
        free(c->written[i].text);
    ip_ranges_destroy(c->ranges);
    free(c);
}

/* ---- making them ---- */

static int add_controller(struct ip_ranges *r, const struct options *o)
{
    char host[HOST_MAX + 1];
    uint16_t port = HTTPS_PORT;
    struct addr a;
    int e = 0;

    if (o->public_name != NULL) {
        if (host_port_parse(o->public_name, HTTPS_PORT, host, &port) != 0)
            return -EINVAL;
        e = ip_ranges_set_controller(r, host, port);
    }
    for (size_t i = 0; i < o->public_address.n && e == 0; i++) {
        e = addr_parse_ip(&a, o->public_address.v[i]);
        a.port = port;
        if (e == 0)
            e = ip_ranges_add(r, IP_SERVICE_HTTPS, &a);
    }
    return e;
}

static int add_node(struct ip_ranges *r, const struct catalogue_node *n)
{
    int e = 0;

    for (unsigned t = 0; t < TRANSPORT_PROXY; t++) {
        for (size_t i = 0; i < n->addresses.n[t] && e == 0; i++)
            e = ip_ranges_add(r, (enum ip_service)t, &n->addresses.at[t][i]);
    }
    if (e == 0 && n->addresses.n[TRANSPORT_TLS] > 0)
        e = ip_ranges_add_name(r, n->tls_name);
    return e;
}

/* NULL: out of memory. */
static struct ip_ranges *make(const struct catalogue *c, const char *org, const struct options *o)
{
    struct ip_ranges *r = ip_ranges_new();
    struct catalogue_iter it = {0};
    const struct catalogue_node *n;
    int e = r != NULL ? add_controller(r, o) : -ENOMEM;

    while (e == 0 && (n = catalogue_next(c, org, &it)) != NULL)
        e = add_node(r, n);
    if (e == 0)
        e = ip_ranges_finish(r);
    if (e == 0)
        return r;
    ip_ranges_destroy(r);
    return NULL;
}

/* The worker's, made anew where the catalogue has changed; NULL: out of memory. */
static struct ip_ranges_cache *cloud_cache(struct worker *w, const struct catalogue *c)
{
    int64_t version = catalogue_nodes_version(catalogue_shared(c));
    struct ip_ranges_cache *fresh;

    if (w->ip_ranges != NULL && w->ip_ranges->catalogue_version == version)
        return w->ip_ranges;
    fresh = calloc(1, sizeof(*fresh));
    if (fresh != NULL)
        fresh->ranges = make(c, CLOUD_ORG, w->ctl->options);
    if (fresh == NULL || fresh->ranges == NULL) {
        free(fresh);
        return NULL;
    }
    fresh->catalogue_version = version;
    ip_ranges_cache_destroy(w->ip_ranges);
    w->ip_ranges = fresh;
    return fresh;
}

/* ---- answering ---- */

/* The org whose mesh the caller is told: an org's key, or an agent that may see the list of nodes. */
static const char *mesh_of(const struct caller *c)
{
    if (c->kind == CALLER_ORG || (c->kind == CALLER_AGENT && (c->grants & GRANT_PROBE) != 0))
        return c->org;
    return NULL;
}

/* True: the answer is a 304, and sent. */
static bool answer_headers(struct api_request *r, const struct ip_ranges *ranges, enum ip_ranges_format f)
{
    char etag[IP_RANGES_VERSION_LEN + 8], control[48];

    snprintf(etag, sizeof(etag), "\"%s-%d\"", ip_ranges_version(ranges), (int)f);
    snprintf(control, sizeof(control), "%s, max-age=%d", mesh_of(&r->caller) != NULL ? "private" : "public",
             MAX_AGE_S);
    api_header(r, "etag", etag);
    api_header(r, "vary", "Authorization, Accept");
    api_header(r, "cache-control", control);
    if (!api_none_match(r, etag)) {
        api_empty(r, 304);
        return true;
    }
    return false;
}

static void answer_cloud(struct api_request *r, const struct catalogue *c, enum ip_ranges_format f)
{
    struct ip_ranges_cache *cache = cloud_cache(r->worker, c);

    if (cache != NULL && cache->written[f].text == NULL)
        cache->written[f].text = ip_ranges_write(cache->ranges, f, &cache->written[f].len);
    if (cache == NULL || cache->written[f].text == NULL) {
        api_problem(r, 500, "internal", "out of memory");
        return;
    }
    if (!answer_headers(r, cache->ranges, f))
        api_bytes(r, 200, ip_ranges_content_type(f), cache->written[f].text, cache->written[f].len);
}

static void answer_org(struct api_request *r, const struct catalogue *c, const char *org,
                       enum ip_ranges_format f)
{
    struct ip_ranges *ranges = make(c, org, r->ctl->options);
    char *text = NULL;
    size_t len = 0;

    if (ranges != NULL)
        text = ip_ranges_write(ranges, f, &len);
    if (text == NULL)
        api_problem(r, 500, "internal", "out of memory");
    else if (!answer_headers(r, ranges, f))
        api_bytes(r, 200, ip_ranges_content_type(f), text, len);
    free(text);
    ip_ranges_destroy(ranges);
}

static void ip_ranges_get(struct api_request *r)
{
    const char *named = api_query(r, "format"), *org = mesh_of(&r->caller);
    const struct catalogue *c;
    enum ip_ranges_format f = ip_ranges_format_accepted(api_request_header(r, "accept"));

    if (named != NULL && ip_ranges_format_parse(named, &f) != 0) {
        api_problem(r, 400, "bad_request", "format is one of json, text, nftables, squid, csv");
        return;
    }
    if ((c = api_catalogue(r)) == NULL)
        return;
    if (org != NULL)
        answer_org(r, c, org, f);
    else
        answer_cloud(r, c, f);
}

#define ANYBODY (CALLER_NOBODY | CALLER_ADMIN | CALLER_ORG | CALLER_NODE | CALLER_AGENT)

const struct api_route api_ip_ranges_routes[API_IP_RANGES_ROUTES] = {
    {"GET", "/v1/ip-ranges", ANYBODY, 0, API_BODY_NONE, ip_ranges_get},
};
