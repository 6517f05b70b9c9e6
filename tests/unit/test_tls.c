/* link: berth_sys test_support */
#include "sys/tls.h"

#include "sys/file.h"

#include "support/certs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char dir[TEST_PATH_MAX], ca_file[TEST_PATH_MAX], cert[TEST_PATH_MAX], key[TEST_PATH_MAX];
    struct test_ca *ca;
    struct tls_server *server;
    SSL_CTX *client;
};

static const char *const alpn[] = {"stun.nat-discovery", "http/1.1", NULL};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char err[TLS_ERROR_TEXT] = "";
    assert_non_null(f);
    test_dir_make(f->dir);
    f->ca = test_ca_new(f->dir, "ca");
    test_ca_issue(f->ca, f->dir, "node", "DNS:node.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1", 2);
    test_path(f->ca_file, f->dir, "ca.pem");
    test_path(f->cert, f->dir, "node.pem");
    test_path(f->key, f->dir, "node.key");
    struct tls_server_opts opts = {.cert_file = f->cert, .key_file = f->key, .alpn = alpn};
    assert_int_equal(tls_server_new(&f->server, &opts, err), 0);
    assert_int_equal(tls_client_ctx_new(&f->client, f->ca_file, err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tls_server_destroy(f->server);
    SSL_CTX_free(f->client);
    test_ca_free(f->ca);
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

/* Both ends of a connection in memory. */
struct pair {
    SSL *client, *server;
    char client_error[TLS_ERROR_TEXT];
};

static struct pair pair_new(SSL_CTX *client_ctx, struct tls_server *server)
{
    struct pair p = {.client = SSL_new(client_ctx)};
    SSL_CTX *ctx = tls_server_ctx(server);
    BIO *a, *b;
    p.server = SSL_new(ctx);
    SSL_CTX_free(ctx);
    assert_non_null(p.client);
    assert_non_null(p.server);
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(p.client, a, a);
    SSL_set_bio(p.server, b, b);
    SSL_set_connect_state(p.client);
    SSL_set_accept_state(p.server);
    return p;
}

static bool handshake(struct pair *p)
{
    for (int i = 0; i < 20; i++) {
        int c = SSL_do_handshake(p->client);
        if (c != 1 && SSL_get_error(p->client, c) != SSL_ERROR_WANT_READ) {
            tls_error_text(p->client, p->client_error);
            return false;
        }
        int s = SSL_do_handshake(p->server);
        if (s != 1 && SSL_get_error(p->server, s) != SSL_ERROR_WANT_READ) {
            tls_error_text(p->server, p->client_error);
            return false;
        }
        if (c == 1 && s == 1)
            return true;
    }
    return false;
}

static void pair_free(struct pair *p)
{
    SSL_free(p->client);
    SSL_free(p->server);
}

static void names_and_addresses_are_verified(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *expect;
        bool ok;
    } cases[] = {
        {"node.test", true},  {"NODE.test", true},   {"127.0.0.1", true},   {"::1", true},
        {"[::1]", true},      {"a.wild.test", true}, {"other.test", false}, {"a.b.wild.test", false},
        {"127.0.0.2", false}, {"::2", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p = pair_new(f->client, f->server);
        assert_int_equal(tls_client_expect(p.client, cases[i].expect), 0);
        assert_int_equal(handshake(&p), cases[i].ok);
        if (!cases[i].ok)
            assert_non_null(strstr(p.client_error, "mismatch"));
        pair_free(&p);
    }
    struct pair p = pair_new(f->client, f->server);
    assert_int_equal(tls_client_expect(p.client, ""), -EINVAL);
    char longest[300];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[299] = '\0';
    assert_int_equal(tls_client_expect(p.client, longest), -EINVAL);
    pair_free(&p);
}

static void sni_is_sent_for_names_only(void **state)
{
    struct fixture *f = *state;
    struct pair p = pair_new(f->client, f->server);
    assert_int_equal(tls_client_expect(p.client, "node.test"), 0);
    assert_true(handshake(&p));
    assert_string_equal(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name), "node.test");
    pair_free(&p);
    p = pair_new(f->client, f->server);
    assert_int_equal(tls_client_expect(p.client, "127.0.0.1"), 0);
    assert_true(handshake(&p));
    assert_null(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name));
    pair_free(&p);
}

