/* Packets that have come and are to be handed to the caller once no lock is held: a bounded FIFO in one piece of
 * memory. Not thread-safe. */
#ifndef BERTH_AGENT_PACKETS_H
#define BERTH_AGENT_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKETS_ROOM = 512 * 1024, PACKET_LEN_MAX = 2048 };

struct packet_head {
    uint64_t call;
    int64_t received_us;
    size_t len;
    bool rtcp;
};

struct packets {
    uint8_t *room; /* NULL until the first packet */
    size_t at, used, n;
};

/* False: there is no room (or memory), and it is dropped. */
bool packets_push(struct packets *q, const struct packet_head *h, const uint8_t *bytes);
/* Takes the first one. False: there is none. */
bool packets_pop(struct packets *q, struct packet_head *h, uint8_t out[static PACKET_LEN_MAX]);
void packets_clear(struct packets *q);

#endif
