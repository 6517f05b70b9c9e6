/* Messages to answers. Invariant: a message is taken only where its answer is sure to fit. */
#include "stun_stream.h"

/* One message in, at most one answer out; its length with the frame's. */
static size_t answer(const struct stun_stream *s, struct slice message, uint8_t *out, size_t room)
{
    size_t head = s->mode == FRAME_RFC4571 ? FRAME_HEADER_MAX : 0;
    size_t len = stun_binding_answer(message.p, message.len, &s->peer, NULL, out + head, room - head);
    if (len == 0)
        return 0;
    frame_header(s->mode, len, out);
    return head + len;
}

struct stun_stream_turn stun_stream_take(struct stun_stream *s, const uint8_t *in, size_t len, uint8_t *out,
                                         size_t cap)
{
    struct stun_stream_turn t = {0};
    while (cap - t.written >= STUN_STREAM_ROOM) {
        struct slice message = {0};
        ssize_t n = frame_next(&s->mode, in + t.used, len - t.used, &message);
        t.broken = n < 0;
        if (n <= 0)
            break;
        t.used += (size_t)n;
        if (message.len == 0)
            continue;
        size_t wrote = answer(s, message, out + t.written, cap - t.written);
        t.written += wrote;
        t.requests++;
        t.answers += wrote > 0;
    }
    return t;
}