static void strangers_and_expired_certificates_fail(void **state)
{
    struct fixture *f = *state;
    char err[TLS_ERROR_TEXT] = "", other[TEST_PATH_MAX];
    SSL_CTX *stranger;
    struct test_ca *second = test_ca_new(f->dir, "second");
    assert_int_equal(tls_client_ctx_new(&stranger, test_path(other, f->dir, "second.pem"), err), 0);
    struct pair p = pair_new(stranger, f->server);
    assert_int_equal(tls_client_expect(p.client, "node.test"), 0);
    assert_false(handshake(&p));
    assert_string_equal(p.client_error, "unable to get local issuer certificate");
    pair_free(&p);
    SSL_CTX_free(stranger);
    test_ca_free(second);

    test_ca_issue(f->ca, f->dir, "node", "DNS:node.test", -1);
    assert_int_equal(tls_server_reload(f->server, err), 0);
    p = pair_new(f->client, f->server);
    assert_int_equal(tls_client_expect(p.client, "node.test"), 0);
    assert_false(handshake(&p));
    assert_string_equal(p.client_error, "certificate has expired");
    pair_free(&p);
}

static void versions_and_ciphers_are_modern(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int min, max;
        bool ok;
        const char *version, *offer, *suite; /* of TLS 1.3; NULL: any */
    } cases[] = {
        {TLS1_2_VERSION, TLS1_2_VERSION, true, "TLSv1.2", "", NULL},
        {TLS1_3_VERSION, TLS1_3_VERSION, true, "TLSv1.3", "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
         "TLS_AES_128_GCM_SHA256"},
        {TLS1_3_VERSION, TLS1_3_VERSION, true, "TLSv1.3",
         "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
         "TLS_CHACHA20_POLY1305_SHA256"}, /* who puts it first has no instructions for AES */
        {TLS1_VERSION, TLS1_1_VERSION, false, NULL, "", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p = pair_new(f->client, f->server);
        SSL_set_security_level(p.client, 0);
        assert_int_equal(SSL_set_cipher_list(p.client, "ALL"), 1);
        assert_int_equal(SSL_set_ciphersuites(p.client, cases[i].offer), 1);
        assert_int_equal(SSL_set_min_proto_version(p.client, cases[i].min), 1);
        assert_int_equal(SSL_set_max_proto_version(p.client, cases[i].max), 1);
        assert_int_equal(tls_client_expect(p.client, "node.test"), 0);
        assert_int_equal(handshake(&p), cases[i].ok);
        if (cases[i].ok) {
            assert_string_equal(SSL_get_version(p.client), cases[i].version);
            assert_int_equal(SSL_CIPHER_is_aead(SSL_get_current_cipher(p.client)), 1);
            if (cases[i].suite)
                assert_string_equal(SSL_get_cipher_name(p.client), cases[i].suite);
        }
        pair_free(&p);
    }
    struct pair p = pair_new(f->client, f->server); /* CBC alone is refused */
    assert_int_equal(SSL_set_max_proto_version(p.client, TLS1_2_VERSION), 1);
    assert_int_equal(SSL_set_cipher_list(p.client, "ECDHE-ECDSA-AES128-SHA256"), 1);
    assert_false(handshake(&p));
    pair_free(&p);
}

