/* The session's calls on the controller. Invariant: a report is kept until the controller has stored it, has said
 * that it never will, or it is too old. */
#include "session_internal.h"

#include "core/utf8.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALL_TIMEOUT_MS = 20000,
    CLOCK_WRONG_US =
        20 * 1000 * 1000, /* a Date is to the second, and has been on its way; a report may be 60 s ahead */
};

static const char no_way[] = "the way to the controller can't be looked for";

/* What the controller (or curl) says of a failure, for people. */
void session_explain(const struct rest_call *call, long status, char out[static BERTH_ERROR_TEXT])
{
    if (status == 0) {
        snprintf(out, BERTH_ERROR_TEXT, "%.*s", utf8_prefix(call->error, 180), call->error);
        return;
    }
    struct doc_error e;
    json_t *j = call->body ? doc_parse(call->body, strlen(call->body), &e) : NULL;
    const char *code = json_string_value(json_object_get(j, "code"));
    const char *detail = json_string_value(json_object_get(j, "detail"));
    const char *title = json_string_value(json_object_get(j, "title"));
    detail = detail ? detail : title;
    snprintf(out, BERTH_ERROR_TEXT, "%ld%s%.*s%s%.*s", status, code ? " " : "",
             code ? utf8_prefix(code, 40) : 0, code ? code : "", detail ? ": " : "",
             detail ? utf8_prefix(detail, 120) : 0, detail ? detail : "");
    json_decref(j);
}

int session_classify(long status)
{
    if (status == 0)
        return BERTH_E_UNREACHABLE;
    if (status == 408 || status == 429 || status >= 500)
        return BERTH_E_UNAVAILABLE;
    return status >= 400 ? BERTH_E_REFUSED : BERTH_E_PROTOCOL;
}

int64_t session_retry_after_us(const struct rest_call *call)
{
    return call->retry_after_s > 0 ? call->retry_after_s * 1000000 : 0;
}

void session_hear_clock(struct session *s, const struct rest_call *call)
{
    int64_t date_s = rest_call_date(call);
    if (date_s < 0)
        return;
    int64_t ahead = clock_wall_us() - date_s * 1000000;
    bool wrong = ahead > CLOCK_WRONG_US || ahead < -CLOCK_WRONG_US;
    if (wrong && s->clock_ahead_us == 0)
        session_log(s, BERTH_LOG_WARN, "clock_wrong",
                    "this machine's clock is %lld s %s the controller's, which counts",
                    llabs(ahead) / 1000000, ahead > 0 ? "ahead of" : "behind");
    s->clock_ahead_us = wrong ? ahead : 0;
}

int64_t session_wall_us(const struct session *s)
{
    return clock_wall_us() - s->clock_ahead_us;
}

struct rest_request session_request(const struct session *s, const char *method, const char *path)
{
    return (struct rest_request){.method = method,
                                 .base_url = s->options->controller,
                                 .path = path,
                                 .token = s->options->token,
                                 .ca_file = s->options->ca_file,
                                 .timeout_ms = CALL_TIMEOUT_MS};
}

/* ---- the list ---- */

/* What of the list is not probed. */
static void tell_left_out(struct session *s, const struct nodelist *l)
{
    const struct doc_error *e = &l->first_left_out;
    if (l->n > RESULTS_NODES_MAX)
        session_log(s, BERTH_LOG_WARN, "list_cut", "%zu of %zu nodes are probed", (size_t)RESULTS_NODES_MAX,
                    l->n_listed);
    if (e->code[0] != '\0')
        session_log(s, BERTH_LOG_WARN, "list_left_out",
                    "%zu of %zu entries are left out, and addresses of others: %zu; the first: %.*s %.*s",
                    l->n_listed - l->n, l->n_listed, l->n_addresses_left_out, utf8_prefix(e->pointer, 60),
                    e->pointer, utf8_prefix(e->detail, 80), e->detail);
}

static int take_list(struct session *s, const struct rest_call *call, char detail[static BERTH_ERROR_TEXT])
{
    struct nodelist list = {0};
    struct doc_error e = {0};
    const char *body = call->body ? call->body : "";
    json_t *j = doc_parse(body, strlen(body), &e);
    int err = j ? nodelist_from_json(j, &list, &e) : doc_parse_errno(&e);
    json_decref(j);
    if (err == -EINVAL) {
        snprintf(detail, BERTH_ERROR_TEXT, "the list of nodes: %.*s %.*s", utf8_prefix(e.pointer, 60),
                 e.pointer, utf8_prefix(e.detail, 100), e.detail);
        return BERTH_E_PROTOCOL;
    }
    if (err == 0)
        tell_left_out(s, &list);
    if (err == 0)
        err = results_begin(&s->results, &list);
    nodelist_clear(&list);
    if (err == 0)
        snprintf(s->etag, sizeof s->etag, "%s", call->etag);
    return err;
}

/* The controller is away: what it said last is still worth probing. */
static bool can_use_old_list(const struct session *s, int error)
{
    return s->schedule.watching && s->etag[0] != '\0' && s->results.n_rows > 0 &&
           (error == BERTH_E_UNREACHABLE || error == BERTH_E_UNAVAILABLE);
}

static void list_failed(struct session *s, int error, int http_status, int64_t retry_after,
                        const char *detail, int64_t now_us)
{
    if (can_use_old_list(s, error)) {
        session_log(s, BERTH_LOG_WARN, "fetch_failed", "probing the nodes known before: %s", detail);
        session_begin_probe(s, now_us);
    } else {
        session_probe_failed(s, error, http_status, retry_after, detail, now_us);
    }
}

