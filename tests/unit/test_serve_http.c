/* link: berth_serve */
#include "serve/http.h"

#include "serve_loop.h"

#include <h2o/http1.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>

enum { STALL_US = 500000 };

struct fixture {
    struct serve_loop s;
    h2o_globalconf_t conf;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    bool ready;
    size_t metrics_lines;
    size_t len;
    char answer[1 << 20];
};

static bool is_ready(void *ctx, char *reason, size_t cap)
{
    const struct fixture *f = ctx;
    snprintf(reason, cap, "no \"database\"");
    return f->ready;
}

static void write_metrics(void *ctx, struct metrics_text *m)
{
    const struct fixture *f = ctx;
    metrics_family(m, "berth_lines", METRIC_GAUGE, "Lines");
    for (size_t i = 0; i < f->metrics_lines; i++)
        metrics_sample(m, "berth_lines",
                       "name=\"one of very many lines, to make the text outgrow its first buffer\"", 1);
}

/* /status/NNN answers that status with a body; /problem one whose detail isn't UTF-8. */
static int on_test(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    if (h2o_memis(req->path_normalized.base, req->path_normalized.len, H2O_STRLIT("/test/problem"))) {
        http_send_problem(req, 422, "invalid_member", "\xff\xfe");
        return 0;
    }
    http_send(req, atoi(req->path_normalized.base + strlen("/test/")), "text/plain", "body", 4);
    return 0;
}

