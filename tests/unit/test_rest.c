/* link: berth_sys test_support */
#include "sys/rest.h"

#include "support/certs.h"
#include "sys/sockaddr.h"
#include "sys/tls.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A server for one connection, in a thread: reads a request, sends the answer given, closes. `tls` NULL: clear. */
struct server {
    int fd;
    struct addr addr;
    struct tls_server *tls;
    const char *answer; /* NULL: never answers */
    size_t filler;      /* bytes of 'x' after the answer */
    char request[4096];
    pthread_t thread;
};

static ssize_t io(SSL *ssl, int fd, void *buf, size_t len, bool out)
{
    if (ssl != NULL)
        return out ? SSL_write(ssl, buf, (int)len) : SSL_read(ssl, buf, (int)len);
    return out ? send(fd, buf, len, MSG_NOSIGNAL) : recv(fd, buf, len, 0);
}

static bool request_complete(const char *request)
{
    const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "Content-Length: ");
    if (end == NULL)
        return false;
    size_t body = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
    return strlen(end + 4) >= body;
}

static void answer_one(struct server *s, SSL *ssl, int fd)
{
    size_t len = 0;
    while (!request_complete(s->request) && len < sizeof(s->request) - 1) {
        ssize_t n = io(ssl, fd, s->request + len, sizeof(s->request) - 1 - len, false);
        if (n <= 0)
            return;
        len += (size_t)n;
    }
    char copy[2048], filler[16384];
    if (s->answer == NULL) { /* until the client gives up */
        io(ssl, fd, copy, sizeof(copy), false);
        return;
    }
    size_t n = strlen(s->answer);
    memcpy(copy, s->answer, n);
    io(ssl, fd, copy, n, true);
    memset(filler, 'x', sizeof(filler));
    for (size_t left = s->filler; left > 0;) {
        size_t part = left < sizeof(filler) ? left : sizeof(filler);
        if (io(ssl, fd, filler, part, true) <= 0)
            return;
        left -= part;
    }
    if (ssl != NULL)
        SSL_shutdown(ssl);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    if (poll(&p, 1, 20000) != 1)
        return NULL;
    int fd = accept(s->fd, NULL, NULL);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (s->tls != NULL) {
        SSL_CTX *ctx = tls_server_ctx(s->tls);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1)
            answer_one(s, ssl, fd);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
    } else {
        answer_one(s, NULL, fd);
    }
    close(fd);
    return NULL;
}