/* Nobody answered: by another way, if there is one. True: that has begun. */
static bool fetch_another_way(struct session *s, const struct rest_call *call, int64_t now_us)
{
    if (!session_next_route(s)) {
        if (!session_ask_network(s))
            return false;
        s->asked_network = true;
        session_explain(call, 0, s->fetch_error);
    }
    session_fetch(s, now_us);
    return true;
}

static void on_list(void *user, struct rest_call *call, long status)
{
    struct session *s = user;
    int64_t now = clock_mono_us();
    char detail[BERTH_ERROR_TEXT] = "";
    int error = 0;
    s->phase = PHASE_REST;
    session_hear_clock(s, call);
    if (status == 0 && fetch_another_way(s, call, now))
        return;
    if (status == 200) {
        error = take_list(s, call, detail);
    } else if (status != 304) {
        error = session_classify(status);
        session_explain(call, status, detail);
    }
    if (error == 0)
        session_begin_probe(s, now);
    else
        list_failed(s, error, status >= 400 ? (int)status : 0, session_retry_after_us(call), detail, now);
}

/* After the way has been found. */
static void fetch(struct session *s, int64_t now_us)
{
    struct proxy_hop hop;
    bool asked = s->asked_network;
    s->asked_network = false;
    if (asked && session_route_is_direct(s)) { /* that was tried */
        session_forget_route(s);
        list_failed(s, BERTH_E_UNREACHABLE, 0, 0, s->fetch_error, now_us);
        return;
    }
    struct rest_request r = session_request(s, "GET", "/v1/nodes");
    r.proxy = session_route(s, &hop);
    if (s->etag[0] != '\0')
        r.etag = s->etag;
    int err = rest_client_start(s->rest, &r, on_list, s);
    if (err < 0) {
        session_probe_failed(s, err, 0, 0, "the controller's URL can't be called", now_us);
        return;
    }
    s->phase = PHASE_FETCH;
}

void session_fetch(struct session *s, int64_t now_us)
{
    int rc = session_find_route(s, fetch, now_us);
    if (rc == 0)
        fetch(s, now_us);
    if (rc >= 0)
        return;
    s->asked_network = false;
    session_probe_failed(s, rc, 0, 0, no_way, now_us);
}

/* ---- the report ---- */

/* Worth another try, now or with another token? */
static bool may_still_work(long status)
{
    return status < 400 || status == 401 || status == 403 || session_classify(status) == BERTH_E_UNAVAILABLE;
}

static void tell_delivery(struct session *s, int error, long status, int64_t retry_in_us, const char *detail)
{
    struct berth_delivery d = {.error = error,
                               .http_status = (int)status,
                               .measured_at_us = s->kept.measured_at_us,
                               .retry_in_us = retry_in_us == SCHEDULE_NEVER ? -1 : retry_in_us};
    memcpy(d.report_id, s->kept.report_id, sizeof d.report_id);
    snprintf(d.detail, sizeof d.detail, "%s", detail);
    if (retry_in_us == SCHEDULE_NEVER)
        kept_report_clear(&s->kept);
    s->events.delivery(s->user, &d);
}

void session_give_up_report(struct session *s, int error)
{
    if (!s->kept.body)
        return;
    schedule_delivered(&s->schedule);
    tell_delivery(s, error, 0, SCHEDULE_NEVER, "");
}

static void delivery_failed(struct session *s, int error, long status, int64_t wait_us, const char *detail)
{
    int64_t pause = SCHEDULE_NEVER;
    if (may_still_work(status)) {
        pause = schedule_delivery_failed(&s->schedule, wait_us, clock_mono_us());
        error = pause == SCHEDULE_NEVER ? BERTH_E_EXPIRED : error;
    } else {
        schedule_delivered(&s->schedule);
    }
    session_log(s, BERTH_LOG_WARN, "report_failed", "%s; %s", detail,
                pause == SCHEDULE_NEVER ? "given up" : "kept for later");
    tell_delivery(s, error, status, pause, detail);
}

static void on_delivered(void *user, struct rest_call *call, long status)
{
    struct session *s = user;
    char detail[BERTH_ERROR_TEXT] = "";
    s->phase = PHASE_REST;
    if (status == 0 && session_next_route(s)) {
        session_deliver(s, clock_mono_us());
        return;
    }
    if (status == 200 || status == 201) {
        session_log(s, BERTH_LOG_INFO, "report_stored", "%s", s->kept.report_id);
        schedule_delivered(&s->schedule);
        session_remember_network(s);
        tell_delivery(s, 0, status, SCHEDULE_NEVER, "");
        return;
    }
    session_explain(call, status, detail);
    delivery_failed(s, session_classify(status), status, session_retry_after_us(call), detail);
}

void session_deliver(struct session *s, int64_t now_us)
{
    if (!s->kept.body)
        return;
    if (now_us >= s->schedule.valid_until_us) {
        session_give_up_report(s, BERTH_E_EXPIRED);
        return;
    }
    int rc = session_find_route(s, session_deliver, now_us);
    if (rc < 0)
        delivery_failed(s, rc, 0, 0, no_way);
    if (rc != 0)
        return;
    struct proxy_hop hop;
    struct rest_request r = session_request(s, "POST", "/v1/reports");
    r.proxy = session_route(s, &hop);
    r.body = s->kept.body;
    int err = rest_client_start(s->rest, &r, on_delivered, s);
    if (err < 0)
        delivery_failed(s, err, 0, 0, "the report could not be sent");
    else
        s->phase = PHASE_DELIVER;
}