static void on_conn(void *ctx, h2o_socket_t *sock, const struct addr *peer, struct timeval at)
{
    struct fixture *f = ctx;
    (void)peer;
    h2o_http1_accept(&f->accept, sock, at);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct http_limits limits = {.body_max = 1000, .request_timeout_us = 300000};
    assert_non_null(f);
    http_globalconf_init(&f->conf, &limits);
    h2o_hostconf_t *host = h2o_config_register_host(&f->conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    const struct health_opts health = {.ready = is_ready, .metrics = write_metrics, .ctx = f};
    http_register_health(host, &health);
    h2o_create_handler(h2o_config_register_path(host, "/test", 0), sizeof(h2o_handler_t))->on_req = on_test;
    http_check_framing(&f->conf);
    const struct listener_opts o = {
        .max_open = 10, .stall_timeout_us = STALL_US, .on_conn = on_conn, .ctx = f};
    serve_open(&f->s, o);
    h2o_context_init(&f->context, f->s.loop, &f->conf);
    f->accept = (h2o_accept_ctx_t){.ctx = &f->context, .hosts = f->conf.hosts};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    listener_close(f->s.listener);
    listener_crowd_shutdown(&f->s.crowd, SHUT_RDWR);
    SERVE_UNTIL(&f->s, h2o_linklist_is_empty(&f->s.crowd.guests));
    h2o_context_request_shutdown(&f->context);
    http_context_dispose(&f->context);
    serve_turn(&f->s);
    h2o_evloop_destroy(f->s.loop);
    h2o_config_dispose(&f->conf);
    free(f);
    return 0;
}

/* Sends the text on a connection of its own; everything until the server closes it. */
static const char *ask(struct fixture *f, const char *text)
{
    int fd = serve_connect(&f->s);
    size_t len = 0;
    ssize_t n = 0;
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    SERVE_UNTIL(&f->s, (n = recv(fd, f->answer + len, sizeof(f->answer) - 1 - len, MSG_DONTWAIT)) == 0 ||
                           (n > 0 && (len += (size_t)n, false)) || (n < 0 && errno != EAGAIN));
    f->answer[len] = '\0';
    f->len = len;
    close(fd);
    return f->answer;
}

static const char *get(struct fixture *f, const char *method, const char *path)
{
    char text[256];
    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    return ask(f, text);
}

static const char *body_of(const char *answer)
{
    const char *at = strstr(answer, "\r\n\r\n");
    assert_non_null(at);
    return at + 4;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static long retry_after_s(const char *answer)
{
    static const char name[] = "retry-after: ";
    const char *at = strstr(answer, name);
    assert_non_null(at);
    return strtol(at + sizeof(name) - 1, NULL, 10);
}

static void health(void **state)
{
    struct fixture *f = *state;
    const char *a = get(f, "GET", "/livez");
    assert_true(starts(a, "HTTP/1.1 200 OK"));
    assert_non_null(strstr(a, "\r\nServer: berth\r\n"));
    assert_non_null(strstr(a, "cache-control: no-store"));
    assert_string_equal(body_of(a), "ok\n");
    a = get(f, "HEAD", "/livez");
    assert_true(starts(a, "HTTP/1.1 200"));
    assert_string_equal(body_of(a), "");
    f->ready = true;
    assert_true(starts(get(f, "GET", "/readyz"), "HTTP/1.1 200"));
    f->ready = false;
    a = get(f, "GET", "/readyz");
    assert_true(starts(a, "HTTP/1.1 503 "));
    assert_in_range(retry_after_s(a), HTTP_RETRY_AFTER_MIN_S, HTTP_RETRY_AFTER_MAX_S);
    json_t *o = json_loads(body_of(a), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(o, "code")), "not_ready");
    assert_string_equal(json_string_value(json_object_get(o, "detail")), "no \"database\"");
    assert_int_equal(json_integer_value(json_object_get(o, "status")), 503);
    json_decref(o);
    assert_true(starts(get(f, "GET", "/livez/more"), "HTTP/1.1 404"));
    a = get(f, "POST", "/livez");
    assert_true(starts(a, "HTTP/1.1 405"));
    assert_non_null(strstr(a, "allow: GET, HEAD\r\n"));
}

/* Whoever is refused together doesn't come back together. */
static void those_who_are_refused_are_spread(void **state)
{
    struct fixture *f = *state;
    bool seen[HTTP_RETRY_AFTER_MAX_S + 1] = {false};
    f->ready = false;
    for (int i = 0, missing = HTTP_RETRY_AFTER_MAX_S - HTTP_RETRY_AFTER_MIN_S + 1; missing > 0; i++) {
        long s = retry_after_s(get(f, "GET", "/readyz"));
        assert_in_range(s, HTTP_RETRY_AFTER_MIN_S, HTTP_RETRY_AFTER_MAX_S);
        missing -= !seen[s];
        seen[s] = true;
        assert_true(i < 100);
    }
}

static void metrics_may_outgrow_the_first_buffer(void **state)
{
    struct fixture *f = *state;
    f->metrics_lines = 5000;
    const char *body = body_of(get(f, "GET", "/metrics"));
    size_t lines = 0;
    for (const char *at = body; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 5002);
    f->metrics_lines = 100000; /* past the largest */
    assert_true(starts(get(f, "GET", "/metrics"), "HTTP/1.1 500"));
}

static void statuses_without_a_body(void **state)
{
    struct fixture *f = *state;
    const char *a = get(f, "GET", "/test/201");
    assert_true(starts(a, "HTTP/1.1 201 Created\r\n"));
    assert_non_null(strstr(a, "Content-Length: 4\r\n"));
    static const char *const paths[] = {"/test/204", "/test/304"};
    for (size_t i = 0; i < 2; i++) {
        a = get(f, "GET", paths[i]);
        assert_string_equal(body_of(a), "");
        assert_null(strcasestr(a, "content-length"));
        assert_null(strcasestr(a, "content-type"));
        assert_null(strcasestr(a, "transfer-encoding"));
    }
}

static void a_detail_that_is_not_utf8_is_left_out(void **state)
{
    struct fixture *f = *state;
    const char *a = get(f, "GET", "/test/problem");
    assert_true(starts(a, "HTTP/1.1 422"));
    assert_non_null(strstr(a, "content-type: application/problem+json"));
    json_t *o = json_loads(body_of(a), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(o, "code")), "invalid_member");
    assert_null(json_object_get(o, "detail"));
    json_decref(o);
}

