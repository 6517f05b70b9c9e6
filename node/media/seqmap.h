/* Sequence numbers on their way through a node. A source's packets are numbered anew in two steps: seqmap once for
 * all receivers closes the gaps where the source was left out on purpose (last N), and goes on where a source comes
 * again; seqmap_to, for each receiver, begins in the lower half, so that nobody guesses the rollover counter wrong
 * (RFC 3711 3.3.1). Both remember enough to send a retransmission under the number that its packet has had, and
 * seqmap never gives one number twice. Pure. */
#ifndef BERTH_NODE_MEDIA_SEQMAP_H
#define BERTH_NODE_MEDIA_SEQMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEQMAP_PARTS = 4, /* runs of packets between times when it was left out that are remembered */
    SEQMAP_JUMP_MAX =
        1
        << 13, /* a receiver that has missed more is told of no gap: it would guess the rollover counter wrong */
    SEQMAP_EARLIER = 256, /* so many packets from before a receiver's first may still come */
    SEQMAP_BEGINS_BELOW = 1 << 15,
    SEQMAP_TAKEN = 1024, /* so many numbers, up to the newest, are known as come or not */
};

/* Numbers here don't wrap: a receiver's are the indices of its packets (RFC 3711 3.3.1). */
struct seqmap {
    bool begun; /* something has come since it began (anew) */
    bool open;  /* the newest part goes on */
    bool sent;  /* something has ever been sent on */
    uint64_t in_max, out_max;
    uint64_t taken[SEQMAP_TAKEN / 64]; /* bits, by what came: those that have */
    size_t n_parts;
    struct seqmap_part {
        uint64_t first, last, shift; /* of those that came; minus `shift` they are as they are sent on */
    } part[SEQMAP_PARTS];            /* the newest first */
};

/* The sender begins anew, with numbers of its own choice; those sent on go on. */
void seqmap_restart(struct seqmap *m);
/* A packet has come. True: it is sent on, as *out, which no other is. `heard` false: the source is left out now.
 * False as well: it is one from when it was left out, has come before, or is too old to tell. */
bool seqmap_take(struct seqmap *m, uint16_t in, bool heard, uint64_t *out);
/* The number that a packet would have come with which is missing as `out`, for who asks its sender for it. False: it
 * has come, or nobody knows. */
bool seqmap_missing(const struct seqmap *m, uint64_t out, uint16_t *in);

/* One receiver of a source. Zeroed at first. */
struct seqmap_to {
    bool begun;
    uint64_t shift, first,
        last; /* what seqmap_take gave for the first and the last that the receiver was sent */
};
/* What the receiver gets it as: the lower 16 bits are the sequence number; false: it can't. seqmap_to_sent follows
 * when it was sent. */
bool seqmap_to_index(struct seqmap_to *t, uint64_t out, uint64_t *index);
void seqmap_to_sent(struct seqmap_to *t, uint64_t out);
/* The other way round: what seqmap_take gave for what the receiver calls so; false: it wasn't sent that. */
bool seqmap_to_back(const struct seqmap_to *t, uint16_t number, uint64_t *out);

#endif
