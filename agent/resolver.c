/* Name lookups in a thread. Invariant: the job is the thread's and the resolver's together; whoever lets go last frees it, and the
 * thread touches nothing else. */
#include "resolver.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct job {
    atomic_int owners;
    size_t n;
    char **hosts;
    struct resolved *found;
    int wake_fd;
};

struct resolver {
    struct sys_poller *poller;
    struct sys_watch watch;
    struct job *job;
    void (*done)(void *user);
    void *user;
};

static void job_release(struct job *j)
{
    if (!j || atomic_fetch_sub(&j->owners, 1) > 1)
        return;
    for (size_t i = 0; j->hosts && i < j->n; i++)
        free(j->hosts[i]);
    free(j->hosts);
    free(j->found);
    sys_close(j->wake_fd);
    free(j);
}

static void job_run(void *arg)
{
    struct job *j = arg;
    for (size_t i = 0; i < j->n && atomic_load(&j->owners) > 1; i++) {
        struct resolved *r = &j->found[i];
        if (addr_parse_ip(&r->at[0], j->hosts[i]) == 0) {
            r->n = 1;
            continue;
        }
        int n = sys_resolve(j->hosts[i], r->at, RESOLVED_MAX);
        r->n = n > 0 ? (size_t)n : 0;
    }
    sys_wakeup_signal(j->wake_fd);
    job_release(j);
}

static struct job *job_new(const char *const *hosts, size_t n)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    atomic_init(&j->owners, 1);
    j->n = n;
    j->wake_fd = -1;
    j->hosts = calloc(n + 1, sizeof *j->hosts);
    j->found = calloc(n + 1, sizeof *j->found);
    bool ok = j->hosts && j->found;
    for (size_t i = 0; ok && i < n; i++) {
        j->hosts[i] = strdup(hosts[i]);
        ok = j->hosts[i] != NULL;
    }
    if (!ok) {
        job_release(j);
        return NULL;
    }
    return j;
}

static void on_wake(void *user, unsigned events)
{
    struct resolver *r = user;
    sys_wakeup_clear(r->job->wake_fd);
    sys_watch_remove(r->poller, &r->watch);
    r->done(r->user);
}

static int job_start(struct job *j)
{
    struct sys_thread *thread;
    atomic_fetch_add(&j->owners, 1);
    int err = sys_thread_start(&thread, job_run, j);
    if (err < 0) {
        atomic_fetch_sub(&j->owners, 1);
        return err;
    }
    sys_thread_detach(thread);
    return 0;
}

int resolver_new(struct resolver **out, struct sys_poller *poller, const char *const *hosts, size_t n,
                 void (*done)(void *user), void *user)
{
    struct resolver *r = calloc(1, sizeof *r);
    int err = -ENOMEM;
    if (!r)
        return err;
    r->poller = poller;
    r->done = done;
    r->user = user;
    r->job = job_new(hosts, n);
    if (!r->job)
        goto out;
    err = r->job->wake_fd = sys_wakeup_open();
    if (err < 0)
        goto out;
    err = sys_watch_add(poller, &r->watch, r->job->wake_fd, SYS_READ, on_wake, r);
    if (err == 0)
        err = job_start(r->job);
out:
    if (err < 0) {
        resolver_destroy(r);
        return err;
    }
    *out = r;
    return 0;
}

const struct resolved *resolver_get(const struct resolver *r, size_t i)
{
    return &r->job->found[i];
}

void resolver_destroy(struct resolver *r)
{
    if (!r)
        return;
    sys_watch_remove(r->poller, &r->watch);
    job_release(r->job);
    free(r);
}
