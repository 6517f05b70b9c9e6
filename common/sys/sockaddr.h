/* struct addr to and from struct sockaddr, and the few ways we open sockets. Every descriptor is non-blocking and close-on-exec. */
#ifndef BERTH_SYS_SOCKADDR_H
#define BERTH_SYS_SOCKADDR_H

#include "core/addr.h"

#include <sys/socket.h>

socklen_t sockaddr_from_addr(struct sockaddr_storage *ss, const struct addr *a);
/* IPv4-mapped IPv6 becomes IPv4. An unknown family gives ADDR_NONE. */
void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa);

/* IPv6 sockets are V6ONLY. SO_REUSEADDR for TCP; SO_REUSEPORT where asked. The descriptor, or -errno. */
int socket_listen_tcp(const struct addr *bind, bool reuseport, int backlog)
    __attribute__((warn_unused_result));
/* With IP_PKTINFO / IPV6_RECVPKTINFO, so that answers can leave from the address asked. */
int socket_bind_udp(const struct addr *bind, bool reuseport) __attribute__((warn_unused_result));
/* An option that is a number. 0, or -errno. */
int socket_set(int fd, int level, int name, int value);
int socket_local_addr(int fd, struct addr *out) __attribute__((warn_unused_result));
/* The DSCP (RFC 2474) of what is sent from now on, IPv4 and IPv6. A system that doesn't let us is no reason to send nothing. */
void socket_mark(int fd, int dscp);

#endif
