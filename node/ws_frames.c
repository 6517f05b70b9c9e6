/* wslay's frames with the rules that it leaves to its callers. Invariant: once broken, always broken; a data event comes only from
 * a masked, binary message that has kept every rule so far. */
#include "ws_frames.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

struct ws_frames {
    wslay_frame_context_ptr frames;
    struct slice in;       /* during a read */
    struct wire_wr *out;   /* during a write */
    bool in_frame;         /* its header has been checked, its payload is under way */
    bool in_message;       /* fragments of it are still to come */
    uint64_t frame_taken;  /* payload of the frame so far */
    uint64_t message_size; /* payload of the message, by its frames' headers */
    uint8_t control[WS_CONTROL_MAX];
    size_t control_len;
    uint16_t broken; /* 0: not */
};

/* ---- wslay's callbacks ---- */

static ssize_t on_recv(uint8_t *buf, size_t len, int flags, void *user)
{
    struct ws_frames *f = user;
    size_t n = f->in.len < len ? f->in.len : len;
    if (n == 0)
        return -1; /* wslay answers WANT_READ */
    memcpy(buf, f->in.p, n);
    f->in.p += n;
    f->in.len -= n;
    return (ssize_t)n;
}

static ssize_t on_send(const uint8_t *bytes, size_t len, int flags, void *user)
{
    struct ws_frames *f = user;
    wire_wr_bytes(f->out, bytes, len);
    return (ssize_t)len;
}

/* A server doesn't mask. */
static int on_genmask(uint8_t *buf, size_t len, void *user)
{
    return -1;
}

struct ws_frames *ws_frames_new(void)
{
    static const struct wslay_frame_callbacks callbacks = {on_send, on_recv, on_genmask};
    struct ws_frames *f = calloc(1, sizeof(*f));
    if (f && wslay_frame_context_init(&f->frames, &callbacks, f) != 0) {
        free(f);
        f = NULL;
    }
    return f;
}

void ws_frames_destroy(struct ws_frames *f)
{
    if (!f)
        return;
    wslay_frame_context_free(f->frames);
    free(f);
}

/* ---- reading ---- */

/* 0, or the code to close with. */
static uint16_t check_header(struct ws_frames *f, const struct wslay_frame_iocb *h)
{
    if (h->rsv != 0 || !h->mask) /* RFC 6455 5.2, 5.1 */
        return WS_PROTOCOL_ERROR;
    if (wslay_is_ctrl_frame(h->opcode)) {
        f->control_len = 0;
        return h->opcode > WSLAY_PONG || h->payload_length > WS_CONTROL_MAX ? WS_PROTOCOL_ERROR : 0;
    }
    if (h->opcode == WSLAY_TEXT_FRAME)
        return WS_UNSUPPORTED_DATA;
    if (h->opcode != (f->in_message ? WSLAY_CONTINUATION_FRAME : WSLAY_BINARY_FRAME)) /* 5.4 */
        return WS_PROTOCOL_ERROR;
    if (!f->in_message)
        f->message_size = 0;
    if (h->payload_length > WS_MESSAGE_MAX - f->message_size)
        return WS_TOO_BIG;
    f->message_size += h->payload_length;
    f->in_message = !h->fin;
    return 0;
}

/* RFC 6455 5.5.1, 7.4: two bytes of code or nothing, and only codes that may be on the wire. */
static uint16_t close_code(const uint8_t *payload, size_t len)
{
    if (len == 0)
        return WS_NO_CODE;
    if (len == 1)
        return WS_PROTOCOL_ERROR;
    int code = payload[0] << 8 | payload[1];
    bool known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
    return known || (code >= 3000 && code <= 4999) ? (uint16_t)code : WS_PROTOCOL_ERROR;
}

static struct ws_read control_event(struct ws_frames *f, uint8_t opcode)
{
    struct ws_read r = {.data = {f->control, f->control_len}};
    if (opcode == WSLAY_CONNECTION_CLOSE) {
        r.event = WS_GOT_CLOSE;
        r.code = close_code(f->control, f->control_len);
    } else {
        r.event = opcode == WSLAY_PING ? WS_GOT_PING : WS_GOT_PONG;
    }
    return r;
}

/* One piece of a frame; WS_MORE where it makes no event. */
static struct ws_read take_piece(struct ws_frames *f, const struct wslay_frame_iocb *h)
{
    struct ws_read r = {.event = WS_MORE};
    if (!f->in_frame) {
        f->broken = check_header(f, h);
        if (f->broken)
            return r;
        f->frame_taken = 0;
    }
    f->frame_taken += h->data_length;
    f->in_frame = f->frame_taken < h->payload_length;
    if (!wslay_is_ctrl_frame(h->opcode)) {
        if (h->data_length > 0)
            r = (struct ws_read){.event = WS_GOT_DATA, .data = {h->data, h->data_length}};
        return r;
    }
    memcpy(f->control + f->control_len, h->data, h->data_length); /* the header said that it fits */
    f->control_len += h->data_length;
    return f->in_frame ? r : control_event(f, h->opcode);
}

struct ws_read ws_frames_read(struct ws_frames *f, const uint8_t *in, size_t len)
{
    struct ws_read r = {.event = WS_MORE};
    f->in = (struct slice){in, len};
    while (r.event == WS_MORE && !f->broken) {
        struct wslay_frame_iocb h = {0};
        ssize_t n = wslay_frame_recv(f->frames, &h);
        if (n == WSLAY_ERR_WANT_READ)
            break;
        if (n < 0)
            f->broken = WS_PROTOCOL_ERROR;
        else
            r = take_piece(f, &h);
    }
    if (f->broken)
        r = (struct ws_read){.event = WS_BROKEN, .code = f->broken};
    r.used = len - f->in.len;
    return r;
}

/* ---- writing ---- */

size_t ws_frames_write(struct ws_frames *f, enum ws_opcode opcode, const void *payload, size_t len,
                       uint8_t *out, size_t cap)
{
    struct wslay_frame_iocb h = {
        .fin = 1, .opcode = (uint8_t)opcode, .payload_length = len, .data = payload, .data_length = len};
    struct wire_wr wr = wire_wr_init(out, cap);
    if (len > WS_WRITE_MAX)
        return 0;
    f->out = &wr;
    ssize_t n = wslay_frame_send(f->frames, &h);
    f->out = NULL;
    return n == (ssize_t)len && !wr.bad ? wire_wr_len(&wr) : 0;
}

size_t ws_frames_binary_header(uint8_t out[static WS_HEADER_MAX], size_t len)
{
    enum { FIN = 0x80, SHORT_MAX = 125, LENGTH_16 = 126 };
    out[0] = FIN | WS_BINARY;
    if (len <= SHORT_MAX) {
        out[1] = (uint8_t)len;
        return 2;
    }
    out[1] = LENGTH_16;
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
    return WS_HEADER_MAX;
}

size_t ws_frames_write_close(struct ws_frames *f, uint16_t code, uint8_t *out, size_t cap)
{
    const uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    return ws_frames_write(f, WS_CLOSE, payload, code == WS_NO_CODE ? 0 : sizeof(payload), out, cap);
}
