/* link: berth_serve test_support */
#include "serve_loop.h"
#include "support/certs.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static const struct listener_opts clear = {.max_open = 100, .handshake_timeout_us = 1000000};

static int tcp_option(h2o_socket_t *sock, int option)
{
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, option, &value, &len), 0);
    return value;
}

static void hands_over_with_the_peer(void **state)
{
    (void)state;
    struct serve_loop s;
    struct addr me;
    serve_open(&s, clear);
    int fd = serve_connect(&s);
    assert_int_equal(socket_local_addr(fd, &me), 0);
    SERVE_UNTIL(&s, s.n == 1);
    assert_true(addr_eq(&s.peer[0], &me));
    assert_int_equal(s.stats.accepted, 1);
    assert_int_equal(s.stats.open, 1);
    assert_int_equal(tcp_option(s.sock[0], TCP_USER_TIMEOUT), LISTENER_STALL_US / 1000);
    assert_int_equal(tcp_option(s.sock[0], TCP_NODELAY), 1);
    assert_int_equal(tcp_option(s.sock[0], TCP_NOTSENT_LOWAT), LISTENER_UNSENT_MOST);
    h2o_socket_close(s.sock[0]);
    s.sock[0] = NULL;
    assert_int_equal(s.stats.open, 0); /* counted off whoever closes */
    assert_true(h2o_linklist_is_empty(&s.crowd.guests));
    SERVE_UNTIL(&s, serve_is_ended(fd));
    close(fd);
    serve_close(&s);
}

static void one_more_than_the_cap_is_closed(void **state)
{
    (void)state;
    struct serve_loop s;
    struct listener_opts o = clear;
    o.max_open = 2;
    serve_open(&s, o);
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = serve_connect(&s);
    SERVE_UNTIL(&s, serve_is_ended(fd[2]));
    assert_int_equal(s.n, 2);
    assert_int_equal(s.stats.refused_full, 1);
    h2o_socket_close(s.sock[0]);
    s.sock[0] = NULL;
    int again = serve_connect(&s);
    SERVE_UNTIL(&s, s.n == 3);
    close(again);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    serve_close(&s);
}

static void end_at_eof(h2o_socket_t *sock, const char *err)
{
    struct serve_loop *s = sock->data;
    for (size_t i = 0; i < s->n && err; i++)
        if (s->sock[i] == sock)
            s->sock[i] = NULL;
    if (err)
        h2o_socket_close(sock);
}

static void read_all(struct serve_loop *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->sock[i] && !s->sock[i]->data) {
            s->sock[i]->data = s;
            h2o_socket_read_start(s->sock[i], end_at_eof);
        }
    }
}

static void ignore(h2o_socket_t *sock, const char *err)
{
    (void)sock;
    (void)err;
}

static void the_oldest_makes_room(void **state)
{
    (void)state;
    struct serve_loop s;
    struct listener_opts o = clear;
    static char much[4 * 1024 * 1024];
    h2o_iovec_t answer = h2o_iovec_init(much, sizeof(much));
    int fd[6];
    o.max_open = 3;
    o.oldest_yields = true;
    serve_open(&s, o);
    for (size_t i = 0; i < 3; i++) {
        fd[i] = serve_connect(&s);
        SERVE_UNTIL(&s, s.n == i + 1);
    }
    h2o_socket_write(s.sock[0], &answer, 1, ignore); /* more than its client has read */
    read_all(&s);
    fd[3] = serve_connect(&s);
    SERVE_UNTIL(&s, serve_is_ended(fd[1]) && s.n == 4 && s.stats.open == 3);
    assert_true(s.sock[0] && !s.sock[1] && s.sock[2]);
    read_all(&s);
    fd[4] = serve_connect(&s);
    fd[5] = serve_connect(&s);
    SERVE_UNTIL(&s, serve_is_ended(fd[2]) && serve_is_ended(fd[3]) && s.n == 6 && s.stats.open == 3);
    assert_true(s.sock[0] != NULL);
    assert_int_equal(s.stats.refused_full, 0);
    for (int i = 0; i < 6; i++)
        close(fd[i]);
    serve_close(&s);
}

