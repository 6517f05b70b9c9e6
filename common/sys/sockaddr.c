/* Socket addresses and sockets. Invariant: every descriptor made here is non-blocking, close-on-exec, and closed
 * again on failure. */
#include "sys/sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

socklen_t sockaddr_from_addr(struct sockaddr_storage *ss, const struct addr *a)
{
    memset(ss, 0, sizeof(*ss));
    if (a->family == ADDR_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ss;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, sizeof(in->sin_addr));
        return sizeof(*in);
    }
    if (a->family == ADDR_V6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        in6->sin6_scope_id = a->scope;
        memcpy(&in6->sin6_addr, a->ip, sizeof(in6->sin6_addr));
        return sizeof(*in6);
    }
    return 0;
}

void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa)
{
    memset(a, 0, sizeof(*a));
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        a->family = ADDR_V4;
        a->port = ntohs(in.sin_port);
        memcpy(a->ip, &in.sin_addr, sizeof(in.sin_addr));
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        a->family = ADDR_V6;
        a->port = ntohs(in6.sin6_port);
        a->scope = in6.sin6_scope_id;
        memcpy(a->ip, &in6.sin6_addr, sizeof(in6.sin6_addr));
        addr_unmap(a);
    }
}

int socket_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/* A bound socket. */
static int socket_bind(const struct addr *bind_to, int type, bool reuseport)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, bind_to);
    if (len == 0)
        return -EAFNOSUPPORT;
    int fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* For TCP it skips TIME_WAIT; for UDP it would let another program take the same port. */
    int rc = type == SOCK_STREAM ? socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1) : 0;
    if (rc == 0 && reuseport)
        rc = socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && bind_to->family == ADDR_V6)
        rc = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (rc == 0 && bind(fd, (const struct sockaddr *)&ss, len) != 0)
        rc = -errno;
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int socket_listen_tcp(const struct addr *bind_to, bool reuseport, int backlog)
{
    int fd = socket_bind(bind_to, SOCK_STREAM, reuseport);
    if (fd >= 0 && listen(fd, backlog) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

int socket_bind_udp(const struct addr *bind_to, bool reuseport)
{
    int fd = socket_bind(bind_to, SOCK_DGRAM, reuseport);
    if (fd < 0)
        return fd;
    int rc = bind_to->family == ADDR_V6 ? socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                                        : socket_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int socket_local_addr(int fd, struct addr *out)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return -errno;
    addr_from_sockaddr(out, (const struct sockaddr *)&ss);
    return 0;
}

void socket_mark(int fd, int dscp)
{
    enum { ECN_BITS = 2 };
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return;
    if (ss.ss_family == AF_INET6)
        (void)!socket_set(fd, IPPROTO_IPV6, IPV6_TCLASS, dscp << ECN_BITS);
    else
        (void)!socket_set(fd, IPPROTO_IP, IP_TOS, dscp << ECN_BITS);
}
