/* A port serves STUN and HTTP: a connection's first bytes (on TLS: after the handshake) tell which. Pure. */
#ifndef BERTH_NODE_ROUTE_H
#define BERTH_NODE_ROUTE_H

#include <stddef.h>
#include <stdint.h>

enum route { ROUTE_MORE, ROUTE_STUN, ROUTE_HTTP, ROUTE_BROKEN };
/* Which requests are HTTP: any method's, or only GET's, which is all that a clear port has an answer for. */
enum route_http { ROUTE_HTTP_ANY, ROUTE_HTTP_GET };

/* STUN (plain or in RFC 4571 frames) begins with a small byte, an HTTP/1 request with a method and a space. The preface of
 * HTTP/2 ("PRI * HTTP/2.0") is neither. */
enum route route_first_bytes(const uint8_t *p, size_t len, enum route_http http);

#endif
