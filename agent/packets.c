/* The packets' queue. Invariant: `used` bytes from `at` on, around the end of the room, are n packets, each behind its head. */
#include "packets.h"

#include <stdlib.h>
#include <string.h>

static void put(struct packets *q, const void *bytes, size_t len)
{
    size_t end = (q->at + q->used) % PACKETS_ROOM, first = PACKETS_ROOM - end;
    first = len < first ? len : first;
    memcpy(q->room + end, bytes, first);
    memcpy(q->room, (const uint8_t *)bytes + first, len - first);
    q->used += len;
}

static void take(struct packets *q, void *out, size_t len)
{
    size_t first = PACKETS_ROOM - q->at;
    first = len < first ? len : first;
    memcpy(out, q->room + q->at, first);
    memcpy((uint8_t *)out + first, q->room, len - first);
    q->at = (q->at + len) % PACKETS_ROOM;
    q->used -= len;
}

bool packets_push(struct packets *q, const struct packet_head *h, const uint8_t *bytes)
{
    if (!q->room)
        q->room = malloc(PACKETS_ROOM);
    if (!q->room || h->len > PACKET_LEN_MAX || q->used + sizeof *h + h->len > PACKETS_ROOM)
        return false;
    put(q, h, sizeof *h);
    put(q, bytes, h->len);
    q->n++;
    return true;
}

bool packets_pop(struct packets *q, struct packet_head *h, uint8_t out[static PACKET_LEN_MAX])
{
    if (q->n == 0)
        return false;
    take(q, h, sizeof *h);
    take(q, out, h->len);
    q->n--;
    return true;
}

void packets_clear(struct packets *q)
{
    free(q->room);
    *q = (struct packets){0};
}
