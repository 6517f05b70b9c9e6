/* link: berth_agent_core */
/* The WebSocket client against a server made of wslay: the upgrade, masking, fragments, pings, and peers that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "probe/websocket.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <wslay/wslay.h>

/* The other end: what it was sent, and what it will send. */
struct peer {
    wslay_event_context_ptr frames;
    uint8_t in[65536], out[65536], got[65536];
    size_t n_in, at, n_out, n_got, n_messages;
};

static ssize_t peer_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user)
{
    struct peer *p = user;
    size_t n = p->n_in - p->at < len ? p->n_in - p->at : len;
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, p->in + p->at, n);
    p->at += n;
    return (ssize_t)n;
}

static ssize_t peer_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t len, int flags, void *user)
{
    struct peer *p = user;
    assert_true(len <= sizeof p->out - p->n_out);
    memcpy(p->out + p->n_out, bytes, len);
    p->n_out += len;
    return (ssize_t)len;
}

static void peer_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *user)
{
    struct peer *p = user;
    if (m->opcode != WSLAY_BINARY_FRAME)
        return;
    memcpy(p->got + p->n_got, m->msg, m->msg_length);
    p->n_got += m->msg_length;
    p->n_messages++;
}

/* The client's unsent bytes move to the peer. */
static void to_peer(struct websocket *w, struct peer *p)
{
    const uint8_t *bytes;
    size_t n = websocket_output(w, &bytes);
    assert_true(n <= sizeof p->in - p->n_in);
    memcpy(p->in + p->n_in, bytes, n);
    p->n_in += n;
    websocket_sent(w, n);
}

static void peer_read(struct peer *p)
{
    assert_int_equal(wslay_event_recv(p->frames), 0);
    assert_int_equal(wslay_event_send(p->frames), 0);
}

static void read_key(const struct peer *p, char key[static 25])
{
    const char *at = strstr((const char *)p->in, "Sec-WebSocket-Key: ");
    assert_non_null(at);
    memcpy(key, at + strlen("Sec-WebSocket-Key: "), 24);
    key[24] = '\0';
}

static struct websocket *client(struct peer *p, char key[static 25])
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = peer_recv, .send_callback = peer_send, .on_msg_recv_callback = peer_message};
    struct websocket *w = NULL;
    memset(p, 0, sizeof *p);
    assert_int_equal(wslay_event_context_server_init(&p->frames, &callbacks, p), 0);
    assert_int_equal(websocket_new(&w, "node.example:8443"), 0);
    to_peer(w, p);
    read_key(p, key);
    return w;
}

static void end(struct websocket *w, struct peer *p)
{
    websocket_destroy(w);
    wslay_event_context_free(p->frames);
}

static struct websocket *upgraded(struct peer *p)
{
    char key[25], accept[WEBSOCKET_ACCEPT_LEN + 1], answer[512];
    struct websocket *w = client(p, key);
    websocket_accept(key, accept);
    p->n_in = 0;
    int n = snprintf(
        answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Accept: %s \r\nSec-WebSocket-Protocol: berth.stun\r\n\r\n",
        accept);
    for (int i = 0; i < n; i++) { /* a byte at a time */
        assert_false(websocket_ready(w));
        assert_int_equal(websocket_feed(w, (const uint8_t *)answer + i, 1), 0);
    }
    assert_true(websocket_ready(w));
    return w;
}

