/* link: berth_load_parts berth_path */
/* Requests against a server that answers, hangs up or stays silent as each of them asks it to. */
#include "loadtest/rest_load.c"

#include "check.h" /* after it: cmocka has a fail() too */

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { CONNECTIONS = 4, CALLERS = 8, STEP_US = 5000 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/* Silent until it has heard all that are awaited, and `release_us` has come. */
struct server {
    pthread_t thread;
    size_t heard, awaited;
    struct pollfd fds[1 + CALLERS]; /* [0] listens; the others' fd may be -1 */
    int64_t release_us;
    atomic_bool over;
};

static void serve(struct server *s, struct pollfd *caller)
{
    char request[256];
    ssize_t n = recv(caller->fd, request, sizeof request - 1, 0);
    request[n > 0 ? n : 0] = '\0';
    s->heard += n > 0;
    if (strncmp(request, "GET /silence ", 13) == 0)
        return;
    if (n <= 0 || strncmp(request, "GET /answer ", 12) != 0 ||
        send(caller->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) {
        close(caller->fd);
        caller->fd = -1;
    }
}

static void let_in(struct server *s)
{
    int fd = accept(s->fds[0].fd, NULL, NULL);
    for (size_t i = 1; i <= CALLERS && fd >= 0; i++) {
        if (s->fds[i].fd < 0) {
            s->fds[i].fd = fd;
            return;
        }
    }
    close(fd);
}

static void *server_run(void *ctx)
{
    struct server *s = ctx;
    while (!atomic_load(&s->over) && (s->heard < s->awaited || clock_mono_us() < s->release_us)) {
        int n = poll(s->fds, 1 + CALLERS, 1);
        for (size_t i = 1; n > 0 && i <= CALLERS; i++) {
            if (s->fds[i].fd >= 0 && s->fds[i].revents != 0)
                serve(s, &s->fds[i]);
        }
        if (n > 0 && s->fds[0].revents != 0)
            let_in(s);
    }
    for (size_t i = 0; i <= CALLERS; i++)
        close(s->fds[i].fd);
    return NULL;
}

static void server_start(struct server *s, size_t awaited, int64_t release_us, struct addr *at)
{
    *s = (struct server){.awaited = awaited, .release_us = release_us};
    for (size_t i = 0; i <= CALLERS; i++)
        s->fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    s->fds[0].fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->fds[0].fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(s->fds[0].fd, (struct sockaddr *)&in, &len), 0);
    assert_int_equal(listen(s->fds[0].fd, CALLERS), 0);
    *at = (struct addr){.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = ntohs(in.sin_port)};
    assert_int_equal(pthread_create(&s->thread, NULL, server_run, s), 0);
}

/* A request every STEP_US, which asks for what its letter says: a(nswer), h(anging up), s(ilence). */
struct script {
    const char *letters;
    size_t awaited; /* requests, before the server lets go of anybody */
    int64_t start_us, warm_us, answered_us;
    size_t n, answered, answered_warm;
};

static int64_t script_peek(void *ctx)
{
    const struct script *s = ctx;
    return s->letters[s->n] ? s->start_us + (int64_t)s->n * STEP_US : INT64_MAX;
}

static size_t script_take(void *ctx, uint8_t *out, size_t cap, uint64_t *tag)
{
    struct script *s = ctx;
    char letter = s->letters[s->n];
    const char *path = letter == 'a' ? "/answer" : letter == 's' ? "/silence" : "/end";
    *tag = s->n++;
    return rest_load_request(out, cap, "GET", path, "key", "", 0);
}

static uint64_t script_skip(void *ctx, int64_t until_us)
{
    struct script *s = ctx;
    uint64_t n = 0;
    for (; script_peek(s) < until_us; n++)
        s->n++;
    return n;
}

static void script_answered(void *ctx, uint64_t tag, int status, struct slice body, int64_t took_us)
{
    struct script *s = ctx;
    assert_int_equal(status, 200);
    assert_int_equal(body.len, 0);
    assert_true(took_us >= 0);
    s->answered++;
    s->answered_warm += s->start_us + (int64_t)tag * STEP_US < s->warm_us;
    s->answered_us = clock_mono_us();
}

/* For so many steps, of which the first `warm` are no more than that. */
static struct rest_load_result play(struct script *s, size_t warm, size_t steps, size_t release)
{
    struct server server;
    struct rest_load_result r;
    const struct rest_source source = {s, script_peek, script_take, script_skip, script_answered};
    s->start_us = clock_mono_us();
    s->warm_us = s->start_us + (int64_t)warm * STEP_US;
    struct rest_load_opts opts = {.connections = CONNECTIONS,
                                  .warm_us = s->warm_us,
                                  .until_us = s->start_us + (int64_t)steps * STEP_US,
                                  .quiet = true};
    server_start(&server, s->awaited, s->start_us + (int64_t)release * STEP_US, &opts.server);
    assert_int_equal(rest_load_run(&opts, &source, &r), 0);
    atomic_store(&server.over, true);
    pthread_join(server.thread, NULL);
    return r;
}

static void waiting_for_the_silent_isnt_time_of_the_load(void **state)
{
    struct script s = {.letters = "asaaaaaa", .awaited = 8};
    struct rest_load_result r = play(&s, 0, 200, 220);
    assert_int_equal(r.sent, 8);
    assert_int_equal(r.answered, 7);
    assert_int_equal(r.failed, 1);
    int64_t until_us = s.start_us + 200 * STEP_US;
    assert_true(r.elapsed_us <= (s.answered_us > until_us ? s.answered_us : until_us) - s.start_us);
}

/* But that it was sent: a server has had it. */
static void nothing_of_the_warm_up_counts(void **state)
{
    struct script s = {.letters = "aahaahaha", .awaited = 9};
    struct rest_load_result r = play(&s, 6, 2000, 0);
    assert_int_equal(r.sent, 9);
    assert_int_equal(r.answered, 2);
    assert_int_equal(r.status[200], 2);
    assert_int_equal(r.failed, 1);
    assert_int_equal(s.answered, 2);
    assert_int_equal(s.answered_warm, 0);
}

/* Nobody is let go of before time is over: of what couldn't be begun, what was meant to be counted was missed. */
static void nothing_missed_of_the_warm_up_counts(void **state)
{
    char letters[101] = "ssss";
    struct script s = {.letters = letters, .awaited = CONNECTIONS};
    memset(letters + CONNECTIONS, 'a', sizeof letters - 1 - CONNECTIONS);
    struct rest_load_result r = play(&s, 60, 80, 90);
    assert_int_equal(r.sent, CONNECTIONS);
    assert_int_equal(r.failed, 0);
    assert_int_equal(r.missed, 80 - 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_for_the_silent_isnt_time_of_the_load),
        cmocka_unit_test(nothing_of_the_warm_up_counts),
        cmocka_unit_test(nothing_missed_of_the_warm_up_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
