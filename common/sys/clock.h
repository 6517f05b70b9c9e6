/* The only file that reads clocks. Durations use the monotonic clock, documents the wall clock. */
#ifndef BERTH_SYS_CLOCK_H
#define BERTH_SYS_CLOCK_H

#include <stdint.h>
#include <sys/types.h>

int64_t clock_mono_us(void);
int64_t clock_wall_us(void); /* Unix time */
int64_t
clock_cpu_ns(void); /* CPU time of the calling thread: what a short piece of work costs on a busy machine */
/* CPU time of all threads of another process, those that have ended included; -errno: there is none. */
int64_t clock_process_cpu_ns(pid_t pid);

#endif