static void alpn_is_chosen_by_the_server(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *offer, *chosen;
    } cases[] = {
        {"\x08http/1.1\x12stun.nat-discovery", "stun.nat-discovery"},
        {"\x02h2\x08http/1.1", "http/1.1"},
        {"\x02h2", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p = pair_new(f->client, f->server);
        const unsigned char *chosen = NULL;
        unsigned len = 0;
        if (cases[i].offer[0] != '\0')
            assert_int_equal(SSL_set_alpn_protos(p.client, (const unsigned char *)cases[i].offer,
                                                 (unsigned)strlen(cases[i].offer)),
                             0);
        assert_int_equal(tls_client_expect(p.client, "node.test"), 0);
        assert_true(handshake(&p));
        SSL_get0_alpn_selected(p.client, &chosen, &len);
        assert_int_equal(len, strlen(cases[i].chosen));
        assert_memory_equal(chosen != NULL ? chosen : (const unsigned char *)"", cases[i].chosen, len);
        pair_free(&p);
    }
    static const char *const http2[] = {"http/1.1", "h2", NULL};
    struct tls_server_opts opts = {.cert_file = f->cert, .key_file = f->key, .alpn = http2};
    struct tls_server *t = NULL;
    char err[TLS_ERROR_TEXT];
    assert_int_equal(tls_server_new(&t, &opts, err), -EINVAL);
    assert_non_null(strstr(err, "'h2'"));
    assert_null(t);
}

static long serial_seen(struct fixture *f, struct pair *p)
{
    assert_int_equal(tls_client_expect(p->client, "node.test"), 0);
    assert_true(handshake(p));
    X509 *cert = SSL_get1_peer_certificate(p->client);
    long serial = ASN1_INTEGER_get(X509_get0_serialNumber(cert));
    X509_free(cert);
    return serial;
}

static void reload_swaps_for_new_connections(void **state)
{
    struct fixture *f = *state;
    char err[TLS_ERROR_TEXT] = "", byte;
    struct pair old = pair_new(f->client, f->server);
    long first = serial_seen(f, &old);
    test_ca_issue(f->ca, f->dir, "node", "DNS:node.test", 2);
    assert_int_equal(tls_server_reload(f->server, err), 0);
    struct pair fresh = pair_new(f->client, f->server);
    assert_true(serial_seen(f, &fresh) > first);
    assert_int_equal(SSL_write(old.client, "x", 1), 1); /* an old connection lives on */
    assert_int_equal(SSL_read(old.server, &byte, 1), 1);
    pair_free(&fresh);
    pair_free(&old);
}

static void a_reload_that_fails_changes_nothing(void **state)
{
    struct fixture *f = *state;
    char err[TLS_ERROR_TEXT] = "";
    struct pair p = pair_new(f->client, f->server);
    long before = serial_seen(f, &p);
    pair_free(&p);
    test_file_write(f->cert, "not a certificate\n");
    assert_int_equal(tls_server_reload(f->server, err), -EINVAL);
    assert_non_null(strstr(err, f->cert));
    p = pair_new(f->client, f->server);
    assert_int_equal(serial_seen(f, &p), before);
    pair_free(&p);
}

/* A reload never waits for somebody to write. */
static void what_is_no_file_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    char err[TLS_ERROR_TEXT] = "";
    struct pair p = pair_new(f->client, f->server);
    long before = serial_seen(f, &p);
    SSL_CTX *ctx = NULL;
    pair_free(&p);
    const char *const replaced[] = {f->key, f->cert};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(unlink(replaced[i]), 0);
        assert_int_equal(mkfifo(replaced[i], 0600), 0);
        assert_int_equal(tls_server_reload(f->server, err), -EINVAL);
        assert_non_null(strstr(err, replaced[i]));
        assert_non_null(strstr(err, "no regular file"));
    }
    p = pair_new(f->client, f->server);
    assert_int_equal(serial_seen(f, &p), before);
    pair_free(&p);
    assert_int_equal(tls_client_ctx_new(&ctx, f->cert, err), -EINVAL);
    assert_int_equal(tls_client_ctx_new(&ctx, "/dev/zero", err), -EINVAL);
    assert_null(ctx);
}

