/* Parses the map and routes by it. Invariant: after parsing, full addresses are sorted and unique, so a lookup is
 * one binary search, then a scan of the few prefixes, longest first. */
#include "netmap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEN = 16, WORDS_MAX = 64 };

/* IPv4 stands as ::ffff:a.b.c.d, so that one table serves both families. */
struct entry {
    uint8_t key[KEY_LEN];
    unsigned bits;
    size_t host;
};

struct netmap {
    uint64_t seed;
    size_t queue;
    size_t host_count, port_count, address_count, prefix_count;
    struct netmap_host hosts[NETMAP_HOSTS_MAX];
    char ports[NETMAP_PORTS_MAX][NETMAP_NS_LEN];
    struct entry addresses[NETMAP_ADDRESSES_MAX]; /* of full length, sorted by key */
    struct entry prefixes[NETMAP_ADDRESSES_MAX];  /* the rest, longest first */
    struct path *paths;                           /* host_count x host_count */
};

static int __attribute__((format(printf, 2, 3)))
fail(char error[static NETMAP_ERROR_LEN], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, NETMAP_ERROR_LEN, format, args);
    va_end(args);
    return -EINVAL;
}

static int parse_key(const char *text, uint8_t key[static KEY_LEN], unsigned *bits)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char ip[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    bool v4 = !strchr(text, ':');
    unsigned width = v4 ? 32 : 128;

    if (len >= sizeof(ip))
        return -EINVAL;
    memcpy(ip, text, len);
    ip[len] = '\0';
    *bits = 128;
    if (slash) {
        char *end;
        unsigned long n = strtoul(slash + 1, &end, 10);
        if (end == slash + 1 || *end || n > width)
            return -EINVAL;
        *bits = 128 - width + (unsigned)n;
    }
    memcpy(key, mapped, sizeof(mapped));
    return inet_pton(v4 ? AF_INET : AF_INET6, ip, v4 ? key + sizeof(mapped) : key) == 1 ? 0 : -EINVAL;
}

static int entry_cmp(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return memcmp(x->key, y->key, KEY_LEN);
}

static int longest_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return (x->bits < y->bits) - (x->bits > y->bits);
}

static bool covers(const struct entry *e, const uint8_t key[static KEY_LEN])
{
    size_t whole = e->bits / 8;
    unsigned rest = e->bits % 8;

    if (memcmp(e->key, key, whole) != 0)
        return false;
    return rest == 0 || (e->key[whole] ^ key[whole]) >> (8 - rest) == 0;
}

static const struct netmap_host *find_host(const struct netmap *m, const uint8_t key[static KEY_LEN])
{
    struct entry wanted;
    memcpy(wanted.key, key, KEY_LEN);
    const struct entry *e = bsearch(&wanted, m->addresses, m->address_count, sizeof(wanted), entry_cmp);

    if (e)
        return &m->hosts[e->host];
    for (size_t i = 0; i < m->prefix_count; i++)
        if (covers(&m->prefixes[i], key))
            return &m->hosts[m->prefixes[i].host];
    return NULL;
}

static int host_named(const struct netmap *m, const char *name, size_t *host)
{
    for (size_t i = 0; i < m->host_count; i++) {
        if (strcmp(m->hosts[i].name, name) == 0) {
            *host = i;
            return 0;
        }
    }
    return -ENOENT;
}

static int port_of(struct netmap *m, const char *ns, size_t *port)
{
    for (size_t i = 0; i < m->port_count; i++) {
        if (strcmp(m->ports[i], ns) == 0) {
            *port = i;
            return 0;
        }
    }
    if (m->port_count == NETMAP_PORTS_MAX || strlen(ns) >= NETMAP_NS_LEN)
        return -ENOBUFS;
    *port = m->port_count++;
    strcpy(m->ports[*port], ns);
    return 0;
}

static int add_address(struct netmap *m, const char *text, size_t host)
{
    struct entry e = {.host = host};

    if (parse_key(text, e.key, &e.bits) < 0)
        return -EINVAL;
    size_t *count = e.bits == 128 ? &m->address_count : &m->prefix_count;
    if (*count == NETMAP_ADDRESSES_MAX)
        return -ENOBUFS;
    (e.bits == 128 ? m->addresses : m->prefixes)[(*count)++] = e;
    return 0;
}

