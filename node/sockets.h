/* Every listening socket of the node, for all threads, bound before anything serves. */
#ifndef BERTH_NODE_SOCKETS_H
#define BERTH_NODE_SOCKETS_H

#include "options.h"

enum { SOCKETS_TRANSPORTS = TRANSPORT_PROXY }; /* udp, tcp, tls */

/* The descriptors of one thread; -1: given away. Index as in `bound`. */
struct thread_sockets {
    int fd[SOCKETS_TRANSPORTS][NODE_ADDRESSES_MAX];
    int alternate[2]; /* UDP, of behaviour discovery */
};

struct node_sockets {
    size_t n_threads;
    struct thread_sockets *threads;
    struct node_addresses bound; /* as bound: wildcards stay, ports are real */
    struct addr alternate[2];    /* the second IP with the primary's ports; not set: no behaviour discovery */
    int metrics_fd;              /* -1: none */
    struct addr metrics;
};

/* 0, or -errno with a text that says what to do. Logs a line for each address. */
int sockets_open(struct node_sockets *s, const struct node_plan *plan, struct log *log,
                 struct options_error *e) __attribute__((warn_unused_result));
/* Closes what was not given away. */
void sockets_close(struct node_sockets *s);

#endif
