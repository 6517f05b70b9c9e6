/* link: berth_node_lib */
#include "node/ws_session.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static const struct addr peer = {.family = ADDR_V4, .port = 4000, .ip = {192, 0, 2, 1}};
static const uint8_t txid[STUN_TXID_LEN] = "websocket..";

struct bytes {
    size_t len;
    uint8_t at[256 * 1024];
};
static struct bytes in, got; /* large: not on the stack */

static void put(struct bytes *b, const void *p, size_t len)
{
    assert_true(len <= sizeof(b->at) - b->len);
    memcpy(b->at + b->len, p, len);
    b->len += len;
}

/* A client's frame, its header written by hand. */
static void put_frame(struct bytes *b, uint8_t first, const uint8_t *payload, size_t len)
{
    static const uint8_t mask[4] = {0xDE, 0xAD, 0xBE, 0xEF};
    uint8_t head[14] = {first};
    size_t n = 2;
    if (len < 126) {
        head[1] = (uint8_t)(0x80 | len);
    } else if (len < 65536) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        n = 4;
    } else {
        head[1] = 0x80 | 127;
        for (size_t i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
        n = 10;
    }
    memcpy(head + n, mask, 4);
    put(b, head, n + 4);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = payload[i] ^ mask[i % 4];
        put(b, &c, 1);
    }
}

static size_t request(uint8_t out[static 64], bool fingerprint)
{
    struct stun_writer b;
    size_t len;
    stun_begin(&b, out, 64, STUN_REQUEST, STUN_BINDING, txid);
    if (fingerprint)
        stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &len), 0);
    return len;
}

struct outcome {
    unsigned requests, answers, broken;
    enum ws_state state;
};

/* Feeds `in`, at most `step` new bytes at a time, as the shell does; what is written goes to `got`. */
static struct outcome run(size_t step)
{
    struct ws_session *s = malloc(sizeof(*s));
    struct outcome o = {0};
    size_t taken = 0, arrived = 0;
    assert_non_null(s);
    assert_int_equal(ws_session_init(s, &peer), 0);
    got.len = 0;
    while (s->state != WS_CLOSED) {
        struct ws_turn t = ws_session_take(s, in.at + taken, arrived - taken, NULL);
        assert_true(t.used <= arrived - taken && s->out_len <= sizeof(s->out));
        taken += t.used;
        o.requests += t.requests;
        o.answers += t.answers;
        o.broken += t.broken;
        put(&got, s->out, s->out_len);
        if (s->out_len > 0) {
            s->out_len = 0;
            continue; /* more may come with no new bytes */
        }
        if (arrived == in.len)
            break;
        arrived = in.len - arrived < step ? in.len : arrived + step;
    }
    o.state = s->state;
    ws_session_dispose(s);
    free(s);
    return o;
}

/* The payloads of the server's frames, binary ones only; the last close code in *code. */
static void unwrap(struct bytes *out, int *code)
{
    size_t at = 0;
    out->len = 0;
    *code = -1;
    while (at < got.len) {
        uint8_t opcode = got.at[at] & 15;
        size_t len = got.at[at + 1], head = 2;
        assert_int_equal(got.at[at] & 0xF0, 0x80);
        assert_true(len <= 126);
        if (len == 126) {
            len = (size_t)got.at[at + 2] << 8 | got.at[at + 3];
            head = 4;
        }
        if (opcode == WS_BINARY)
            put(out, got.at + at + head, len);
        if (opcode == WS_CLOSE)
            *code = len ? got.at[at + head] << 8 | got.at[at + head + 1] : WS_NO_CODE;
        at += head + len;
    }
    assert_int_equal(at, got.len);
}

static const size_t steps[] = {1, 2, 7, 1000, sizeof(in.at)};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };
static struct bytes payload;

static void test_a_thousand_requests_however_they_come(void **state)
{
    uint8_t q[64];
    size_t len = request(q, true);
    static uint8_t all[1000 * 64];
    for (size_t i = 0; i < 1000; i++)
        memcpy(all + i * len, q, len);
    static const size_t frames[] = {1, 5, 28, 126, 1000, 28000};
    for (size_t f = 0; f < sizeof(frames) / sizeof(frames[0]); f++) {
        in.len = 0;
        for (size_t at = 0; at < 1000 * len; at += frames[f]) {
            size_t n = 1000 * len - at < frames[f] ? 1000 * len - at : frames[f];
            put_frame(&in, 0x82, all + at, n);
        }
        for (size_t i = 0; i < STEPS; i++) {
            int code;
            struct outcome o = run(steps[i]);
            unwrap(&payload, &code);
            assert_int_equal(o.requests, 1000);
            assert_int_equal(o.answers, 1000);
            assert_int_equal(o.state, WS_OPEN);
            assert_int_equal(payload.len, 1000 * 40);
        }
    }
}

