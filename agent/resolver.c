/* Name lookups in a few threads. Invariant: the job is the threads' and the resolver's together; whoever lets go last frees it, the
 * threads touch nothing else, and a lookup's answer is read only once it has ended. */
#include "resolver.h"

#include "sys_machine.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 8 };

struct lookup {
    char *host;
    struct resolved found;
    atomic_bool ended; /* `found` doesn't change any more */
};

struct job {
    atomic_int owners;
    atomic_bool abandoned; /* by the resolver */
    atomic_size_t next;    /* lookup to begin */
    atomic_size_t left;    /* lookups that have not ended */
    size_t n;
    struct lookup *lookups;
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
    for (size_t i = 0; j->lookups && i < j->n; i++)
        free(j->lookups[i].host);
    free(j->lookups);
    sys_close(j->wake_fd);
    free(j);
}

static void look_up(struct lookup *l)
{
    int n = sys_resolve(l->host, l->found.at, RESOLVED_MAX);
    l->found.n = n > 0 ? (size_t)n : 0;
    atomic_store(&l->ended, true);
}

static void job_run(void *arg)
{
    struct job *j = arg;
    while (!atomic_load(&j->abandoned)) {
        size_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->n)
            break;
        if (atomic_load(&j->lookups[i].ended))
            continue; /* an address */
        look_up(&j->lookups[i]);
        if (atomic_fetch_sub(&j->left, 1) == 1)
            sys_wakeup_signal(j->wake_fd);
    }
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
    j->lookups = calloc(n + 1, sizeof *j->lookups);
    bool ok = j->lookups != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        struct lookup *l = &j->lookups[i];
        l->found.n = addr_parse_ip(&l->found.at[0], hosts[i]) == 0 ? 1 : 0;
        atomic_init(&l->ended, l->found.n > 0);
        j->left += l->found.n == 0;
        l->host = strdup(hosts[i]);
        ok = l->host != NULL;
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

/* One thread is enough; more keep one slow name from holding up the rest. */
static int job_start(struct job *j)
{
    size_t wanted = atomic_load(&j->left);
    if (wanted == 0)
        sys_wakeup_signal(j->wake_fd);
    for (size_t i = 0; i < wanted && i < THREADS_MAX; i++) {
        struct sys_thread *thread;
        atomic_fetch_add(&j->owners, 1);
        int err = sys_thread_start(&thread, job_run, j);
        if (err < 0) {
            atomic_fetch_sub(&j->owners, 1);
            return i > 0 ? 0 : err;
        }
        sys_thread_detach(thread);
    }
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
    static const struct resolved none;
    const struct lookup *l = &r->job->lookups[i];
    return atomic_load(&l->ended) ? &l->found : &none;
}

void resolver_destroy(struct resolver *r)
{
    if (!r)
        return;
    sys_watch_remove(r->poller, &r->watch);
    if (r->job)
        atomic_store(&r->job->abandoned, true);
    job_release(r->job);
    free(r);
}
