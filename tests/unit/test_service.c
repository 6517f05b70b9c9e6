/* link: berth_sys */
#include "sys/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void signals_come_through_the_descriptor(void **state)
{
    int fd = service_signals();
    assert_true(fd >= 0);
    assert_int_equal(service_wait(fd, 0), SERVICE_NONE);
    kill(getpid(), SIGHUP);
    assert_int_equal(service_wait(fd, 5000), SERVICE_RELOAD);
    kill(getpid(), SIGTERM);
    assert_int_equal(service_wait(fd, 5000), SERVICE_STOP);
    kill(getpid(), SIGINT);
    assert_int_equal(service_wait(fd, -1), SERVICE_STOP);
    kill(getpid(), SIGPIPE); /* ignored */
    assert_int_equal(service_wait(fd, 1), SERVICE_NONE);
    close(fd);
}

/* The manager's end of $NOTIFY_SOCKET: an abstract socket. */
static int notify_socket(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char name[64];
    int n = snprintf(name, sizeof(name), "@berth-test-%d", (int)getpid());
    memcpy(un.sun_path, name, (size_t)n);
    un.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, len), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void the_manager_is_told(void **state)
{
    char text[128];
    int fd = notify_socket();
    static const struct {
        void (*call)(void);
        const char *told;
    } cases[] = {
        {service_ready, "READY=1"},
        {service_reloading, "RELOADING=1\nMONOTONIC_USEC="},
        {service_stopping, "STOPPING=1"},
        {service_watchdog, "WATCHDOG=1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cases[i].call();
        ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        assert_int_equal(strncmp(text, cases[i].told, strlen(cases[i].told)), 0);
    }
    unsetenv("NOTIFY_SOCKET");
    service_ready(); /* nobody to tell */
    assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
    close(fd);
}

static void watchdog_is_half_its_time(void **state)
{
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(service_watchdog_ms(), -1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    assert_int_equal(service_watchdog_ms(), 1500);
    setenv("WATCHDOG_USEC", "1", 1);
    assert_int_equal(service_watchdog_ms(), 1);
    setenv("WATCHDOG_PID", "1", 1); /* another process's */
    assert_int_equal(service_watchdog_ms(), -1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void descriptors_are_raised_to_the_hard_limit(void **state)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    r.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
    assert_int_equal(service_raise_fds(), r.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    assert_int_equal(r.rlim_cur, r.rlim_max);
}

/* A grandchild that asked for it ends when its parent is killed: the pipe that it holds open then closes. */
static void children_die_with_their_parent(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGTERM, SIG_DFL);
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, NULL);
            char ok = service_die_with_parent() == 0 ? 'y' : 'n';
            if (write(fds[1], &ok, 1) != 1)
                _exit(1);
        }
        for (;;)
            pause();
    }
    char ok = 0, rest;
    close(fds[1]);
    assert_int_equal(read(fds[0], &ok, 1), 1);
    assert_int_equal(ok, 'y');
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(read(fds[0], &rest, 1), 0);
    close(fds[0]);
}

static void spare_descriptors_are_what_the_limit_leaves(void **state)
{
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int64_t spare = service_spare_fds(50);
    int fd = dup(0);
    assert_in_range(spare, 100, 150);
    assert_int_equal(service_spare_fds(50), spare - 1);
    assert_int_equal(service_spare_fds(51), spare - 2);
    assert_int_equal(service_spare_fds(1000), 1);
    close(fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_come_through_the_descriptor),
        cmocka_unit_test(the_manager_is_told),
        cmocka_unit_test(spare_descriptors_are_what_the_limit_leaves),
        cmocka_unit_test(watchdog_is_half_its_time),
        cmocka_unit_test(descriptors_are_raised_to_the_hard_limit),
        cmocka_unit_test(children_die_with_their_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
