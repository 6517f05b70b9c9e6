/* A ring of bytes for each class. Invariant: the packets of a lane lie whole, one behind the other, from `head` to
 * `tail`, or from `head` to `end` and on from 0; `end` is 0 where they don't wrap. */
#include "stream_queue.h"

#include "core/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD = sizeof(uint32_t), /* a packet's length, before it */
    NEED = HEAD + STREAM_QUEUE_PACKET,
    VIDEO_BYTES = STREAM_QUEUE_HALF,
    AUDIO_BYTES = 72 * 1024,
    CONTROL_BYTES = STREAM_QUEUE_MAX - VIDEO_BYTES - AUDIO_BYTES - STREAM_QUEUE_CHUNK
};
static_assert(STREAM_QUEUE_PACKET % 4 == 0, "the next one is aligned too");
static_assert((int)CONTROL_BYTES >= 4 * (int)NEED, "room for some");

struct lane {
    uint8_t *at;
    size_t cap, head, tail, end;
    size_t n, bytes;
};

struct stream_queue {
    struct lane lane[STREAM_QUEUE_LANES];
    uint64_t dropped;
    _Alignas(8) uint8_t bytes[VIDEO_BYTES + AUDIO_BYTES + CONTROL_BYTES];
};

int stream_queue_new(struct stream_queue **out)
{
    struct stream_queue *q = malloc(sizeof(*q)); /* pages that no packet needs aren't touched */
    if (!q)
        return -ENOMEM;
    memset(q->lane, 0, sizeof(q->lane));
    q->dropped = 0;
    q->lane[MEDIA_VIDEO] = (struct lane){.at = q->bytes, .cap = VIDEO_BYTES};
    q->lane[MEDIA_AUDIO] = (struct lane){.at = q->bytes + VIDEO_BYTES, .cap = AUDIO_BYTES};
    q->lane[MEDIA_CONTROL] = (struct lane){.at = q->bytes + VIDEO_BYTES + AUDIO_BYTES, .cap = CONTROL_BYTES};
    *out = q;
    return 0;
}

void stream_queue_destroy(struct stream_queue *q)
{
    free(q);
}

static size_t padded(size_t len)
{
    return HEAD + (len + 3) / 4 * 4;
}

static uint32_t head_len(const struct lane *l)
{
    uint32_t len;
    memcpy(&len, l->at + l->head, sizeof(len));
    return len;
}

static void pop(struct lane *l)
{
    size_t whole = padded(head_len(l));
    l->head += whole;
    l->bytes -= whole;
    l->n--;
    if (l->n == 0)
        l->head = l->tail = l->end = 0; /* so a queue that empties stays within its first pages */
    else if (l->end > 0 && l->head == l->end)
        l->head = l->end = 0;
}

/* Makes `tail` stand before NEED free bytes; false: some packet must go first. */
static bool find_room(struct lane *l)
{
    if (l->end > 0)
        return l->head - l->tail > NEED;
    if (l->cap - l->tail >= NEED)
        return true;
    if (l->head <= NEED)
        return false;
    l->end = l->tail;
    l->tail = 0;
    return true;
}

static void drop_oldest(struct stream_queue *q, enum media_class c)
{
    pop(&q->lane[c]);
    q->dropped++;
}

static void keep_within(struct stream_queue *q, enum media_class c, size_t bytes)
{
    while (q->lane[c].n > 0 && stream_queue_bytes(q) + NEED > bytes)
        drop_oldest(q, c);
}

uint8_t *stream_queue_room(struct stream_queue *q, enum media_class c)
{
    struct lane *l = &q->lane[c];
    keep_within(q, MEDIA_VIDEO, STREAM_QUEUE_HALF);
    keep_within(q, MEDIA_AUDIO, STREAM_QUEUE_MOST);
    while (!find_room(l))
        drop_oldest(q, c);
    return l->at + l->tail + HEAD;
}

void stream_queue_commit(struct stream_queue *q, enum media_class c, size_t len)
{
    struct lane *l = &q->lane[c];
    const uint32_t head = (uint32_t)len;
    if (len == 0 || len > STREAM_QUEUE_PACKET) {
        if (l->end > 0 && l->tail == 0) { /* it wrapped for nothing */
            l->tail = l->end;
            l->end = 0;
        }
        return;
    }
    memcpy(l->at + l->tail, &head, sizeof(head));
    l->tail += padded(len);
    l->bytes += padded(len);
    l->n++;
}

/* The next frame of a lane; 0: none, or it doesn't fit. */
static size_t take_one(struct lane *l, uint8_t *out, size_t cap)
{
    size_t len = l->n > 0 ? head_len(l) : 0;
    if (len == 0 || cap < FRAME_HEADER_MAX + len)
        return 0;
    size_t head = frame_header(FRAME_RFC4571, len, out);
    memcpy(out + head, l->at + l->head + HEAD, len);
    pop(l);
    return head + len;
}

size_t stream_queue_take(struct stream_queue *q, uint8_t *out, size_t cap)
{
    static const enum media_class order[STREAM_QUEUE_LANES] = {MEDIA_CONTROL, MEDIA_AUDIO, MEDIA_VIDEO};
    size_t len = 0;
    for (size_t i = 0; i < STREAM_QUEUE_LANES; i++) {
        size_t n;
        while ((n = take_one(&q->lane[order[i]], out + len, cap - len)) > 0)
            len += n;
        if (q->lane[order[i]].n > 0)
            break; /* it has its turn first */
    }
    return len;
}

size_t stream_queue_bytes(const struct stream_queue *q)
{
    size_t bytes = 0;
    for (size_t i = 0; i < STREAM_QUEUE_LANES; i++)
        bytes += q->lane[i].bytes;
    return bytes;
}

uint64_t stream_queue_dropped(const struct stream_queue *q)
{
    return q->dropped;
}
