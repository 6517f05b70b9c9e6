/* STUN over a byte stream, whatever carries it (TCP, TLS, WebSocket): frames in, answers out. Pure. */
#ifndef BERTH_NODE_STUN_STREAM_H
#define BERTH_NODE_STUN_STREAM_H

#include "core/frame.h"
#include "core/stun.h"

struct stun_stream {
    struct addr peer;
    enum frame_mode mode; /* zeroed: FRAME_UNDECIDED */
};

/* The least room in which a message is taken. */
enum { STUN_STREAM_ROOM = FRAME_HEADER_MAX + STUN_BINDING_ANSWER_MAX };

struct stun_stream_turn {
    size_t used, written;
    unsigned requests, answers;
    bool broken; /* at `used`; what was before it is answered */
};

/* Takes whole messages from the front of `in` while `out` has STUN_STREAM_ROOM, and writes their answers, framed as they were. */
struct stun_stream_turn stun_stream_take(struct stun_stream *s, const uint8_t *in, size_t len, uint8_t *out,
                                         size_t cap);

#endif
