/* The session: which of its jobs is next. Invariant: one job at a time (fetch, resolve, probe or deliver), and each leads back to
 * PHASE_REST, where the next is chosen. */
#include "session_internal.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_tls(struct session *s)
{
    char text[TLS_ERROR_TEXT];
    int err = tls_client_ctx_new(&s->tls_ctx, s->options->ca_file, text);
    if (err == 0 && s->options->ca_file)
        err = tls_fallback_new(&s->fallback);
    if (err == 0 && s->fallback)
        tls_client_fall_back(s->tls_ctx, s->fallback);
    return err;
}

int session_make_finder(struct session *s, struct proxy_finder **out)
{
    const struct agent_options *o = s->options;
    const struct proxy_finder_options from = {.proxy = o->proxy,
                                              .pac = o->proxy_pac,
                                              .pac_helper = o->pac_helper,
                                              .no_proxy = o->no_proxy,
                                              .user = o->proxy_user,
                                              .password = o->proxy_password};
    return proxy_finder_new(out, s->poller, &from);
}

static void make_network_key(struct session *s)
{
    uint8_t machine[16];
    bool known = sys_machine_id(machine) == 0;
    network_id_key(s->network_key, known ? machine : NULL, s->options->agent_id);
    sodium_memzero(machine, sizeof machine);
}

int session_new(struct session **out, const struct agent_options *options, struct sys_poller *poller,
                const struct session_events *events, void *user)
{
    uint64_t seed;
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->options = options;
    s->poller = poller;
    s->events = *events;
    s->user = user;
    s->netwatch.fd = -1;
    randombytes_buf(&seed, sizeof seed);
    schedule_init(&s->schedule, seed);
    settle_init(&s->connect_settle);
    s->following.open_at_us = s->following.probe_at_us = SCHEDULE_NEVER;
    make_network_key(s);
    int err = make_tls(s);
    if (err == 0)
        err = session_make_finder(s, &s->finder);
    if (err == 0)
        err = curl_loop_new(&s->curl, poller);
    if (err == 0)
        err = rest_client_new(&s->rest, s->curl);
    if (err < 0) {
        session_destroy(s);
        return err;
    }
    *out = s;
    return 0;
}

static void stop_netwatch(struct session *s)
{
    sys_watch_remove(s->poller, &s->netwatch);
    sys_close(s->netwatch.fd);
    s->netwatch.fd = -1;
}

void session_destroy(struct session *s)
{
    if (!s)
        return;
    session_close_calls(s);
    session_close_connections(s);
    session_close_stream(s);
    session_drop_probe(s);
    resolver_destroy(s->resolver);
    rest_client_destroy(s->rest);
    curl_loop_destroy(s->curl);
    stop_netwatch(s);
    results_clear(&s->results);
    kept_report_clear(&s->kept);
    proxy_finder_destroy(s->finder);
    SSL_CTX_free(s->tls_ctx);
    tls_fallback_destroy(s->fallback);
    sodium_memzero(s->network_key, sizeof s->network_key);
    free(s);
}

void session_log(struct session *s, int level, const char *event, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->events.log(s->user, level, event, text);
}

void session_network_id(struct session *s, char out[static NETWORK_ID_TEXT_LEN], const struct addr *mapped,
                        size_t n_mapped)
{
    struct sys_network net;
    sys_network_read(&net);
    network_id_make(out, s->network_key, &net, mapped, n_mapped);
}

void session_probe_failed(struct session *s, int error, int http_status, int64_t retry_after_us,
                          const char *detail, int64_t now_us)
{
    schedule_fetch_failed(&s->schedule, retry_after_us, now_us);
    struct berth_summary summary = {.error = error, .http_status = http_status};
    s->phase = PHASE_REST;
    snprintf(summary.detail, sizeof summary.detail, "%s", detail);
    session_log(s, BERTH_LOG_WARN, "probe_failed", "%s: %s", berth_strerror(error), detail);
    s->events.done(s->user, &summary);
}

/* ---- what the caller asks for ---- */

