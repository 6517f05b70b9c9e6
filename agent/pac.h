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
    PAC_LOCK_MS = 2000, /* for the engine, which runs one script at a time in a process */
    PAC_RUN_MS = 1000,  /* a script that has run so long, and isn't through, is not waited for by others */
    PAC_ANSWER_MAX = 2048,
};

/* `source`: a path, or a URL of file:, http: or https: (never fetched through a proxy). *script is to be freed. 0, -ENOENT, -EFBIG,
 * -EINVAL (no script), -EIO, -ENOMEM. */
int pac_load(char **script, const char *source) __attribute__((warn_unused_result));

/* Runs the script's FindProxyForURL("https://host:port/", host) for each question and hands out its answer ("" where it failed).
 * A script that never ends keeps its thread, and the engine, for ever: then -EBUSY at once from now on, so that there is never more than
 * one such thread in a process. *began_us: when the engine began with it (monotonic); left alone until then. 0, -EINVAL (no script that
 * runs), -EBUSY, -ENOMEM. */
struct pac_question {
    const char *host;
    unsigned port;
    void (*answer)(void *user, size_t index, const char *text);
    void *user;
};
int pac_run(const char *script, const struct pac_question *questions, size_t n, _Atomic int64_t *began_us)
    __attribute__((warn_unused_result));
/* Has a script that began then, and isn't through, run so long that it is taken for one that never ends? 0: none began. */
bool pac_overdue(int64_t began_us);

#endif
