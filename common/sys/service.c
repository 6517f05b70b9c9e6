/* Signals, sd_notify and limits of a daemon. Invariant: signals arrive only through the descriptor; no handler runs. */
#include "sys/service.h"

#include "sys/clock.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

int service_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (rc != 0)
        return -rc;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

enum service_event service_wait(int signal_fd, int timeout_ms)
{
    struct pollfd p = {.fd = signal_fd, .events = POLLIN};
    if (poll(&p, 1, timeout_ms) <= 0)
        return SERVICE_NONE;
    struct signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return SERVICE_NONE;
    return info.ssi_signo == SIGHUP ? SERVICE_RELOAD : SERVICE_STOP;
}

void service_ready(void)
{
    sd_notify(0, "READY=1");
}

void service_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us());
}

void service_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void service_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}

int service_watchdog_ms(void)
{
    uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return -1;
    uint64_t half_ms = usec / 2000;
    return half_ms > 3600000 ? 3600000 : half_ms < 1 ? 1 : (int)half_ms;
}

unsigned long service_raise_fds(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return 0;
    rlim_t soft = r.rlim_cur;
    r.rlim_cur = r.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &r) == 0 ? r.rlim_max : soft;
}

int64_t service_spare_fds(int64_t reserve)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur > INT32_MAX) /* RLIM_INFINITY too */
        r.rlim_cur = INT32_MAX;
    int64_t spare = (int64_t)r.rlim_cur - reserve;
    DIR *open_now = opendir("/proc/self/fd");
    while (open_now && readdir(open_now))
        spare--;
    if (open_now)
        closedir(open_now);
    return spare > 1 ? spare : 1;
}

int service_die_with_parent(void)
{
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        return -errno;
    /* The parent may have ended before the kernel knew our wish. */
    return getppid() == parent ? 0 : -ESRCH;
}
