/* Transport addresses as text and bytes. Invariant: bytes of ip beyond the family's length are zero, and an
 * address is written only when the whole text was right. */
#include "core/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static size_t ip_len(const struct addr *a)
{
    return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

bool addr_ip_eq(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && a->scope == b->scope && memcmp(a->ip, b->ip, ip_len(a)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_ip_eq(a, b);
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    int order = memcmp(a->ip, b->ip, ip_len(a));
    if (order != 0)
        return order < 0 ? -1 : 1;
    if (a->port != b->port)
        return a->port < b->port ? -1 : 1;
    return a->scope == b->scope ? 0 : a->scope < b->scope ? -1 : 1;
}

bool addr_is_set(const struct addr *a)
{
    return a->family != ADDR_NONE;
}

bool addr_is_wildcard(const struct addr *a)
{
    static const uint8_t zero[16];
    return addr_is_set(a) && memcmp(a->ip, zero, ip_len(a)) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    struct addr plain = *a;
    addr_unmap(&plain);
    if (plain.family == ADDR_V4)
        return plain.ip[0] == 127;
    return plain.family == ADDR_V6 && memcmp(plain.ip, v6_loopback, sizeof v6_loopback) == 0;
}

void addr_unmap(struct addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    if (a->family != ADDR_V6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
        return;
    memcpy(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
    a->family = ADDR_V4;
    a->scope = 0;
}

bool addr_is_unicast_target(const struct addr *a)
{
    struct addr plain = *a;
    addr_unmap(&plain);
    const uint8_t *ip = plain.ip;
    if (plain.family == ADDR_V4) /* not 0/8, 169.254/16, 224/4, 240/4 */
        return ip[0] != 0 && ip[0] < 224 && !(ip[0] == 169 && ip[1] == 254);
    bool link_local = ip[0] == 0xFE && (ip[1] & 0xC0) == 0x80;
    return plain.family == ADDR_V6 && plain.scope == 0 && ip[0] != 0xFF && !link_local &&
           !addr_is_wildcard(&plain);
}

struct addr addr_prefix(const struct addr *a, unsigned bits)
{
    struct addr p;
    memset(&p, 0, sizeof p); /* padding too: a prefix is hashed as bytes */
    p.family = a->family;
    size_t whole = bits / 8, len = ip_len(a);
    if (whole >= len) {
        memcpy(p.ip, a->ip, len);
        return p;
    }
    memcpy(p.ip, a->ip, whole);
    p.ip[whole] = (uint8_t)(a->ip[whole] & (0xFF00u >> (bits % 8)));
    return p;
}

/* Decimal digits alone, at least one, no value above `max`. */
static int parse_number(const char *s, size_t len, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    if (len == 0 || len > 10)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -EINVAL;
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    if (v > max)
        return -EINVAL;
    *out = (uint32_t)v;
    return 0;
}

static int parse_port(const char *s, uint16_t *port)
{
    uint32_t v = 0;
    size_t len = strlen(s);
    if (len > 5 || parse_number(s, len, UINT16_MAX, &v) < 0)
        return -EINVAL;
    *port = (uint16_t)v;
    return 0;
}

/* An IP literal of `len` characters, no brackets. IPv6 may carry a numeric scope: "fe80::1%2". */
static int parse_ip(struct addr *a, const char *s, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    struct addr parsed = {0};
    const char *percent = memchr(s, '%', len);
    size_t ip_chars = percent ? (size_t)(percent - s) : len;
    if (ip_chars == 0 || ip_chars >= sizeof text || memchr(s, '\0', len))
        return -EINVAL;
    memcpy(text, s, ip_chars);
    text[ip_chars] = '\0';
    if (!percent && inet_pton(AF_INET, text, parsed.ip) == 1)
        parsed.family = ADDR_V4;
    else if (inet_pton(AF_INET6, text, parsed.ip) == 1)
        parsed.family = ADDR_V6;
    else
        return -EINVAL;
    if (percent && parse_number(percent + 1, len - ip_chars - 1, UINT32_MAX, &parsed.scope) < 0)
        return -EINVAL;
    *a = parsed;
    return 0;
}

int addr_parse_ip(struct addr *a, const char *text)
{
    size_t len = strlen(text);
    if (len < 2 || text[0] != '[')
        return parse_ip(a, text, len);
    struct addr parsed;
    if (text[len - 1] != ']' || parse_ip(&parsed, text + 1, len - 2) < 0 || parsed.family != ADDR_V6)
        return -EINVAL;
    *a = parsed;
    return 0;
}

int addr_parse(struct addr *a, const char *text)
{
    struct addr parsed;
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return -EINVAL;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (bracketed) {
        text++;
        len -= 2;
    }
    if (parse_ip(&parsed, text, len) < 0 || (parsed.family == ADDR_V6) != bracketed)
        return -EINVAL;
    if (parse_port(colon + 1, &parsed.port) < 0)
        return -EINVAL;
    *a = parsed;
    return 0;
}

/* Of 16 bits. */
static char *put_decimal(char *to, unsigned v)
{
    size_t n = v < 10 ? 1 : v < 100 ? 2 : v < 1000 ? 3 : v < 10000 ? 4 : 5;
    for (size_t i = n; i-- > 0; v /= 10)
        to[i] = (char)('0' + v % 10);
    return to + n;
}

/* A report holds a hundred of them: printf took a seventh of its price. Answers where the text ends. */
static char *format_v4(const struct addr *a, char *to)
{
    for (size_t i = 0; i < 4; i++) {
        to = put_decimal(to, a->ip[i]);
        *to++ = i < 3 ? '.' : '\0';
    }
    return to - 1;
}

const char *addr_format_ip(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
    buf[0] = '\0';
    if (a->family == ADDR_V4)
        format_v4(a, buf);
    else if (a->family == ADDR_V6)
        inet_ntop(AF_INET6, a->ip, buf, ADDR_TEXT_LEN);
    else
        snprintf(buf, ADDR_TEXT_LEN, "none");
    if (a->family == ADDR_V6 && a->scope != 0) {
        size_t len = strlen(buf);
        snprintf(buf + len, ADDR_TEXT_LEN - len, "%%%u", (unsigned)a->scope);
    }
    return buf;
}

static char *format_v4_port(const struct addr *a, char *to)
{
    to = format_v4(a, to);
    *to++ = ':';
    to = put_decimal(to, a->port);
    *to = '\0';
    return to;
}

const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
    char ip[ADDR_TEXT_LEN];
    if (a->family == ADDR_V4) {
        format_v4_port(a, buf);
        return buf;
    }
    addr_format_ip(a, ip);
    if (!addr_is_set(a))
        snprintf(buf, ADDR_TEXT_LEN, "none");
    else
        snprintf(buf, ADDR_TEXT_LEN, "[%.*s]:%u", ADDR_TEXT_LEN - 9, ip, (unsigned)a->port);
    return buf;
}

size_t addr_write(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
    if (a->family == ADDR_V4 && a->port != 0)
        return (size_t)(format_v4_port(a, buf) - buf);
    return strlen(a->port != 0 ? addr_format(a, buf) : addr_format_ip(a, buf));
}

/* RFC 1123 2.1 and the underscores that are met: labels that aren't empty, a dot at the end at most. */
static bool host_name_valid(const char *s, size_t len)
{
    size_t label = 0;
    if (len == 0 || len > HOST_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
        if (s[i] == '.' ? label == 0 : !letter && !(s[i] >= '0' && s[i] <= '9') && s[i] != '-' && s[i] != '_')
            return false;
        label = s[i] == '.' ? 0 : label + 1;
    }
    return true;
}

bool host_valid(const char *text)
{
    struct addr ip;
    return addr_parse_ip(&ip, text) == 0 ? text[0] != '[' : host_name_valid(text, strlen(text));
}

int host_port_parse(const char *text, uint16_t def_port, char host[static HOST_MAX + 1], uint16_t *port)
{
    const char *name = text, *after = text + strlen(text);
    size_t len = (size_t)(after - text);
    struct addr ip;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (!close)
            return -EINVAL;
        name = text + 1;
        len = (size_t)(close - name);
        after = close + 1;
        if (parse_ip(&ip, name, len) < 0 || ip.family != ADDR_V6)
            return -EINVAL;
    } else if (parse_ip(&ip, text, len) < 0) {
        after = strchrnul(text, ':');
        len = (size_t)(after - text);
        if (!host_name_valid(text, len))
            return -EINVAL;
    }
    uint16_t parsed_port = def_port;
    if (*after != '\0' && (*after != ':' || parse_port(after + 1, &parsed_port) < 0))
        return -EINVAL;
    if (len > HOST_MAX)
        return -EINVAL;
    memcpy(host, name, len);
    host[len] = '\0';
    *port = parsed_port;
    return 0;
}

int url_place_parse(const char *url, char host[static HOST_MAX + 1], uint16_t *port)
{
    char text[HOST_MAX + 16];
    bool clear = strncasecmp(url, "http://", 7) == 0;
    if (!clear && strncasecmp(url, "https://", 8) != 0)
        return -EINVAL;
    const char *authority = strstr(url, "://") + 3;
    size_t len = strcspn(authority, "/?#");
    if (len >= sizeof text)
        return -EINVAL;
    memcpy(text, authority, len);
    text[len] = '\0';
    return host_port_parse(text, clear ? 80 : 443, host, port);
}
