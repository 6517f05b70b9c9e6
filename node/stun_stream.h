/* STUN over a byte stream, whatever carries it (TCP, TLS, WebSocket): frames in, answers out. Pure. */
#ifndef BERTH_NODE_STUN_STREAM_H
#define BERTH_NODE_STUN_STREAM_H

#include "core/frame.h"
#include "core/stun.h"

struct stun_stream {
    struct addr peer;
    enum frame_mode mode; /* zeroed: FRAME_UNDECIDED */
};

/* Who looks at each message in a frame of RFC 4571 before it is answered. */
enum stun_tapped {
    STUN_TAP_LEFT, /* it is an ordinary one */
    STUN_TAP_TAKEN, /* it was another's: `*written` bytes of `out`, which has STUN_BINDING_ANSWER_MAX, answer it */
    STUN_TAP_NO_ROOM, /* to be offered again, with `out` */
    STUN_TAP_REFUSED  /* its source asks too often: the stream ends */
};
struct stun_tap {
    enum stun_tapped (*take)(void *ctx, struct slice message, uint8_t *out,
                             size_t *written); /* `out` NULL: no room */
    void *ctx;
};

/* The least room in which a message is taken. */
enum { STUN_STREAM_ROOM = FRAME_HEADER_MAX + STUN_BINDING_ANSWER_MAX };

struct stun_stream_turn {
    size_t used, written;
    unsigned requests, answers; /* those that the tap took and didn't answer here are none */
    bool broken;                /* at `used`; what was before it is answered */
    bool refused;               /* broken it is for that alone */
};

/* Takes whole messages from the front of `in` while `out` has STUN_STREAM_ROOM, and writes their answers, framed as
 * they were. What the tap takes without an answer needs no room. `tap` NULL: nobody looks. */
struct stun_stream_turn stun_stream_take(struct stun_stream *s, const uint8_t *in, size_t len,
                                         const struct stun_tap *tap, uint8_t *out, size_t cap);

#endif
