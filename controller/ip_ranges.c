/* From addresses and names to what a firewall is told. Invariant: the prefixes hold exactly the addresses that were
 * added, and no two of them could be written as one. */
#include "ip_ranges.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    enum ip_service service;
    struct addr addr;
};

struct name_list {
    size_t n, cap;
    const char **at; /* into `owned` of the ranges */
};

struct ip_ranges {
    size_t n, cap;
    struct entry *entries;
    size_t n_prefixes, n_ports;
    struct ip_prefix *prefixes, *port_prefixes;
    struct ip_port *ports;
    struct name_list owned; /* every string, to be freed */
    struct name_list names, node_names, node_hosts, hosts;
    const char *controller;
    uint16_t controller_port;
    char version[IP_RANGES_VERSION_LEN + 1];
};

struct ip_ranges *ip_ranges_new(void)
{
    return calloc(1, sizeof(struct ip_ranges));
}

void ip_ranges_destroy(struct ip_ranges *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->owned.n; i++)
        free((char *)(uintptr_t)r->owned.at[i]);
    free(r->owned.at);
    free(r->names.at);
    free(r->node_names.at);
    free(r->node_hosts.at);
    free(r->hosts.at);
    free(r->entries);
    free(r->prefixes);
    free(r->port_prefixes);
    free(r->ports);
    free(r);
}

/* ---- names ---- */