static void sources_have_a_cap_of_their_own(void **state)
{
    (void)state;
    struct serve_loop s;
    struct listener_opts o = clear;
    o.sources = listener_sources_new(1);
    assert_non_null(o.sources);
    serve_open(&s, o);
    int first = serve_connect(&s), second = serve_connect(&s);
    SERVE_UNTIL(&s, serve_is_ended(second));
    assert_int_equal(s.n, 1);
    assert_int_equal(s.stats.refused_source, 1);
    assert_int_equal(s.stats.open, 1);
    h2o_socket_close(s.sock[0]);
    s.sock[0] = NULL;
    int third = serve_connect(&s);
    SERVE_UNTIL(&s, s.n == 2);
    close(first);
    close(second);
    close(third);
    serve_close(&s);
    free(o.sources);
}

static void drop_eof(h2o_socket_t *sock, const char *err)
{
    (void)err;
    (void)sock;
}

/* Who has sent most is ended; who has sent little, or nothing, stays. */
static void what_is_buffered_is_bounded(void **state)
{
    (void)state;
    struct serve_loop s;
    static char much[256 * 1024];
    serve_open(&s, clear);
    int fd[3] = {serve_connect(&s), serve_connect(&s), serve_connect(&s)};
    SERVE_UNTIL(&s, s.n == 3);
    for (int i = 0; i < 3; i++)
        h2o_socket_read_start(s.sock[i], drop_eof);
    assert_int_equal(write(fd[1], "x", 1), 1);
    assert_int_equal(write(fd[2], much, sizeof(much)), sizeof(much));
    SERVE_UNTIL(&s, s.sock[2]->input->size == sizeof(much) && s.sock[1]->input->size == 1);
    assert_int_equal(listener_crowd_relieve(&s.crowd, 4 * sizeof(much)), 0);
    assert_int_equal(listener_crowd_relieve(&s.crowd, sizeof(much)), 1);
    SERVE_UNTIL(&s, serve_is_ended(fd[2]));
    assert_false(serve_is_ended(fd[0]) || serve_is_ended(fd[1]));
    for (int i = 0; i < 3; i++) {
        h2o_socket_close(s.sock[i]);
        s.sock[i] = NULL;
        close(fd[i]);
    }
    serve_close(&s);
}

static void listeners_may_share_a_budget(void **state)
{
    (void)state;
    struct listener_budget budget = {.max = 2};
    struct serve_loop s[2];
    struct listener_opts o = clear;
    o.budget = &budget;
    serve_open(&s[0], o);
    serve_open(&s[1], o);
    int fd[3] = {serve_connect(&s[0]), serve_connect(&s[1]), -1};
    SERVE_UNTIL(&s[0], s[0].n == 1);
    SERVE_UNTIL(&s[1], s[1].n == 1);
    fd[2] = serve_connect(&s[1]);
    SERVE_UNTIL(&s[1], serve_is_ended(fd[2]));
    assert_int_equal(s[1].stats.refused_full, 1);
    close(fd[2]);
    h2o_socket_close(s[0].sock[0]);
    s[0].sock[0] = NULL;
    assert_int_equal(budget.open, 1);
    fd[2] = serve_connect(&s[1]);
    SERVE_UNTIL(&s[1], s[1].n == 2);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    serve_close(&s[0]);
    serve_close(&s[1]);
    assert_int_equal(budget.open, 0);
}

