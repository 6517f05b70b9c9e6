/* The route table, split into segments once and searched in order.
 * Invariant: of the routes that match a path, those with the most literal segments win, whatever the order of the table. */
#include "router.h"

#include "core/hex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct segment {
    const char *p;
    size_t len;
    bool is_param;
};

struct compiled {
    const struct api_route *route;
    size_t n;
    struct segment seg[ROUTER_SEGMENTS_MAX];
    size_t literals;
};

struct router {
    size_t n;
    struct compiled routes[ROUTER_ROUTES_MAX];
};

/* How many segments; ROUTER_SEGMENTS_MAX + 1: too many, or no path at all. */
static size_t split(const char *path, size_t len, struct segment seg[static ROUTER_SEGMENTS_MAX])
{
    const char *end = path + len;
    size_t n = 0;

    if (len == 0 || *path != '/')
        return ROUTER_SEGMENTS_MAX + 1;
    while (path < end) {
        const char *start = ++path;
        while (path < end && *path != '/')
            path++;
        if (n == ROUTER_SEGMENTS_MAX)
            return ROUTER_SEGMENTS_MAX + 1;
        seg[n++] = (struct segment){.p = start, .len = (size_t)(path - start)};
    }
    return n;
}

static int compile(struct compiled *c, const struct api_route *route)
{
    size_t params = 0;

    c->route = route;
    c->literals = 0;
    c->n = split(route->pattern, strlen(route->pattern), c->seg);
    if (c->n > ROUTER_SEGMENTS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < c->n; i++) {
        c->seg[i].is_param = c->seg[i].len > 2 && c->seg[i].p[0] == '{';
        params += c->seg[i].is_param;
        c->literals += !c->seg[i].is_param;
    }
    return params <= API_PATH_PARAMS_MAX ? 0 : -EINVAL;
}

int router_new(struct router **out, const struct api_module *modules, size_t n)
{
    struct router *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    for (size_t m = 0; m < n; m++)
        for (size_t i = 0; i < modules[m].n_routes; i++) {
            const struct api_route *route = &modules[m].routes[i];
            for (size_t k = 0; k < r->n; k++)
                if (strcmp(r->routes[k].route->method, route->method) == 0 &&
                    strcmp(r->routes[k].route->pattern, route->pattern) == 0)
                    goto invalid;
            if (r->n == ROUTER_ROUTES_MAX || compile(&r->routes[r->n], route) != 0)
                goto invalid;
            r->n++;
        }
    *out = r;
    return 0;
invalid:
    free(r);
    return -EINVAL;
}

void router_destroy(struct router *r)
{
    free(r);
}

bool percent_decode(const char *s, size_t len, bool plus, char *out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '%') {
            if (len - i < 3 || hex_digit(s[i + 1]) < 0 || hex_digit(s[i + 2]) < 0)
                return false;
            c = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0' || n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

static bool matches(const struct compiled *c, const struct segment *seg, size_t n)
{
    if (c->n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (c->seg[i].is_param
                ? seg[i].len == 0
                : seg[i].len != c->seg[i].len || memcmp(seg[i].p, c->seg[i].p, seg[i].len) != 0)
            return false;
    }
    return true;
}

static void allow_add(struct router_match *m, const char *method)
{
    size_t len = strlen(m->allow);

    snprintf(m->allow + len, sizeof(m->allow) - len, "%s%s%s", len > 0 ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

static bool decode_params(const struct compiled *c, const struct segment *seg, struct router_match *m)
{
    m->n_params = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->seg[i].is_param &&
            !percent_decode(seg[i].p, seg[i].len, false, m->param[m->n_params++], ROUTER_PARAM_MAX + 1))
            return false;
    return true;
}

static bool method_is(const char *method, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(method, name, len) == 0;
}

void router_find(const struct router *r, const char *method, size_t method_len, const char *path,
                 size_t path_len, struct router_match *m)
{
    struct segment seg[ROUTER_SEGMENTS_MAX];
    size_t n = split(path, path_len, seg), best = 0;
    const struct compiled *found = NULL;

    m->route = NULL;
    m->path_known = false;
    m->allow[0] = '\0';
    m->n_params = 0;
    if (n > ROUTER_SEGMENTS_MAX)
        return;
    if (method_is(method, method_len, "HEAD")) {
        method = "GET";
        method_len = 3;
    }
    for (size_t i = 0; i < r->n; i++) {
        const struct compiled *c = &r->routes[i];
        if (!matches(c, seg, n) || (m->path_known && c->literals < best))
            continue;
        if (!m->path_known || c->literals > best) {
            m->allow[0] = '\0';
            found = NULL;
            best = c->literals;
        }
        m->path_known = true;
        allow_add(m, c->route->method);
        if (method_is(method, method_len, c->route->method))
            found = c;
    }
    if (found != NULL && decode_params(found, seg, m))
        m->route = found->route;
    else if (found != NULL)
        m->path_known = false;
}