static int list_add(struct name_list *l, const char *name)
{
    if (l->n == l->cap) {
        size_t cap = l->cap > 0 ? 2 * l->cap : 16;
        const char **at = realloc(l->at, cap * sizeof(at[0]));

        if (at == NULL)
            return -ENOMEM;
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = name;
    return 0;
}

static const char *own(struct ip_ranges *r, char *steal)
{
    if (steal == NULL || list_add(&r->owned, steal) != 0) {
        free(steal);
        return NULL;
    }
    return steal;
}

/* A DNS name of letters, digits, '-' and '_', in lower case; anything else would be a stranger in a rule. */
static bool is_dns_name(const char *s)
{
    struct addr ignored;
    bool start = true;

    if (strlen(s) > HOST_MAX || addr_parse_ip(&ignored, s) == 0)
        return false;
    for (; *s != '\0'; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_';

        if (start ? !plain : !plain && *s != '-' && *s != '.')
            return false;
        start = *s == '.';
    }
    return !start;
}

static const char *keep_name(struct ip_ranges *r, const char *name, int *error)
{
    char *lower = strdup(name);
    const char *kept = own(r, lower);

    *error = kept == NULL ? -ENOMEM : 0;
    for (char *p = lower; kept != NULL && *p != '\0'; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    return kept != NULL && is_dns_name(kept) ? kept : NULL;
}

int ip_ranges_add_name(struct ip_ranges *r, const char *name)
{
    int e;
    const char *kept = keep_name(r, name, &e);

    return kept != NULL ? list_add(&r->node_names, kept) : e;
}

int ip_ranges_set_controller(struct ip_ranges *r, const char *name, uint16_t port)
{
    int e;

    r->controller_port = port;
    r->controller = keep_name(r, name, &e);
    return e;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_unique(struct name_list *l)
{
    size_t kept = 0;

    if (l->n == 0)
        return;
    qsort(l->at, l->n, sizeof(l->at[0]), by_text);
    for (size_t i = 0; i < l->n; i++) {
        if (kept == 0 || strcmp(l->at[kept - 1], l->at[i]) != 0)
            l->at[kept++] = l->at[i];
    }
    l->n = kept;
}

static const char *parent_of(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot != NULL ? dot + 1 : "";
}

/* May everything below it be one's own? Not of "com", and hardly of "co.uk". */
static bool parent_is_narrow(const char *parent)
{
    const char *dot = strchr(parent, '.');

    return dot != NULL && (strchr(dot + 1, '.') != NULL || strlen(dot + 1) != 2 || dot - parent > 3);
}

static int by_parent(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int r = strcmp(parent_of(x), parent_of(y));

    return r != 0 ? r : strcmp(x, y);
}

static int add_wildcard(struct ip_ranges *r, const char *parent)
{
    size_t size = strlen(parent) + 3;
    char *text = malloc(size);
    const char *kept;

    if (text != NULL)
        snprintf(text, size, "*.%s", parent);
    kept = own(r, text);
    return kept != NULL ? list_add(&r->node_hosts, kept) : -ENOMEM;
}

/* node_names to node_hosts: "*.parent" where several share one. */
static int make_node_hosts(struct ip_ranges *r)
{
    struct name_list *from = &r->node_names;
    size_t next;
    int e = 0;

    if (from->n > 0)
        qsort(from->at, from->n, sizeof(from->at[0]), by_parent);
    for (size_t i = 0; i < from->n && e == 0; i = next) {
        const char *parent = parent_of(from->at[i]);

        for (next = i + 1; next < from->n && strcmp(parent_of(from->at[next]), parent) == 0; next++)
            ;
        if (next - i > 1 && parent_is_narrow(parent)) {
            e = add_wildcard(r, parent);
            continue;
        }
        for (size_t k = i; k < next && e == 0; k++)
            e = list_add(&r->node_hosts, from->at[k]);
    }
    sort_unique(from);
    sort_unique(&r->node_hosts);
    return e;
}

static bool under_wildcard(const struct name_list *hosts, const char *name)
{
    for (size_t i = 0; i < hosts->n && hosts->at[i][0] == '*'; i++) { /* they sort first */
        if (strcmp(hosts->at[i] + 2, parent_of(name)) == 0)
            return true;
    }
    return false;
}

static int copy_list(struct name_list *to, const struct name_list *from)
{
    int e = 0;

    for (size_t i = 0; i < from->n && e == 0; i++)
        e = list_add(to, from->at[i]);
    return e;
}

static int finish_names(struct ip_ranges *r)
{
    int e;

    sort_unique(&r->node_names);
    e = make_node_hosts(r);
    if (e == 0)
        e = copy_list(&r->names, &r->node_names);
    if (e == 0)
        e = copy_list(&r->hosts, &r->node_hosts);
    if (e == 0 && r->controller != NULL)
        e = list_add(&r->names, r->controller);
    if (e == 0 && r->controller != NULL && !under_wildcard(&r->node_hosts, r->controller))
        e = list_add(&r->hosts, r->controller);
    sort_unique(&r->names);
    sort_unique(&r->hosts);
    return e;
}

/* ---- addresses ---- */

int ip_ranges_add(struct ip_ranges *r, enum ip_service s, const struct addr *a)
{
    struct addr plain = *a;

    addr_unmap(&plain);
    if (!addr_is_set(&plain) || addr_is_wildcard(&plain) || plain.scope != 0)
        return 0;
    if (r->n == r->cap) {
        size_t cap = r->cap > 0 ? 2 * r->cap : 64;
        struct entry *entries = realloc(r->entries, cap * sizeof(entries[0]));

        if (entries == NULL)
            return -ENOMEM;
        r->entries = entries;
        r->cap = cap;
    }
    r->entries[r->n++] = (struct entry){.service = s, .addr = plain};
    return 0;
}

static int by_addr(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return addr_cmp(&x->addr, &y->addr);
}

/* By service, port, then address. */
static int by_port(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->service != y->service)
        return x->service < y->service ? -1 : 1;
    if (x->addr.port != y->addr.port)
        return x->addr.port < y->addr.port ? -1 : 1;
    return by_addr(a, b);
}

static bool siblings(const struct ip_prefix *a, const struct ip_prefix *b)
{
    struct addr x, y;

    if (a->bits != b->bits || a->bits == 0 || a->base.family != b->base.family)
        return false;
    x = addr_prefix(&a->base, a->bits - 1);
    y = addr_prefix(&b->base, b->bits - 1);
    return addr_ip_eq(&x, &y);
}

/* Sorted addresses to the fewest prefixes: what is added merges with its sibling, that with its own, and so on. */
static size_t aggregate(const struct entry *entries, size_t n, struct ip_prefix *out)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        const struct addr *a = &entries[i].addr;
        unsigned bits = a->family == ADDR_V4 ? 32 : 128;

        if (i > 0 && addr_ip_eq(a, &entries[i - 1].addr))
            continue;
        out[len++] = (struct ip_prefix){.base = addr_prefix(a, bits), .bits = bits};
        while (len > 1 && siblings(&out[len - 2], &out[len - 1])) {
            len--;
            out[len - 1].bits--;
        }
    }
    return len;
}

