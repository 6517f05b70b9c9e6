/* The formats of the ranges. Invariant: names that get here hold letters, digits, '.', '-', '_' and a leading "*."
 * alone, so nothing needs quoting in any of them. */
#include "ip_ranges.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const service_names[IP_SERVICES] = {"udp", "tcp", "tls", "https"};

static const struct {
    const char *name, *content_type;
} formats[IP_RANGES_FORMATS] = {
    [IP_RANGES_JSON] = {"json", "application/json"},
    [IP_RANGES_TEXT] = {"text", "text/plain; charset=utf-8"},
    [IP_RANGES_NFTABLES] = {"nftables", "text/plain; charset=utf-8"},
    [IP_RANGES_SQUID] = {"squid", "text/plain; charset=utf-8"},
    [IP_RANGES_CSV] = {"csv", "text/csv; charset=utf-8"},
};

const char *ip_service_name(enum ip_service s)
{
    return service_names[s];
}

const char *ip_service_protocol(enum ip_service s)
{
    return s == IP_SERVICE_UDP ? "udp" : "tcp";
}

/* ---- which format ---- */

int ip_ranges_format_parse(const char *name, enum ip_ranges_format *out)
{
    for (size_t i = 0; i < IP_RANGES_FORMATS; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *out = (enum ip_ranges_format)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *ip_ranges_content_type(enum ip_ranges_format f)
{
    return formats[f].content_type;
}

static bool names_type(const char *p, size_t len, const char *type)
{
    return len == strlen(type) && strncasecmp(p, type, len) == 0;
}

/* The weight of one element of an Accept header, RFC 9110 12.4.2, in thousandths. */
static long weight(const char *p, const char *end)
{
    for (; p + 2 < end; p++) {
        if ((*p == 'q' || *p == 'Q') && p[1] == '=')
            return (long)(strtod(p + 2, NULL) * 1000);
    }
    return 1000;
}

enum ip_ranges_format ip_ranges_format_accepted(const char *accept)
{
    static const struct {
        const char *type;
        enum ip_ranges_format format;
    } known[] = {{"application/json", IP_RANGES_JSON},
                 {"text/plain", IP_RANGES_TEXT},
                 {"text/csv", IP_RANGES_CSV},
                 {"*/*", IP_RANGES_JSON}};
    enum ip_ranges_format best = IP_RANGES_JSON;
    long best_weight = 0;

    for (const char *p = accept; p != NULL && *p != '\0';) {
        const char *end = p + strcspn(p, ","), *stop;

        p += strspn(p, " \t");
        stop = p + strcspn(p, ";, \t");
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            if (names_type(p, (size_t)(stop - p), known[i].type) && weight(stop, end) > best_weight) {
                best = known[i].format;
                best_weight = weight(stop, end);
            }
        }
        p = *end == ',' ? end + 1 : end;
    }
    return best;
}

const char *ip_prefix_format(const struct ip_prefix *p, char out[static ADDR_TEXT_LEN + 4])
{
    size_t len = strlen(addr_format_ip(&p->base, out));

    snprintf(out + len, ADDR_TEXT_LEN + 4 - len, "/%u", p->bits);
    return out;
}

/* ---- JSON ---- */

static json_t *prefixes_json(const struct ip_prefix *p, size_t n)
{
    json_t *list = json_array();
    char text[ADDR_TEXT_LEN + 4];

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(ip_prefix_format(&p[i], text)));
    return list;
}

