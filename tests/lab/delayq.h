/* Packets waiting for their time: a bounded priority queue. Packets of the same time leave in the order they came.
 * One thread; all memory is taken by delayq_new. */
#ifndef BERTH_LAB_DELAYQ_H
#define BERTH_LAB_DELAYQ_H

#include <stddef.h>
#include <stdint.h>

struct delayed {
    int64_t due;
    uint64_t order; /* breaks ties */
    size_t tag;     /* the caller's: where the packet goes */
    size_t len;
    uint8_t *data;
};

struct delayq;

/* Room for `packets` of at most `packet_bytes` each; NULL when there is no memory. */
struct delayq *delayq_new(size_t packets, size_t packet_bytes);
void delayq_free(struct delayq *q);

/* Copies the packet. 0, -ENOBUFS when the queue is full, -EMSGSIZE when the packet is larger than a slot. */
int delayq_add(struct delayq *q, int64_t due, size_t tag, const void *data, size_t len)
    __attribute__((warn_unused_result));
/* The packet that is due first, NULL when there is none; valid until the next add or drop. */
const struct delayed *delayq_first(const struct delayq *q);
void delayq_drop_first(struct delayq *q);
size_t delayq_count(const struct delayq *q);

#endif
