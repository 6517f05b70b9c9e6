/* A curl multi handle with at most one transfer on the agent's poller. Invariant: no call into curl is made without SIGPIPE held,
 * since OpenSSL writes with plain write(2). */
#include "rest_client.h"

#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct rest_client {
    struct sys_poller *poller;
    CURLM *multi;
    struct rest_call call;
    bool busy, forget;
    rest_client_cb cb;
    void *user;
    int64_t deadline_us;
};

struct client_socket {
    struct rest_client *client;
    struct sys_watch watch;
};

static void socket_ready(void *user, unsigned events)
{
    struct client_socket *s = user;
    struct rest_client *c = s->client;
    int mask =
        ((events & SYS_READ) != 0 ? CURL_CSELECT_IN : 0) | ((events & SYS_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    int running;
    struct sys_sigpipe held = sys_sigpipe_hold();
    curl_multi_socket_action(c->multi, s->watch.fd, mask, &running); /* may free s */
    sys_sigpipe_release(held);
}

/* curl says what it waits for. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct rest_client *c = user;
    struct client_socket *s = socket_user;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            sys_watch_remove(c->poller, &s->watch);
        free(s);
        return 0;
    }
    unsigned events = ((what & CURL_POLL_IN) != 0 ? (unsigned)SYS_READ : 0) |
                      ((what & CURL_POLL_OUT) != 0 ? (unsigned)SYS_WRITE : 0);
    if (s)
        return sys_watch_set(c->poller, &s->watch, events) == 0 ? 0 : -1;
    s = calloc(1, sizeof *s);
    if (!s)
        return -1;
    s->client = c;
    if (sys_watch_add(c->poller, &s->watch, fd, events, socket_ready, s) < 0) {
        free(s);
        return -1;
    }
    curl_multi_assign(c->multi, fd, s);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct rest_client *c = user;
    c->deadline_us = timeout_ms < 0 ? INT64_MAX : clock_mono_us() + timeout_ms * 1000;
    return 0;
}

int rest_client_new(struct rest_client **out, struct sys_poller *poller)
{
    struct rest_client *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->poller = poller;
    c->deadline_us = INT64_MAX;
    c->multi = curl_multi_init();
    if (!c->multi) {
        free(c);
        return -ENOMEM;
    }
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    *out = c;
    return 0;
}

static void end_transfer(struct rest_client *c, struct rest_call *ended)
{
    struct sys_sigpipe held = sys_sigpipe_hold();
    curl_multi_remove_handle(c->multi, c->call.easy);
    sys_sigpipe_release(held);
    curl_easy_setopt(c->call.easy, CURLOPT_ERRORBUFFER, NULL); /* c->call is about to be another's */
    *ended = c->call;
    c->call = (struct rest_call){0};
    c->busy = false;
}

static void clear_call(struct rest_call *call)
{
    struct sys_sigpipe held = sys_sigpipe_hold();
    rest_call_clear(call);
    sys_sigpipe_release(held);
}

void rest_client_cancel(struct rest_client *c)
{
    if (!c->busy)
        return;
    struct rest_call ended;
    end_transfer(c, &ended);
    clear_call(&ended);
}

void rest_client_forget(struct rest_client *c)
{
    c->forget = true;
}

void rest_client_destroy(struct rest_client *c)
{
    if (!c)
        return;
    rest_client_cancel(c);
    struct sys_sigpipe held = sys_sigpipe_hold();
    curl_multi_cleanup(c->multi);
    sys_sigpipe_release(held);
    free(c);
}

int rest_client_start(struct rest_client *c, const struct rest_request *r, rest_client_cb cb, void *user)
{
    if (c->busy)
        return -EBUSY;
    int err = rest_call_init(&c->call, r);
    if (err < 0)
        return err;
    curl_easy_setopt(c->call.easy, CURLOPT_FRESH_CONNECT, c->forget ? 1L : 0L);
    c->forget = false;
    if (curl_multi_add_handle(c->multi, c->call.easy) != CURLM_OK) {
        rest_call_clear(&c->call);
        return -ENOMEM;
    }
    c->busy = true;
    c->cb = cb;
    c->user = user;
    return 0;
}

bool rest_client_busy(const struct rest_client *c)
{
    return c->busy;
}

static bool transfer_ended(struct rest_client *c, CURLcode *code)
{
    int left;
    const CURLMsg *m;
    while ((m = curl_multi_info_read(c->multi, &left))) {
        if (m->msg == CURLMSG_DONE && m->easy_handle == c->call.easy) {
            *code = m->data.result;
            return true;
        }
    }
    return false;
}

void rest_client_step(struct rest_client *c, int64_t now_us)
{
    CURLcode code;
    if (now_us >= c->deadline_us) {
        int running;
        c->deadline_us = INT64_MAX;
        struct sys_sigpipe held = sys_sigpipe_hold();
        curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        sys_sigpipe_release(held);
    }
    if (!c->busy || !transfer_ended(c, &code))
        return;
    struct rest_call ended;
    end_transfer(c, &ended);
    long status = code == CURLE_OK ? rest_call_status(&ended) : 0;
    if (code != CURLE_OK && ended.error[0] == '\0')
        snprintf(ended.error, sizeof ended.error, "%s", curl_easy_strerror(code));
    c->cb(c->user, &ended, status);
    clear_call(&ended);
}

int64_t rest_client_deadline(const struct rest_client *c)
{
    return c->deadline_us;
}
