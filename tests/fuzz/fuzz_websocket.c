/* A WebSocket's input, from frames to answers: whole and byte by byte it gives the same answers and the same end, and what is
 * written is bounded by what came. */
#include "../../node/stun_stream.c"
#include "../../node/ws_frames.c"
#include "../../node/ws_session.c"
#include "fuzz.h"

enum { INPUT_MAX = 8192, OUTPUT_MAX = INPUT_MAX * 8 };

struct outcome {
    enum ws_state state;
    unsigned requests, answers, broken;
    uint64_t written; /* a sum over what was written, borders of data frames apart */
    size_t data;
};

/* Adds the frames of one turn: data as a stream, control frames as they are. */
static void add_output(struct outcome *o, const uint8_t *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        FUZZ_CHECK(len - at >= 2 && (p[at] & 0xF0) == 0x80 && p[at + 1] <= 126);
        size_t head = p[at + 1] == 126 ? 4 : 2;
        size_t size = head == 4 ? (size_t)p[at + 2] << 8 | p[at + 3] : p[at + 1];
        FUZZ_CHECK(size <= len - at - head);
        for (size_t i = 0; i < size; i++)
            o->written = o->written * 31 + p[at + head + i];
        o->data += (p[at] & 15) == WS_BINARY ? size : 0;
        at += head + size;
    }
}

static struct outcome run(const uint8_t *data, size_t size, size_t step)
{
    static const struct addr peer = {.family = ADDR_V6, .port = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    struct ws_session s;
    struct outcome o = {0};
    size_t taken = 0, arrived = 0;
    FUZZ_CHECK(ws_session_init(&s, &peer) == 0);
    while (s.state != WS_CLOSED) {
        struct ws_turn t = ws_session_take(&s, data + taken, arrived - taken, NULL);
        FUZZ_CHECK(t.used <= arrived - taken && s.out_len <= sizeof s.out && t.answers <= t.requests);
        taken += t.used;
        o.requests += t.requests;
        o.answers += t.answers;
        o.broken += t.broken;
        add_output(&o, s.out, s.out_len);
        if (s.out_len > 0) {
            s.out_len = 0;
            continue;
        }
        FUZZ_CHECK(taken == arrived); /* with nothing to write, everything is taken */
        if (arrived == size)
            break;
        arrived = size - arrived < step ? size : arrived + step;
    }
    o.state = s.state;
    ws_session_dispose(&s);
    FUZZ_CHECK(o.data <= OUTPUT_MAX);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    struct outcome whole = run(data, size, size + 1), bytes = run(data, size, 1);
    FUZZ_CHECK(whole.state == bytes.state && whole.broken == bytes.broken && whole.broken <= 1);
    FUZZ_CHECK(whole.requests == bytes.requests && whole.answers == bytes.answers);
    FUZZ_CHECK(whole.written == bytes.written && whole.data == bytes.data);
    return 0;
}
