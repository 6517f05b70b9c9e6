/* The probe's system layer on Linux: waiting, threads. Invariant: a watch that was removed is never called back,
 * even if its event was already fetched. sys_linux_net.c holds the sockets. */
#include "probe/sys.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };

struct sys_poller {
    int epoll_fd;
    struct epoll_event events[EVENTS_MAX]; /* of the dispatch that is running */
    int n_events;
};

int sys_poller_new(struct sys_poller **out)
{
    struct sys_poller *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll_fd < 0) {
        int err = -errno;
        free(p);
        return err;
    }
    *out = p;
    return 0;
}

void sys_poller_destroy(struct sys_poller *p)
{
    if (!p)
        return;
    close(p->epoll_fd);
    free(p);
}

int sys_poller_fd(const struct sys_poller *p)
{
    return p->epoll_fd;
}

int sys_poller_dispatch(struct sys_poller *p)
{
    p->n_events = epoll_wait(p->epoll_fd, p->events, EVENTS_MAX, 0);
    if (p->n_events < 0) {
        int err = -errno;
        p->n_events = 0;
        return err == -EINTR ? 0 : err;
    }
    for (int i = 0; i < p->n_events; i++) {
        struct sys_watch *w = p->events[i].data.ptr;
        uint32_t e = p->events[i].events;
        bool broken = (e & (EPOLLERR | EPOLLHUP)) != 0;
        if (w)
            w->cb(w->user, (broken || (e & EPOLLIN) != 0 ? (unsigned)SYS_READ : 0) |
                               (broken || (e & EPOLLOUT) != 0 ? (unsigned)SYS_WRITE : 0));
    }
    p->n_events = 0;
    return 0;
}

static int control(struct sys_poller *p, int op, struct sys_watch *w, unsigned events)
{
    struct epoll_event e = {.data.ptr = w};
    e.events = ((events & SYS_READ) != 0 ? (uint32_t)EPOLLIN : 0) |
               ((events & SYS_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0);
    return epoll_ctl(p->epoll_fd, op, w->fd, &e) == 0 ? 0 : -errno;
}

int sys_watch_add(struct sys_poller *p, struct sys_watch *w, int fd, unsigned events, sys_watch_cb cb,
                  void *user)
{
    *w = (struct sys_watch){.fd = fd, .cb = cb, .user = user};
    int err = control(p, EPOLL_CTL_ADD, w, events);
    w->added = err == 0;
    return err;
}

int sys_watch_set(struct sys_poller *p, struct sys_watch *w, unsigned events)
{
    return control(p, EPOLL_CTL_MOD, w, events);
}

void sys_watch_remove(struct sys_poller *p, struct sys_watch *w)
{
    if (!w->added)
        return;
    w->added = false;
    control(p, EPOLL_CTL_DEL, w, 0);
    for (int i = 0; i < p->n_events; i++) {
        if (p->events[i].data.ptr == w)
            p->events[i].data.ptr = NULL;
    }
}

void sys_wait(int fd, int64_t timeout_us)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    struct timespec ts = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000};
    ppoll(&pfd, 1, timeout_us < 0 ? NULL : &ts, NULL);
}

/* ---- threads ---- */

struct sys_thread {
    pthread_t id;
};

struct start {
    void (*run)(void *arg);
    void *arg;
};

static void *thread_main(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    s.run(s.arg);
    return NULL;
}

int sys_thread_start(struct sys_thread **out, void (*run)(void *arg), void *arg)
{
    struct sys_thread *t = calloc(1, sizeof *t);
    struct start *s = malloc(sizeof *s);
    sigset_t all, old;
    int err = -ENOMEM;
    if (!t || !s)
        goto out;
    *s = (struct start){.run = run, .arg = arg};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = -pthread_create(&t->id, NULL, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
out:
    if (err < 0) {
        free(s);
        free(t);
        return err;
    }
    *out = t;
    return 0;
}

bool sys_thread_is_self(const struct sys_thread *t)
{
    return pthread_equal(t->id, pthread_self()) != 0;
}

void sys_thread_join(struct sys_thread *t)
{
    pthread_join(t->id, NULL);
    free(t);
}

void sys_thread_detach(struct sys_thread *t)
{
    pthread_detach(t->id);
    free(t);
}

int sys_wakeup_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void sys_wakeup_signal(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);
    (void)n; /* full means signalled already */
}

void sys_wakeup_clear(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);
    (void)n;
}

struct sys_sigpipe sys_sigpipe_hold(void)
{
    struct sys_sigpipe held;
    sigset_t pipe_only, old, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigemptyset(&pending);
    sigpending(&pending);
    held.was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
    held.was_blocked = sigismember(&old, SIGPIPE) == 1;
    return held;
}

void sys_sigpipe_release(struct sys_sigpipe held)
{
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    while (!held.was_pending && sigtimedwait(&pipe_only, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
        ;
    if (!held.was_blocked)
        pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL);
}
