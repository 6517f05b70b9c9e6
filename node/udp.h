/* What comes by UDP to one socket of one thread, in batches: STUN is answered from the address that was asked, media
 * goes to its post. No allocation per packet. */
#ifndef BERTH_NODE_UDP_H
#define BERTH_NODE_UDP_H

#include "core/stun_behaviour.h"
#include "limits.h"
#include "media/post.h"

#include <h2o.h>

/* Buffers for one batch: one a thread, shared by its sockets. free() it after them. */
struct udp_batch;
struct udp_batch *udp_batch_new(void);

struct udp_port;

/* The four sockets of one thread that answer for one another (RFC 5780). */
struct udp_behaviour {
    struct stun_behaviour rules;
    struct udp_port *port[2][2]; /* set by udp_open */
};

struct udp_opts {
    int fd; /* bound, non-blocking, with IP_PKTINFO or IPV6_RECVPKTINFO; the port owns and closes it */
    struct udp_batch *batch;
    struct limits *limits; /* the thread's */
    struct node_stats *stats;
    struct udp_behaviour *behaviour; /* NULL: no behaviour discovery on this one; outlives it */
    struct stun_place place;         /* in it */
    struct media_post *media;        /* the thread's; NULL: none. Outlives it */
    uint16_t port;                   /* the socket's number there */
};

int udp_open(struct udp_port **out, h2o_loop_t *loop, const struct udp_opts *opts)
    __attribute__((warn_unused_result));
void udp_close(struct udp_port *u);

#endif