static bool can_report(const struct session *s)
{
    return s->options->controller && s->options->n_given == 0;
}

/* A report or the stream has its turn, not a probe. */
static bool busy_otherwise(const struct session *s)
{
    return s->phase == PHASE_DELIVER || (s->phase == PHASE_FIND && (s->after_route == session_deliver ||
                                                                    s->after_route == session_open_stream ||
                                                                    s->after_route == session_step_calls));
}

static bool probing(const struct session *s)
{
    return s->requested || (s->phase == PHASE_FIND && !busy_otherwise(s)) || s->phase == PHASE_FETCH ||
           s->phase == PHASE_RESOLVE || s->phase == PHASE_PROBE;
}

int session_probe(struct session *s, unsigned flags)
{
    if ((flags & ~(unsigned)BERTH_PROBE_REPORT) != 0 || (flags != 0 && !can_report(s)))
        return -EINVAL;
    if (probing(s))
        return -EBUSY;
    s->requested = true;
    s->report_requested = flags != 0;
    return 0;
}

void session_cancel(struct session *s)
{
    s->cancelled = probing(s);
}

static void network_changed(void *user, unsigned events)
{
    struct session *s = user;
    sys_netwatch_clear(s->netwatch.fd);
    schedule_network_changed(&s->schedule, clock_mono_us());
    session_connections_changed(s, clock_mono_us());
}

int session_listen(struct session *s)
{
    bool wanted = s->schedule.watching || session_has_connections(s);
    if (!wanted)
        stop_netwatch(s);
    if (!wanted || s->netwatch.fd >= 0)
        return 0;
    int fd = sys_netwatch_open();
    if (fd < 0)
        return fd;
    int err = sys_watch_add(s->poller, &s->netwatch, fd, SYS_READ, network_changed, s);
    s->netwatch.fd = fd;
    if (err < 0)
        stop_netwatch(s);
    return err;
}

int session_watch(struct session *s, bool on, int64_t now_us)
{
    if (on == s->schedule.watching)
        return 0;
    schedule_watch(&s->schedule, on, now_us);
    int err = session_listen(s);
    if (err < 0)
        schedule_watch(&s->schedule, false, now_us);
    return err;
}

void session_token_changed(struct session *s, int64_t now_us)
{
    schedule_deliver_now(&s->schedule, now_us);
    if (s->following.number != 0 && !s->following.open)
        s->following.open_at_us = now_us;
    session_calls_token_changed(s, now_us);
    if (s->schedule.watching && s->schedule.fetch_failures > 0 && s->phase == PHASE_REST)
        schedule_probe_now(&s->schedule, now_us);
}

/* ---- what happens ---- */

static void start_probe(struct session *s, int64_t now_us)
{
    s->reporting = s->requested ? s->report_requested : can_report(s);
    if (s->requested && s->schedule.watching && can_report(s))
        s->reporting = true;
    s->requested = false;
    schedule_probe_due(&s->schedule, now_us); /* this one serves */
    if (s->options->n_given > 0)
        session_resolve(s, now_us);
    else
        session_fetch(s, now_us);
}

static void look_at_network(struct session *s, int64_t now_us)
{
    char id[NETWORK_ID_TEXT_LEN];
    session_network_id(s, id, NULL, 0);
    if (strcmp(id, s->local_network) == 0)
        return; /* a lease was renewed, a router spoke up */
    session_log(s, BERTH_LOG_INFO, "network_changed", "probing again");
    rest_client_forget(s->rest);
    session_find_again(s);
    session_restart_stream(s, now_us);
    schedule_probe_now(&s->schedule, now_us);
}

/* Cancelled before the first packet. */
static void drop_job(struct session *s, int64_t now_us)
{
    resolver_destroy(s->resolver);
    s->resolver = NULL;
    rest_client_cancel(s->rest);
    proxy_finder_cancel(s->finder);
    s->requested = false;
    session_probe_failed(s, -ECANCELED, 0, 0, "cancelled", now_us);
}