static void server_start(struct server *s, const char *bind_to)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, bind_to), 0);
    s->fd = socket_listen_tcp(&a, false, 4);
    assert_true(s->fd >= 0);
    assert_int_equal(socket_local_addr(s->fd, &s->addr), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static const char *url_of(const struct server *s, const char *scheme, char out[static 96])
{
    char text[ADDR_TEXT_LEN];
    snprintf(out, 96, "%s://%s", scheme, addr_format(&s->addr, text));
    return out;
}

static void posts_and_reads_the_answer(void **state)
{
    static const char *const binds[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < 2; i++) {
        struct server s = {
            .answer = "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\n"
                      "HTTP/1.1 201 Created\r\nETag: \"abc\"\r\nContent-Length: 11\r\n\r\n{\"id\":\"o1\"}"};
        char url[96];
        server_start(&s, binds[i]);
        struct rest_call c;
        struct rest_request r = {.method = "POST",
                                 .base_url = url_of(&s, "http", url),
                                 .path = "/v1/orgs",
                                 .token = "se.cret",
                                 .body = "{\"name\":\"x\"}",
                                 .timeout_ms = 10000};
        assert_int_equal(rest_call_init(&c, &r), 0);
        assert_int_equal(rest_call_status(&c), 0);
        assert_int_equal(curl_easy_perform(c.easy), CURLE_OK);
        assert_int_equal(rest_call_status(&c), 201);
        assert_string_equal(c.body, "{\"id\":\"o1\"}");
        assert_int_equal(c.body_len, 11);
        assert_string_equal(c.etag, "\"abc\"");
        assert_int_equal(c.retry_after_s, -1); /* only the last answer's headers count */
        rest_call_clear(&c);
        server_stop(&s);
        assert_int_equal(strncmp(s.request, "POST /v1/orgs HTTP/1.1\r\n", 24), 0);
        assert_non_null(strstr(s.request, "\r\nAuthorization: Bearer se.cret\r\n"));
        assert_non_null(strstr(s.request, "\r\nContent-Type: application/json\r\n"));
        assert_non_null(strstr(s.request, "\r\nUser-Agent: berth/" BERTH_VERSION "\r\n"));
        assert_null(strstr(s.request, "Expect:"));
        assert_non_null(strstr(s.request, "\r\n\r\n{\"name\":\"x\"}"));
    }
}

static void methods_without_body(void **state)
{
    static const struct {
        const char *method, *start;
        bool has_length;
    } cases[] = {
        {"GET", "GET /base/v1/x HTTP/1.1\r\n", false},
        {"DELETE", "DELETE /base/v1/x HTTP/1.1\r\n", false},
        {"POST", "POST /base/v1/x HTTP/1.1\r\n", true},
    };
    for (size_t i = 0; i < 3; i++) {
        struct server s = {.answer = "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"};
        char url[96];
        server_start(&s, "127.0.0.1:0");
        url_of(&s, "http", url);
        strcat(url, "/base/");
        struct rest_call c;
        struct rest_request r = {.method = cases[i].method,
                                 .base_url = url,
                                 .path = "/v1/x",
                                 .etag = "\"v1\"",
                                 .timeout_ms = 10000};
        assert_int_equal(rest_call_init(&c, &r), 0);
        assert_int_equal(curl_easy_perform(c.easy), CURLE_OK);
        assert_int_equal(rest_call_status(&c), 503);
        assert_int_equal(c.retry_after_s, 7);
        assert_null(c.body);
        rest_call_clear(&c);
        server_stop(&s);
        assert_int_equal(strncmp(s.request, cases[i].start, strlen(cases[i].start)), 0);
        assert_non_null(strstr(s.request, "\r\nIf-None-Match: \"v1\"\r\n"));
        assert_null(strstr(s.request, "Authorization"));
        assert_null(strstr(s.request, "Content-Type"));
        assert_int_equal(strstr(s.request, "Content-Length: 0") != NULL, cases[i].has_length);
    }
}

static void only_https_but_to_loopback(void **state)
{
    static const struct {
        const char *url;
        int rc;
    } cases[] = {
        {"https://controller.example", 0},
        {"https://[2001:db8::1]:8443", 0},
        {"http://localhost:1", 0},
        {"http://127.9.9.9:1", 0},
        {"http://[::1]:1", 0},
        {"http://controller.example", -EINVAL},
        {"http://10.0.0.1", -EINVAL},
        {"http://localhost.example", -EINVAL},
        {"ftp://localhost", -EINVAL},
        {"controller.example", -EINVAL},
        {"https://user:pw@controller.example", -EINVAL},
        {"https://controller.example/?q", -EINVAL},
        {"https://controller.example/#f", -EINVAL},
        {"https://", -EINVAL},
        {"", -EINVAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rest_call c;
        struct rest_request r = {.method = "GET", .base_url = cases[i].url, .path = "/", .timeout_ms = 1};
        assert_int_equal(rest_call_init(&c, &r), cases[i].rc);
        assert_int_equal(c.easy == NULL, cases[i].rc != 0);
        rest_call_clear(&c);
    }
}

static void nothing_secret_of_a_url_is_shown(void **state)
{
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"https://controller.example:8443/base", "https://controller.example:8443/base"},
        {"https://user:pw@controller.example", "https://***@controller.example"},
        {"https://user:p@w@controller.example/", "https://***@controller.example/"},
        {"https://user:p/w?x#@controller.example", "https://***@controller.example"},
        {"user:pw@controller.example", "***@controller.example"},
        {"user:p://w@controller.example", "***@controller.example"},
        {"https://user:pw@", "https://***@"},
        {"", ""},
    };
    char shown[REST_URL_TEXT];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(rest_url_text(cases[i].url, shown), cases[i].shown);
}

static void headers_cannot_be_injected(void **state)
{
    struct rest_call c;
    struct rest_request r = {
        .method = "GET", .base_url = "https://x.example", .path = "/", .token = "a\r\nX: y"};
    assert_int_equal(rest_call_init(&c, &r), -EINVAL);
    assert_null(c.headers);
    r.token = NULL;
    r.etag = "\"\n\"";
    assert_int_equal(rest_call_init(&c, &r), -EINVAL);
    rest_call_clear(&c);
}

