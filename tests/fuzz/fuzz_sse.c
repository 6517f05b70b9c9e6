/* Server-sent events: a stream gives the same events and the same end whether it comes whole or byte by byte. */
#include "core/hash.h"
#include "core/sse.h"
#include "fuzz.h"

#include <stdbool.h>

enum { ROOM = 64, EVENTS_MAX = 64, STREAM_MAX = 4096 };

struct outcome {
    size_t events, bytes;
    uint32_t hash;
    int error;
    char last_id[SSE_ID_MAX + 1];
};

static void mix(struct outcome *o, const char *text)
{
    o->hash = hash32_add(hash32_add(o->hash, text), "\xff");
}

static bool take(void *user, const struct sse_event *e)
{
    struct outcome *o = user;

    FUZZ_CHECK(strlen(e->data) < ROOM && strlen(e->name) <= SSE_NAME_MAX && strlen(e->id) <= SSE_ID_MAX);
    mix(o, e->name);
    mix(o, e->id);
    mix(o, e->data);
    return ++o->events < EVENTS_MAX;
}

static struct outcome run(const uint8_t *data, size_t size, size_t step)
{
    struct outcome o = {.hash = HASH32_BEGIN};
    struct sse s;
    char *buf = malloc(ROOM);

    FUZZ_CHECK(buf);
    sse_init(&s, buf, ROOM);
    for (size_t at = 0; at < size && o.error == 0; at += step) {
        size_t n = size - at < step ? size - at : step;
        o.error = sse_feed(&s, (const char *)data + at, n, take, &o);
    }
    memcpy(o.last_id, s.last_id, sizeof o.last_id);
    free(buf);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > STREAM_MAX)
        return 0;
    struct outcome whole = run(data, size, size), bytes = run(data, size, 1);
    FUZZ_CHECK(whole.events == bytes.events && whole.hash == bytes.hash && whole.error == bytes.error);
    FUZZ_CHECK(strcmp(whole.last_id, bytes.last_id) == 0);
    return 0;
}
