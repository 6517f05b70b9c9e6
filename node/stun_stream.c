/* Messages to answers. Invariant: a message is taken only where its answer is sure to fit. */
#include "stun_stream.h"

/* One message in, at most one answer out, without the frame's header; its length. */
static size_t answer(const struct stun_stream *s, struct slice message, uint8_t *out)
{
    return stun_binding_answer(message.p, message.len, &s->peer, NULL, out, STUN_BINDING_ANSWER_MAX);
}

static enum stun_tapped offer(const struct stun_stream *s, const struct stun_tap *tap, struct slice message,
                              uint8_t *out, size_t *written)
{
    return tap && s->mode == FRAME_RFC4571 ? tap->take(tap->ctx, message, out, written) : STUN_TAP_LEFT;
}

/* false: it has to wait for room, or is refused. */
static bool take_one(const struct stun_stream *s, struct slice message, const struct stun_tap *tap,
                     uint8_t *out, bool room, struct stun_stream_turn *t)
{
    size_t head = s->mode == FRAME_RFC4571 ? FRAME_HEADER_MAX : 0, written = 0;
    enum stun_tapped tapped = offer(s, tap, message, room ? out + head : NULL, &written);
    t->refused = t->broken = tapped == STUN_TAP_REFUSED;
    if (t->refused || tapped == STUN_TAP_NO_ROOM || (tapped == STUN_TAP_LEFT && !room))
        return false;
    if (tapped == STUN_TAP_LEFT)
        written = answer(s, message, out + head);
    t->requests += tapped == STUN_TAP_LEFT || written > 0;
    t->answers += written > 0;
    if (written > 0)
        t->written += frame_header(s->mode, written, out) + written;
    return true;
}

struct stun_stream_turn stun_stream_take(struct stun_stream *s, const uint8_t *in, size_t len,
                                         const struct stun_tap *tap, uint8_t *out, size_t cap)
{
    struct stun_stream_turn t = {0};
    for (;;) {
        struct slice message = {0};
        ssize_t n = frame_next(&s->mode, in + t.used, len - t.used, &message);
        t.broken = n < 0;
        if (n <= 0)
            break;
        bool room = cap - t.written >= STUN_STREAM_ROOM;
        if (message.len > 0 && !take_one(s, message, tap, out + t.written, room, &t))
            break;
        t.used += (size_t)n;
    }
    return t;
}
