/* What a probe needs of the operating system: waiting, threads, sockets. What differs between systems is behind this
 * header (and the agent's sys_machine.h), and a port is another set of sys_<system>*.c files. Calls answer 0 (or
 * what they say) or -errno. Descriptors are non-blocking and not inherited. Nothing here blocks, but where it says
 * so. */
#ifndef BERTH_PROBE_SYS_H
#define BERTH_PROBE_SYS_H

#include "core/addr.h"
#include "core/wire.h"

#include <sys/types.h>

/* ---- waiting: one poller an agent, used by one thread at a time ---- */

enum { SYS_READ = 1, SYS_WRITE = 2 };

/* `events`: what is ready. An error or hang-up counts as both. */
typedef void (*sys_watch_cb)(void *user, unsigned events);

/* One descriptor that is watched; the caller's memory, which must stay where it is. */
struct sys_watch {
    int fd;
    sys_watch_cb cb;
    void *user;
    bool added;
};

struct sys_poller;
int sys_poller_new(struct sys_poller **out) __attribute__((warn_unused_result));
void sys_poller_destroy(struct sys_poller *p);
/* Readable when a watched descriptor is ready. */
int sys_poller_fd(const struct sys_poller *p);
/* Calls back what is ready now; never waits. A callback may add and remove watches. */
int sys_poller_dispatch(struct sys_poller *p) __attribute__((warn_unused_result));
/* Fills *w and watches `fd`, which stays the caller's. */
int sys_watch_add(struct sys_poller *p, struct sys_watch *w, int fd, unsigned events, sys_watch_cb cb,
                  void *user) __attribute__((warn_unused_result));
int sys_watch_set(struct sys_poller *p, struct sys_watch *w, unsigned events)
    __attribute__((warn_unused_result));
/* No callback comes after it. Nothing happens if it was not added. */
void sys_watch_remove(struct sys_poller *p, struct sys_watch *w);
/* Waits until `fd` is readable or the time is over (-1: no limit). */
void sys_wait(int fd, int64_t timeout_us);

/* ---- threads ---- */

struct sys_thread;
/* All signals are blocked in the thread. */
int sys_thread_start(struct sys_thread **out, void (*run)(void *arg), void *arg)
    __attribute__((warn_unused_result));
bool sys_thread_is_self(const struct sys_thread *t);
void sys_thread_join(struct sys_thread *t); /* waits for its end, then frees it */
void sys_thread_detach(struct sys_thread *t);

/* A descriptor that any thread can make readable. */
int sys_wakeup_open(void) __attribute__((warn_unused_result));
void sys_wakeup_signal(int fd);
void sys_wakeup_clear(int fd);

/* Between the two a write to a closed connection raises no SIGPIPE in this thread, whoever writes. */
struct sys_sigpipe {
    bool was_blocked, was_pending;
};
struct sys_sigpipe sys_sigpipe_hold(void);
void sys_sigpipe_release(struct sys_sigpipe held);

/* ---- UDP: one socket a family serves every target ---- */

enum { SYS_DATAGRAM_MAX = 2048 };

struct sys_datagram {
    struct addr peer;    /* where it came from; of a bounced one where it went to */
    int64_t received_us; /* monotonic; from the kernel where it tells */
    int bounced;         /* 0, or the (positive) errno with which the network sent our own datagram back */
    size_t len;
    uint8_t bytes[SYS_DATAGRAM_MAX];
};

int sys_udp_open(enum addr_family family) __attribute__((warn_unused_result));
int sys_udp_send(int fd, const struct addr *to, const uint8_t *bytes, size_t len)
    __attribute__((warn_unused_result));
enum { SYS_UDP_MANY = 64 };
/* In one call, up to SYS_UDP_MANY of them: how many the socket took, the first ones; or -errno, none. */
ssize_t sys_udp_send_many(int fd, const struct addr *to, const struct slice *packets, size_t n)
    __attribute__((warn_unused_result));
/* 1: *d is filled; 0: nothing there. */
int sys_udp_receive(int fd, struct sys_datagram *d) __attribute__((warn_unused_result));

/* From now on whole packets only: none is divided on its way, and what is too large fails with -EMSGSIZE. 0, or -errno. */
int sys_udp_whole_packets(int fd, enum addr_family family) __attribute__((warn_unused_result));
/* The DSCP (RFC 2474) of what is sent from now on, over TCP too. A system that doesn't let us is no reason to send
 * nothing. */
void sys_mark(int fd, int dscp);
/* The address (port 0) from which packets to `to` would leave; nothing is sent. 0, or -errno: there is no way there. */
int sys_local_address(const struct addr *to, struct addr *out) __attribute__((warn_unused_result));

/* ---- TCP ---- */

/* A descriptor that becomes writable once it is connected, or has failed. */
int sys_tcp_connect(const struct addr *to) __attribute__((warn_unused_result));
int sys_tcp_connect_result(int fd) __attribute__((warn_unused_result));
/* >0 bytes, 0 the end (reading), -EAGAIN, -errno. */
ssize_t sys_tcp_read(int fd, uint8_t *buf, size_t cap) __attribute__((warn_unused_result));
ssize_t sys_tcp_write(int fd, const uint8_t *bytes, size_t len) __attribute__((warn_unused_result));
void sys_close(int fd); /* -1 is fine */

#endif
