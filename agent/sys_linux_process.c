/* Other programs on Linux. Invariant: the process is signalled by its pidfd alone, since its number may be another's
 * as soon as somebody has reaped it. */
#include "sys_process.h"

#include "probe/sys.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    int pidfd, in, out; /* our ends; -1: closed */
};

/* Above the standard descriptors, which the embedder may have closed: what stands there is overwritten in the child. */
static int open_pipe(int fds[static 2])
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) != 0)
        return -errno;
    fds[0] = fcntl(low[0], F_DUPFD_CLOEXEC, 3);
    fds[1] = fcntl(low[1], F_DUPFD_CLOEXEC, 3);
    int err = fds[0] < 0 || fds[1] < 0 ? -EMFILE : 0;
    close(low[0]);
    close(low[1]);
    if (err < 0) {
        sys_close(fds[0]);
        sys_close(fds[1]);
        fds[0] = fds[1] = -1;
    }
    return err;
}

static int spawn(pid_t *pid, const char *path, int in, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t all, none;
    char *argv[] = {(char[]){"berth-pac"}, NULL}, *environment[] = {NULL};
    if (posix_spawn_file_actions_init(&files) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return -ENOMEM;
    }
    sigfillset(&all);
    sigemptyset(&none);
    int err = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    err = err ? err : posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    err = err ? err : posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    err = err ? err : posix_spawn_file_actions_addclosefrom_np(&files, 3);
    err = err ? err : posix_spawnattr_setsigdefault(&attr, &all);
    err = err ? err : posix_spawnattr_setsigmask(&attr, &none);
    err = err ? err : posix_spawnattr_setpgroup(&attr, 0);
    err = err ? err
              : posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETPGROUP);
    err = err ? err : posix_spawn(pid, path, &files, &attr, argv, environment);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return -err;
}

static int start(struct child *c, const char *path)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    pid_t pid = -1;
    int err = open_pipe(in);
    if (err == 0)
        err = open_pipe(out);
    if (err == 0)
        err = spawn(&pid, path, in[0], out[1]);
    sys_close(in[0]);
    sys_close(out[1]);
    c->in = in[1];
    c->out = out[0];
    c->pidfd = err == 0 ? pidfd_open(pid, 0) : -1; /* ESRCH: it has ended, and somebody has reaped it */
    if (err == 0 && c->pidfd < 0 && errno != ESRCH) {
        err = -errno;
        sys_close(c->in); /* with nothing to read it ends by itself */
        c->in = -1;
        (void)waitpid(pid, NULL, 0);
    }
    if (c->pidfd >= 0)
        (void)fcntl(c->pidfd, F_SETFD, FD_CLOEXEC);
    if (c->in >= 0)
        (void)fcntl(c->in, F_SETFL, O_NONBLOCK);
    if (c->out >= 0)
        (void)fcntl(c->out, F_SETFL, O_NONBLOCK);
    return err;
}

static void end(struct child *c)
{
    sys_close(c->in);
    sys_close(c->out);
    if (c->pidfd < 0)
        return;
    (void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
    siginfo_t info;
    while (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED) != 0 && errno == EINTR)
        ;
    close(c->pidfd);
}

/* A part of the input. Who doesn't read it any more may have answered nevertheless. */
static void feed(struct child *c, const struct sys_process *p, size_t *fed)
{
    ssize_t n = write(c->in, p->in + *fed, p->in_len - *fed);
    if (n > 0)
        *fed += (size_t)n;
    if (*fed == p->in_len || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(c->in);
        c->in = -1;
    }
}

/* 1: there may be more. */
static int take(struct child *c, const struct sys_process *p, size_t *n)
{
    char beyond;
    size_t room = p->out_cap - *n;
    ssize_t got = read(c->out, room > 0 ? p->out + *n : &beyond, room > 0 ? room : 1);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -errno;
    if (got > 0 && room == 0)
        return -EFBIG;
    *n += (size_t)got;
    return got > 0;
}

static int talk(struct child *c, const struct sys_process *p, size_t *n)
{
    int64_t until = clock_mono_us() + p->timeout_us;
    size_t fed = 0;
    for (int more = 1; more > 0;) {
        struct pollfd fds[] = {{.fd = p->stop_fd, .events = POLLIN},
                               {.fd = c->in, .events = POLLOUT},
                               {.fd = c->out, .events = POLLIN}};
        int64_t left = until - clock_mono_us();
        if (left <= 0)
            return -ETIME;
        if (poll(fds, 3, (int)(left / 1000 + 1)) < 0 && errno != EINTR)
            return -errno;
        if (fds[0].revents != 0)
            return -ECANCELED;
        if (fds[1].revents != 0)
            feed(c, p, &fed);
        if (fds[2].revents != 0)
            more = take(c, p, n);
        if (more < 0)
            return more;
    }
    return 0;
}

int sys_process_run(const struct sys_process *p, size_t *n)
{
    struct child c;
    *n = 0;
    int err = start(&c, p->path);
    struct sys_sigpipe held = sys_sigpipe_hold();
    if (err == 0)
        err = talk(&c, p, n);
    sys_sigpipe_release(held);
    end(&c);
    return err;
}

int sys_helper_path(char *out, size_t cap, const char *folder, const char *name)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) {
        *slash = '\0';
        int n = snprintf(out, cap, "%s/../libexec/berth/%s", self, name);
        if (n > 0 && (size_t)n < cap && access(out, X_OK) == 0)
            return 0;
    }
    int n = snprintf(out, cap, "%s/%s", folder, name);
    return n > 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}
