/* One REST call at a time on the agent's curl loop. Invariant: `job` is in the loop exactly while `call` is filled. */
#include "rest_client.h"

#include "schedule.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct rest_client {
    struct curl_job job; /* first: its address is ours */
    struct curl_loop *loop;
    struct rest_call call;
    bool forget;          /* the next call makes a connection of its own */
    int64_t forgotten_us; /* when older connections ceased to count; 0: never */
    rest_client_cb cb;
    void *user;
};

int rest_client_new(struct rest_client **out, struct curl_loop *loop)
{
    struct rest_client *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->loop = loop;
    *out = c;
    return 0;
}

static void end_transfer(struct rest_client *c, struct rest_call *ended)
{
    curl_loop_remove(c->loop, &c->job);
    curl_easy_setopt(c->call.easy, CURLOPT_ERRORBUFFER, NULL); /* c->call is about to be another's */
    *ended = c->call;
    c->call = (struct rest_call){0};
}

static void clear_call(struct rest_call *call)
{
    struct sys_sigpipe held = sys_sigpipe_hold();
    rest_call_clear(call);
    sys_sigpipe_release(held);
}

void rest_client_cancel(struct rest_client *c)
{
    if (!c->job.added)
        return;
    struct rest_call ended;
    end_transfer(c, &ended);
    clear_call(&ended);
}

void rest_client_forget(struct rest_client *c)
{
    c->forget = true;
    c->forgotten_us = clock_mono_us();
}

void rest_client_destroy(struct rest_client *c)
{
    if (!c)
        return;
    rest_client_cancel(c);
    free(c);
}

static void on_done(struct curl_job *job, CURLcode code)
{
    struct rest_client *c = (struct rest_client *)job;
    struct rest_call ended;
    end_transfer(c, &ended);
    long status = code == CURLE_OK ? rest_call_status(&ended) : 0;
    const char *error = rest_call_error(&ended, code);
    if (error != ended.error)
        snprintf(ended.error, sizeof ended.error, "%s", error);
    c->cb(c->user, &ended, status);
    clear_call(&ended);
}

/* curl keeps what it has connected, and counts its age in whole seconds. What was made in the network of before is
 * older than the quiet that came before the forgetting, so that a second more or less makes no difference. */
static void set_connection(struct rest_client *c)
{
    _Static_assert(SCHEDULE_SETTLE_US >= 2000000, "two whole seconds");
    curl_easy_setopt(c->call.easy, CURLOPT_FRESH_CONNECT, c->forget ? 1L : 0L);
    c->forget = false;
    if (c->forgotten_us == 0)
        return;
    int64_t age_s = (clock_mono_us() - c->forgotten_us) / 1000000;
    curl_easy_setopt(c->call.easy, CURLOPT_MAXLIFETIME_CONN, age_s > 1 ? (long)age_s : 1L);
}

int rest_client_start(struct rest_client *c, const struct rest_request *r, rest_client_cb cb, void *user)
{
    if (c->job.added)
        return -EBUSY;
    int err = rest_call_init(&c->call, r);
    if (err < 0)
        return err;
    set_connection(c);
    c->job = (struct curl_job){.easy = c->call.easy, .done = on_done};
    c->cb = cb;
    c->user = user;
    err = curl_loop_add(c->loop, &c->job);
    if (err < 0)
        rest_call_clear(&c->call);
    return err;
}
