/* A real berth-node for tests of the agent: started on free loopback ports, ended with the test. */
#ifndef BERTH_TESTS_AGENT_NODE_H
#define BERTH_TESTS_AGENT_NODE_H

#include "check.h"

#include "support/certs.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct agent_node {
    char dir[TEST_PATH_MAX], ca_file[TEST_PATH_MAX];
    struct test_ca *ca;
    uint16_t udp, tcp, tls;
    pid_t pid;
};

/* A port that nobody listens on just now. */
static inline uint16_t free_port(bool udp)
{
    struct addr any = {.family = ADDR_V4, .ip = {127, 0, 0, 1}}, got;
    int fd = udp ? socket_bind_udp(&any, false) : socket_listen_tcp(&any, false, 1);
    assert_true(fd >= 0);
    assert_int_equal(socket_local_addr(fd, &got), 0);
    close(fd);
    return got.port;
}

/* berth-node stands beside this test in the build folder. */
static inline void node_path(char out[static TEST_PATH_MAX])
{
    char self[TEST_PATH_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    for (int i = 0; i < 2; i++)
        *strrchr(self, '/') = '\0';
    assert_true(snprintf(out, TEST_PATH_MAX, "%s/node/berth-node", self) < TEST_PATH_MAX);
    if (access(out, X_OK) != 0)
        fail_msg("%s is not built", out);
}

static inline void wait_for_port(uint16_t port)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    struct addr at = {.family = ADDR_V4, .port = port, .ip = {127, 0, 0, 1}};
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, &at);
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int rc = connect(fd, (const struct sockaddr *)&ss, len);
        close(fd);
        if (rc == 0)
            return;
        assert_true(clock_mono_us() < deadline);
        poll(NULL, 0, 10);
    }
}

/* `host`: "127.0.0.1", or "0.0.0.0" for all of 127/8; and [::1] on the same ports. */
static inline void agent_node_start(struct agent_node *n, const char *host)
{
    char path[TEST_PATH_MAX], cert[TEST_PATH_MAX], key[TEST_PATH_MAX], log[TEST_PATH_MAX];
    char udp[64], tcp[64], tls[64], udp6[64], tcp6[64], tls6[64], metrics[64];
    node_path(path);
    test_dir_make(n->dir);
    n->ca = test_ca_new(n->dir, "ca");
    test_ca_issue(n->ca, n->dir, "node", "DNS:node.test,DNS:localhost,IP:127.0.0.1,IP:::1", 2);
    test_path(n->ca_file, n->dir, "ca.pem");
    n->udp = free_port(true);
    n->tcp = free_port(false);
    n->tls = free_port(false);
    snprintf(udp, sizeof udp, "%s:%u", host, n->udp);
    snprintf(udp6, sizeof udp6, "[::1]:%u", n->udp);
    snprintf(tcp, sizeof tcp, "%s:%u", host, n->tcp);
    snprintf(tcp6, sizeof tcp6, "[::1]:%u", n->tcp);
    snprintf(tls, sizeof tls, "%s:%u", host, n->tls);
    snprintf(tls6, sizeof tls6, "[::1]:%u", n->tls);
    snprintf(metrics, sizeof metrics, "127.0.0.1:%u", free_port(false));
    test_path(cert, n->dir, "node.pem");
    test_path(key, n->dir, "node.key");
    test_path(log, n->dir, "node.log");
    n->pid = fork();
    assert_true(n->pid >= 0);
    if (n->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(path, path, "--standalone", "--udp", udp, "--tcp", tcp, "--tls", tls, "--udp", udp6, "--tcp",
              tcp6, "--tls", tls6, "--cert", cert, "--key", key, "--metrics", metrics, (char *)NULL);
        _exit(127);
    }
    wait_for_port(n->tcp);
    wait_for_port(n->tls);
}

static inline void agent_node_stop(struct agent_node *n)
{
    int status = -1;
    if (n->pid <= 0) /* it was not started; 0 would be our own process group */
        return;
    kill(n->pid, SIGTERM);
    assert_int_equal(waitpid(n->pid, &status, 0), n->pid);
    n->pid = 0;
    assert_int_equal(status, 0);
    test_ca_free(n->ca);
    test_dir_remove(n->dir);
}

/* A group's state is a node on loopback. */
static inline int agent_node_setup(void **state)
{
    struct agent_node *n = calloc(1, sizeof *n);
    assert_non_null(n);
    *state = n;
    agent_node_start(n, "127.0.0.1");
    return 0;
}

static inline int agent_node_teardown(void **state)
{
    struct agent_node *n = *state;
    if (n)
        agent_node_stop(n);
    free(n);
    return 0;
}

#endif