static void the_accept_value_of_the_rfc(void **state)
{
    char accept[WEBSOCKET_ACCEPT_LEN + 1];
    websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void the_request_says_what_is_wanted(void **state)
{
    static struct peer p;
    char key[25];
    struct websocket *w = client(&p, key), *other;
    static const char start[] = "GET /stun HTTP/1.1\r\nHost: node.example:8443\r\nUpgrade: websocket\r\n";
    assert_memory_equal(p.in, start, sizeof start - 1);
    assert_non_null(strstr((char *)p.in, "\r\nSec-WebSocket-Protocol: berth.stun\r\n"));
    assert_non_null(strstr((char *)p.in, "\r\nSec-WebSocket-Version: 13\r\n"));
    assert_int_equal(websocket_write(w, (const uint8_t *)"x", 1), -ENOBUFS); /* not yet */
    end(w, &p);
    assert_int_equal(websocket_new(&other, "a\r\nb"), -EINVAL);
    assert_int_equal(websocket_new(&other, ""), -EINVAL);
}

static void bytes_go_both_ways(void **state)
{
    static struct peer p;
    struct websocket *w = upgraded(&p);
    uint8_t sent[3][200], got[400];
    for (size_t i = 0; i < 3; i++) {
        randombytes_buf(sent[i], sizeof sent[i]);
        assert_int_equal(websocket_write(w, sent[i], sizeof sent[i]), 0);
    }
    to_peer(w, &p);
    assert_true((p.in[1] & 0x80) != 0); /* masked */
    assert_true(memmem(p.in, p.n_in, sent[0], sizeof sent[0]) == NULL);
    peer_read(&p);
    assert_int_equal(p.n_messages, 3);
    assert_memory_equal(p.got, sent, sizeof sent);

    /* Back in one message, fed in pieces, with a ping in front. */
    struct wslay_event_msg ping = {WSLAY_PING, (const uint8_t *)"hi", 2};
    struct wslay_event_msg m = {WSLAY_BINARY_FRAME, sent[0], 400};
    assert_int_equal(wslay_event_queue_msg(p.frames, &ping), 0);
    assert_int_equal(wslay_event_queue_msg(p.frames, &m), 0);
    assert_int_equal(wslay_event_send(p.frames), 0);
    for (size_t i = 0; i < p.n_out; i++)
        assert_int_equal(websocket_feed(w, p.out + i, 1), 0);
    assert_int_equal(websocket_read(w, got, 150), 150);
    assert_int_equal(websocket_read(w, got + 150, sizeof got), 250);
    assert_int_equal(websocket_read(w, got, sizeof got), 0);
    assert_memory_equal(got, sent, 400);
    p.n_in = p.at = 0;
    to_peer(w, &p); /* the pong, masked */
    assert_int_equal(p.in[0], 0x8a);
    end(w, &p);
}

static void an_empty_message_is_none(void **state)
{
    static struct peer p;
    struct websocket *w = upgraded(&p);
    uint8_t got[8];
    assert_int_equal(websocket_feed(w, (const uint8_t *)"\x82\x00", 2), 0);
    assert_int_equal(websocket_feed(w, (const uint8_t *)"\x02\x00\x80\x00", 4), 0); /* and in two frames */
    assert_int_equal(websocket_read(w, got, sizeof got), 0);
    assert_int_equal(websocket_feed(w, (const uint8_t *)"\x82\x01x", 3), 0);
    assert_int_equal(websocket_read(w, got, sizeof got), 1);
    end(w, &p);
}

static void a_close_and_broken_frames_end_it(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
    } cases[] = {
        {"\x88\x02\x03\xe8", 4, -ECONNRESET},
        {"\xc2\x01x", 3, -EPROTO},         /* a reserved bit */
        {"\x81\x01x", 3, -EPROTO},         /* text */
        {"\x82\x7e\x20\x01x", 5, -EPROTO}, /* 8193 bytes to come: too many */
        {"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xffx", 11, -EPROTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct peer p;
        struct websocket *w = upgraded(&p);
        if (websocket_feed(w, (const uint8_t *)cases[i].bytes, cases[i].len) != cases[i].err)
            fail_msg("case %zu", i);
        assert_true(websocket_error(w)[0] != '\0');
        end(w, &p);
    }
}

/* As a node sends media that has queued up: with another message close behind. */
static void the_longest_message(void **state)
{
    static struct peer p;
    static uint8_t message[4 + WEBSOCKET_MESSAGE_MAX] = {0x82, 126, WEBSOCKET_MESSAGE_MAX >> 8},
                               got[WEBSOCKET_MESSAGE_MAX + 1];
    struct websocket *w = upgraded(&p);
    memset(message + 4, 'm', WEBSOCKET_MESSAGE_MAX);
    for (int round = 0; round < 3; round++) {
        for (size_t at = 0; at < sizeof message; at += 1000) {
            size_t n = sizeof message - at < 1000 ? sizeof message - at : 1000;
            assert_int_equal(websocket_feed(w, message + at, n), 0);
        }
        assert_int_equal(websocket_read(w, got, sizeof got), WEBSOCKET_MESSAGE_MAX);
        assert_memory_equal(got, message + 4, WEBSOCKET_MESSAGE_MAX);
    }
    end(w, &p);
}

static void a_flood_meets_a_limit(void **state)
{
    static struct peer p;
    struct websocket *w = upgraded(&p);
    uint8_t frame[4 + 1000] = {0x82, 126, 1000 >> 8, 1000 & 0xff};
    int err = 0;
    size_t n = 0;
    for (; err == 0 && n < 100; n++)
        err = websocket_feed(w, frame, sizeof frame);
    assert_int_equal(err, -EPROTO);
    assert_int_equal(n, WEBSOCKET_IN_MAX / 1000 + 1);
    end(w, &p);
    w = upgraded(&p);
    static const uint8_t ping[2] = {0x89, 0};
    for (err = 0, n = 0; err == 0 && n < 100000; n++)
        err = websocket_feed(w, ping, sizeof ping);
    assert_true(err < 0 && n < 10000);
    end(w, &p);
    w = upgraded(&p);
    static const uint8_t message[1000];
    for (err = 0, n = 0; err == 0 && n < 100; n++)
        err = websocket_write(w, message, sizeof message);
    assert_int_equal(err, -ENOBUFS);
    end(w, &p);
}

static void peers_that_are_no_websocket(void **state)
{
#define GOOD_ACCEPT "Sec-WebSocket-Accept: %s\r\n"
    static const char *const answers[] = {
        "HTTP/1.1 404 Not Found\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 101 x\r\n\r\n",
        "\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 101 x\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: berth.stun\r\n" GOOD_ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: berth.stun\r\n" GOOD_ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" GOOD_ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: "
        "chat\r\n" GOOD_ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: "
        "berth.stun\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: "
        "berth.stun\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n" GOOD_ACCEPT "\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        static struct peer p;
        char key[25], accept[WEBSOCKET_ACCEPT_LEN + 1], text[512];
        struct websocket *w = client(&p, key);
        websocket_accept(key, accept);
        const char *slot = strstr(answers[i], "%s");
        int len = slot ? snprintf(text, sizeof text, "%.*s%s%s", (int)(slot - answers[i]), answers[i], accept,
                                  slot + 2)
                       : snprintf(text, sizeof text, "%s", answers[i]);
        assert_int_equal(websocket_feed(w, (const uint8_t *)text, (size_t)len), -EPROTO);
        assert_false(websocket_ready(w));
        end(w, &p);
    }
    static struct peer p;
    char key[25];
    struct websocket *w = client(&p, key);
    static uint8_t endless[WEBSOCKET_HEAD_MAX + 1];
    memset(endless, 'a', sizeof endless);
    assert_int_equal(websocket_feed(w, endless, sizeof endless), -EPROTO);
    end(w, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accept_value_of_the_rfc),
        cmocka_unit_test(the_request_says_what_is_wanted),
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(an_empty_message_is_none),
        cmocka_unit_test(a_close_and_broken_frames_end_it),
        cmocka_unit_test(the_longest_message),
        cmocka_unit_test(a_flood_meets_a_limit),
        cmocka_unit_test(peers_that_are_no_websocket),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
