/* A WebSocket that carries the frames of a STUN stream, the server's side: bytes in, bytes out. No I/O and no clock. */
#ifndef BERTH_NODE_WS_SESSION_H
#define BERTH_NODE_WS_SESSION_H

#include "stun_stream.h"
#include "ws_frames.h"

enum { WS_SESSION_OUT_MAX = 1024, WS_SESSION_IN_MAX = FRAME_PAYLOAD_MAX + FRAME_HEADER_MAX };

enum ws_state {
    WS_OPEN,
    WS_CLOSING, /* our close frame was written first: the peer's is awaited, all else is thrown away */
    WS_CLOSED   /* nothing more is to be read; write what is in `out`, then end the connection */
};

struct ws_session {
    struct ws_frames *frames;
    struct stun_stream stun;
    enum ws_state state;
    struct slice piece; /* of a message, within `frames`: not yet in `in` */
    bool stalled;       /* `in` may hold whole messages for whose answers there was no room */
    size_t in_len, out_len;
    uint8_t in[WS_SESSION_IN_MAX]; /* the beginning of a frame of the stream */
    uint8_t out[WS_SESSION_OUT_MAX];
};

/* 0, or -ENOMEM. */
int ws_session_init(struct ws_session *s, const struct addr *peer) __attribute__((warn_unused_result));
void ws_session_dispose(struct ws_session *s);

struct ws_turn {
    size_t used;
    unsigned requests, answers;
    bool alive;   /* a message of the stream, or a ping, came whole */
    bool broken;  /* the peer kept no protocol of ours; our close frame says which */
    bool refused; /* that was asking too often */
};

/* Takes bytes from `in` until all are taken or `out` is full. Write `out`, set out_len to 0, call again: more may come with no
 * new bytes. All is done once it takes nothing and writes nothing. `tap` as for stun_stream_take. */
struct ws_turn ws_session_take(struct ws_session *s, const uint8_t *in, size_t len,
                               const struct stun_tap *tap);
/* Says goodbye, where that hasn't been said; `out` must be empty. */
void ws_session_close(struct ws_session *s, uint16_t code);

#endif
