/* link: berth_agent_core */
/* Tunnels through a proxy that never stops talking: the agent's loop goes on. */
#include "check.h"

#include "probe/tunnel.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers every CONNECT with `head`, and with filler until nobody listens. */
struct proxy {
    int fd;
    struct addr addr;
    const char *head;
    pthread_t thread;
};

static void *talk(void *arg)
{
    const struct proxy *p = arg;
    char buf[4096], filler[16384];
    struct pollfd ready = {.fd = p->fd, .events = POLLIN};
    memset(filler, 'x', sizeof filler);
    int fd = poll(&ready, 1, 20000) == 1 ? accept(p->fd, NULL, NULL) : -1;
    if (fd >= 0 && recv(fd, buf, sizeof buf, 0) > 0 && send(fd, p->head, strlen(p->head), MSG_NOSIGNAL) > 0) {
        while (send(fd, filler, sizeof filler, MSG_NOSIGNAL) > 0)
            ;
    }
    close(fd);
    return NULL;
}

static void proxy_start(struct proxy *p)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, "127.0.0.1:0"), 0);
    p->fd = socket_listen_tcp(&a, false, 4);
    assert_true(p->fd >= 0);
    assert_int_equal(socket_local_addr(p->fd, &p->addr), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, talk, p), 0);
}

static void on_end(void *user, struct tunnel *t, const char *error)
{
    snprintf(user, TUNNEL_ERROR_TEXT, "%s", error ? error : "open");
}

static void open_through(const struct proxy *p, const char *user, char told[static TUNNEL_ERROR_TEXT])
{
    struct sys_poller *poller;
    struct curl_loop *loop;
    struct tunnel *t;
    char url[96], text[ADDR_TEXT_LEN];
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    snprintf(url, sizeof url, "http://%s", addr_format(&p->addr, text));
    const struct rest_proxy proxy = {.url = url, .user = user, .password = user};
    const struct tunnel_request r = {.proxy = &proxy, .host = "node.test", .port = 443, .timeout_ms = 30000};
    assert_int_equal(sys_poller_new(&poller), 0);
    assert_int_equal(curl_loop_new(&loop, poller), 0);
    assert_int_equal(tunnel_open(&t, loop, &r, on_end, told), 0);
    while (told[0] == '\0') {
        assert_true(clock_mono_us() < deadline);
        sys_wait(sys_poller_fd(poller), 10000);
        assert_int_equal(sys_poller_dispatch(poller), 0);
        curl_loop_step(loop, clock_mono_us());
    }
    tunnel_close(t);
    curl_loop_destroy(loop);
    sys_poller_destroy(poller);
}

static void a_proxy_that_never_stops_talking(void **state)
{
    static const char sized[] = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: "
                                "99999999999\r\n\r\n",
                      chunked[] =
                          "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\nTransfer-Encoding: "
                          "chunked\r\n\r\n7fffffff\r\n",
                      header[] = "HTTP/1.1 407 x\r\nX: ";
    static const struct {
        const char *head, *user, *told;
    } cases[] = {
        {sized, NULL, "the proxy's answer is too long (407)"},
        {sized, "carol", "the proxy's answer is too long (407)"},
        {chunked, NULL, "the proxy's answer is too long (407)"},
        {chunked, "carol", "the proxy's answer is too long (407)"},
        {header, NULL, "the proxy wants authentication (407; it offers none that is known)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char told[TUNNEL_ERROR_TEXT] = "";
        struct proxy p = {.head = cases[i].head};
        proxy_start(&p);
        open_through(&p, cases[i].user, told);
        pthread_join(p.thread, NULL);
        close(p.fd);
        assert_string_equal(told, cases[i].told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_proxy_that_never_stops_talking)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