static void http2_has_no_way_in(void **state)
{
    struct fixture *f = *state;
    const char *a = ask(f, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_true(f->len == 0 || starts(a, "HTTP/1.1 4")); /* no frame of HTTP/2 */
    a = ask(f,
            "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
            "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n");
    assert_null(strstr(a, "HTTP/1.1 101"));
}

static void limits_hold(void **state)
{
    struct fixture *f = *state;
    const char *a =
        ask(f, "POST /test/200 HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nConnection: close\r\n\r\n");
    assert_true(starts(a, "HTTP/1.1 413"));
    int64_t before = clock_mono_us();
    (void)ask(f, "GET /livez HTT"); /* and nothing more: closed after request_timeout_us */
    assert_true(clock_mono_us() - before < 5000000);
    assert_true(clock_mono_us() - before > 200000);
}

/* What another server in the way might cut differently: refused and closed, on every path, and what follows isn't answered. */
static void ambiguous_requests_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const heads[] = {
        "HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n Content-Length: 3\r\n\r\n",
        "HTTP/1.1\r\nhost: x\r\nA: b\r\nHOST: y\r\n\r\n",
        "HTTP/1.1\nHost: x\nHost: x\n\n",
        "HTTP/1.1\r\nAccept: x\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
    };
    static const char *const paths[] = {"\r\nGET /livez", "POST /test/200", "GET /nowhere"};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        for (size_t k = 0; k < sizeof(paths) / sizeof(paths[0]); k++) {
            char text[512];
            snprintf(text, sizeof(text), "%s %sGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", paths[k], heads[i]);
            const char *a = ask(f, text);
            assert_true(starts(a, "HTTP/1.1 400"));
            assert_non_null(strstr(a, "\"code\":\"bad_request\""));
            assert_null(strstr(a + 1, "HTTP/1.1"));
        }
    }
}

static void clear_requests_are_answered(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "POST /test/200 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        ("POST /test/200 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
         "b\r\nHost: y\r\n\r\n\r\n0\r\n\r\n"),
        "POST /test/200 HTTP/1.1\r\nHost:x\r\nContent-Length: 16\r\n\r\nHost: y\r\nHost: z",
        "GET /test/200 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", /* a load balancer's health check */
        "GET /test/200 HTTP/1.1\r\nHost: x\r\nX-Host: y\r\nHostile: z\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text), "%sGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 texts[i]);
        const char *a = ask(f, text);
        assert_true(starts(a, "HTTP/1.1 200"));
        assert_non_null(strstr(a + 1, "HTTP/1.1 200"));
    }
}

/* Answers that fill every buffer, to a client that takes none of them. */
static void a_client_that_does_not_read_is_cut_off(void **state)
{
    struct fixture *f = *state;
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    f->metrics_lines = 20000;
    int fd = serve_connect(&f->s);
    for (int i = 0; i < 10; i++)
        assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    SERVE_UNTIL(&f->s, f->s.stats.open == 1);
    int64_t before = clock_mono_us();
    SERVE_UNTIL(&f->s, f->s.stats.open == 0);
    assert_true(clock_mono_us() - before >= STALL_US / 2);
    close(fd);
}

/* One that is slow, but takes something, gets all of it. */
static void a_slow_client_is_served(void **state)
{
    struct fixture *f = *state;
    f->metrics_lines = 10000;
    size_t whole = strlen(get(f, "GET", "/metrics")), len = 0;
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int fd = serve_connect(&f->s), small = 16 * 1024;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    int64_t next = clock_mono_us(), began = next;
    ssize_t n = -1;
    while (n != 0) {
        serve_turn(&f->s);
        if (clock_mono_us() < next)
            continue;
        n = recv(fd, f->answer, 32 * 1024, MSG_DONTWAIT);
        assert_true(n >= 0 || errno == EAGAIN);
        len += n > 0 ? (size_t)n : 0;
        next += STALL_US / 10;
    }
    assert_int_equal(len, whole);
    assert_true(clock_mono_us() - began > 2 * STALL_US);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(health, setup, teardown),
        cmocka_unit_test_setup_teardown(those_who_are_refused_are_spread, setup, teardown),
        cmocka_unit_test_setup_teardown(metrics_may_outgrow_the_first_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(statuses_without_a_body, setup, teardown),
        cmocka_unit_test_setup_teardown(a_detail_that_is_not_utf8_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(http2_has_no_way_in, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(ambiguous_requests_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(clear_requests_are_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_read_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_client_is_served, setup, teardown),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
