/* Framing: a stream gives the same frames and the same end whether it comes whole or byte by byte, in either mode. */
#include "core/frame.h"
#include "fuzz.h"

enum { FRAMES_MAX = 4096 };

struct outcome {
    enum frame_mode mode;
    size_t frames, consumed, payload;
    bool broken;
};

/* Reads frames from what has come so far; false once the stream is broken. */
static bool drain(struct outcome *o, const uint8_t *data, size_t arrived)
{
    for (;;) {
        struct slice payload;
        ssize_t n = frame_next(&o->mode, data + o->consumed, arrived - o->consumed, &payload);
        if (n < 0) {
            o->broken = true;
            return false;
        }
        if (n == 0)
            return true;
        FUZZ_CHECK((size_t)n <= arrived - o->consumed && payload.len <= (size_t)n);
        FUZZ_CHECK(payload.p >= data && payload.p + payload.len <= data + arrived);
        FUZZ_CHECK(payload.len <= FRAME_PAYLOAD_MAX);
        o->consumed += (size_t)n;
        o->payload += payload.len;
        o->frames++;
    }
}

static struct outcome run(enum frame_mode mode, const uint8_t *data, size_t size, size_t step)
{
    struct outcome o = {.mode = mode};
    for (size_t arrived = 0;; arrived += step) {
        if (arrived > size)
            arrived = size;
        if (!drain(&o, data, arrived) || arrived == size)
            return o;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > FRAMES_MAX)
        return 0;
    for (int mode = FRAME_UNDECIDED; mode <= FRAME_RFC4571; mode++) {
        struct outcome whole = run((enum frame_mode)mode, data, size, size + 1);
        struct outcome bytes = run((enum frame_mode)mode, data, size, 1);
        FUZZ_CHECK(whole.broken == bytes.broken && whole.mode == bytes.mode);
        FUZZ_CHECK(whole.frames == bytes.frames && whole.consumed == bytes.consumed);
        FUZZ_CHECK(whole.payload == bytes.payload);
    }
    return 0;
}
