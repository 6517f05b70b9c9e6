/* Following the controller's events. Invariant: last_id is that of the last event that the caller's queue has taken,
 * or of the position that the controller named; so what is lost with a connection comes again. */
#include "session_internal.h"

#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAM_ROOM = 256 * 1024, /* an event has 32 KiB as stored */
    STREAM_CONNECT_MS = 10 * 1000,
    STREAM_SILENCE_US = 45 * 1000 * 1000,      /* comments come every 15 s */
    STREAM_STEADY_US = 30 * 1000 * 1000,       /* who was up for so long had not failed */
    STREAM_FAILURES_MAX = 5,                   /* pauses of up to 32 s */
    STREAM_REFUSED = 9,                        /* ... and of five minutes, until there is another token */
    STREAM_RESET_SPREAD_US = 30 * 1000 * 1000, /* many are reset at once: they don't probe at once */
    STREAM_ASKED_MAX_MS = 60 * 1000,
};

/* ---- what is told ---- */

static bool tell(struct session *s, const struct berth_event *e)
{
    return !s->following.callers || s->events.stream(s->user, s->following.number, e);
}

static void tell_down(struct session *s, int error, int http_status, int64_t retry_in_us, const char *detail)
{
    const struct berth_event e = {.kind = BERTH_EVENT_DOWN,
                                  .name = "down",
                                  .data = "",
                                  .error = error,
                                  .http_status = http_status,
                                  .retry_in_us = retry_in_us,
                                  .detail = detail};
    (void)tell(s, &e);
}

static int kind_of(const char *name)
{
    for (int kind = BERTH_EVENT_ASSIGNMENT; kind <= BERTH_EVENT_RESET; kind++)
        if (strcmp(name, berth_event_name(kind)) == 0)
            return kind;
    return BERTH_EVENT_OTHER;
}

/* The controller asks us to come back, within a time that spreads us. */
static void take_reconnect(struct session *s, const char *data)
{
    struct doc_error e;
    json_t *j = doc_parse(data, strlen(data), &e);
    int64_t within_ms = json_integer_value(json_object_get(j, "within_ms"));
    if (within_ms < 0 || within_ms > STREAM_ASKED_MAX_MS)
        within_ms = STREAM_ASKED_MAX_MS;
    s->following.asked_pause_us = schedule_random(&s->schedule, 0, within_ms * 1000);
    json_decref(j);
}

static bool on_event(void *user, const struct sse_event *is)
{
    struct session *s = user;
    struct following *f = &s->following;
    int64_t now = clock_mono_us();
    const struct berth_event e = {
        .kind = kind_of(is->name), .name = is->name, .data = is->data, .retry_in_us = -1, .detail = ""};
    if (strcmp(is->name, "reconnect") == 0) {
        take_reconnect(s, is->data);
        return true;
    }
    if (!tell(s, &e))
        return false;
    session_calls_event(s, e.kind, e.data, now);
    if (e.kind == BERTH_EVENT_PROBE)
        f->probe_at_us = now;
    else if (e.kind == BERTH_EVENT_RESET && f->probe_at_us == SCHEDULE_NEVER)
        f->probe_at_us = now + schedule_random(&s->schedule, 0, STREAM_RESET_SPREAD_US);
    return true;
}

static void tell_up(struct session *s)
{
    const struct berth_event up = {
        .kind = BERTH_EVENT_UP, .name = "up", .data = "", .retry_in_us = -1, .detail = ""};
    (void)tell(s, &up);
}

/* From within curl: nothing may be started or ended here. */
static bool on_bytes(void *user, const char *bytes, size_t len)
{
    struct session *s = user;
    struct following *f = &s->following;
    f->heard_us = clock_mono_us();
    if (!f->up) {
        f->up = true;
        f->up_us = f->heard_us;
        session_log(s, BERTH_LOG_DEBUG, "stream_up", "following the controller's events");
        tell_up(s);
    }
    int err = sse_feed(&f->sse, bytes, len, on_event, s);
    memcpy(f->last_id, f->sse.last_id, sizeof f->last_id);
    return err == 0;
}

/* ---- ends ---- */

static void come_back(struct session *s, int64_t pause_us, int64_t now_us)
{
    s->following.open = s->following.up = false;
    s->following.open_at_us = now_us + pause_us;
}

static void failed(struct session *s, int error, int http_status, int64_t retry_after_us, const char *detail,
                   int64_t now_us)
{
    struct following *f = &s->following;
    if (f->up && now_us - f->up_us >= STREAM_STEADY_US)
        f->failures = 0;
    if (error == BERTH_E_REFUSED)
        f->failures = STREAM_REFUSED;
    else if (f->failures > STREAM_FAILURES_MAX)
        f->failures = STREAM_FAILURES_MAX;
    int64_t pause = schedule_backoff(&s->schedule, &f->failures, retry_after_us);
    session_log(s, BERTH_LOG_DEBUG, "stream_down", "%s; again in %" PRId64 " ms", detail, pause / 1000);
    come_back(s, pause, now_us);
    tell_down(s, error, http_status, pause, detail);
}

static void on_end(void *user, struct rest_call *call, long status)
{
    struct session *s = user;
    struct following *f = &s->following;
    int64_t now = clock_mono_us(), pause = f->asked_pause_us;
    char detail[BERTH_ERROR_TEXT] = "the stream has ended";
    if (pause >= 0) {
        f->failures = 0;
        come_back(s, pause, now);
        tell_down(s, 0, 0, pause, "");
        return;
    }
    if (status == 0 && !f->up && s->phase == PHASE_REST && session_next_route(s)) {
        come_back(s, 0, now);
        return;
    }
    if (status != 200)
        session_explain(call, status, detail);
    failed(s, status == 200 ? BERTH_E_UNREACHABLE : session_classify(status), status >= 400 ? (int)status : 0,
           session_retry_after_us(call), detail, now);
}

