/* A TCP listener on one thread's libh2o loop: accepts, limits, optionally does the TLS handshake within a time, and
 * hands the socket over. */
#ifndef BERTH_SERVE_LISTENER_H
#define BERTH_SERVE_LISTENER_H

#include "core/addr.h"
#include "sys/log.h"
#include "sys/tls.h"

#include <h2o.h>

struct listener;

/* The socket is now the callee's. Its input may already hold bytes: look at sock->input->size before waiting for a read. */
typedef void listener_conn_cb(void *ctx, h2o_socket_t *sock, const struct addr *peer,
                              struct timeval connected_at);

/* Counted with relaxed atomics by the thread that owns the listener; read by any. */
struct listener_stats {
    _Atomic uint64_t accepted, refused_full, refused_source, tls_ok, tls_failed, tls_timeout;
    _Atomic int64_t open; /* from accept until the socket closes, whoever owns it */
};

/* The sum of several listeners. */
struct listener_totals {
    uint64_t accepted, refused_full, refused_source, tls_ok, tls_failed, tls_timeout;
    int64_t open;
};
void listener_totals_add(struct listener_totals *total, const struct listener_stats *s);

/* The sockets of one thread that are open, whoever owns them by now, so that they can be ended. Outlives them. */
struct listener_crowd {
    h2o_linklist_t guests;
};
void listener_crowd_init(struct listener_crowd *c);
/* shutdown(2) of each: SHUT_RD lets answers under way finish, SHUT_RDWR ends all. Their owners see it in the loop. */
void listener_crowd_shutdown(struct listener_crowd *c, int how);
/* Where their input takes more than `bytes_max` of memory, ends those that hold more than an equal share. How many that were. */
size_t listener_crowd_relieve(struct listener_crowd *c, size_t bytes_max);

/* Connections at once by source (IPv4 address, IPv6 /64), counted for all threads in a table of fixed size; two sources that
 * hash to one cell share its limit. */
struct listener_sources;
/* NULL: out of memory. free() it after the last connection. */
struct listener_sources *listener_sources_new(int64_t max_per_source);

/* Connections at once of several listeners of any threads together, so that others, such as that for health, keep descriptors. */
struct listener_budget {
    int64_t max;
    _Atomic int64_t open;
};

enum {
    LISTENER_STALL_US = 20 * 1000 * 1000,
    LISTENER_UNSENT_MOST =
        64 * 1024, /* what the kernel keeps for a peer beside what is on its way; then writing waits */
};

struct listener_opts {
    int fd;                 /* listening, non-blocking; the listener owns and closes it */
    struct tls_server *tls; /* NULL: clear */
    int64_t handshake_timeout_us;
    int64_t stall_timeout_us; /* until a peer that takes nothing is cut off; 0: LISTENER_STALL_US */
    int64_t max_open;         /* stats->open at most; one more is accepted and closed */
    /* ... or, with this, ends the one that has been open for longest, first of those that nothing is written to:
     * nobody keeps others out by holding connections. */
    bool oldest_yields;
    listener_conn_cb *on_conn;
    void *ctx;
    struct listener_stats *stats;     /* outlives every connection */
    struct listener_crowd *crowd;     /* or NULL */
    struct listener_sources *sources; /* or NULL: no limit by source */
    struct listener_budget *budget;   /* or NULL: max_open alone; outlives every connection */
    struct log *log;
};

int listener_open(struct listener **out, h2o_loop_t *loop, const struct listener_opts *opts)
    __attribute__((warn_unused_result));
/* Stops accepting; handshakes under way are ended; sockets handed over live on. Not from within on_conn. */
void listener_close(struct listener *l);

/* For SSL_CTX_set_info_callback of a server's context: libh2o drops the alerts of failed handshakes, this keeps them
 * for the log. */
void listener_tls_info(const SSL *ssl, int where, int ret);

#endif
