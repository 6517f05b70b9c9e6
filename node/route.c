/* First bytes to protocol. Invariant: the answer for a prefix is ROUTE_MORE or that of the whole. */
#include "route.h"

#include "core/frame.h"

#include <string.h>

/* A STUN message begins with 0 to 3 (RFC 7983), a frame with the high byte of its length; frame_next judges the rest. */
enum { STUN_FIRST_MAX = FRAME_PAYLOAD_MAX >> 8 };

enum route route_first_bytes(const uint8_t *p, size_t len, enum route_http http)
{
    static const char *const methods[] = {"GET ",     "HEAD ",    "POST ",  "PUT ",  "DELETE ",
                                          "OPTIONS ", "CONNECT ", "TRACE ", "PATCH "};
    if (len == 0)
        return ROUTE_MORE;
    if (p[0] <= STUN_FIRST_MAX)
        return ROUTE_STUN;
    size_t n = http == ROUTE_HTTP_GET ? 1 : sizeof(methods) / sizeof(methods[0]);
    for (size_t i = 0; i < n; i++) {
        size_t whole = strlen(methods[i]);
        if (memcmp(p, methods[i], len < whole ? len : whole) == 0)
            return len < whole ? ROUTE_MORE : ROUTE_HTTP;
    }
    return ROUTE_BROKEN;
}