static void test_fragments_with_a_ping_between(void **state)
{
    uint8_t q[64];
    size_t len = request(q, false);
    in.len = 0;
    put_frame(&in, 0x02, q, 3);
    put_frame(&in, 0x89, (const uint8_t *)"ping", 4);
    put_frame(&in, 0x00, q + 3, 0);
    put_frame(&in, 0x80, q + 3, len - 3);
    for (size_t i = 0; i < STEPS; i++) {
        int code;
        struct outcome o = run(steps[i]);
        assert_int_equal(o.answers, 1);
        assert_memory_equal(got.at, "\x8A\x04ping", 6);
        unwrap(&payload, &code);
        assert_int_equal(payload.len, 32);
        assert_int_equal(code, -1);
    }
}

static void test_limit_of_a_message(void **state)
{
    static uint8_t media[WS_MESSAGE_MAX]; /* RFC 4571: one request, then frames of zeroes: empty ones */
    uint8_t q[64];
    size_t len = request(q, false);
    memset(media, 0, sizeof media);
    media[1] = (uint8_t)len;
    memcpy(media + 2, q, len);
    for (int over = 0; over < 2; over++) {
        int code;
        in.len = 0;
        put_frame(&in, 0x02, media, WS_MESSAGE_MAX - 10);
        put_frame(&in, 0x80, media, (size_t)(10 + over));
        struct outcome o = run(sizeof(in.at));
        unwrap(&payload, &code);
        assert_int_equal(o.answers, 1);
        assert_int_equal(code, over ? WS_TOO_BIG : -1);
        assert_int_equal(o.broken, over);
        assert_int_equal(o.state, over ? WS_CLOSING : WS_OPEN);
    }
}

static void test_close_is_answered_once(void **state)
{
    in.len = 0;
    put_frame(&in, 0x88, (const uint8_t *)"\x03\xE8 bye", 6);
    put_frame(&in, 0x88, (const uint8_t *)"\x03\xE8 bye", 6);
    for (size_t i = 0; i < STEPS; i++) {
        struct outcome o = run(steps[i]);
        assert_int_equal(o.state, WS_CLOSED);
        assert_int_equal(got.len, 4);
        assert_memory_equal(got.at, "\x88\x02\x03\xE8", 4);
    }
}

static void test_our_close_awaits_theirs(void **state)
{
    struct ws_session *s = malloc(sizeof(*s));
    uint8_t q[64];
    size_t len = request(q, false);
    assert_non_null(s);
    assert_int_equal(ws_session_init(s, &peer), 0);
    ws_session_close(s, WS_GOING_AWAY);
    assert_int_equal(s->state, WS_CLOSING);
    assert_int_equal(s->out_len, 4);
    assert_memory_equal(s->out, "\x88\x02\x03\xE9", 4);
    s->out_len = 0;
    ws_session_close(s, WS_GOING_AWAY); /* said already */
    in.len = 0;
    put_frame(&in, 0x82, q, len);
    put_frame(&in, 0x89, q, 3);
    struct ws_turn t = ws_session_take(s, in.at, in.len, NULL);
    assert_int_equal(t.used, in.len);
    assert_int_equal(t.requests, 0);
    assert_int_equal(s->out_len, 0);
    in.len = 0;
    put_frame(&in, 0x88, NULL, 0);
    t = ws_session_take(s, in.at, in.len, NULL);
    assert_int_equal(s->state, WS_CLOSED);
    assert_int_equal(s->out_len, 0);
    ws_session_dispose(s);
    free(s);
}

static void test_what_is_right_before_a_break_is_answered(void **state)
{
    uint8_t q[64], more[64];
    size_t len = request(q, false);
    memcpy(more, q, len);
    memset(more + len, 0xFF, 20);
    in.len = 0;
    put_frame(&in, 0x82, more, len + 20);
    put_frame(&in, 0x82, q, len);
    for (size_t i = 0; i < STEPS; i++) {
        int code;
        struct outcome o = run(steps[i]);
        unwrap(&payload, &code);
        assert_int_equal(o.answers, 1);
        assert_int_equal(o.broken, 1);
        assert_int_equal(code, WS_UNSUPPORTED_DATA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_requests_however_they_come),
        cmocka_unit_test(test_fragments_with_a_ping_between),
        cmocka_unit_test(test_limit_of_a_message),
        cmocka_unit_test(test_close_is_answered_once),
        cmocka_unit_test(test_our_close_awaits_theirs),
        cmocka_unit_test(test_what_is_right_before_a_break_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
