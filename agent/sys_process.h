/* Another program, run for what it answers. Like sys_machine.h a seam between systems. */
#ifndef BERTH_AGENT_SYS_PROCESS_H
#define BERTH_AGENT_SYS_PROCESS_H

#include <stddef.h>
#include <stdint.h>

struct sys_process {
    const char *path; /* of the program, which gets no arguments and no environment */
    const char *in;   /* its standard input */
    size_t in_len;
    char *out; /* room for its standard output; standard error goes nowhere */
    size_t out_cap;
    int64_t timeout_us;
    int stop_fd; /* ends it as soon as this is readable; -1: nothing does */
};

/* Blocks until it has ended, and ends it when the time is over. It inherits no descriptors and no signal settings; no signal handler is
 * installed for it, and the caller's process may reap it. *n: the bytes in `out`, also where it fails. 0: it has closed its output;
 * -ETIME, -ECANCELED, -EFBIG (more than fits), or the -errno with which it can't be run. */
int sys_process_run(const struct sys_process *p, size_t *n) __attribute__((warn_unused_result));

/* The file `name` in ../libexec/berth of this program's own folder, if there is one that can be run, else in `folder`. 0,
 * -ENAMETOOLONG. */
int sys_helper_path(char *out, size_t cap, const char *folder, const char *name)
    __attribute__((warn_unused_result));

#endif
