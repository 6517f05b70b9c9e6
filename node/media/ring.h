/* A bounded ring of packets from one thread to another, written in place, and the bell that wakes who reads it. One
 * thread writes, one reads; nothing is locked and nothing is allocated once it is made. */
#ifndef BERTH_NODE_MEDIA_RING_H
#define BERTH_NODE_MEDIA_RING_H

#include "home.h"

#include <stdatomic.h>

enum {
    MEDIA_CELL_BYTES = RTP_PACKET_MAX + SRTP_OVERHEAD,
    MEDIA_RING_RESERVE = 4, /* one in so many cells is kept for what isn't a packet */
};

enum media_cell_kind {
    MEDIA_CELL_STUN,   /* to the home: a request */
    MEDIA_CELL_PACKET, /* to the home: RTP or RTCP */
    MEDIA_CELL_SEND,   /* from the home: over a stream */
    MEDIA_CELL_ATTACH, /* from the home: that path's packets are its own */
    MEDIA_CELL_DETACH,
    MEDIA_CELL_GONE, /* to the home: a stream or a dialled link has ended, or a datagram's path is another home's */
    MEDIA_CELL_LINKED, /* to the home: a struct media_link, which has been dialled */
    MEDIA_CELL_STANDS, /* from the home, to the thread of links: the other node has dialled; `stream` is media_plan_link_id */
    MEDIA_CELL_FELL, /* ... and that link has ended */
};
_Static_assert(sizeof(struct media_link) <= MEDIA_CELL_BYTES, "a cell holds a link");

struct media_cell {
    struct media_path path;
    int64_t at_us; /* when it was received */
    size_t len;
    uint8_t kind;   /* enum media_cell_kind */
    uint8_t cls;    /* enum media_class, of what is to be sent */
    uint8_t reason; /* enum media_end_reason, of a detach */
    _Alignas(16) uint8_t bytes[MEDIA_CELL_BYTES];
};

struct media_ring;
/* `cells`: a power of two, 4 at least. 0, -EINVAL or -ENOMEM. Memory that no cell has needed yet isn't touched. */
int media_ring_new(struct media_ring **out, size_t cells) __attribute__((warn_unused_result));
void media_ring_destroy(struct media_ring *r);

/* The writer's: a cell to fill in, NULL: full; for a packet that is while only the reserve is left. Nobody sees it
 * before media_ring_push. */
struct media_cell *media_ring_room(struct media_ring *r, bool packet);
void media_ring_push(struct media_ring *r);

/* The reader's: the oldest, NULL: none. It may be written to; after media_ring_pop it is the writer's. */
struct media_cell *media_ring_peek(struct media_ring *r);
void media_ring_pop(struct media_ring *r);

/* Rung by any thread after it has pushed; many rings are one wake-up. */
struct media_bell {
    int fd; /* an eventfd, readable once rung */
    _Atomic bool rung;
};
int media_bell_open(struct media_bell *b) __attribute__((warn_unused_result));
void media_bell_close(struct media_bell *b);
void media_bell_ring(struct media_bell *b);
/* The reader's, before it looks into its rings: what is pushed from now on rings again. */
void media_bell_hear(struct media_bell *b);

#endif
