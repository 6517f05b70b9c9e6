/* One STUN question of a firewall's examination and what came of it: behaviour discovery, padding. Pure: bytes in, bytes out. */
#ifndef BERTH_AGENT_FIREWALL_ASK_H
#define BERTH_AGENT_FIREWALL_ASK_H

#include "core/stun.h"
#include "core/stun_behaviour.h"

/* Beside `to`, all zero: a plain Binding request. */
struct ask {
    struct addr to;
    unsigned change;        /* STUN_CHANGE_IP, STUN_CHANGE_PORT: from where the answer is to come */
    uint16_t response_port; /* to which port of ours the answer is to go; 0: the one that asks */
    size_t packet_size;     /* of the whole IP packet, rounded down to what STUN can be; 0: no padding */
};

struct ask_reply {
    bool answered; /* at all; `error` 0 means success */
    bool too_big;  /* this machine or a router says that the packet doesn't fit */
    bool bounced;  /* the network sent it back */
    int error;
    struct addr from, mapped, other; /* none where the answer has none */
    int64_t rtt_us;                  /* from the last transmission */
};

/* The UDP payload's length; 0: it can't be made (too small a packet, no room). */
size_t ask_write(const struct ask *a, const uint8_t txid[static STUN_TXID_LEN], uint8_t *out, size_t cap);
/* True: these bytes, which came from `from`, answer that transaction; *r is filled. */
bool ask_read(struct ask_reply *r, const uint8_t txid[static STUN_TXID_LEN], const struct addr *from,
              const uint8_t *bytes, size_t len);
/* Bytes that IP and UDP put before the payload. */
size_t ask_overhead(enum addr_family family);

#endif
