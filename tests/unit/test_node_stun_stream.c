/* link: berth_node_lib */
#include "node/stun_stream.h"

#include "check.h"

#include <string.h>

enum { REQUEST = STUN_HEADER_LEN };

struct bytes {
    size_t len;
    uint8_t at[4096];
};

static void put(struct bytes *b, bool framed, const uint8_t *p, size_t len)
{
    b->len += frame_header(framed ? FRAME_RFC4571 : FRAME_STUN, len, b->at + b->len);
    memcpy(b->at + b->len, p, len);
    b->len += len;
}

static void put_request(struct bytes *b, bool framed, uint8_t n)
{
    const uint8_t txid[STUN_TXID_LEN] = {n};
    uint8_t request[REQUEST];
    struct stun_writer w;
    size_t len;
    stun_begin(&w, request, sizeof(request), STUN_REQUEST, STUN_BINDING, txid);
    assert_int_equal(stun_finish(&w, &len), 0);
    put(b, framed, request, len);
}

/* Takes what begins with 0x80, and requests whose transaction begins with 9: those it answers with three bytes. */
struct taker {
    unsigned offered, packets, asked;
};

static enum stun_tapped take(void *ctx, struct slice m, uint8_t *out, size_t *written)
{
    struct taker *t = ctx;
    t->offered++;
    if (m.p[0] == 0x80) {
        t->packets++;
        return STUN_TAP_TAKEN;
    }
    if (m.p[8] != 9)
        return STUN_TAP_LEFT;
    if (!out)
        return STUN_TAP_NO_ROOM;
    t->asked++;
    memcpy(out, "abc", 3);
    *written = 3;
    return STUN_TAP_TAKEN;
}

static void tapped(void **state)
{
    static const uint8_t media[] = {0x80, 1, 2, 3, 4};
    struct taker taker = {0};
    const struct stun_tap tap = {take, &taker};
    struct stun_stream s = {.peer = {.family = ADDR_V4, .port = 1, .ip = {192, 0, 2, 1}}};
    struct bytes in = {0}, out = {0};
    put_request(&in, true, 1);
    put(&in, true, media, sizeof(media));
    put_request(&in, true, 9);
    put(&in, true, media, sizeof(media));
    struct stun_stream_turn t = stun_stream_take(&s, in.at, in.len, &tap, out.at, sizeof(out.at));
    assert_int_equal(t.used, in.len);
    assert_false(t.broken);
    assert_int_equal(t.requests, 2);
    assert_int_equal(t.answers, 2);
    assert_int_equal(taker.packets, 2);
    assert_int_equal(taker.asked, 1);
    /* An answer to the first request, then the tap's, framed. */
    size_t first = 2 + ((size_t)out.at[0] << 8 | out.at[1]);
    assert_int_equal(out.at[2] << 8 | out.at[3], 0x0101);
    assert_int_equal(t.written, first + 5);
    assert_memory_equal(out.at + first, "\0\3abc", 5);
}

/* Packets pass where there is no room for answers; a request waits, and so does what is behind it. */
static void no_room(void **state)
{
    static const uint8_t media[] = {0x80, 1, 2, 3, 4};
    struct taker taker = {0};
    const struct stun_tap tap = {take, &taker};
    for (uint8_t asks = 1; asks <= 9; asks += 8) {
        struct stun_stream s = {.mode = FRAME_RFC4571,
                                .peer = {.family = ADDR_V4, .port = 1, .ip = {192, 0, 2, 1}}};
        struct bytes in = {0}, out = {0};
        put(&in, true, media, sizeof(media));
        size_t before = in.len;
        put_request(&in, true, asks);
        put(&in, true, media, sizeof(media));
        struct stun_stream_turn t = stun_stream_take(&s, in.at, in.len, &tap, out.at, STUN_STREAM_ROOM - 1);
        assert_int_equal(t.used, before);
        assert_int_equal(t.written, 0);
        t = stun_stream_take(&s, in.at + before, in.len - before, &tap, out.at, STUN_STREAM_ROOM);
        assert_int_equal(t.used, in.len - before);
        assert_int_equal(t.answers, 1);
    }
}

/* Media has no place between bare STUN messages, so nobody looks there. */
static void not_framed(void **state)
{
    struct taker taker = {0};
    const struct stun_tap tap = {take, &taker};
    struct stun_stream s = {.peer = {.family = ADDR_V4, .port = 1, .ip = {192, 0, 2, 1}}};
    struct bytes in = {0}, out = {0};
    put_request(&in, false, 9);
    struct stun_stream_turn t = stun_stream_take(&s, in.at, in.len, &tap, out.at, sizeof(out.at));
    assert_int_equal(t.used, in.len);
    assert_int_equal(t.answers, 1);
    assert_int_equal(taker.offered, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tapped),
        cmocka_unit_test(no_room),
        cmocka_unit_test(not_framed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