static json_t *names_json(const char *const *names, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *ports_json(const struct ip_ranges *r)
{
    json_t *list = json_array();
    const struct ip_port *ports;
    size_t n = ip_ranges_ports(r, &ports);

    for (size_t i = 0; i < n; i++) {
        const char *const *hosts;
        size_t n_hosts = ip_ranges_port_hosts(r, &ports[i], &hosts);
        json_t *o = json_pack("{s:s, s:s, s:i, s:o}", "transport", service_names[ports[i].service],
                              "protocol", ip_service_protocol(ports[i].service), "port", (int)ports[i].port,
                              "ranges", prefixes_json(ports[i].prefixes, ports[i].n));

        if (o != NULL && n_hosts > 0)
            json_object_set_new(o, "hosts", names_json(hosts, n_hosts));
        json_array_append_new(list, o);
    }
    return list;
}

static void write_json(const struct ip_ranges *r, FILE *f)
{
    const struct ip_prefix *prefixes;
    const char *const *hosts, *const *names;
    size_t n = ip_ranges_prefixes(r, &prefixes), n_hosts = ip_ranges_hosts(r, &hosts);
    size_t n_names = ip_ranges_names(r, &names);
    json_t *doc = json_pack("{s:s, s:o, s:o, s:o, s:o}", "version", ip_ranges_version(r), "ranges",
                            prefixes_json(prefixes, n), "hosts", names_json(hosts, n_hosts), "names",
                            names_json(names, n_names), "ports", ports_json(r));

    if (doc != NULL)
        (void)json_dumpf(doc, f, JSON_COMPACT);
    json_decref(doc);
}

/* ---- text ---- */

static const char no_controller[] =
    "Not in here: the controller, which wasn't told its name (--public-name). Let it out too.";

static bool has_controller(const struct ip_ranges *r)
{
    const struct ip_port *ports;
    size_t n = ip_ranges_ports(r, &ports);

    for (size_t i = 0; i < n; i++) {
        if (ports[i].service == IP_SERVICE_HTTPS)
            return true;
    }
    return false;
}

static void write_text(const struct ip_ranges *r, FILE *f)
{
    const struct ip_prefix *prefixes;
    const struct ip_port *ports;
    const char *const *hosts;
    size_t n_prefixes = ip_ranges_prefixes(r, &prefixes), n_ports = ip_ranges_ports(r, &ports);
    size_t n_hosts = ip_ranges_hosts(r, &hosts);
    char text[ADDR_TEXT_LEN + 4];

    fprintf(f, "Berth: what a firewall or proxy must let out; all is opened from the inside.\n"
               "UDP is best, then TCP, then TLS.\n"
               "A proxy needs the TLS and HTTPS ports, and the host names.\n");
    if (!has_controller(r))
        fprintf(f, "%s\n", no_controller);
    fprintf(f, "\nPorts\n");
    for (size_t i = 0; i < n_ports; i++)
        fprintf(f, "  %s %u  (%s)\n", ports[i].service == IP_SERVICE_UDP ? "UDP" : "TCP", ports[i].port,
                service_names[ports[i].service]);
    fprintf(f, "\nRanges\n");
    for (size_t i = 0; i < n_prefixes; i++)
        fprintf(f, "  %s\n", ip_prefix_format(&prefixes[i], text));
    fprintf(f, "\nHost names\n");
    for (size_t i = 0; i < n_hosts; i++)
        fprintf(f, "  %s\n", hosts[i]);
    fprintf(f, "\nVersion %s\n", ip_ranges_version(r));
}

/* ---- nftables ---- */

/* One rule for the prefixes of a family; nothing where there are none. */
static void write_nft_rule(FILE *f, const struct ip_port *p, enum addr_family family)
{
    char text[ADDR_TEXT_LEN + 4];
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        if (p->prefixes[i].base.family != family)
            continue;
        if (n++ == 0)
            fprintf(f, "    %s daddr {", family == ADDR_V4 ? "ip" : "ip6");
        fprintf(f, "%s%s", n > 1 ? ", " : " ", ip_prefix_format(&p->prefixes[i], text));
    }
    if (n > 0)
        fprintf(f, " } %s dport %u accept comment \"berth %s\"\n", ip_service_protocol(p->service), p->port,
                service_names[p->service]);
}

static void write_nftables(const struct ip_ranges *r, FILE *f)
{
    const struct ip_port *ports;
    size_t n = ip_ranges_ports(r, &ports);

    fprintf(f,
            "# Berth, version %s: what a firewall must let out.\n"
            "# Include this file, and let the chain that filters outgoing traffic \"jump berth\". Answers "
            "come back\n"
            "# by \"ct state established,related accept\".\n",
            ip_ranges_version(r));
    if (!has_controller(r))
        fprintf(f, "# %s\n", no_controller);
    for (size_t i = 0; i < n; i++) {
        const char *const *hosts;

        if (ports[i].n == 0 && ip_ranges_port_hosts(r, &ports[i], &hosts) > 0)
            fprintf(f, "# Not in here, for want of its addresses: %s, TCP port %u.\n", hosts[0],
                    ports[i].port);
    }
    fprintf(f, "table inet filter {\n  chain berth {\n  }\n}\nflush chain inet filter berth\n"
               "table inet filter {\n  chain berth {\n");
    for (size_t i = 0; i < n; i++) {
        write_nft_rule(f, &ports[i], ADDR_V4);
        write_nft_rule(f, &ports[i], ADDR_V6);
    }
    fprintf(f, "  }\n}\n");
}

/* ---- squid ---- */

static bool through_proxy(const struct ip_port *p)
{
    return p->service == IP_SERVICE_TLS || p->service == IP_SERVICE_HTTPS;
}

/* squid's ".parent" holds all that is below it, and the parent. */
static bool squid_has(const char *const *hosts, size_t n, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < n && hosts[i][0] == '*'; i++) {
        const char *suffix = hosts[i] + 1;
        size_t suffix_len = strlen(suffix);

        if (strcmp(name, suffix + 1) == 0 ||
            (len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0 &&
             strcmp(name[0] == '*' ? name + 1 : name, suffix) != 0))
            return true;
    }
    return false;
}

