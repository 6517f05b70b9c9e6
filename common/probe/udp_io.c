/* A UDP socket for each family. Invariant: a socket that could not be opened is not tried again; its error stands
 * for every send. */
#include "probe/udp_io.h"

#include "sys/clock.h"

#include <errno.h>

enum { RECEIVE_BATCH = 256 };

static void ready(void *user, unsigned events)
{
    struct udp_io_socket *s = user;
    struct udp_io *u = s->io;
    for (int i = 0; i < RECEIVE_BATCH && sys_udp_receive(s->fd, &u->datagram) == 1; i++)
        u->cb(u->user, &u->datagram);
}

static struct udp_io_socket *socket_for(struct udp_io *u, const struct addr *to)
{
    struct udp_io_socket *s = &u->at[to->family == ADDR_V6];
    if (s->fd >= 0 || s->error != 0)
        return s;
    int fd = sys_udp_open(to->family);
    int err = fd < 0 ? fd : sys_watch_add(u->poller, &s->watch, fd, SYS_READ, ready, s);
    if (err < 0) {
        sys_close(fd);
        s->error = err == -EAFNOSUPPORT ? -ENETUNREACH : err;
    } else {
        s->fd = fd;
    }
    return s;
}

void udp_io_init(struct udp_io *u, struct sys_poller *poller, udp_io_cb cb, void *user)
{
    u->poller = poller;
    u->cb = cb;
    u->user = user;
    for (size_t i = 0; i < UDP_IO_FAMILIES; i++)
        u->at[i] = (struct udp_io_socket){.io = u, .fd = -1};
}

void udp_io_close(struct udp_io *u)
{
    for (size_t i = 0; i < UDP_IO_FAMILIES; i++) {
        sys_watch_remove(u->poller, &u->at[i].watch);
        sys_close(u->at[i].fd);
        u->at[i].fd = -1;
    }
}

int udp_io_send(struct udp_io *u, const struct addr *to, const uint8_t *bytes, size_t len, int64_t *sent_us)
{
    const struct udp_io_socket *s = socket_for(u, to);
    *sent_us = clock_mono_us();
    return s->fd < 0 ? s->error : sys_udp_send(s->fd, to, bytes, len);
}

size_t udp_io_send_many(struct udp_io *u, const struct addr *to, const struct slice *packets, size_t n)
{
    const struct udp_io_socket *s = socket_for(u, to);
    size_t sent = 0;
    for (size_t i = 0; s->fd >= 0 && i < n;) {
        ssize_t took = sys_udp_send_many(s->fd, to, packets + i, n - i);
        sent += took > 0 ? (size_t)took : 0;
        i += took > 0 ? (size_t)took : 1; /* what isn't taken now is lost, as any datagram may be */
    }
    return sent;
}

void udp_io_mark(struct udp_io *u, enum addr_family family, int dscp)
{
    struct udp_io_socket *s = &u->at[family == ADDR_V6];
    if (s->fd < 0 || s->dscp == dscp)
        return;
    sys_mark(s->fd, dscp);
    s->dscp = dscp;
}
