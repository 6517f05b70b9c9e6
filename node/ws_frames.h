/* The server's side of WebSocket frames (RFC 6455 section 5) around a byte stream: binary messages of any length up
 * to a limit, whose borders mean nothing. No I/O. */
#ifndef BERTH_NODE_WS_FRAMES_H
#define BERTH_NODE_WS_FRAMES_H

#include "core/wire.h"

enum {
    WS_CONTROL_MAX = 125,       /* RFC 6455 5.5 */
    WS_HEADER_MAX = 4,          /* of the frames that we write */
    WS_WRITE_MAX = 4096,        /* their payload */
    WS_MESSAGE_MAX = 64 * 1024, /* that a peer may send, over all of its fragments */
};

enum ws_code {
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_UNSUPPORTED_DATA = 1003,
    WS_POLICY_VIOLATION = 1008,
    WS_NO_CODE = 1005, /* never on the wire: a close frame without a code */
    WS_TOO_BIG = 1009,
};

enum ws_opcode { WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum ws_event {
    WS_MORE,      /* all bytes were taken, and no more is to be had from them */
    WS_GOT_DATA,  /* a piece of a binary message, never empty */
    WS_GOT_PING,  /* with its payload */
    WS_GOT_PONG,  /* it may be ignored */
    WS_GOT_CLOSE, /* `code`: what to answer with */
    WS_BROKEN     /* `code`: what to close with; nothing can be read any more */
};

struct ws_read {
    enum ws_event event;
    uint16_t code;
    struct slice data; /* of the frames; good until the next ws_frames_read */
    size_t used;       /* bytes taken from the input, whatever the event */
};

struct ws_frames;
/* NULL: out of memory. */
struct ws_frames *ws_frames_new(void);
void ws_frames_destroy(struct ws_frames *f);

/* The next event. Some bytes may be kept inside: call again until WS_MORE, then with more bytes. */
struct ws_read ws_frames_read(struct ws_frames *f, const uint8_t *in, size_t len);
/* One whole frame, at most WS_HEADER_MAX longer than its payload, which is at most WS_WRITE_MAX (control frames:
 * WS_CONTROL_MAX). Its length; 0: `cap` was too small. */
size_t ws_frames_write(struct ws_frames *f, enum ws_opcode opcode, const void *payload, size_t len,
                       uint8_t *out, size_t cap);
/* The header of a whole binary frame whose payload, up to 65535 bytes, follows apart. Its length. */
size_t ws_frames_binary_header(uint8_t out[static WS_HEADER_MAX], size_t len);
/* A close frame; WS_NO_CODE: without a code. */
size_t ws_frames_write_close(struct ws_frames *f, uint16_t code, uint8_t *out, size_t cap);

#endif