static int add_host(struct netmap *m, char **words, size_t count, char error[static NETMAP_ERROR_LEN])
{
    size_t index;

    if (count < 4)
        return fail(error, "host NAME NAMESPACE ADDRESS ...");
    if (strlen(words[1]) >= NETMAP_NAME_LEN || host_named(m, words[1], &index) == 0)
        return fail(error, "the name is too long or stands twice");
    if (m->host_count == NETMAP_HOSTS_MAX)
        return fail(error, "more than %d hosts", NETMAP_HOSTS_MAX);
    struct netmap_host *h = &m->hosts[m->host_count];
    if (port_of(m, words[2], &h->port) < 0)
        return fail(error, "more than %d namespaces, or too long a path", NETMAP_PORTS_MAX);
    for (size_t i = 3; i < count; i++)
        if (add_address(m, words[i], m->host_count) < 0)
            return fail(error, "'%.48s' is no address, or there are too many", words[i]);
    strcpy(h->name, words[1]);
    m->host_count++;
    return 0;
}

static int parse_number(const char *text, double max, double *value)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !(v >= 0 && v <= max))
        return -EINVAL;
    *value = v;
    return 0;
}

/* DELAY_US [JITTER_US [LOSS]] [loss=P] [duplicate=P] [reorder=P] */
static int parse_path(char **words, size_t count, struct path *p, char error[static NETMAP_ERROR_LEN])
{
    static const double max_us = 60e6;
    double delay = 0, jitter = 0;
    struct {
        const char *name;
        double *value;
        double max;
    } fields[] = {
        {"delay_us=", &delay, max_us},    {"jitter_us=", &jitter, max_us}, {"loss=", &p->loss, 1},
        {"duplicate=", &p->duplicate, 1}, {"reorder=", &p->reorder, 1},
    };

    *p = (struct path){0};
    for (size_t i = 0; i < count; i++) {
        size_t f = i; /* the first three may stand bare, in this order */
        const char *text = words[i];
        if (strchr(text, '=')) {
            for (f = 0; f < 5 && strncmp(text, fields[f].name, strlen(fields[f].name)) != 0; f++)
                ;
            text = strchr(text, '=') + 1;
        } else if (i >= 3) {
            f = 5;
        }
        if (f >= 5 || parse_number(text, fields[f].max, fields[f].value) < 0)
            return fail(error, "'%.48s': DELAY_US [JITTER_US [LOSS]] [duplicate=P] [reorder=P]", words[i]);
    }
    p->delay_us = (int64_t)delay;
    p->jitter_us = (int64_t)jitter;
    return 0;
}

static int parse_setting(struct netmap *m, char **words, size_t count, struct path *def,
                         char error[static NETMAP_ERROR_LEN])
{
    double v;

    if (strcmp(words[0], "host") == 0)
        return add_host(m, words, count, error);
    if (strcmp(words[0], "default") == 0)
        return parse_path(words + 1, count - 1, def, error);
    if (strcmp(words[0], "seed") == 0 && count == 2 && parse_number(words[1], 9e15, &v) == 0) {
        m->seed = (uint64_t)v;
        return 0;
    }
    if (strcmp(words[0], "queue") == 0 && count == 2 && parse_number(words[1], NETMAP_QUEUE_MAX, &v) == 0 &&
        v >= 1) {
        m->queue = (size_t)v;
        return 0;
    }
    return fail(error, "'%.48s': not a statement, or not a value for it", words[0]);
}

static int set_path(struct netmap *m, char **words, size_t count, char error[static NETMAP_ERROR_LEN])
{
    size_t a, b;
    struct path p;

    if (count < 4)
        return fail(error, "%s HOST HOST DELAY_US ...", words[0]);
    if (host_named(m, words[1], &a) < 0 || host_named(m, words[2], &b) < 0)
        return fail(error, "a path between unknown hosts");
    if (parse_path(words + 3, count - 3, &p, error) < 0)
        return -EINVAL;
    m->paths[a * m->host_count + b] = p;
    if (words[0][1] == 'a' && words[0][2] == 'i')
        m->paths[b * m->host_count + a] = p;
    return 0;
}

static size_t split(char *line, char *words[static WORDS_MAX])
{
    size_t count = 0;
    char *rest = NULL;

    line[strcspn(line, "#\r")] = '\0';
    for (char *w = strtok_r(line, " \t", &rest); w && count < WORDS_MAX; w = strtok_r(NULL, " \t", &rest))
        words[count++] = w;
    return count;
}

static bool is_path(const char *word)
{
    return strcmp(word, "pair") == 0 || strcmp(word, "path") == 0;
}

