/* Behaviour discovery, RFC 5780, the server's side: two IP addresses with the same two ports each, and a choice of
 * which of the four answers. Pure: which socket, to whom and what; the caller sends. */
#ifndef BERTH_CORE_STUN_BEHAVIOUR_H
#define BERTH_CORE_STUN_BEHAVIOUR_H

#include "core/stun.h"

/* One of the four places: at[ip][port]. */
struct stun_place {
    uint8_t ip, port; /* 0 or 1 each */
};

struct stun_behaviour {
    struct addr at[2][2]; /* [ip][port]: the IPs of a row are equal, and the ports of a column */
    bool response_port;   /* honour RESPONSE-PORT; else it is an unknown attribute */
};

/* CHANGE-REQUEST, RFC 5780 7.2. */
enum { STUN_CHANGE_IP = 4, STUN_CHANGE_PORT = 2 };

struct stun_behaviour_answer {
    size_t len;             /* 0: silence */
    struct stun_place from; /* the socket to send from */
    struct addr to;
};

/* The answer to a datagram that came in at `asked` from `source`: as stun_binding_answer, with RESPONSE-ORIGIN and OTHER-ADDRESS.
 * CHANGE-REQUEST moves it to the other IP and port as asked; an answer to a padded request is padded, to the length of
 * the request at most; errors leave from where they were asked. Malformed requests of these, and RESPONSE-PORT together
 * with PADDING (RFC 5780 7.5), are 400. */
struct stun_behaviour_answer stun_behaviour_answer(const struct stun_behaviour *b, struct stun_place asked,
                                                   const uint8_t *req, size_t len, const struct addr *source,
                                                   uint8_t *out, size_t cap);

#endif
