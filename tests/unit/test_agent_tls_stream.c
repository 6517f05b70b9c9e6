/* link: berth_agent_core test_support */
/* TLS over memory against a real TLS server's side. */
#include "check.h"

#include "probe/tls_stream.h"
#include "support/certs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    char dir[TEST_PATH_MAX];
    struct test_ca *ca;
    SSL_CTX *client;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[TEST_PATH_MAX], err[TLS_ERROR_TEXT];
    assert_non_null(f);
    test_dir_make(f->dir);
    f->ca = test_ca_new(f->dir, "ca");
    test_ca_issue(f->ca, f->dir, "good", "DNS:node.test,IP:127.0.0.1", 2);
    test_ca_issue(f->ca, f->dir, "expired", "DNS:node.test", -1);
    struct test_ca *stranger = test_ca_new(f->dir, "stranger");
    test_ca_issue(stranger, f->dir, "untrusted", "DNS:node.test", 2);
    test_ca_free(stranger);
    assert_int_equal(tls_client_ctx_new(&f->client, test_path(path, f->dir, "ca.pem"), err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    SSL_CTX_free(f->client);
    test_ca_free(f->ca);
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

struct link {
    struct tls_stream *client;
    struct tls_server *config;
    SSL *server;
};

static struct link link_new(struct fixture *f, const char *cert, const char *host)
{
    static const char *const alpn[] = {"stun.nat-discovery", NULL};
    struct link l = {0};
    char name[64], cert_file[TEST_PATH_MAX], key_file[TEST_PATH_MAX], err[TLS_ERROR_TEXT];
    snprintf(name, sizeof name, "%s.pem", cert);
    test_path(cert_file, f->dir, name);
    snprintf(name, sizeof name, "%s.key", cert);
    test_path(key_file, f->dir, name);
    struct tls_server_opts opts = {.cert_file = cert_file, .key_file = key_file, .alpn = alpn};
    assert_int_equal(tls_server_new(&l.config, &opts, err), 0);
    SSL_CTX *ctx = tls_server_ctx(l.config);
    l.server = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_bio(l.server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(l.server);
    assert_int_equal(tls_stream_new(&l.client, f->client, host), 0);
    return l;
}

static void link_free(struct link *l)
{
    tls_stream_destroy(l->client);
    SSL_free(l->server);
    tls_server_destroy(l->config);
}

static void to_server(struct link *l)
{
    const uint8_t *p;
    size_t len = tls_stream_output(l->client, &p);
    if (len > 0) {
        assert_int_equal(BIO_write(SSL_get_rbio(l->server), p, (int)len), len);
        tls_stream_sent(l->client, len);
    }
}

/* At most `piece` bytes; false: nothing left. */
static bool to_client(struct link *l, size_t piece)
{
    uint8_t buf[4096];
    int n = BIO_read(SSL_get_wbio(l->server), buf, (int)(piece < sizeof buf ? piece : sizeof buf));
    if (n > 0)
        assert_int_equal(tls_stream_feed(l->client, buf, (size_t)n), 0);
    return n > 0;
}

/* Whatever the pieces in which bytes come in. */
static int handshake(struct link *l, size_t piece)
{
    for (int i = 0; i < 20000; i++) {
        int rc = tls_stream_handshake(l->client);
        to_server(l);
        if (rc != 0)
            return rc;
        SSL_do_handshake(l->server);
        to_client(l, piece);
    }
    return -ETIMEDOUT;
}

static void talks_once_it_is_secure(void **state)
{
    for (size_t piece = 1; piece <= 4096; piece *= 8) {
        struct link l = link_new(*state, "good", "node.test");
        uint8_t buf[64];
        const unsigned char *alpn;
        unsigned alpn_len;
        assert_int_equal(tls_stream_write(l.client, (const uint8_t *)"early", 5), -EPROTO);
        assert_int_equal(tls_stream_read(l.client, buf, sizeof buf), -EPROTO);
        assert_int_equal(handshake(&l, piece), 1);
        SSL_do_handshake(l.server);
        SSL_get0_alpn_selected(l.server, &alpn, &alpn_len);
        assert_int_equal(alpn_len, 18);
        assert_memory_equal(alpn, "stun.nat-discovery", 18);
        assert_int_equal(tls_stream_write(l.client, (const uint8_t *)"ping", 4), 0);
        to_server(&l);
        assert_int_equal(SSL_read(l.server, buf, sizeof buf), 4);
        assert_int_equal(SSL_write(l.server, "pong", 4), 4);
        ssize_t n;
        while ((n = tls_stream_read(l.client, buf, sizeof buf)) == 0)
            assert_true(to_client(&l, piece));
        assert_int_equal(n, 4);
        assert_memory_equal(buf, "pong", 4);
        SSL_shutdown(l.server);
        while (to_client(&l, piece))
            ;
        assert_int_equal(tls_stream_read(l.client, buf, sizeof buf), -ECONNRESET);
        link_free(&l);
    }
}

static void verifies_an_ip_address(void **state)
{
    struct link l = link_new(*state, "good", "127.0.0.1");
    assert_int_equal(handshake(&l, 4096), 1);
    link_free(&l);
    l = link_new(*state, "good", "127.0.0.2");
    assert_int_equal(handshake(&l, 4096), -EPROTO);
    link_free(&l);
}

struct bad {
    const char *cert, *host, *says;
};

static void says_why_it_refuses(void **state)
{
    static const struct bad cases[] = {{"good", "other.test", "ostname mismatch"},
                                       {"expired", "node.test", "expired"},
                                       {"untrusted", "node.test", "local issuer"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct link l = link_new(*state, cases[i].cert, cases[i].host);
        assert_int_equal(handshake(&l, 4096), -EPROTO);
        if (!strstr(tls_stream_error(l.client), cases[i].says))
            fail_msg("%s: %s", cases[i].cert, tls_stream_error(l.client));
        assert_int_equal(tls_stream_write(l.client, (const uint8_t *)"x", 1), -EPROTO);
        link_free(&l);
    }
}

static void noise_is_an_error(void **state)
{
    struct link l = link_new(*state, "good", "node.test");
    static const uint8_t noise[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    assert_int_equal(tls_stream_handshake(l.client), 0);
    assert_int_equal(tls_stream_feed(l.client, noise, sizeof noise - 1), 0);
    assert_int_equal(tls_stream_handshake(l.client), -EPROTO);
    assert_string_not_equal(tls_stream_error(l.client), "");
    link_free(&l);
}

static void a_name_is_required(void **state)
{
    struct fixture *f = *state;
    struct tls_stream *t = NULL;
    assert_int_equal(tls_stream_new(&t, f->client, ""), -EINVAL);
    assert_null(t);
    tls_stream_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(talks_once_it_is_secure), cmocka_unit_test(verifies_an_ip_address),
        cmocka_unit_test(says_why_it_refuses),     cmocka_unit_test(noise_is_an_error),
        cmocka_unit_test(a_name_is_required),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