/* The server's own certificate first, and then what leads to the root. */
static void a_chain_is_taken_whole(void **state)
{
    struct fixture *f = *state;
    char err[TLS_ERROR_TEXT] = "", *own, *root, *both = NULL;
    STACK_OF(X509) *chain = NULL;
    struct tls_server *t = NULL;
    struct tls_server_opts opts = {.cert_file = f->cert, .key_file = f->key};
    assert_true(file_read_whole(f->cert, FILE_TEXT_MAX, &own) > 0);
    assert_true(file_read_whole(f->ca_file, FILE_TEXT_MAX, &root) > 0);
    assert_true(asprintf(&both, "%s%s%s", own, root, root) > 0);
    test_file_write(f->cert, both);
    assert_int_equal(tls_server_new(&t, &opts, err), 0);
    SSL_CTX *ctx = tls_server_ctx(t);
    assert_int_equal(SSL_CTX_get0_chain_certs(ctx, &chain), 1);
    assert_int_equal(sk_X509_num(chain), 2);
    SSL_CTX_free(ctx);
    tls_server_destroy(t);
    both[strlen(both) - 40] = '!'; /* the last is broken */
    test_file_write(f->cert, both);
    assert_int_equal(tls_server_new(&t, &opts, err), -EINVAL);
    assert_non_null(strstr(err, f->cert));
    free(both);
    free(root);
    free(own);
}

static void bad_files_are_named(void **state)
{
    struct fixture *f = *state;
    char err[TLS_ERROR_TEXT] = "", other[TEST_PATH_MAX];
    struct tls_server *t = NULL;
    test_ca_issue(f->ca, f->dir, "other", "DNS:x", 2);
    struct tls_server_opts opts = {.cert_file = f->cert, .key_file = test_path(other, f->dir, "other.key")};
    assert_int_equal(tls_server_new(&t, &opts, err), -EINVAL);
    assert_non_null(strstr(err, "other.key"));
    opts.key_file = "/nonexistent.key";
    assert_int_equal(tls_server_new(&t, &opts, err), -EINVAL);
    assert_non_null(strstr(err, "/nonexistent.key: No such file"));
    SSL_CTX *ctx = NULL;
    assert_int_equal(tls_client_ctx_new(&ctx, "/nonexistent.pem", err), -EINVAL);
    assert_non_null(strstr(err, "/nonexistent.pem"));
    assert_null(ctx);
}

/* A TLS 1.3 client gets one ticket, and can resume with it. */
static void sessions_resume(void **state)
{
    struct fixture *f = *state;
    char byte;
    struct pair p = pair_new(f->client, f->server);
    assert_int_equal(tls_client_expect(p.client, "node.test"), 0);
    assert_true(handshake(&p));
    assert_int_equal(SSL_write(p.server, "x", 1), 1);
    assert_int_equal(SSL_read(p.client, &byte, 1), 1); /* reads the ticket before it */
    SSL_SESSION *session = SSL_get1_session(p.client);
    assert_int_equal(SSL_SESSION_is_resumable(session), 1);
    SSL_shutdown(p.client);
    pair_free(&p);
    p = pair_new(f->client, f->server);
    assert_int_equal(tls_client_expect(p.client, "node.test"), 0);
    assert_int_equal(SSL_set_session(p.client, session), 1);
    assert_true(handshake(&p));
    assert_int_equal(SSL_session_reused(p.client), 1);
    SSL_SESSION_free(session);
    pair_free(&p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(names_and_addresses_are_verified),
        T(sni_is_sent_for_names_only),
        T(strangers_and_expired_certificates_fail),
        T(versions_and_ciphers_are_modern),
        T(alpn_is_chosen_by_the_server),
        T(reload_swaps_for_new_connections),
        T(a_reload_that_fails_changes_nothing),
        T(what_is_no_file_is_not_waited_for),
        T(a_chain_is_taken_whole),
        T(bad_files_are_named),
        T(sessions_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
