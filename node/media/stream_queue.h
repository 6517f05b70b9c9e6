/* What a stream's receiver has yet to be sent, bounded: where it is slow, video is left out first, the oldest first,
 * then audio. Pure. */
#ifndef BERTH_NODE_MEDIA_STREAM_QUEUE_H
#define BERTH_NODE_MEDIA_STREAM_QUEUE_H

#include "home.h"

enum {
    STREAM_QUEUE_MAX = 256 * 1024,                /* a leg's memory, what is being written included */
    STREAM_QUEUE_HALF = STREAM_QUEUE_MAX / 2,     /* more than this: no video */
    STREAM_QUEUE_MOST = STREAM_QUEUE_MAX / 4 * 3, /* more than this: only the newest audio, and control */
    STREAM_QUEUE_CHUNK = 8 * 1024,                /* one write: what can't be taken back any more */
    STREAM_QUEUE_LANES = 3,                       /* by enum media_class */
    STREAM_QUEUE_PACKET = RTP_PACKET_MAX + SRTP_OVERHEAD,
};

struct stream_queue;
int stream_queue_new(struct stream_queue **out) __attribute__((warn_unused_result));
void stream_queue_destroy(struct stream_queue *q);

/* STREAM_QUEUE_PACKET bytes, aligned to 4. There always is room: what is older goes. stream_queue_commit follows; 0:
 * nothing came of it. */
uint8_t *stream_queue_room(struct stream_queue *q, enum media_class c);
void stream_queue_commit(struct stream_queue *q, enum media_class c, size_t len);

/* Whole frames of RFC 4571, control before audio before video, as many as fit: what is taken is gone from the queue.
 * 0: it is empty. */
size_t stream_queue_take(struct stream_queue *q, uint8_t *out, size_t cap);
size_t stream_queue_bytes(const struct stream_queue *q);     /* held */
uint64_t stream_queue_dropped(const struct stream_queue *q); /* packets left out so far */

#endif
