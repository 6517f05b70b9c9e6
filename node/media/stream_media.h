/* What a stream, whatever carries it, has to do with media: nothing until it asks for a session; a name from then
 * on; a queue once a session is attached to it. What its owner is called back for comes at the end of the loop's
 * turn, but for `attached`, which may come at any time. */
#ifndef BERTH_NODE_MEDIA_STREAM_MEDIA_H
#define BERTH_NODE_MEDIA_STREAM_MEDIA_H

#include "../stun_stream.h"
#include "post.h"
#include "stream_queue.h"

enum { STREAM_HANG_MS = 10 * 1000 }; /* a chunk that isn't taken in this time ends the stream */

struct stream_media;

/* What an owner lets be done. */
struct stream_face {
    /* stream_media_take has something: write it, unless a write is under way. */
    void (*write)(void *owner);
    /* A session is attached from now on, or no longer: whose idle time-out counts. */
    void (*attached)(void *owner, bool on);
    /* Close it, and stream_media_gone. */
    void (*end)(void *owner);
};

struct stream_place {
    struct media_post *post; /* NULL: this node has no media */
    const struct stream_face *face;
    void *owner;
    enum media_carrier carrier;
    bool tls;
    struct limits *limits;
    struct addr peer;
};

/* A message in a frame of RFC 4571, as stun_tap has it. *m: NULL until it is needed; the owner's, until stream_media_gone. */
enum stun_tapped stream_media_message(struct stream_media **m, const struct stream_place *at,
                                      struct slice message, uint8_t *out, size_t *written);

bool stream_media_attached(const struct stream_media *m); /* NULL: no */
/* Frames to write, at most STREAM_QUEUE_CHUNK bytes, good until the next call, which is made once they are written;
 * {NULL, 0}: none. NULL: none. */
struct slice stream_media_take(struct stream_media *m);
/* The stream has ended (hanging: because it took nothing). NULL is fine. */
void stream_media_gone(struct stream_media *m, bool hanging);

#endif
