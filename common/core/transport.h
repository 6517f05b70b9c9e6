/* The ways to a node, in the order of preference: what is tried first stands first. */
#ifndef BERTH_CORE_TRANSPORT_H
#define BERTH_CORE_TRANSPORT_H

enum transport { TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS, TRANSPORT_PROXY, TRANSPORT_COUNT };
enum { TRANSPORTS_ALL = (1 << TRANSPORT_COUNT) - 1 }; /* as bits (1 << enum transport) */

const char *transport_name(enum transport t); /* "udp", ... */
int transport_parse(const char *s, enum transport *t) __attribute__((warn_unused_result));

#endif
