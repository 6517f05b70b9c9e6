/* Frames to stream to answers to frames. Invariant: whatever comes in, `out` keeps room for a close frame while
 * open, and nothing is taken from the peer that `out` has no room to answer. */
#include "ws_session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    CLOSE_ROOM = WS_HEADER_MAX + 2,
    ANSWER_ROOM = WS_HEADER_MAX + STUN_STREAM_ROOM,
    CONTROL_ROOM = WS_HEADER_MAX + WS_CONTROL_MAX,
    TURN_ROOM = (ANSWER_ROOM > CONTROL_ROOM ? (int)ANSWER_ROOM : (int)CONTROL_ROOM) + CLOSE_ROOM
};
static_assert((int)WS_SESSION_OUT_MAX >= 2 * (int)TURN_ROOM, "room for several answers");
static_assert((int)WS_SESSION_OUT_MAX <= (int)WS_WRITE_MAX, "one frame holds them");

int ws_session_init(struct ws_session *s, const struct addr *peer)
{
    *s = (struct ws_session){.frames = ws_frames_new(), .stun = {.peer = *peer}};
    return s->frames ? 0 : -ENOMEM;
}

void ws_session_dispose(struct ws_session *s)
{
    ws_frames_destroy(s->frames);
    s->frames = NULL;
}

static size_t room(const struct ws_session *s)
{
    return sizeof(s->out) - s->out_len;
}

static void put_close(struct ws_session *s, uint16_t code, enum ws_state next)
{
    if (s->state == WS_OPEN)
        s->out_len += ws_frames_write_close(s->frames, code, s->out + s->out_len, room(s));
    s->state = next;
    s->piece.len = 0;
    s->stalled = false;
}

void ws_session_close(struct ws_session *s, uint16_t code)
{
    if (s->state == WS_OPEN)
        put_close(s, code, WS_CLOSING);
}

/* The peer broke a rule, so its close frame couldn't be read: what it still sends is thrown away. */
static void put_break(struct ws_session *s, uint16_t code, struct ws_turn *t)
{
    t->broken |= s->state == WS_OPEN;
    put_close(s, code, WS_CLOSING);
}

/* Moves the piece on into the stream, as far as there is room for answers. */
static void feed_stream(struct ws_session *s, const struct stun_tap *tap, struct ws_turn *t)
{
    uint8_t answers[WS_SESSION_OUT_MAX];
    size_t n = sizeof(s->in) - s->in_len < s->piece.len ? sizeof(s->in) - s->in_len : s->piece.len;
    memcpy(s->in + s->in_len, s->piece.p, n);
    s->in_len += n;
    s->piece.p += n;
    s->piece.len -= n;
    struct stun_stream_turn st =
        stun_stream_take(&s->stun, s->in, s->in_len, tap, answers, room(s) - WS_HEADER_MAX - CLOSE_ROOM);
    s->stalled = st.used > 0 && s->in_len > st.used && room(s) - st.written < TURN_ROOM;
    s->in_len -= st.used;
    memmove(s->in, s->in + st.used, s->in_len);
    if (st.written > 0)
        s->out_len +=
            ws_frames_write(s->frames, WS_BINARY, answers, st.written, s->out + s->out_len, room(s));
    t->requests += st.requests;
    t->answers += st.answers;
    t->alive |= st.used > 0;
    if (st.broken)
        put_break(s, st.refused ? WS_POLICY_VIOLATION : WS_UNSUPPORTED_DATA, t);
    t->refused |= st.refused;
}

static void take_event(struct ws_session *s, const struct ws_read *r, struct ws_turn *t)
{
    switch (r->event) {
    case WS_GOT_DATA:
        if (s->state == WS_OPEN)
            s->piece = r->data;
        return;
    case WS_GOT_PING:
        if (s->state != WS_OPEN)
            return;
        s->out_len +=
            ws_frames_write(s->frames, WS_PONG, r->data.p, r->data.len, s->out + s->out_len, room(s));
        t->alive = true;
        return;
    case WS_GOT_CLOSE:
        put_close(s, r->code, WS_CLOSED);
        return;
    case WS_BROKEN:
        put_break(s, r->code, t);
        return;
    case WS_GOT_PONG:
    case WS_MORE:
        return;
    }
}

struct ws_turn ws_session_take(struct ws_session *s, const uint8_t *in, size_t len,
                               const struct stun_tap *tap)
{
    struct ws_turn t = {0};
    while (s->state != WS_CLOSED && (s->state == WS_CLOSING || room(s) >= TURN_ROOM)) {
        if (s->piece.len > 0 || s->stalled) {
            feed_stream(s, tap, &t);
            continue;
        }
        struct ws_read r = ws_frames_read(s->frames, in + t.used, len - t.used);
        t.used += r.used;
        take_event(s, &r, &t);
        if (r.event == WS_BROKEN) {
            t.used = len;
            break;
        }
        if (r.event == WS_MORE)
            break;
    }
    return t;
}
