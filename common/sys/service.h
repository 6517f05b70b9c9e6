/* What a daemon owes its service manager: readiness, watchdog, stop and reload. Used by main.c files only. */
#ifndef BERTH_SYS_SERVICE_H
#define BERTH_SYS_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

enum service_event { SERVICE_NONE, SERVICE_STOP, SERVICE_RELOAD };

/* Blocks SIGINT, SIGTERM, SIGHUP in the calling (main) thread, before others start; ignores SIGPIPE. A signalfd, or -errno. */
int service_signals(void) __attribute__((warn_unused_result));
/* Waits for a signal at most timeout_ms (-1: forever). */
enum service_event service_wait(int signal_fd, int timeout_ms);
void service_ready(void);     /* sd_notify READY=1; nothing without a manager */
void service_reloading(void); /* RELOADING=1 with MONOTONIC_USEC; follow with service_ready */
void service_stopping(void);
void service_watchdog(void);
/* Half of WatchdogSec in ms, or -1. */
int service_watchdog_ms(void);
/* Raises the soft limit of descriptors to the hard limit. Best effort; the limit in force. */
unsigned long service_raise_fds(void);
/* How many descriptors may yet be opened with `reserve` left over; at least 1. */
int64_t service_spare_fds(int64_t reserve);
/* A daemon started by a script dies with it: SIGTERM when the parent ends (asked for with --die-with-parent). -errno
 * when the parent is gone already. */
int service_die_with_parent(void) __attribute__((warn_unused_result));

#endif
