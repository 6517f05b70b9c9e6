/* UDP sockets on the caller's poller, one a family, opened when first needed: one mapping in a NAT and two descriptors however many
 * peers there are. One thread at a time. */
#ifndef BERTH_PROBE_UDP_IO_H
#define BERTH_PROBE_UDP_IO_H

#include "probe/sys.h"

enum { UDP_IO_FAMILIES = 2 };

/* From the poller's dispatch: a datagram, or one of our own that bounced. */
typedef void (*udp_io_cb)(void *user, const struct sys_datagram *d);

struct udp_io;
struct udp_io_socket {
    struct udp_io *io;
    int fd; /* -1: not opened, or it can't be */
    int error;
    int dscp; /* that it marks with */
    struct sys_watch watch;
};

/* The caller's memory, which stays where it is. */
struct udp_io {
    struct sys_poller *poller;
    udp_io_cb cb;
    void *user;
    struct udp_io_socket at[UDP_IO_FAMILIES];
    struct sys_datagram datagram;
};

void udp_io_init(struct udp_io *u, struct sys_poller *poller, udp_io_cb cb, void *user);
/* No callback comes after it. */
void udp_io_close(struct udp_io *u);
/* What is sent to that family from now on is marked so: RFC 8837. */
void udp_io_mark(struct udp_io *u, enum addr_family family, int dscp);
/* *sent_us: when it left. 0, or -errno. */
int udp_io_send(struct udp_io *u, const struct addr *to, const uint8_t *bytes, size_t len, int64_t *sent_us)
    __attribute__((warn_unused_result));
/* How many were sent. */
size_t udp_io_send_many(struct udp_io *u, const struct addr *to, const struct slice *packets, size_t n);

#endif
