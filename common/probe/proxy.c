/* Proxies as texts and lists. Invariant: an endpoint's host is a name or an IP literal and its port is not 0, whatever the
 * text was; a password goes nowhere but into a struct proxy_login. */
#include "probe/proxy.h"
#include "core/hex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- URLs ---- */

/* Percent-decodes; no control characters come out of it. */
static int decode(char out[static PROXY_SECRET_MAX + 1], const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = high * 16 + low;
            i += 2;
        }
        if (c < ' ' || c == 0x7f || n == PROXY_SECRET_MAX)
            return -EINVAL;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return 0;
}

static int parse_login(struct proxy_login *login, const char *text, size_t len)
{
    struct proxy_login read = {{0}, {0}};
    const char *colon = memchr(text, ':', len);
    size_t user_len = colon ? (size_t)(colon - text) : len;
    if (!login)
        return -EINVAL;
    if (decode(read.user, text, user_len) < 0 ||
        (colon && decode(read.password, colon + 1, len - user_len - 1) < 0))
        return -EINVAL;
    *login = read;
    return 0;
}

/* "host[:port]", `len` bytes of it. */
static int parse_authority(struct proxy_endpoint *p, enum proxy_kind kind, const char *text, size_t len)
{
    char buf[HOST_MAX + 16];
    struct proxy_endpoint read = {.kind = kind};
    if (len >= sizeof buf)
        return -EINVAL;
    memcpy(buf, text, len);
    buf[len] = '\0';
    if (host_port_parse(buf, kind == PROXY_HTTPS ? 443 : 80, read.host, &read.port) < 0 || read.port == 0)
        return -EINVAL;
    *p = read;
    return 0;
}

int proxy_url_parse(struct proxy_endpoint *p, struct proxy_login *login, const char *text)
{
    enum proxy_kind kind = PROXY_HTTP;
    const char *scheme_end = strstr(text, "://");
    if (scheme_end) {
        size_t len = (size_t)(scheme_end - text);
        if (len == 5 && strncasecmp(text, "https", 5) == 0)
            kind = PROXY_HTTPS;
        else if (len != 4 || strncasecmp(text, "http", 4) != 0)
            return strncasecmp(text, "socks", 5) == 0 ? -ENOTSUP : -EINVAL;
        text = scheme_end + 3;
    }
    size_t len = strcspn(text, "/?#");
    if (text[len] != '\0' && strcmp(text + len, "/") != 0)
        return -EINVAL;
    const char *at = memrchr(text, '@', len);
    if (at) {
        struct proxy_endpoint ignored;
        size_t login_len = (size_t)(at - text);
        if (parse_authority(&ignored, kind, at + 1, len - login_len - 1) < 0)
            return -EINVAL; /* before the login is written */
        int err = parse_login(login, text, login_len);
        if (err < 0)
            return err;
        text = at + 1;
        len -= login_len + 1;
    }
    return parse_authority(p, kind, text, len);
}

const char *proxy_scheme_name(enum proxy_kind kind)
{
    static const char *const names[] = {
        [PROXY_DIRECT] = "direct", [PROXY_HTTP] = "http", [PROXY_HTTPS] = "https"};
    return names[kind];
}

/* PROXY_URL_MAX is shorter than the longest host: such a name is cut, and is no DNS name anyway. */
const char *proxy_format(const struct proxy_endpoint *p, char out[static PROXY_URL_MAX + 1])
{
    bool v6 = strchr(p->host, ':') != NULL;
    if (p->kind == PROXY_DIRECT)
        snprintf(out, PROXY_URL_MAX + 1, "direct");
    else
        snprintf(out, PROXY_URL_MAX + 1, "%s://%s%.238s%s:%u", proxy_scheme_name(p->kind), v6 ? "[" : "",
                 p->host, v6 ? "]" : "", p->port);
    return out;
}

