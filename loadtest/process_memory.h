/* What another process of this machine holds. Linux. */
#ifndef BERTH_LOADTEST_PROCESS_MEMORY_H
#define BERTH_LOADTEST_PROCESS_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/* Bytes of its own memory that are resident (RssAnon); -errno: there is no such process. */
int64_t process_memory(pid_t pid);

#endif
