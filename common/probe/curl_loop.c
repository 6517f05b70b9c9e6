/* A curl multi handle on the caller's poller. Invariant: no call into curl that may write is made without SIGPIPE
 * held, since OpenSSL writes with plain write(2). */
#include "probe/curl_loop.h"

#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

struct curl_loop {
    struct sys_poller *poller;
    CURLM *multi;
    struct curl_job *jobs; /* that are added */
    bool unwatched;        /* one of them at least */
    int64_t deadline_us;
};

struct loop_socket {
    struct curl_loop *loop;
    struct sys_watch watch;
};

static void socket_ready(void *user, unsigned events)
{
    struct loop_socket *s = user;
    struct curl_loop *l = s->loop;
    int mask =
        ((events & SYS_READ) != 0 ? CURL_CSELECT_IN : 0) | ((events & SYS_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    int running;
    struct sys_sigpipe held = sys_sigpipe_hold();
    curl_multi_socket_action(l->multi, s->watch.fd, mask, &running); /* may free s */
    sys_sigpipe_release(held);
}

static bool watch(struct curl_loop *l, curl_socket_t fd, unsigned events, struct loop_socket *s)
{
    if (s)
        return sys_watch_set(l->poller, &s->watch, events) == 0;
    s = calloc(1, sizeof *s);
    if (!s)
        return false;
    s->loop = l;
    if (sys_watch_add(l->poller, &s->watch, fd, events, socket_ready, s) == 0) {
        if (curl_multi_assign(l->multi, fd, s) == CURLM_OK)
            return true;
        sys_watch_remove(l->poller, &s->watch); /* nobody would give it back */
    }
    free(s);
    return false;
}

/* curl says what it waits for. It isn't told of a failure: that would end the multi handle for good, and what is under
 * way without a word (curl 7.88). */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct curl_loop *l = user;
    struct loop_socket *s = socket_user;
    struct curl_job *job = NULL;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            sys_watch_remove(l->poller, &s->watch);
        free(s);
        return 0;
    }
    unsigned events = ((what & CURL_POLL_IN) != 0 ? (unsigned)SYS_READ : 0) |
                      ((what & CURL_POLL_OUT) != 0 ? (unsigned)SYS_WRITE : 0);
    if (watch(l, fd, events, s))
        return 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&job);
    if (job)
        l->unwatched = job->unwatched = true;
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct curl_loop *l = user;
    l->deadline_us = timeout_ms < 0 ? INT64_MAX : clock_mono_us() + timeout_ms * 1000;
    return 0;
}

int curl_loop_new(struct curl_loop **out, struct sys_poller *poller)
{
    struct curl_loop *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->poller = poller;
    l->deadline_us = INT64_MAX;
    l->multi = curl_multi_init();
    if (!l->multi) {
        free(l);
        return -ENOMEM;
    }
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    *out = l;
    return 0;
}

void curl_loop_destroy(struct curl_loop *l)
{
    if (!l)
        return;
    struct sys_sigpipe held = sys_sigpipe_hold();
    curl_multi_cleanup(l->multi);
    sys_sigpipe_release(held);
    free(l);
}

int curl_loop_add(struct curl_loop *l, struct curl_job *job)
{
    curl_easy_setopt(job->easy, CURLOPT_PRIVATE, job);
    if (curl_multi_add_handle(l->multi, job->easy) != CURLM_OK)
        return -ENOMEM;
    job->added = true;
    job->unwatched = job->told = false;
    job->next = l->jobs;
    l->jobs = job;
    return 0;
}

void curl_loop_remove(struct curl_loop *l, struct curl_job *job)
{
    if (!job->added)
        return;
    job->added = false;
    struct curl_job **at = &l->jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    struct sys_sigpipe held = sys_sigpipe_hold();
    curl_multi_remove_handle(l->multi, job->easy);
    sys_sigpipe_release(held);
}

static void tell(struct curl_job *job, CURLcode code)
{
    if (job->told)
        return;
    job->told = true;
    job->done(job, code);
}

/* Whoever is told may remove it, and add and remove others; if he doesn't, curl goes on with it, and has nothing more to say. */
static void end_unwatched(struct curl_loop *l)
{
    struct curl_job *job = l->unwatched ? l->jobs : NULL;
    l->unwatched = false;
    while (job) {
        if (job->unwatched) {
            job->unwatched = false;
            tell(job, CURLE_OUT_OF_MEMORY);
            job = l->jobs;
        } else {
            job = job->next;
        }
    }
}

void curl_loop_step(struct curl_loop *l, int64_t now_us)
{
    const CURLMsg *m;
    int left;
    if (now_us >= l->deadline_us) {
        int running;
        l->deadline_us = INT64_MAX;
        struct sys_sigpipe held = sys_sigpipe_hold();
        curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        sys_sigpipe_release(held);
    }
    while ((m = curl_multi_info_read(l->multi, &left))) {
        struct curl_job *job = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&job);
        if (m->msg == CURLMSG_DONE && job)
            tell(job, code);
    }
    end_unwatched(l);
}

int64_t curl_loop_deadline(const struct curl_loop *l)
{
    return l->unwatched ? 0 : l->deadline_us;
}
