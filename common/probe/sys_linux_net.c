/* The probe's system layer on Linux: sockets. Invariant: received_us is the moment at which the kernel took the
 * datagram in, on the monotonic clock, and never later than the call that read it. */
#include "probe/sys.h"

#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    UDP_RECEIVE_BUFFER = 512 * 1024, /* answers of a slow loop's whole probe */
    CONTROL_SPACE = 512,
    STAMP_AGE_MAX_US = 10 * 1000 * 1000, /* an older stamp means that the wall clock was set */
};

int sys_udp_open(enum addr_family family)
{
    bool v6 = family == ADDR_V6;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = v6 ? socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
    if (err == 0) /* an unconnected socket hears of ICMP errors only this way */
        err = v6 ? socket_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1) : socket_set(fd, IPPROTO_IP, IP_RECVERR, 1);
    if (err < 0) {
        close(fd);
        return err;
    }
    socket_set(fd, SOL_SOCKET, SO_RCVBUF, UDP_RECEIVE_BUFFER); /* as much as the system grants */
    socket_set(fd, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
    return fd;
}

static int send_once(int fd, const struct addr *to, const uint8_t *bytes, size_t len)
{
    struct sockaddr_storage ss;
    socklen_t ss_len = sockaddr_from_addr(&ss, to);
    ssize_t n = sendto(fd, bytes, len, MSG_NOSIGNAL, (const struct sockaddr *)&ss, ss_len);
    return n < 0 ? -errno : 0;
}

int sys_udp_send(int fd, const struct addr *to, const uint8_t *bytes, size_t len)
{
    int err = send_once(fd, to, bytes, len);
    if (err == 0 || err == -EAGAIN)
        return err;
    /* It may be the pending error of an earlier datagram, which is told once and stays in the error queue. */
    return send_once(fd, to, bytes, len);
}

static ssize_t send_many_once(int fd, const struct addr *to, const struct slice *packets, size_t n)
{
    struct sockaddr_storage ss;
    socklen_t ss_len = sockaddr_from_addr(&ss, to);
    struct mmsghdr messages[SYS_UDP_MANY];
    struct iovec parts[SYS_UDP_MANY];
    for (size_t i = 0; i < n; i++) {
        parts[i] = (struct iovec){(void *)(uintptr_t)packets[i].p, packets[i].len};
        messages[i] = (struct mmsghdr){
            .msg_hdr = {.msg_name = &ss, .msg_namelen = ss_len, .msg_iov = &parts[i], .msg_iovlen = 1}};
    }
    int took = sendmmsg(fd, messages, (unsigned)n, MSG_NOSIGNAL);
    return took < 0 ? -errno : took;
}

ssize_t sys_udp_send_many(int fd, const struct addr *to, const struct slice *packets, size_t n)
{
    n = n < SYS_UDP_MANY ? n : SYS_UDP_MANY;
    ssize_t took = send_many_once(fd, to, packets, n);
    return took >= 0 || took == -EAGAIN ? took : send_many_once(fd, to, packets, n); /* as sys_udp_send */
}

/* Monotonic minus wall clock. Whoever is preempted between the two readings sees them further apart: the closest pair counts. */
static int64_t mono_less_wall(void)
{
    enum { TRIES = 8, CLOSE_US = 3 };
    int64_t closest = INT64_MAX, difference = 0, before = clock_mono_us();
    for (int i = 0; i < TRIES && closest > CLOSE_US; i++) {
        int64_t wall = clock_wall_us(), after = clock_mono_us();
        if (after - before < closest) {
            closest = after - before;
            difference = after - wall; /* rather late than early: a round trip is never shown too short */
        }
        before = after;
    }
    return difference;
}

/* The kernel stamps with the wall clock. `read_us`: when the datagram was read. */
static int64_t stamp_to_mono(const struct timespec *stamp, int64_t read_us)
{
    if (stamp->tv_sec == 0 && stamp->tv_nsec == 0)
        return read_us;
    int64_t mono = (int64_t)stamp->tv_sec * 1000000 + stamp->tv_nsec / 1000 + mono_less_wall();
    return mono > read_us || read_us - mono > STAMP_AGE_MAX_US ? read_us : mono;
}

static void read_control(struct msghdr *m, struct sys_datagram *d)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
            struct scm_timestamping ts;
            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            d->received_us = stamp_to_mono(
                &(struct timespec){.tv_sec = ts.ts[0].tv_sec, .tv_nsec = ts.ts[0].tv_nsec}, d->received_us);
        }
        bool error = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                     (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
        if (error) {
            struct sock_extended_err e;
            memcpy(&e, CMSG_DATA(c), sizeof e);
            if (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6)
                d->bounced = (int)e.ee_errno;
        }
    }
}

static int receive_once(int fd, struct sys_datagram *d, int flags)
{
    struct sockaddr_storage ss = {0};
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_SPACE];
    struct iovec iov = {.iov_base = d->bytes, .iov_len = sizeof d->bytes};
    struct msghdr m = {.msg_name = &ss,
                       .msg_namelen = sizeof ss,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &m, flags);
    if (n < 0)
        return -errno;
    d->len = (size_t)n;
    d->bounced = 0;
    d->received_us = clock_mono_us();
    addr_from_sockaddr(&d->peer, (const struct sockaddr *)&ss);
    read_control(&m, d);
    return 1;
}

int sys_udp_receive(int fd, struct sys_datagram *d)
{
    enum { TRIES = 16 };
    for (int i = 0; i < TRIES; i++) {
        int n = receive_once(fd, d, MSG_DONTWAIT);
        if (n == 1)
            return 1;
        bool quiet = n == -EAGAIN;
        if (!quiet && n == -EINTR)
            continue;
        n = receive_once(fd, d, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (n == 1 && d->bounced != 0)
            return 1;
        if (n < 0 && quiet)
            return n == -EAGAIN ? 0 : n;
    }
    return 0;
}

void sys_mark(int fd, int dscp)
{
    socket_mark(fd, dscp);
}

int sys_udp_whole_packets(int fd, enum addr_family family)
{
    return family == ADDR_V6 ? socket_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
                             : socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

int sys_local_address(const struct addr *to, struct addr *out)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, to);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = connect(fd, (const struct sockaddr *)&ss, len) == 0 ? 0 : -errno;
    if (err == 0)
        err = socket_local_addr(fd, out);
    if (err == 0)
        out->port = 0;
    close(fd);
    return err;
}

int sys_tcp_connect(const struct addr *to)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, to);
    if (len == 0)
        return -EAFNOSUPPORT;
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (err == 0 && connect(fd, (const struct sockaddr *)&ss, len) != 0 && errno != EINPROGRESS)
        err = -errno;
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

int sys_tcp_connect_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return -errno;
    return -error;
}

ssize_t sys_tcp_read(int fd, uint8_t *buf, size_t cap)
{
    ssize_t n;
    do
        n = recv(fd, buf, cap, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t sys_tcp_write(int fd, const uint8_t *bytes, size_t len)
{
    ssize_t n;
    do
        n = send(fd, bytes, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void sys_close(int fd)
{
    if (fd >= 0)
        close(fd);
}
