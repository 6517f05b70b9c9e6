/* A transport address: IP and port, as text and as bytes. Knows no sockets: sys/sockaddr.h converts. */
#ifndef BERTH_CORE_ADDR_H
#define BERTH_CORE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

enum {
    ADDR_TEXT_LEN = 64, /* "[v6%scope]:port" and its NUL always fit */
    HOST_MAX = 253,     /* a DNS name, RFC 1035 2.3.4, without its NUL */
};

/* A zeroed struct is "none". An IPv4 address uses the first four bytes of ip and the rest are zero, so two
 * addresses may be compared with addr_eq only, never by memcmp of structs with padding. */
struct addr {
    uint8_t family; /* enum addr_family */
    uint16_t port;  /* host byte order */
    uint32_t scope; /* IPv6 interface index of a link-local address, else 0 */
    uint8_t ip[16];
};

bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_ip_eq(const struct addr *a, const struct addr *b);
int addr_cmp(const struct addr *a, const struct addr *b); /* a total order: family, ip, port, scope */
bool addr_is_set(const struct addr *a);
bool addr_is_wildcard(const struct addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);
/* May others be told to send there? Not to a wildcard, a multicast or reserved address, nor where only the own link reaches. */
bool addr_is_unicast_target(const struct addr *a);
/* ::ffff:a.b.c.d becomes a.b.c.d; everything else is unchanged. */
void addr_unmap(struct addr *a);
/* Zeroes all but the first `bits` of the IP, and the port: a key for limits per address or prefix. */
struct addr addr_prefix(const struct addr *a, unsigned bits);

/* "1.2.3.4:5", "[::1]:5". The port is required, 0 to 65535. 0, or -EINVAL. */
int addr_parse(struct addr *a, const char *text) __attribute__((warn_unused_result));
/* An IP literal with no port (brackets around IPv6 are optional); port becomes 0. 0, or -EINVAL. */
int addr_parse_ip(struct addr *a, const char *text) __attribute__((warn_unused_result));
/* Writes "ip:port" or "[ip]:port"; returns buf. */
const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN]);
const char *addr_format_ip(const struct addr *a, char buf[static ADDR_TEXT_LEN]);
/* With its port, or without where that is 0; answers the text's length. */
size_t addr_write(const struct addr *a, char buf[static ADDR_TEXT_LEN]);
/* A DNS name or an IP literal without brackets; no port. */
bool host_valid(const char *text);
/* Splits "host:port", "[v6]:port" or a bare host (port then is `def_port`). 0, or -EINVAL. */
int host_port_parse(const char *text, uint16_t def_port, char host[static HOST_MAX + 1], uint16_t *port)
    __attribute__((warn_unused_result));
/* Of "https://host:port/..." host and port; where there is none it is 443, of http 80. 0, or -EINVAL. */
int url_place_parse(const char *url, char host[static HOST_MAX + 1], uint16_t *port)
    __attribute__((warn_unused_result));

#endif