static void out_of_descriptors_it_rests_and_comes_back(void **state)
{
    (void)state;
    skip_under_valgrind(); /* which accepts all the same, and closes what the limit has no place for */
    struct serve_loop s;
    struct rlimit before, tight;
    struct listener_opts o = clear;
    char told[4096] = "";
    int log_fds[2];
    assert_int_equal(pipe(log_fds), 0);
    o.log = log_new(log_fds[1], LOG_WARN, LOG_LOGFMT);
    serve_open(&s, o);
    int fd = serve_connect(&s);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)fd + 1; /* none is left */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int64_t end = clock_mono_us() + 400000;
    unsigned turns = 0;
    while (clock_mono_us() < end) {
        (void)h2o_evloop_run(s.loop, 50);
        turns++;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(s.n, 0);
    assert_true(turns < 60); /* a spinning loop turns many thousand times */
    SERVE_UNTIL(&s, s.n == 1);
    assert_true(read(log_fds[0], told, sizeof(told) - 1) > 0);
    assert_non_null(strstr(told, "event=accept_paused"));
    assert_ptr_equal(strchr(told, '\n') + 1, told + strlen(told)); /* once, however often it rested */
    close(fd);
    serve_close(&s);
    log_destroy(o.log);
    close(log_fds[0]);
    close(log_fds[1]);
}

/* Somebody else at work while this thread waits in the write of a log line: interrupts it, then makes room. */
struct interrupter {
    pthread_t who;
    int stat_fd, log_fd;
};

static _Atomic bool running, interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = true;
}

static bool is_asleep(int stat_fd)
{
    char text[512];
    ssize_t n = pread(stat_fd, text, sizeof(text) - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    return strncmp(strrchr(text, ')'), ") S", 3) == 0;
}

static void *interrupt_write(void *arg)
{
    struct interrupter *i = arg;
    char room[65536];
    while (!running || !is_asleep(i->stat_fd))
        sched_yield();
    assert_int_equal(pthread_kill(i->who, SIGUSR1), 0);
    while (!interrupted)
        sched_yield();
    assert_true(read(i->log_fd, room, sizeof(room)) > 0);
    return NULL;
}

/* The line's second write succeeds, and errno is still EINTR of the first. */
static void a_rest_whose_log_line_was_interrupted_is_one(void **state)
{
    (void)state;
    skip_under_valgrind(); /* which accepts all the same, and closes what the limit has no place for */
    const struct sigaction act = {.sa_handler = on_interrupt};
    struct interrupter i = {.who = pthread_self()};
    struct serve_loop s;
    struct rlimit before, tight;
    struct listener_opts o = clear;
    struct sigaction old;
    pthread_t thread;
    char path[64];
    int log_fds[2];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)gettid());
    i.stat_fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(i.stat_fd >= 0);
    assert_int_equal(pipe2(log_fds, O_NONBLOCK), 0);
    i.log_fd = log_fds[0];
    while (write(log_fds[1], "", 1) == 1)
        ;
    assert_int_equal(fcntl(log_fds[1], F_SETFL, 0), 0);
    o.log = log_new(log_fds[1], LOG_WARN, LOG_LOGFMT);
    serve_open(&s, o);
    int fd = serve_connect(&s);
    assert_int_equal(sigaction(SIGUSR1, &act, &old), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)fd + 1; /* none is left */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_write, &i), 0);
    running = true; /* from here on it waits for nothing but that write */
    while (!interrupted)
        (void)h2o_evloop_run(s.loop, 50);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    SERVE_UNTIL(&s, s.n == 1);
    close(fd);
    serve_close(&s);
    log_destroy(o.log);
    assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
    close(log_fds[0]);
    close(log_fds[1]);
    close(i.stat_fd);
}

static void closing_leaves_what_was_handed_over(void **state)
{
    (void)state;
    struct serve_loop s;
    serve_open(&s, clear);
    int fd = serve_connect(&s);
    SERVE_UNTIL(&s, s.n == 1);
    listener_close(s.listener);
    s.listener = NULL;
    for (int i = 0; i < 5; i++)
        serve_turn(&s);
    assert_false(serve_is_ended(fd));
    assert_int_equal(s.stats.open, 1);
    listener_crowd_shutdown(&s.crowd, SHUT_RDWR);
    SERVE_UNTIL(&s, serve_is_ended(fd));
    close(fd);
    serve_close(&s);
}

/* ---- TLS ---- */

struct tls_fixture {
    char dir[TEST_PATH_MAX], ca_file[TEST_PATH_MAX];
    struct test_ca *ca;
    struct tls_server *server;
    SSL_CTX *client;
    int log_fd;
    struct log *log;
};