static int finish_addresses(struct ip_ranges *r)
{
    struct ip_prefix *at;
    size_t next;

    r->prefixes = calloc(r->n + 1, sizeof(r->prefixes[0]));
    at = r->port_prefixes = calloc(r->n + 1, sizeof(r->prefixes[0]));
    r->ports = calloc(r->n + 1, sizeof(r->ports[0]));
    if (r->prefixes == NULL || r->port_prefixes == NULL || r->ports == NULL)
        return -ENOMEM;
    if (r->n > 0)
        qsort(r->entries, r->n, sizeof(r->entries[0]), by_addr);
    r->n_prefixes = aggregate(r->entries, r->n, r->prefixes);
    if (r->n > 0)
        qsort(r->entries, r->n, sizeof(r->entries[0]), by_port);
    for (size_t i = 0; i < r->n; i = next) {
        const struct entry *e = &r->entries[i];
        size_t n;

        for (next = i + 1; next < r->n && r->entries[next].service == e->service &&
                           r->entries[next].addr.port == e->addr.port;
             next++)
            ;
        n = aggregate(e, next - i, at);
        r->ports[r->n_ports++] =
            (struct ip_port){.service = e->service, .port = e->addr.port, .n = n, .prefixes = at};
        at += n;
    }
    /* A controller that is known by its name alone: HTTPS sorts last. */
    if (r->controller != NULL && (r->n_ports == 0 || r->ports[r->n_ports - 1].service != IP_SERVICE_HTTPS))
        r->ports[r->n_ports++] =
            (struct ip_port){.service = IP_SERVICE_HTTPS, .port = r->controller_port, .prefixes = at};
    return 0;
}

/* ---- the whole ---- */

/* The CSV has everything there is. */
static int make_version(struct ip_ranges *r)
{
    uint8_t digest[IP_RANGES_VERSION_LEN / 2];
    size_t len;
    char *text = ip_ranges_write(r, IP_RANGES_CSV, &len);

    if (text == NULL)
        return -ENOMEM;
    crypto_generichash(digest, sizeof(digest), (const uint8_t *)text, len, NULL, 0);
    sodium_bin2hex(r->version, sizeof(r->version), digest, sizeof(digest));
    free(text);
    return 0;
}

int ip_ranges_finish(struct ip_ranges *r)
{
    int e = finish_addresses(r);

    if (e == 0)
        e = finish_names(r);
    return e == 0 ? make_version(r) : e;
}

size_t ip_ranges_prefixes(const struct ip_ranges *r, const struct ip_prefix **out)
{
    *out = r->prefixes;
    return r->n_prefixes;
}

size_t ip_ranges_ports(const struct ip_ranges *r, const struct ip_port **out)
{
    *out = r->ports;
    return r->n_ports;
}

size_t ip_ranges_names(const struct ip_ranges *r, const char *const **out)
{
    *out = r->names.at;
    return r->names.n;
}

size_t ip_ranges_hosts(const struct ip_ranges *r, const char *const **out)
{
    *out = r->hosts.at;
    return r->hosts.n;
}

size_t ip_ranges_port_hosts(const struct ip_ranges *r, const struct ip_port *p, const char *const **out)
{
    if (p->service == IP_SERVICE_TLS) {
        *out = r->node_hosts.at;
        return r->node_hosts.n;
    }
    *out = &r->controller;
    return p->service == IP_SERVICE_HTTPS && r->controller != NULL;
}

const char *ip_ranges_version(const struct ip_ranges *r)
{
    return r->version;
}