bool proxy_eq(const struct proxy_endpoint *a, const struct proxy_endpoint *b)
{
    return a->kind == b->kind && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

/* ---- no_proxy ---- */

/* A destination, looked at once for all entries. */
struct destination {
    const char *host;
    size_t len; /* without a final dot */
    uint16_t port;
    bool is_ip;
    struct addr ip;
};

/* Cuts ":port" off the entry's end. False: it has one, and it is another. */
static bool port_fits(char *entry, uint16_t port)
{
    char *colon = strrchr(entry, ':');
    if (!colon || (strchr(entry, ':') != colon && colon[-1] != ']'))
        return true; /* none, or a bare IPv6 address */
    unsigned value = 0;
    for (const char *c = colon + 1; *c; c++) {
        if (*c < '0' || *c > '9' || value > UINT16_MAX)
            return false;
        value = value * 10 + (unsigned)(*c - '0');
    }
    *colon = '\0';
    return value == port;
}

static bool prefix_fits(char *entry, const struct destination *d)
{
    struct addr net;
    char *slash = strchr(entry, '/');
    unsigned bits = 0;
    *slash = '\0';
    if (!d->is_ip || addr_parse_ip(&net, entry) < 0 || net.family != d->ip.family || slash[1] == '\0')
        return false;
    for (const char *c = slash + 1; *c; c++) {
        if (*c < '0' || *c > '9' || bits > 128)
            return false;
        bits = bits * 10 + (unsigned)(*c - '0');
    }
    if (bits > (net.family == ADDR_V4 ? 32u : 128u))
        return false;
    struct addr want = addr_prefix(&net, bits), have = addr_prefix(&d->ip, bits);
    return addr_ip_eq(&want, &have);
}

static bool name_fits(const char *entry, const struct destination *d)
{
    size_t len;
    if (strncmp(entry, "*.", 2) == 0)
        entry++;
    if (entry[0] == '.')
        entry++;
    len = strlen(entry);
    if (len > 0 && entry[len - 1] == '.')
        len--;
    if (len == 0 || len > d->len || strncasecmp(d->host + d->len - len, entry, len) != 0)
        return false;
    return len == d->len || d->host[d->len - len - 1] == '.';
}

static bool entry_fits(char *entry, const struct destination *d)
{
    struct addr ip;
    if (strcmp(entry, "*") == 0)
        return true;
    if (strcasecmp(entry, "<local>") == 0)
        return !d->is_ip && memchr(d->host, '.', d->len) == NULL;
    if (strchr(entry, '/'))
        return prefix_fits(entry, d);
    if (!port_fits(entry, d->port))
        return false;
    if (addr_parse_ip(&ip, entry) == 0)
        return d->is_ip && addr_ip_eq(&ip, &d->ip);
    return !d->is_ip && name_fits(entry, d);
}

bool no_proxy_match(const char *list, const char *host, uint16_t port)
{
    struct destination d = {.host = host, .len = strlen(host), .port = port};
    if (!list)
        return false;
    d.is_ip = addr_parse_ip(&d.ip, host) == 0;
    if (d.len > 0 && host[d.len - 1] == '.')
        d.len--;
    while (*list) {
        char entry[HOST_MAX + 16];
        list += strspn(list, ", \t;");
        size_t len = strcspn(list, ", \t;");
        if (len > 0 && len < sizeof entry) {
            memcpy(entry, list, len);
            entry[len] = '\0';
            if (entry_fits(entry, &d))
                return true;
        }
        list += len;
    }
    return false;
}

/* ---- lists ---- */

bool proxy_list_add(struct proxy_list *l, struct proxy_table *t, const struct proxy_endpoint *p)
{
    size_t i = 0;
    while (i < t->n && !proxy_eq(&t->at[i], p))
        i++;
    if (i == PROXY_TABLE_MAX)
        return false;
    for (size_t k = 0; k < l->n; k++) {
        if (l->at[k] == i)
            return true;
    }
    if (l->n == PROXY_CANDIDATES_MAX)
        return false;
    if (i == t->n)
        t->at[t->n++] = *p;
    l->at[l->n++] = (uint8_t)i;
    return true;
}

/* One entry of a PAC's answer: "PROXY host:port". */
static bool parse_candidate(struct proxy_endpoint *p, const char *text, size_t len)
{
    static const struct {
        const char *word;
        enum proxy_kind kind;
    } words[] = {
        {"DIRECT", PROXY_DIRECT}, {"PROXY", PROXY_HTTP}, {"HTTP", PROXY_HTTP}, {"HTTPS", PROXY_HTTPS}};
    static const char spaces[] = " \t\r\n";
    while (len > 0 && memchr(spaces, text[len - 1], sizeof spaces - 1))
        len--;
    size_t word = 0;
    while (word < len && !memchr(spaces, text[word], sizeof spaces - 1))
        word++;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (word != strlen(words[i].word) || strncasecmp(text, words[i].word, word) != 0)
            continue;
        if (words[i].kind == PROXY_DIRECT) {
            *p = (struct proxy_endpoint){.kind = PROXY_DIRECT};
            return word == len;
        }
        while (word < len && memchr(spaces, text[word], sizeof spaces - 1))
            word++;
        return parse_authority(p, words[i].kind, text + word, len - word) == 0;
    }
    return false;
}

void proxy_list_from_pac(struct proxy_list *l, struct proxy_table *t, const char *answer)
{
    struct proxy_endpoint p = {.kind = PROXY_DIRECT};
    bool any = false;
    l->n = 0;
    while (*answer) {
        answer += strspn(answer, "; \t\r\n");
        size_t len = strcspn(answer, ";");
        any = any || len > 0;
        if (len > 0 && parse_candidate(&p, answer, len))
            (void)proxy_list_add(l, t, &p);
        answer += len;
    }
    p = (struct proxy_endpoint){.kind = PROXY_DIRECT};
    if (!any)
        (void)proxy_list_add(l, t, &p);
}

bool proxy_list_has_proxy(const struct proxy_list *l, const struct proxy_table *t)
{
    for (size_t i = 0; i < l->n; i++) {
        if (t->at[l->at[i]].kind != PROXY_DIRECT)
            return true;
    }
    return false;
}

/* ---- what goes before what ---- */

static const char *given(const char *text)
{
    return text && text[0] != '\0' ? text : NULL;
}

static const char *find_environment(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return given(*environment + len + 1);
    }
    return NULL;
}

static const char *first_of(char *const *environment, const char *const *names)
{
    const char *found = NULL;
    for (; *names && !found; names++)
        found = find_environment(environment, *names);
    return found;
}

void proxy_choose(struct proxy_choice *out, const struct proxy_inputs *in)
{
    static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
    const char *option = given(in->proxy), *environment = first_of(in->environment, proxies);
    *out = (struct proxy_choice){.no_proxy = given(in->no_proxy)};
    if (!out->no_proxy)
        out->no_proxy = first_of(in->environment, exceptions);
    if (option && strcmp(option, "none") == 0) {
        out->source = PROXY_FROM_NOTHING;
    } else if (option && strcmp(option, "auto") == 0) {
        out->source = PROXY_FROM_WPAD;
    } else if (option) {
        out->source = PROXY_FROM_OPTION;
        out->proxy = option;
    } else if (given(in->pac)) {
        out->source = PROXY_FROM_PAC;
        out->pac = in->pac;
    } else if (environment) {
        out->source = PROXY_FROM_ENVIRONMENT;
        out->proxy = environment;
    }
}