static void servers_are_verified(void **state)
{
    char dir[TEST_PATH_MAX], cert[TEST_PATH_MAX], key[TEST_PATH_MAX], ca_file[TEST_PATH_MAX],
        err[TLS_ERROR_TEXT], url[96];
    test_dir_make(dir);
    struct test_ca *ca = test_ca_new(dir, "ca"), *other = test_ca_new(dir, "other");
    test_ca_issue(ca, dir, "c", "IP:127.0.0.1", 2);
    struct tls_server_opts opts = {.cert_file = test_path(cert, dir, "c.pem"),
                                   .key_file = test_path(key, dir, "c.key")};
    struct tls_server *tls;
    assert_int_equal(tls_server_new(&tls, &opts, err), 0);
    static const struct {
        const char *ca, *bind;
        CURLcode rc;
    } cases[] = {
        {"ca.pem", "127.0.0.1:0", CURLE_OK},
        {"other.pem", "127.0.0.1:0", CURLE_PEER_FAILED_VERIFICATION},
        {"ca.pem", "127.0.0.2:0", CURLE_PEER_FAILED_VERIFICATION}, /* not in the certificate */
        {NULL, "127.0.0.1:0", CURLE_PEER_FAILED_VERIFICATION},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server s = {.tls = tls, .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"};
        struct rest_call c;
        server_start(&s, cases[i].bind);
        struct rest_request r = {.method = "GET",
                                 .base_url = url_of(&s, "https", url),
                                 .path = "/v1/nodes",
                                 .timeout_ms = 10000,
                                 .ca_file =
                                     cases[i].ca != NULL ? test_path(ca_file, dir, cases[i].ca) : NULL};
        assert_int_equal(rest_call_init(&c, &r), 0);
        assert_int_equal(curl_easy_perform(c.easy), cases[i].rc);
        assert_int_equal(rest_call_status(&c), cases[i].rc == CURLE_OK ? 200 : 0);
        assert_int_equal(c.error[0] != '\0', cases[i].rc != CURLE_OK);
        rest_call_clear(&c);
        server_stop(&s);
    }
    tls_server_destroy(tls);
    test_ca_free(ca);
    test_ca_free(other);
    test_dir_remove(dir);
}

static void a_body_is_bounded(void **state)
{
    static const struct {
        const char *answer;
        size_t filler;
        CURLcode rc;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", REST_BODY_MAX, CURLE_OK},
        {"HTTP/1.1 200 OK\r\n\r\n", REST_BODY_MAX + 1, CURLE_WRITE_ERROR},
        {"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", 1, CURLE_FILESIZE_EXCEEDED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server s = {.answer = cases[i].answer, .filler = cases[i].filler};
        char url[96];
        struct rest_call c;
        server_start(&s, "127.0.0.1:0");
        struct rest_request r = {
            .method = "GET", .base_url = url_of(&s, "http", url), .path = "/", .timeout_ms = 60000};
        assert_int_equal(rest_call_init(&c, &r), 0);
        assert_int_equal(curl_easy_perform(c.easy), cases[i].rc);
        assert_true(c.body_len <= REST_BODY_MAX);
        if (cases[i].rc == CURLE_OK)
            assert_int_equal(c.body_len, REST_BODY_MAX);
        rest_call_clear(&c);
        server_stop(&s);
    }
}

/* libcurl reads it without looking at its time limits as long as it comes. */
static void what_a_proxy_says_is_bounded(void **state)
{
    static const struct {
        const char *answer, *user;
        size_t filler;
        bool too_long;
    } cases[] = {
        {"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 999999999\r\n\r\n", NULL,
         999999999, true},
        {"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 999999999\r\n\r\n",
         "carol", 999999999, true},
        {"HTTP/1.1 407 x\r\nTransfer-Encoding: chunked\r\n\r\n3B9AC9FF\r\n", NULL, 999999999, true},
        {"HTTP/1.1 407 x\r\nContent-Length: 65000\r\n\r\n", NULL, 65000, false},
        {"HTTP/1.1 407 x\r\nContent-Length: 65536\r\n\r\n", NULL, 65536, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server s = {.answer = cases[i].answer, .filler = cases[i].filler};
        char url[96];
        struct rest_call c;
        server_start(&s, "127.0.0.1:0");
        const struct rest_proxy proxy = {
            .url = url_of(&s, "http", url), .user = cases[i].user, .password = cases[i].user};
        struct rest_request r = {.method = "GET",
                                 .base_url = "https://controller.test",
                                 .path = "/",
                                 .timeout_ms = 20000,
                                 .proxy = &proxy};
        assert_int_equal(rest_call_init(&c, &r), 0);
        CURLcode rc = curl_easy_perform(c.easy);
        assert_int_equal(rc, cases[i].too_long ? CURLE_ABORTED_BY_CALLBACK : CURLE_RECV_ERROR);
        assert_true(c.patience.steps <= REST_PROXY_ANSWER_MAX + 16);
        assert_string_equal(rest_call_error(&c, rc), cases[i].too_long
                                                         ? "the proxy's answer to CONNECT is too long"
                                                         : "CONNECT tunnel failed, response 407");
        rest_call_clear(&c);
        server_stop(&s);
    }
}

/* As soon as the server has the connection. */
static bool stop(void *user)
{
    const struct rest_call *c = user;
    curl_off_t connected_us = 0;
    curl_easy_getinfo(c->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    return connected_us > 0;
}

static void a_call_is_broken_off(void **state)
{
    struct server s = {.answer = NULL};
    char url[96];
    struct rest_call c;
    server_start(&s, "127.0.0.1:0");
    struct rest_request r = {.method = "GET",
                             .base_url = url_of(&s, "http", url),
                             .path = "/",
                             .timeout_ms = 60000,
                             .stop = stop,
                             .stop_user = &c};
    assert_int_equal(rest_call_init(&c, &r), 0);
    assert_int_equal(curl_easy_perform(c.easy), CURLE_ABORTED_BY_CALLBACK);
    rest_call_clear(&c);
    server_stop(&s);
}

static void silence_times_out(void **state)
{
    struct server s = {.answer = NULL};
    char url[96];
    struct rest_call c;
    server_start(&s, "127.0.0.1:0");
    struct rest_request r = {
        .method = "GET", .base_url = url_of(&s, "http", url), .path = "/", .timeout_ms = 100};
    assert_int_equal(rest_call_init(&c, &r), 0);
    assert_int_equal(curl_easy_perform(c.easy), CURLE_OPERATION_TIMEDOUT);
    rest_call_clear(&c);
    server_stop(&s);
}

static void retry_after_in_its_forms(void **state)
{
    static const struct {
        const char *header;
        int64_t least, most;
    } cases[] = {
        {"Retry-After: 120\r\n", 120, 120},
        {"retry-after:5\r\n", 5, 5},
        {"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 0, 0},
        {"Retry-After: Fri, 06 Nov 2093 08:49:37 GMT\r\n", 86400, 86400},
        {"Retry-After: -3\r\n", 0, 0},
        {"Retry-After: soon\r\n", -1, -1},
        {"X-Retry-After: 3\r\n", -1, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char answer[256], url[96];
        snprintf(answer, sizeof(answer), "HTTP/1.1 429 x\r\n%sContent-Length: 0\r\n\r\n", cases[i].header);
        struct server s = {.answer = answer};
        struct rest_call c;
        server_start(&s, "127.0.0.1:0");
        struct rest_request r = {
            .method = "GET", .base_url = url_of(&s, "http", url), .path = "/", .timeout_ms = 10000};
        assert_int_equal(rest_call_init(&c, &r), 0);
        assert_int_equal(curl_easy_perform(c.easy), CURLE_OK);
        assert_true(c.retry_after_s >= cases[i].least && c.retry_after_s <= cases[i].most);
        rest_call_clear(&c);
        server_stop(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_and_reads_the_answer),
        cmocka_unit_test(methods_without_body),
        cmocka_unit_test(only_https_but_to_loopback),
        cmocka_unit_test(headers_cannot_be_injected),
        cmocka_unit_test(servers_are_verified),
        cmocka_unit_test(a_body_is_bounded),
        cmocka_unit_test(silence_times_out),
        cmocka_unit_test(retry_after_in_its_forms),
        cmocka_unit_test(what_a_proxy_says_is_bounded),
        cmocka_unit_test(a_call_is_broken_off),
        cmocka_unit_test(nothing_secret_of_a_url_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
