/* A binary heap of slots. Invariant: heap[0..count) are the slots in use, a parent never due after its children;
 * heap[count..capacity) are the free ones. */
#include "delayq.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct delayq {
    size_t capacity, count, packet_bytes;
    uint64_t next_order;
    struct delayed *slots;
    struct delayed **heap;
    uint8_t *bytes;
};

struct delayq *delayq_new(size_t packets, size_t packet_bytes)
{
    struct delayq *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->capacity = packets;
    q->packet_bytes = packet_bytes;
    q->slots = calloc(packets, sizeof(*q->slots));
    q->heap = calloc(packets, sizeof(struct delayed *));
    q->bytes = calloc(packets, packet_bytes);
    if (!q->slots || !q->heap || !q->bytes) {
        delayq_free(q);
        return NULL;
    }
    for (size_t i = 0; i < packets; i++) {
        q->slots[i].data = q->bytes + i * packet_bytes;
        q->heap[i] = &q->slots[i];
    }
    return q;
}

void delayq_free(struct delayq *q)
{
    if (!q)
        return;
    free(q->bytes);
    free(q->heap);
    free(q->slots);
    free(q);
}

static bool earlier(const struct delayed *a, const struct delayed *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void swap(struct delayq *q, size_t i, size_t j)
{
    struct delayed *d = q->heap[i];

    q->heap[i] = q->heap[j];
    q->heap[j] = d;
}

int delayq_add(struct delayq *q, int64_t due, size_t tag, const void *data, size_t len)
{
    if (len > q->packet_bytes)
        return -EMSGSIZE;
    if (q->count == q->capacity)
        return -ENOBUFS;

    size_t i = q->count++;
    struct delayed *d = q->heap[i];
    d->due = due;
    d->order = q->next_order++;
    d->tag = tag;
    d->len = len;
    memcpy(d->data, data, len);
    for (; i > 0 && earlier(q->heap[i], q->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(q, i, (i - 1) / 2);
    return 0;
}

const struct delayed *delayq_first(const struct delayq *q)
{
    return q->count ? q->heap[0] : NULL;
}

void delayq_drop_first(struct delayq *q)
{
    if (!q->count)
        return;
    swap(q, 0, --q->count);
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < q->count; child++)
            if (earlier(q->heap[child], q->heap[least]))
                least = child;
        if (least == i)
            return;
        swap(q, i, least);
        i = least;
    }
}

size_t delayq_count(const struct delayq *q)
{
    return q->count;
}