/* Cancelled while a report is under way, which goes on. */
static void drop_request(struct session *s)
{
    struct berth_summary summary = {.error = -ECANCELED, .detail = "cancelled"};
    s->requested = s->cancelled = false;
    session_log(s, BERTH_LOG_WARN, "probe_failed", "%s", summary.detail);
    s->events.done(s->user, &summary);
}

/* At rest: the next job. */
static void choose_job(struct session *s, int64_t now_us)
{
    schedule_wall(&s->schedule, now_us, clock_wall_us());
    if (schedule_settled(&s->schedule, now_us))
        look_at_network(s, now_us);
    if (schedule_delivery_due(&s->schedule, now_us))
        session_deliver(s, now_us);
    if (s->phase == PHASE_REST && (s->requested || schedule_probe_due(&s->schedule, now_us)))
        start_probe(s, now_us);
}

static void do_job(struct session *s, int64_t now_us)
{
    if (s->cancelled && busy_otherwise(s))
        drop_request(s);
    if (s->cancelled && s->phase != PHASE_PROBE)
        drop_job(s, now_us);
    else if (s->phase == PHASE_REST)
        choose_job(s, now_us);
    else if (s->phase == PHASE_RESOLVE && (s->resolved || now_us >= s->resolve_deadline_us))
        session_resolved(s, now_us);
    else if (s->phase == PHASE_FIND)
        session_step_find(s, now_us);
    else if (s->phase == PHASE_PROBE)
        session_step_probe(s, now_us);
    if (s->cancelled && s->phase == PHASE_REST)
        s->cancelled = false;
}

static void tell_state(struct session *s)
{
    int state = session_state(s);
    if (state != s->told_state) {
        s->told_state = state;
        s->events.state(s->user, state);
    }
}

void session_step(struct session *s, int64_t now_us)
{
    enum { JOBS_MAX = 8 }; /* then others have their turn */
    curl_loop_step(s->curl, now_us);
    session_step_connections(s, now_us);
    session_step_stream(s, now_us);
    session_step_calls(s, now_us);
    for (int i = 0; i < JOBS_MAX; i++) {
        enum session_phase before = s->phase;
        do_job(s, now_us);
        tell_state(s);
        if (s->phase == before)
            break;
        now_us = clock_mono_us();
    }
}

int64_t session_deadline(const struct session *s)
{
    int64_t deadline = curl_loop_deadline(s->curl), connections = session_connections_deadline(s);
    int64_t stream = session_stream_deadline(s), calls = session_calls_deadline(s), next = INT64_MAX;
    if (s->cancelled || (s->phase == PHASE_RESOLVE && s->resolved) || (s->phase == PHASE_FIND && s->found) ||
        (s->phase == PHASE_REST && s->requested))
        return 0;
    if (s->phase == PHASE_PROBE)
        next = probe_io_deadline(s->io);
    else if (s->phase == PHASE_FIND)
        next = s->find_deadline_us;
    else if (s->phase == PHASE_RESOLVE)
        next = s->resolve_deadline_us;
    else if (s->phase == PHASE_REST)
        next = schedule_deadline(&s->schedule);
    deadline = connections < deadline ? connections : deadline;
    deadline = stream < deadline ? stream : deadline;
    deadline = calls < deadline ? calls : deadline;
    return next < deadline ? next : deadline;
}

int session_state(const struct session *s)
{
    switch (s->phase) {
    case PHASE_FETCH:
        return BERTH_STATE_FETCHING;
    case PHASE_FIND:
    case PHASE_RESOLVE:
        return BERTH_STATE_RESOLVING;
    case PHASE_PROBE:
        return BERTH_STATE_PROBING;
    case PHASE_DELIVER:
        return BERTH_STATE_REPORTING;
    case PHASE_REST:
        break;
    }
    return s->schedule.watching || s->kept.body || s->following.number != 0 ? BERTH_STATE_WAITING
                                                                            : BERTH_STATE_IDLE;
}

const struct results *session_results(const struct session *s)
{
    return &s->results;
}
