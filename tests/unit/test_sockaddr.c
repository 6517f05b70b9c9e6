/* link: berth_sys */
#include "sys/sockaddr.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static struct addr parse(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

static void addresses_go_there_and_back(void **state)
{
    static const char *const texts[] = {"192.0.2.7:65535", "[2001:db8::1]:3478", "[::1]:0"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sockaddr_storage ss;
        struct addr a = parse(texts[i]), b;
        char buf[ADDR_TEXT_LEN];
        assert_true(sockaddr_from_addr(&ss, &a) > 0);
        addr_from_sockaddr(&b, (const struct sockaddr *)&ss);
        assert_true(addr_eq(&a, &b));
        assert_string_equal(addr_format(&b, buf), texts[i]);
    }
    struct addr link_local = parse("[fe80::1]:5"), back;
    struct sockaddr_storage ss;
    link_local.scope = 3;
    sockaddr_from_addr(&ss, &link_local);
    addr_from_sockaddr(&back, (const struct sockaddr *)&ss);
    assert_int_equal(back.scope, 3);
}

static void mapped_becomes_v4_and_unknown_none(void **state)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    static const uint8_t mapped[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 192, [14] = 2, [15] = 1};
    struct sockaddr_storage ss;
    struct addr a, none = {0}, expected = parse("192.0.2.1:7");
    memcpy(&in6.sin6_addr, mapped, 16);
    addr_from_sockaddr(&a, (const struct sockaddr *)&in6);
    assert_true(addr_eq(&a, &expected));
    struct sockaddr unix_family = {.sa_family = AF_UNIX};
    addr_from_sockaddr(&a, &unix_family);
    assert_false(addr_is_set(&a));
    assert_int_equal(sockaddr_from_addr(&ss, &none), 0);
    assert_int_equal(socket_bind_udp(&none, false), -EAFNOSUPPORT);
}

static void check_flags(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void listeners_take_connections(void **state)
{
    static const char *const binds[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < 2; i++) {
        struct addr bound, want = parse(binds[i]);
        struct sockaddr_storage ss;
        int fd = socket_listen_tcp(&want, false, 8);
        assert_true(fd >= 0);
        check_flags(fd);
        assert_int_equal(socket_local_addr(fd, &bound), 0);
        assert_true(bound.port != 0);
        assert_true(addr_ip_eq(&bound, &want));
        socklen_t len = sockaddr_from_addr(&ss, &bound);
        int client = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (const struct sockaddr *)&ss, len), 0);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        close(client);
        assert_int_equal(socket_listen_tcp(&bound, false, 8), -EADDRINUSE);
        close(fd);
    }
}

static void reuseport_shares_a_port(void **state)
{
    struct addr bound, want = parse("127.0.0.1:0");
    int first = socket_bind_udp(&want, true);
    assert_true(first >= 0);
    assert_int_equal(socket_local_addr(first, &bound), 0);
    int second = socket_bind_udp(&bound, true);
    assert_true(second >= 0);
    close(second);
    close(first);
}

static void marks_are_of_the_sockets_family(void **state)
{
    static const char *const binds[] = {"127.0.0.1:0", "[::1]:0"};
    static const int level[] = {IPPROTO_IP, IPPROTO_IPV6}, option[] = {IP_TOS, IPV6_TCLASS};
    for (size_t i = 0; i < 2; i++) {
        struct addr want = parse(binds[i]);
        int fd = socket_listen_tcp(&want, false, 8), mark = 0;
        socklen_t len = sizeof mark;
        assert_true(fd >= 0);
        socket_mark(fd, 36);
        assert_int_equal(getsockopt(fd, level[i], option[i], &mark, &len), 0);
        assert_int_equal(mark, 36 << 2);
        close(fd);
    }
    socket_mark(-1, 36); /* no reason to fail */
}

/* One UDP and one TCP socket of each family on a port, side by side: [::] does not take IPv4 too. */
static void v6_sockets_are_v6_only(void **state)
{
    struct addr v6 = parse("[::]:0"), v4 = parse("0.0.0.0:0"), bound;
    int six = socket_bind_udp(&v6, false);
    assert_true(six >= 0);
    assert_int_equal(socket_local_addr(six, &bound), 0);
    v4.port = bound.port;
    int four = socket_bind_udp(&v4, false);
    assert_true(four >= 0);
    close(four);
    close(six);
}

/* The datagram's own destination is told with it, on a wildcard socket. */
static void udp_tells_the_address_asked(void **state)
{
    struct addr bound, to = parse("127.0.0.3:0"), wild = parse("0.0.0.0:0");
    struct sockaddr_storage ss;
    char byte, control[256];
    int fd = socket_bind_udp(&wild, false), client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    check_flags(fd);
    assert_int_equal(socket_local_addr(fd, &bound), 0);
    to.port = bound.port;
    socklen_t len = sockaddr_from_addr(&ss, &to);
    assert_int_equal(sendto(client, "x", 1, 0, (const struct sockaddr *)&ss, len), 1);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    struct iovec iov = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    assert_int_equal(recvmsg(fd, &m, 0), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    assert_non_null(c);
    assert_int_equal(c->cmsg_type, IP_PKTINFO);
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof(info));
    assert_int_equal(info.ipi_addr.s_addr, htonl(0x7F000003));
    close(client);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_go_there_and_back),
        cmocka_unit_test(mapped_becomes_v4_and_unknown_none),
        cmocka_unit_test(listeners_take_connections),
        cmocka_unit_test(reuseport_shares_a_port),
        cmocka_unit_test(v6_sockets_are_v6_only),
        cmocka_unit_test(udp_tells_the_address_asked),
        cmocka_unit_test(marks_are_of_the_sockets_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
