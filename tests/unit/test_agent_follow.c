/* link: berth_agent_core test_support */
/* Following events against answers that a script gives, over real sockets: what is told, where it resumes, when it comes back. */
#include "agent_turn.h"

#include "agent/berth.h"

#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define REFUSAL                                                                    \
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 25\r\nConnection: close\r\n\r\n" \
    "{\"code\":\"token_invalid\"}\n"

enum { CALLS_MAX = 4, FILLER = 300 * 1024 };

struct call {
    const char *answer;
    bool filler; /* an event that is too long behind it */
    bool held;   /* until the client goes */
    char request[2048];
};

struct script {
    int fd;
    size_t n;
    struct call calls[CALLS_MAX];
    pthread_t thread;
    char url[96];
};

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

static void serve_one(struct call *c, int fd)
{
    size_t len = 0;
    ssize_t n = 1;
    while (!strstr(c->request, "\r\n\r\n") && len < sizeof c->request - 1 && n > 0) {
        n = recv(fd, c->request + len, sizeof c->request - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    send_all(fd, c->answer, strlen(c->answer));
    if (c->filler) {
        char *filler = malloc(FILLER);
        if (filler) {
            memset(filler, 'x', FILLER);
            send_all(fd, filler, FILLER);
        }
        free(filler);
    }
    char rest[64];
    while (c->held && recv(fd, rest, sizeof rest, 0) > 0)
        continue;
}

static void *serve(void *arg)
{
    struct script *s = arg;
    for (size_t i = 0; i < s->n; i++) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (poll(&p, 1, 20000) != 1)
            return NULL;
        int fd = accept(s->fd, NULL, NULL);
        struct timeval limit = {.tv_sec = 20};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        serve_one(&s->calls[i], fd);
        close(fd);
    }
    return NULL;
}

static void script_start(struct script *s)
{
    struct addr a;
    char text[ADDR_TEXT_LEN];
    assert_int_equal(addr_parse(&a, "127.0.0.1:0"), 0);
    s->fd = socket_listen_tcp(&a, false, 4);
    assert_true(s->fd >= 0);
    assert_int_equal(socket_local_addr(s->fd, &a), 0);
    snprintf(s->url, sizeof s->url, "http://%s", addr_format(&a, text));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void script_end(struct script *s)
{
    pthread_join(s->thread, NULL);
    close(s->fd);
}

struct heard {
    size_t n;
    char trace[512]; /* "up assignment({}) ..." */
    struct berth_event last;
};

static void on_event(void *user, struct berth_agent *agent, const struct berth_event *e)
{
    struct heard *h = user;
    size_t len = strlen(h->trace);
    (void)agent;
    h->n++;
    snprintf(h->trace + len, sizeof h->trace - len, "%s%s(%s) ", e->kind == BERTH_EVENT_OTHER ? "other:" : "",
             e->name, e->data);
    h->last = *e;
    h->last.name = h->last.data = h->last.detail = NULL;
}

static struct berth_agent *agent_of(const struct script *s, const char *token)
{
    struct berth_agent *a = NULL;
    const struct berth_options o = {
        .size = sizeof o, .controller = s->url, .token = token, .agent_id = "me", .proxy = "none"};
    assert_int_equal(berth_agent_create(&a, &o), 0);
    return a;
}

static void run(struct berth_agent *a, const struct heard *h, size_t n)
{
    int64_t deadline = clock_mono_us() + 120 * 1000000; /* under valgrind on a busy machine too */
    while (h->n < n)
        agent_turn(a, deadline);
    assert_int_equal(h->n, n);
}

static void test_events_reconnect_refusal_and_another_token(void **state)
{
    static struct script s = {
        .n = 3,
        .calls = {{.answer = STREAM "id: 5\n\nevent: assignment\nid: 6\ndata: {\"meeting\":\"m\"}\n\n:\n\n"
                                    "event: odd\nid: 7\ndata: x\n\nevent: reconnect\ndata: "
                                    "{\"reason\":\"age\",\"within_ms\":1}\n\n"},
                  {.answer = REFUSAL},
                  {.answer = STREAM "event: reset\nid: 9\ndata: {}\n\n", .held = true}}};
    struct heard h = {0};
    const struct berth_follow_options follow = {.size = sizeof follow, .event = on_event, .user = &h};
    (void)state;
    script_start(&s);
    struct berth_agent *a = agent_of(&s, "o1_o0.secret");
    assert_int_equal(berth_agent_follow(a, &follow), 0);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_WAITING);
    run(a, &h, 4);
    assert_string_equal(h.trace, "up() assignment({\"meeting\":\"m\"}) other:odd(x) down() ");
    assert_int_equal(h.last.error, 0);
    assert_in_range(h.last.retry_in_us, 0, 1000);
    run(a, &h, 5);
    assert_int_equal(h.last.error, BERTH_E_REFUSED);
    assert_int_equal(h.last.http_status, 401);
    assert_in_range(h.last.retry_in_us, 150 * 1000000, 300 * 1000000);
    assert_int_equal(berth_agent_set_token(a, "a.b.c"), 0);
    h.trace[0] = '\0';
    run(a, &h, 7);
    assert_string_equal(h.trace, "up() reset({}) ");
    assert_int_equal(berth_agent_follow(a, NULL), 0);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_IDLE);
    assert_int_equal(berth_agent_timeout(a), -1);
    script_end(&s); /* the connection has been closed, or this waits */
    berth_agent_destroy(a);
    assert_non_null(strstr(s.calls[0].request, "GET /v1/stream?agent=me HTTP/1.1\r\n"));
    assert_null(strstr(s.calls[0].request, "Last-Event-ID"));
    assert_non_null(strstr(s.calls[0].request, "Accept: text/event-stream"));
    assert_non_null(strstr(s.calls[1].request, "Last-Event-ID: 7\r\n"));
    assert_non_null(strstr(s.calls[2].request, "Last-Event-ID: 7\r\n"));
    assert_non_null(strstr(s.calls[2].request, "GET /v1/stream HTTP/1.1\r\n")); /* a JWT names the agent */
    assert_non_null(strstr(s.calls[2].request, "Authorization: Bearer a.b.c\r\n"));
}

/* Past the bound of what is kept of one. */
static void test_an_event_that_is_too_long_ends_the_connection(void **state)
{
    static struct script s = {.n = 2,
                              .calls = {{.answer = STREAM "id: 5\n\nid: 6\ndata: ", .filler = true},
                                        {.answer = STREAM "id: 5\n\n", .held = true}}};
    struct heard h = {0};
    const struct berth_follow_options follow = {.size = sizeof follow, .event = on_event, .user = &h};
    (void)state;
    script_start(&s);
    struct berth_agent *a = agent_of(&s, "a.b.c");
    assert_int_equal(berth_agent_follow(a, &follow), 0);
    run(a, &h, 2);
    assert_int_equal(h.last.error, BERTH_E_UNREACHABLE);
    assert_in_range(h.last.retry_in_us, 500 * 1000, 1000 * 1000);
    run(a, &h, 3);
    assert_string_equal(h.trace, "up() down() up() ");
    berth_agent_destroy(a);
    script_end(&s);
    assert_non_null(strstr(s.calls[1].request, "Last-Event-ID: 5\r\n"));
}

/* Figures that no controller says are as good as the most that one may. */
static void test_a_pause_that_cannot_be(void **state)
{
    static struct script s = {
        .n = 1,
        .calls = {{.answer = STREAM "event: reconnect\ndata: {\"within_ms\":9223372036854775807}\n\n"}}};
    struct heard h = {0};
    const struct berth_follow_options follow = {.size = sizeof follow, .event = on_event, .user = &h};
    (void)state;
    script_start(&s);
    struct berth_agent *a = agent_of(&s, "a.b.c");
    assert_int_equal(berth_agent_follow(a, &follow), 0);
    run(a, &h, 2);
    assert_string_equal(h.trace, "up() down() ");
    assert_in_range(h.last.retry_in_us, 0, 60 * 1000000);
    berth_agent_destroy(a);
    script_end(&s);
}

static void test_what_cannot_be_followed(void **state)
{
    struct berth_agent *a = NULL;
    const struct berth_node node = {.host = "127.0.0.1"};
    const struct berth_options o = {.size = sizeof o, .nodes = &node, .n_nodes = 1};
    struct berth_follow_options follow = {.size = sizeof follow};
    struct script s = {.url = "http://127.0.0.1:9"};
    (void)state;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_follow(a, &follow), -EINVAL); /* no controller */
    assert_int_equal(berth_agent_follow(a, NULL), 0);
    berth_agent_destroy(a);
    a = agent_of(&s, "a.b.c");
    follow.size--;
    assert_int_equal(berth_agent_follow(a, &follow), -EINVAL);
    follow.size++;
    assert_int_equal(berth_agent_follow(a, &follow), 0); /* nobody to tell: for probes alone */
    berth_agent_destroy(a);
    for (int kind = -1; kind <= BERTH_EVENT_DOWN + 1; kind++)
        assert_int_equal(strcmp(berth_event_name(kind), "unknown") == 0, kind < 0 || kind > BERTH_EVENT_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_reconnect_refusal_and_another_token),
        cmocka_unit_test(test_an_event_that_is_too_long_ends_the_connection),
        cmocka_unit_test(test_a_pause_that_cannot_be),
        cmocka_unit_test(test_what_cannot_be_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
