/* PAC scripts: fetched and run. All of it blocks: only for helper threads. */
#ifndef BERTH_AGENT_PAC_H
#define BERTH_AGENT_PAC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PAC_SCRIPT_MAX = 1024 * 1024,
    PAC_FETCH_MS = 3000,
    PAC_RUN_MS = 1000, /* a script that has run so long, and isn't through, is not waited for by others */
    PAC_END_MS =
        30000, /* then it is ended: names may be slow to resolve; of the processor it gets a few seconds */
};

/* `source`: a path, or a URL of file:, http: or https: (never fetched through a proxy). *script is to be freed. 0, -EFBIG,
 * -EINVAL (no script), -EIO, -ENOMEM, or -errno of the file. */
int pac_load(char **script, const char *source) __attribute__((warn_unused_result));

/* Runs the script's FindProxyForURL("https://host:port/", host) for each question, in a process of its own that is
 * ended with its time, and hands out its answers ("" where it failed). *began_us: when it began (monotonic); left
 * alone until then. 0; of the script: -EINVAL (none that runs), -EDOM (it threw), -EMSGSIZE (too long an answer),
 * -ETIME, -ECHILD (its process was ended: memory, stack or processor; or crashed); -ECANCELED, -ENOEXEC (no process
 * can be started), -ENOMEM. */
struct pac_question {
    const char *host;
    unsigned port;
    void (*answer)(void *user, size_t index, const char *text);
    void *user;
};
struct pac_way {
    const char *helper; /* the program; NULL: where it is installed */
    int stop_fd;        /* readable: the answers aren't wanted any more; -1: none */
};
int pac_run(const char *script, const struct pac_question *questions, size_t n, const struct pac_way *way,
            _Atomic int64_t *began_us) __attribute__((warn_unused_result));
/* Has a script that began then, and isn't through, run so long that it is taken for one that never ends? 0: none began. */
bool pac_overdue(int64_t began_us);

#endif