/* ---- beginnings ---- */

void session_open_stream(struct session *s, int64_t now_us)
{
    struct following *f = &s->following;
    struct proxy_hop hop;
    char path[sizeof("/v1/stream?agent=") + AGENT_ID_MAX];
    const char *name = agent_options_name(s->options);
    const struct rest_stream stream = {.last_id = f->last_id, .data = on_bytes, .user = s};
    if (f->number == 0 || f->open) /* while the way was looked for */
        return;
    snprintf(path, sizeof path, "/v1/stream%s%s", name ? "?agent=" : "", name ? name : "");
    struct rest_request r = session_request(s, "GET", path);
    r.proxy = session_route(s, &hop);
    r.timeout_ms = STREAM_CONNECT_MS;
    r.stream = &stream;
    sse_init(&f->sse, f->room, STREAM_ROOM);
    memcpy(f->sse.id, f->last_id, sizeof f->last_id);
    memcpy(f->sse.last_id, f->last_id, sizeof f->last_id);
    f->asked_pause_us = -1;
    f->heard_us = now_us;
    int err = rest_client_start(f->client, &r, on_end, s);
    if (err < 0) {
        failed(s, err, 0, 0, "the controller's URL can't be called", now_us);
        return;
    }
    f->open = true;
    f->open_at_us = SCHEDULE_NEVER;
}

static bool way_is_free(const struct session *s)
{
    return s->route_known || s->phase == PHASE_REST;
}

void session_step_stream(struct session *s, int64_t now_us)
{
    struct following *f = &s->following;
    if (f->open && now_us - f->heard_us >= STREAM_SILENCE_US) {
        rest_client_cancel(f->client);
        rest_client_forget(f->client);
        failed(s, BERTH_E_UNREACHABLE, 0, 0, "nothing was heard for 45 s", now_us);
    }
    if (f->probe_at_us <= now_us) {
        f->probe_at_us = SCHEDULE_NEVER;
        if (session_probe(s, s->options->n_given == 0 ? BERTH_PROBE_REPORT : 0) != 0)
            session_log(s, BERTH_LOG_DEBUG, "probe_under_way", "the one that was asked for");
    }
    if (f->number == 0 || f->open_at_us > now_us || !way_is_free(s))
        return;
    int rc = session_find_route(s, session_open_stream, now_us);
    if (rc == 0)
        session_open_stream(s, now_us);
    else if (rc < 0)
        failed(s, rc, 0, 0, "the way to the controller can't be looked for", now_us);
}

int64_t session_stream_deadline(const struct session *s)
{
    const struct following *f = &s->following;
    int64_t at = f->probe_at_us;
    if (f->open && f->heard_us + STREAM_SILENCE_US < at)
        at = f->heard_us + STREAM_SILENCE_US;
    if (f->number != 0 && way_is_free(s) && f->open_at_us < at)
        at = f->open_at_us;
    return at;
}

void session_restart_stream(struct session *s, int64_t now_us)
{
    struct following *f = &s->following;
    if (f->number == 0)
        return;
    rest_client_cancel(f->client);
    rest_client_forget(f->client);
    come_back(s, schedule_random(&s->schedule, 0, SCHEDULE_BACKOFF_US), now_us);
}

/* ---- the caller ---- */

void session_close_stream(struct session *s)
{
    struct following *f = &s->following;
    uint64_t last = f->last_number;
    rest_client_destroy(f->client);
    free(f->room);
    *f = (struct following){.last_number = last, .open_at_us = SCHEDULE_NEVER, .probe_at_us = SCHEDULE_NEVER};
}

static int begin(struct session *s, int64_t now_us)
{
    struct following *f = &s->following;
    if (f->number != 0)
        return 0;
    f->room = malloc(STREAM_ROOM);
    int err = f->room ? rest_client_new(&f->client, s->curl) : -ENOMEM;
    if (err < 0) {
        session_close_stream(s);
        return err;
    }
    f->number = ++f->last_number;
    f->open_at_us = now_us;
    return 0;
}

int session_follow_for_calls(struct session *s, int64_t now_us)
{
    if (session_call_count(s) > 0)
        return begin(s, now_us);
    if (!s->following.callers)
        session_close_stream(s);
    return 0;
}

int session_follow(struct session *s, const struct berth_follow_options *o, int64_t now_us)
{
    struct following *f = &s->following;
    if (!o) {
        f->callers = false;
        f->event = NULL;
        return session_follow_for_calls(s, now_us);
    }
    if (!s->options->controller || o->size != sizeof *o)
        return -EINVAL;
    int err = begin(s, now_us);
    if (err < 0)
        return err;
    bool joins = !f->callers && f->up; /* what was followed for calls alone */
    f->callers = true;
    f->event = o->event;
    f->user = o->user;
    if (joins)
        tell_up(s);
    return 0;
}

bool session_follower(const struct session *s, uint64_t number,
                      void (**event)(void *user, struct berth_agent *agent, const struct berth_event *e),
                      void **user)
{
    *event = s->following.event;
    *user = s->following.user;
    return number != 0 && number == s->following.number && s->following.callers;
}