/* Hosts first, then paths, so that a file may name them in any order. */
static int parse_lines(struct netmap *m, char *text, bool paths, struct path *def,
                       char error[static NETMAP_ERROR_LEN])
{
    char reason[NETMAP_ERROR_LEN];
    unsigned number = 1;

    for (char *line = text, *next; line; line = next, number++) {
        char *words[WORDS_MAX];
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        size_t count = split(line, words);
        if (count == 0 || is_path(words[0]) != paths)
            continue;
        if (count == WORDS_MAX)
            return fail(error, "line %u: too many words", number);
        int rc = paths ? set_path(m, words, count, reason) : parse_setting(m, words, count, def, reason);
        if (rc < 0)
            return fail(error, "line %u: %.120s", number, reason);
    }
    return 0;
}

static int index_addresses(struct netmap *m, char error[static NETMAP_ERROR_LEN])
{
    qsort(m->addresses, m->address_count, sizeof(struct entry), entry_cmp);
    qsort(m->prefixes, m->prefix_count, sizeof(struct entry), longest_first);
    for (size_t i = 1; i < m->address_count; i++)
        if (entry_cmp(&m->addresses[i - 1], &m->addresses[i]) == 0)
            return fail(error, "an address stands twice: at %s and %s",
                        m->hosts[m->addresses[i - 1].host].name, m->hosts[m->addresses[i].host].name);
    return 0;
}

static int build(struct netmap *m, const char *text, char error[static NETMAP_ERROR_LEN])
{
    struct path def = {.delay_us = 0};
    char *hosts = strdup(text), *paths = strdup(text);
    int rc = fail(error, "out of memory");

    if (!hosts || !paths)
        goto out;
    rc = parse_lines(m, hosts, false, &def, error);
    if (rc < 0)
        goto out;
    rc = index_addresses(m, error);
    if (rc < 0)
        goto out;
    m->paths = calloc(m->host_count * m->host_count + 1, sizeof(struct path));
    if (!m->paths) {
        rc = fail(error, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < m->host_count * m->host_count; i++)
        m->paths[i] = def;
    rc = parse_lines(m, paths, true, &def, error);
out:
    free(hosts);
    free(paths);
    return rc;
}

struct netmap *netmap_parse(const char *text, char error[static NETMAP_ERROR_LEN])
{
    struct netmap *m = calloc(1, sizeof(*m));

    if (!m) {
        fail(error, "out of memory");
        return NULL;
    }
    m->queue = NETMAP_QUEUE_DEFAULT;
    if (build(m, text, error) < 0) {
        netmap_free(m);
        return NULL;
    }
    return m;
}

void netmap_free(struct netmap *m)
{
    if (!m)
        return;
    free(m->paths);
    free(m);
}

size_t netmap_queue(const struct netmap *m)
{
    return m->queue;
}

uint64_t netmap_seed(const struct netmap *m)
{
    return m->seed;
}

size_t netmap_ports(const struct netmap *m)
{
    return m->port_count;
}

const char *netmap_port_ns(const struct netmap *m, size_t port)
{
    return m->ports[port];
}

static int packet_keys(const uint8_t *packet, size_t len, uint8_t src[static KEY_LEN],
                       uint8_t dst[static KEY_LEN])
{
    if (len >= 40 && packet[0] >> 4 == 6) {
        memcpy(src, packet + 8, KEY_LEN);
        memcpy(dst, packet + 24, KEY_LEN);
        return 0;
    }
    if (len < 20 || packet[0] >> 4 != 4)
        return -EBADMSG;
    memset(src, 0, 10);
    memset(src + 10, 0xff, 2);
    memcpy(dst, src, 12);
    memcpy(src + 12, packet + 12, 4);
    memcpy(dst + 12, packet + 16, 4);
    return 0;
}

int netmap_route(struct netmap *m, size_t port, const uint8_t *packet, size_t len, size_t *to,
                 struct path **path)
{
    uint8_t src[KEY_LEN], dst[KEY_LEN];

    if (packet_keys(packet, len, src, dst) < 0)
        return -EBADMSG;
    const struct netmap_host *from = find_host(m, src), *dest = find_host(m, dst);
    if (!from || from->port != port)
        return -EACCES;
    if (!dest)
        return -EHOSTUNREACH;
    *to = dest->port;
    *path = &m->paths[(size_t)(from - m->hosts) * m->host_count + (size_t)(dest - m->hosts)];
    return 0;
}
