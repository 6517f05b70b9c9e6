/* What a firewall or a proxy must let out so that agents work: the nodes' addresses made into prefixes, their ports
 * and host names, and the controller's own. Pure: filled, finished once, then written in any format. The same
 * content gives the same bytes, in whatever order it was added. One thread at a time. */
#ifndef BERTH_CONTROLLER_IP_RANGES_H
#define BERTH_CONTROLLER_IP_RANGES_H

#include "core/addr.h"
#include "core/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IP_RANGES_VERSION_LEN = 32 };

/* What is reached: the nodes by udp, tcp and tls (as enum transport counts them), the controller by https. */
enum ip_service {
    IP_SERVICE_UDP = TRANSPORT_UDP,
    IP_SERVICE_TCP = TRANSPORT_TCP,
    IP_SERVICE_TLS = TRANSPORT_TLS,
    IP_SERVICE_HTTPS,
    IP_SERVICES
};
const char *ip_service_name(enum ip_service s);     /* "udp", "tcp", "tls", "https" */
const char *ip_service_protocol(enum ip_service s); /* "udp" or "tcp" */

enum ip_ranges_format {
    IP_RANGES_JSON,
    IP_RANGES_TEXT,
    IP_RANGES_NFTABLES,
    IP_RANGES_SQUID,
    IP_RANGES_CSV,
    IP_RANGES_FORMATS
};
int ip_ranges_format_parse(const char *name, enum ip_ranges_format *out) __attribute__((warn_unused_result));
/* From an Accept header: application/json, text/plain, text/csv, the one of the highest weight; JSON where it names
 * none of them. */
enum ip_ranges_format ip_ranges_format_accepted(const char *accept);
const char *ip_ranges_content_type(enum ip_ranges_format f);

struct ip_prefix {
    struct addr base; /* port 0 */
    unsigned bits;
};

/* A port that something listens on, and where. */
struct ip_port {
    enum ip_service service;
    uint16_t port;
    size_t n;
    const struct ip_prefix *prefixes; /* the fewest that hold these addresses and no others, sorted */
};

struct ip_ranges;
struct ip_ranges *ip_ranges_new(void); /* NULL: out of memory */
void ip_ranges_destroy(struct ip_ranges *r);
/* Nothing that can't be let through a firewall is added: wildcards and link-local addresses. 0 or -ENOMEM. */
int ip_ranges_add(struct ip_ranges *r, enum ip_service s, const struct addr *a)
    __attribute__((warn_unused_result));
/* A node's name in its certificate; what is no DNS name (an address, say) is left out. 0 or -ENOMEM. */
int ip_ranges_add_name(struct ip_ranges *r, const char *name) __attribute__((warn_unused_result));
/* The controller's name and port; its addresses are added as IP_SERVICE_HTTPS. 0 or -ENOMEM. */
int ip_ranges_set_controller(struct ip_ranges *r, const char *name, uint16_t port)
    __attribute__((warn_unused_result));
/* Sorts and aggregates; afterwards nothing is added, and the rest may be asked. 0 or -ENOMEM. */
int ip_ranges_finish(struct ip_ranges *r) __attribute__((warn_unused_result));

size_t ip_ranges_prefixes(const struct ip_ranges *r, const struct ip_prefix **out);
size_t ip_ranges_ports(const struct ip_ranges *r, const struct ip_port **out); /* sorted by service, port */
size_t ip_ranges_names(const struct ip_ranges *r, const char *const **out);    /* every name, sorted */
/* What to allow: "*.parent" where several nodes share a parent, else the names; sorted. */
size_t ip_ranges_hosts(const struct ip_ranges *r, const char *const **out);
/* Those that are reached on this port by a name. */
size_t ip_ranges_port_hosts(const struct ip_ranges *r, const struct ip_port *p, const char *const **out);
const char *
ip_ranges_version(const struct ip_ranges *r); /* changes with the content, and with nothing else */

/* "203.0.113.8/31" */
const char *ip_prefix_format(const struct ip_prefix *p, char out[static ADDR_TEXT_LEN + 4]);
/* The text, to be freed; NULL: out of memory. */
char *ip_ranges_write(const struct ip_ranges *r, enum ip_ranges_format f, size_t *len);

#endif