static size_t write_squid_hosts(const struct ip_ranges *r, FILE *f)
{
    const char *const *hosts;
    size_t n = ip_ranges_hosts(r, &hosts), written = 0;

    for (size_t i = 0; i < n; i++) {
        if (squid_has(hosts, n, hosts[i]))
            continue;
        fprintf(f, "acl berth_hosts dstdomain -n %s\n", hosts[i][0] == '*' ? hosts[i] + 1 : hosts[i]);
        written++;
    }
    return written;
}

static int by_base(const void *a, const void *b)
{
    const struct ip_prefix *x = a, *y = b;
    int order = addr_cmp(&x->base, &y->base);

    return order != 0 ? order : (int)x->bits - (int)y->bits;
}

static bool holds(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
    struct addr cut = addr_prefix(&inner->base, outer->bits);

    return outer->base.family == inner->base.family && outer->bits <= inner->bits &&
           addr_ip_eq(&cut, &outer->base);
}

/* Prefixes of several ports may repeat or hold one another: sorted, the outer one stands first. */
static size_t write_squid_ranges(const struct ip_ranges *r, FILE *f)
{
    const struct ip_port *ports;
    size_t n_ports = ip_ranges_ports(r, &ports), n = 0, written = 0, outer = 0;
    struct ip_prefix *all;
    char text[ADDR_TEXT_LEN + 4];

    for (size_t i = 0; i < n_ports; i++)
        n += through_proxy(&ports[i]) ? ports[i].n : 0;
    all = calloc(n + 1, sizeof(*all));
    if (all == NULL)
        return 0;
    n = 0;
    for (size_t i = 0; i < n_ports; i++) {
        for (size_t k = 0; through_proxy(&ports[i]) && k < ports[i].n; k++)
            all[n++] = ports[i].prefixes[k];
    }
    qsort(all, n, sizeof(all[0]), by_base);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && holds(&all[outer], &all[i]))
            continue;
        outer = i;
        fprintf(f, "acl berth_ranges dst -n %s\n", ip_prefix_format(&all[i], text));
        written++;
    }
    free(all);
    return written;
}

static void write_squid_ports(const struct ip_ranges *r, FILE *f)
{
    const struct ip_port *ports;
    size_t n = ip_ranges_ports(r, &ports);
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        bool repeated = false;

        for (size_t k = 0; k < i; k++)
            repeated = repeated || (through_proxy(&ports[k]) && ports[k].port == ports[i].port);
        if (!through_proxy(&ports[i]) || repeated)
            continue;
        fprintf(f, "%s %u", any ? "" : "acl berth_ports port", ports[i].port);
        any = true;
    }
    fprintf(f, "%s\n", any ? "" : "acl berth_ports port 443");
}

static void write_squid(const struct ip_ranges *r, FILE *f)
{
    fprintf(f,
            "# Berth, version %s: what a proxy must let its clients reach.\n"
            "# Include this file before \"http_access deny all\"; add your own acl of who may to both lines "
            "at the end.\n"
            "acl berth_connect method CONNECT\n",
            ip_ranges_version(r));
    if (!has_controller(r))
        fprintf(f, "# %s\n", no_controller);
    write_squid_ports(r, f);
    if (write_squid_hosts(r, f) > 0)
        fprintf(f, "http_access allow berth_connect berth_ports berth_hosts\n");
    if (write_squid_ranges(r, f) > 0)
        fprintf(f, "http_access allow berth_connect berth_ports berth_ranges\n");
}

/* ---- CSV ---- */

static void write_csv(const struct ip_ranges *r, FILE *f)
{
    const struct ip_port *ports;
    size_t n = ip_ranges_ports(r, &ports);
    char text[ADDR_TEXT_LEN + 4];

    fprintf(f, "transport,protocol,port,destination\r\n");
    for (size_t i = 0; i < n; i++) {
        const struct ip_port *p = &ports[i];
        const char *const *hosts;
        size_t n_hosts = ip_ranges_port_hosts(r, p, &hosts);

        for (size_t k = 0; k < p->n; k++)
            fprintf(f, "%s,%s,%u,%s\r\n", service_names[p->service], ip_service_protocol(p->service), p->port,
                    ip_prefix_format(&p->prefixes[k], text));
        for (size_t k = 0; k < n_hosts; k++)
            fprintf(f, "%s,%s,%u,%s\r\n", service_names[p->service], ip_service_protocol(p->service), p->port,
                    hosts[k]);
    }
}

char *ip_ranges_write(const struct ip_ranges *r, enum ip_ranges_format format, size_t *len)
{
    static void (*const writers[IP_RANGES_FORMATS])(const struct ip_ranges *, FILE *) = {
        write_json, write_text, write_nftables, write_squid, write_csv,
    };
    char *text = NULL;
    FILE *f = open_memstream(&text, len);
    bool failed;

    if (f == NULL)
        return NULL;
    writers[format](r, f);
    failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
