/* link: berth_agent_core test_support */
/* Streams against a peer made of OpenSSL's blocking calls in a thread of its own, for what no node does: asking without reading. */
#include "check.h"

#include "probe/stream_io.h"
#include "probe/websocket.h"
#include "support/certs.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_US = 30 * 1000 * 1000 };

struct fixture {
    char dir[TEST_PATH_MAX];
    struct test_ca *ca;
    SSL_CTX *client, *server;
    struct tls_server *config;
    struct sys_poller *poller;
};

static int setup(void **state)
{
    static const char *const alpn[] = {"http/1.1", "stun.nat-discovery", NULL};
    struct fixture *f = calloc(1, sizeof *f);
    char ca[TEST_PATH_MAX], cert[TEST_PATH_MAX], key[TEST_PATH_MAX], err[TLS_ERROR_TEXT];
    assert_non_null(f);
    assert_true(sodium_init() >= 0);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to a client that has gone */
    test_dir_make(f->dir);
    f->ca = test_ca_new(f->dir, "ca");
    test_ca_issue(f->ca, f->dir, "peer", "DNS:node.test", 2);
    assert_int_equal(tls_client_ctx_new(&f->client, test_path(ca, f->dir, "ca.pem"), err), 0);
    const struct tls_server_opts opts = {.cert_file = test_path(cert, f->dir, "peer.pem"),
                                         .key_file = test_path(key, f->dir, "peer.key"),
                                         .alpn = alpn};
    assert_int_equal(tls_server_new(&f->config, &opts, err), 0);
    f->server = tls_server_ctx(f->config);
    assert_int_equal(sys_poller_new(&f->poller), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sys_poller_destroy(f->poller);
    SSL_CTX_free(f->client);
    SSL_CTX_free(f->server);
    tls_server_destroy(f->config);
    test_ca_free(f->ca);
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

/* ---- the peer ---- */

struct peer {
    pthread_t thread;
    int listener, finish[2]; /* the thread ends once finish[1] is closed */
    struct addr at;
    SSL_CTX *tls;        /* NULL: plain TCP */
    const uint8_t *says; /* once it has upgraded */
    size_t len;
    bool for_ever; /* it says that again and again, until the client has gone */
};

/* Up to the end of the request's head; answers it as RFC 6455 4.2.2 has it. False: the client has gone. */
static bool upgrade(SSL *ssl)
{
    char head[2048], accept[WEBSOCKET_ACCEPT_LEN + 1], answer[512];
    size_t n = 0;
    for (int got; n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0; n += (size_t)got) {
        got = SSL_read(ssl, head + n, (int)(sizeof head - 1 - n));
        if (got <= 0)
            return false;
    }
    head[n] = '\0';
    const char *key = strstr(head, "Sec-WebSocket-Key: ");
    if (!key)
        return false;
    websocket_accept(key + strlen("Sec-WebSocket-Key: "), accept);
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: " WEBSOCKET_PROTOCOL "\r\n\r\n",
                       accept);
    return SSL_write(ssl, answer, len) == len;
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    char end[1];
    struct pollfd ready = {.fd = p->listener, .events = POLLIN}; /* it doesn't block by itself */
    int fd = poll(&ready, 1, PATIENCE_US / 1000) == 1 ? accept(p->listener, NULL, NULL) : -1;
    SSL *ssl = p->tls ? SSL_new(p->tls) : NULL;
    if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 && p->says && upgrade(ssl)) {
        while (SSL_write(ssl, p->says, (int)p->len) > 0 && p->for_ever)
            ;
    }
    ssize_t n = read(p->finish[0], end, sizeof end);
    (void)n;
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static void peer_start(struct peer *p)
{
    const struct addr any = {.family = ADDR_V4, .ip = {127, 0, 0, 1}};
    p->listener = socket_listen_tcp(&any, false, 1);
    assert_true(p->listener >= 0);
    assert_int_equal(socket_local_addr(p->listener, &p->at), 0);
    assert_int_equal(pipe(p->finish), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void peer_stop(struct peer *p)
{
    close(p->finish[1]);
    pthread_join(p->thread, NULL);
    close(p->finish[0]);
    close(p->listener);
}

/* ---- the client ---- */

struct seen {
    bool plain, ready, over;
    int error;
    char text[WEBSOCKET_ERROR_TEXT];
    size_t len; /* of bytes */
};

static void on_connected(void *user, int64_t now_us)
{
    struct seen *s = user;
    s->ready = s->plain;
}

static void on_secured(void *user, int64_t now_us)
{
    ((struct seen *)user)->ready = true;
}

static void on_bytes(void *user, const uint8_t *bytes, size_t len, int64_t now_us)
{
    ((struct seen *)user)->len += len;
}

static void on_ended(void *user, int error, int64_t now_us)
{
    struct seen *s = user;
    s->over = true;
    s->error = error;
}

static void on_failed(void *user, const char *text, int64_t now_us)
{
    struct seen *s = user;
    s->over = true;
    snprintf(s->text, sizeof s->text, "%s", text);
}

static const struct stream_io_events events = {.connected = on_connected,
                                               .secured = on_secured,
                                               .bytes = on_bytes,
                                               .ended = on_ended,
                                               .tls_failed = on_failed,
                                               .upgraded = on_secured,
                                               .websocket_failed = on_failed};

static struct stream_io *open_to(struct fixture *f, const struct peer *p, enum framing framing,
                                 struct seen *seen)
{
    const struct stream_io_target target = {.transport = p->tls ? TRANSPORT_TLS : TRANSPORT_TCP,
                                            .to = p->at,
                                            .tls_name = "node.test",
                                            .framing = framing};
    struct stream_io *s = NULL;
    int64_t started;
    assert_int_equal(stream_io_open(&s, f->poller, f->client, &target, &events, seen, &started), 0);
    return s;
}

static void dispatch(struct fixture *f)
{
    sys_wait(sys_poller_fd(f->poller), 20000);
    assert_int_equal(sys_poller_dispatch(f->poller), 0);
}

/* What TLS wraps around the most that is written at once. */
enum { ONE_WRITE_MAX = WEBSOCKET_OUT_MAX + 1024 };

static void ends_with_a_peer_that_asks_and_does_not_read(void **state)
{
    struct fixture *f = *state;
    static uint8_t pings[64 * 127];
    struct peer p = {.tls = f->server, .says = pings, .len = sizeof pings, .for_ever = true};
    struct seen seen = {0};
    for (size_t i = 0; i < sizeof pings; i += 127) {
        pings[i] = 0x89; /* FIN, ping */
        pings[i + 1] = 125;
    }
    peer_start(&p);
    struct stream_io *s = open_to(f, &p, FRAMING_WEBSOCKET, &seen);
    int64_t deadline = clock_mono_us() + PATIENCE_US;
    while (!seen.over && clock_mono_us() < deadline) {
        dispatch(f);
        assert_true(stream_io_backlog(s) <= STREAM_IO_LEFT_MAX + ONE_WRITE_MAX);
    }
    assert_true(seen.over);
    assert_string_equal(seen.text, "the peer doesn't read the answers that it asks for");
    stream_io_close(s);
    peer_stop(&p);
}

static void tells_how_a_peer_broke_the_websocket(void **state)
{
    struct fixture *f = *state;
    static const uint8_t hello[] = {0x82, 5, 'h', 'e', 'l', 'l', 'o'};
    static const struct {
        uint8_t bytes[7];
        const char *text; /* "": closed by the peer */
    } ways[] = {
        {{0xF2, 1, 'x'}, "the peer's WebSocket frames are broken"},                /* reserved bits */
        {{0x82, 0x81, 0, 0, 0, 0, 'x'}, "the peer's WebSocket frames are broken"}, /* masked by a server */
        {{0x81, 1, 'x'}, "the peer sends more than is wanted"},                    /* text */
        {{0x88, 2, 3, 0xE8}, ""}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        uint8_t says[sizeof hello + sizeof ways[0].bytes];
        struct peer p = {.tls = f->server, .says = says, .len = sizeof says};
        struct seen seen = {0};
        memcpy(says, hello, sizeof hello);
        memcpy(says + sizeof hello, ways[i].bytes, sizeof ways[i].bytes);
        peer_start(&p);
        struct stream_io *s = open_to(f, &p, FRAMING_WEBSOCKET, &seen);
        int64_t deadline = clock_mono_us() + PATIENCE_US;
        while (!seen.over && clock_mono_us() < deadline)
            dispatch(f);
        assert_true(seen.over);
        assert_int_equal(seen.error, 0);
        assert_string_equal(seen.text, ways[i].text);
        assert_int_equal(seen.len, 5); /* what came before counts */
        stream_io_close(s);
        peer_stop(&p);
    }
}

/* Until it has to keep more than it may. */
static void fill(struct fixture *f, struct stream_io *s)
{
    static const uint8_t chunk[4096];
    int64_t sent;
    int err = 0;
    for (size_t i = 0; err == 0 && i < 64 * 1024; i++) {
        err = stream_io_write(s, chunk, sizeof chunk, &sent);
        assert_true(stream_io_backlog(s) <= STREAM_IO_LEFT_MAX + ONE_WRITE_MAX);
    }
    assert_int_equal(err, -ENOBUFS);
}

static void keeps_no_more_than_its_bound(void **state)
{
    struct fixture *f = *state;
    SSL_CTX *const ways[] = {NULL, f->server};
    for (size_t i = 0; i < 2; i++) {
        struct peer p = {.tls = ways[i]};
        struct seen seen = {.plain = !p.tls};
        peer_start(&p);
        struct stream_io *s = open_to(f, &p, FRAMING_NONE, &seen);
        int64_t deadline = clock_mono_us() + PATIENCE_US;
        while (!seen.ready && clock_mono_us() < deadline)
            dispatch(f);
        assert_true(seen.ready);
        fill(f, s);
        stream_io_close(s);
        peer_stop(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_with_a_peer_that_asks_and_does_not_read),
        cmocka_unit_test(tells_how_a_peer_broke_the_websocket),
        cmocka_unit_test(keeps_no_more_than_its_bound),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