static int tls_setup(void **state)
{
    struct tls_fixture *f = calloc(1, sizeof(*f));
    char err[TLS_ERROR_TEXT] = "", cert[TEST_PATH_MAX], key[TEST_PATH_MAX],
         log[] = "/tmp/berth-listener-XXXXXX";
    assert_non_null(f);
    test_dir_make(f->dir);
    f->ca = test_ca_new(f->dir, "ca");
    test_ca_issue(f->ca, f->dir, "node", "DNS:node.test", 2);
    test_path(f->ca_file, f->dir, "ca.pem");
    const struct tls_server_opts opts = {.cert_file = test_path(cert, f->dir, "node.pem"),
                                         .key_file = test_path(key, f->dir, "node.key"),
                                         .info = listener_tls_info};
    assert_int_equal(tls_server_new(&f->server, &opts, err), 0);
    assert_int_equal(tls_client_ctx_new(&f->client, f->ca_file, err), 0);
    f->log_fd = mkstemp(log);
    assert_true(f->log_fd >= 0);
    unlink(log);
    f->log = log_new(f->log_fd, LOG_DEBUG, LOG_LOGFMT);
    *state = f;
    return 0;
}

static int tls_teardown(void **state)
{
    struct tls_fixture *f = *state;
    log_destroy(f->log);
    close(f->log_fd);
    SSL_CTX_free(f->client);
    tls_server_destroy(f->server);
    test_ca_free(f->ca);
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

static struct listener_opts tls_opts(const struct tls_fixture *f)
{
    struct listener_opts o = clear;
    o.tls = f->server;
    o.log = f->log;
    o.handshake_timeout_us = 60000000;
    return o;
}

static SSL *client_new(const struct tls_fixture *f, int fd, const char *expect)
{
    SSL *ssl = SSL_new(f->client);
    assert_non_null(ssl);
    assert_int_equal(tls_client_expect(ssl, expect), 0);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    return ssl;
}

static int nonblocking(int fd)
{
    int on = 1;
    assert_int_equal(ioctl(fd, FIONBIO, &on), 0);
    return fd;
}

/* One step of a client's handshake: 1 done, 0 on the way, -1 failed. */
static int client_step(SSL *ssl)
{
    int rc = SSL_connect(ssl);
    if (rc == 1)
        return 1;
    int why = SSL_get_error(ssl, rc);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void handshake_then_hand_over(void **state)
{
    const struct tls_fixture *f = *state;
    struct serve_loop s;
    serve_open(&s, tls_opts(f));
    int fd = nonblocking(serve_connect(&s)), step = 0;
    SSL *ssl = client_new(f, fd, "node.test");
    SERVE_UNTIL(&s, (step = client_step(ssl)) != 0);
    assert_int_equal(step, 1);
    assert_int_equal(SSL_write(ssl, "hello", 5), 5);
    SERVE_UNTIL(&s, s.n == 1);
    assert_int_equal(s.stats.tls_ok, 1);
    assert_non_null(s.sock[0]->ssl);
    /* Long past the handshake's time the connection is still there. */
    int64_t end = clock_mono_us() + 300000;
    while (clock_mono_us() < end)
        serve_turn(&s);
    assert_int_equal(s.stats.open, 1);
    assert_int_equal(s.stats.tls_timeout, 0);
    SSL_free(ssl);
    close(fd);
    serve_close(&s);
}

static void log_text(const struct tls_fixture *f, char *out, size_t cap)
{
    ssize_t n = pread(f->log_fd, out, cap - 1, 0);
    out[n > 0 ? n : 0] = '\0';
}

static void failed_handshake_is_counted_and_its_alert_logged(void **state)
{
    const struct tls_fixture *f = *state;
    struct serve_loop s;
    char log[4096];
    serve_open(&s, tls_opts(f));
    int fd = nonblocking(serve_connect(&s)), step = 0;
    SSL *ssl = client_new(f, fd, "other.test"); /* the client won't have this certificate */
    assert_int_equal(SSL_set_max_proto_version(ssl, TLS1_2_VERSION), 1);
    SERVE_UNTIL(&s, (step = client_step(ssl)) != 0);
    assert_int_equal(step, -1);
    SERVE_UNTIL(&s, s.stats.tls_failed == 1);
    assert_int_equal(s.n, 0);
    assert_int_equal(s.stats.open, 0);
    log_text(f, log, sizeof(log));
    assert_non_null(strstr(log, "handshake_failed"));
    assert_non_null(strstr(log, "alert_by=peer"));
    SSL_free(ssl);
    close(fd);

    fd = serve_connect(&s); /* no TLS at all */
    assert_int_equal(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
    SERVE_UNTIL(&s, serve_is_ended(fd));
    assert_int_equal(s.stats.tls_failed, 2);
    close(fd);
    serve_close(&s);
}

static void silent_and_half_open_clients_are_ended(void **state)
{
    const struct tls_fixture *f = *state;
    struct serve_loop s;
    struct listener_opts o = tls_opts(f);
    o.handshake_timeout_us = 100000;
    serve_open(&s, o);
    int silent = serve_connect(&s), half = serve_connect(&s);
    assert_int_equal(write(half, "\x16\x03\x01\x01\x00\x01\x00", 7), 7);
    SERVE_UNTIL(&s, serve_is_ended(silent) && serve_is_ended(half));
    assert_int_equal(s.stats.tls_timeout, 2);
    assert_int_equal(s.stats.open, 0);
    close(silent);
    close(half);
    serve_close(&s);
}

static void closing_ends_handshakes(void **state)
{
    const struct tls_fixture *f = *state;
    struct serve_loop s;
    serve_open(&s, tls_opts(f));
    int fd = serve_connect(&s);
    SERVE_UNTIL(&s, s.stats.accepted == 1);
    listener_close(s.listener);
    s.listener = NULL;
    SERVE_UNTIL(&s, serve_is_ended(fd));
    assert_int_equal(s.stats.open, 0);
    close(fd);
    serve_close(&s);
}

/* The context that a connection began with lives as long as the connection. */
static void reload_under_a_connection(void **state)
{
    const struct tls_fixture *f = *state;
    struct serve_loop s;
    char err[TLS_ERROR_TEXT];
    serve_open(&s, tls_opts(f));
    int fd = nonblocking(serve_connect(&s)), step = 0;
    SSL *ssl = client_new(f, fd, "node.test");
    SERVE_UNTIL(&s, s.stats.accepted == 1); /* accepted with the old context, not a byte read */
    assert_int_equal(tls_server_reload(f->server, err), 0);
    SERVE_UNTIL(&s, (step = client_step(ssl)) != 0);
    assert_int_equal(step, 1);
    SERVE_UNTIL(&s, s.n == 1);
    SSL_free(ssl);
    close(fd);
    serve_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_over_with_the_peer),
        cmocka_unit_test(one_more_than_the_cap_is_closed),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(sources_have_a_cap_of_their_own),
        cmocka_unit_test(what_is_buffered_is_bounded),
        cmocka_unit_test(listeners_may_share_a_budget),
        cmocka_unit_test(out_of_descriptors_it_rests_and_comes_back),
        cmocka_unit_test(a_rest_whose_log_line_was_interrupted_is_one),
        cmocka_unit_test(closing_leaves_what_was_handed_over),
        cmocka_unit_test_setup_teardown(handshake_then_hand_over, tls_setup, tls_teardown),
        cmocka_unit_test_setup_teardown(failed_handshake_is_counted_and_its_alert_logged, tls_setup,
                                        tls_teardown),
        cmocka_unit_test_setup_teardown(silent_and_half_open_clients_are_ended, tls_setup, tls_teardown),
        cmocka_unit_test_setup_teardown(closing_ends_handshakes, tls_setup, tls_teardown),
        cmocka_unit_test_setup_teardown(reload_under_a_connection, tls_setup, tls_teardown),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
