/* From an HTTP request to its handler: route, caller, limits, rights, body; in this order, each with its own refusal.
 * Invariant: a handler runs only for a caller that its route admits, with everything that its route asked for in place. */
#include "request.h"

#include "api.h"
#include "auth.h"
#include "core/addr.h"
#include "core/doc.h"
#include "ingest.h"
#include "router.h"
#include "serve/http.h"
#include "sys/clock.h"

#include <string.h>
#include <strings.h>

/* The last thing of every request, answered or not. */
static void on_dispose(void *p)
{
    struct api_request *r = p;

    if (r->batch != NULL)
        db_detach(r->batch);
    if (r->item != NULL)
        ingest_detach(r->item);
    for (size_t i = 0; i < CONTROLLER_SNAPSHOTS_MAX; i++)
        snapshot_release(r->snapshots[i]);
    json_decref(r->body);
    report_clear(r->report);
}

static struct api_request *request_new(h2o_req_t *req)
{
    struct api_request *r = h2o_mem_alloc_shared(&req->pool, sizeof(*r), on_dispose);
    struct worker *w = worker_of(req);
    const uint8_t *boot = w->ctl->boot_id;

    memset(r, 0, sizeof(*r));
    r->req = req;
    r->worker = w;
    r->ctl = w->ctl;
    r->caller.kind = CALLER_NOBODY;
    r->started_us = clock_mono_us();
    r->deadline_us = r->started_us + w->ctl->options->request_deadline_ms * 1000;
    snprintf(r->id, sizeof(r->id), "%02x%02x%02x%02x%02x-%02zx-%08llx", boot[0], boot[1], boot[2], boot[3],
             boot[4], w->index & 0xff, (unsigned long long)++w->requests & 0xffffffffU);
    api_header(r, "x-request-id", r->id);
    return r;
}

/* Headers that there is one of. Of two, another server in the way might have looked at the other one. NULL: none is there twice. */
static const char *given_twice(const h2o_headers_t *headers)
{
    static const char *const single[] = {"authorization", "content-type", "last-event-id"};

    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        ssize_t at = h2o_find_header_by_str(headers, single[i], strlen(single[i]), -1);

        if (at >= 0 && h2o_find_header_by_str(headers, single[i], strlen(single[i]), at) >= 0)
            return single[i];
    }
    return NULL;
}

static void refuse_twice(struct api_request *r, const char *name)
{
    char detail[64];

    snprintf(detail, sizeof(detail), "more than one header %s: send it once", name);
    api_problem(r, 400, "bad_request", detail);
}

/* ---- the caller ---- */

/* When what has been revoked was last known to be current. To be asked before the snapshot is taken: its watch publishes first,
 * so the snapshot is at least as new as the answer. */
static int64_t revocation_checked_us(const struct api_request *r)
{
    return atomic_load(&r->ctl->slots[SNAPSHOT_AUTH].checked_us);
}

static enum auth_result authenticate(struct api_request *r, const char **detail)
{
    const struct auth_keys *keys = api_snapshot(r, SNAPSHOT_KEYS);
    const struct auth_revoked *revoked = api_snapshot(r, SNAPSHOT_AUTH);
    ssize_t at = h2o_find_header(&r->req->headers, H2O_TOKEN_AUTHORIZATION, -1);
    const h2o_iovec_t none = {NULL, 0};
    h2o_iovec_t value = at >= 0 ? r->req->headers.entries[at].value : none;

    return auth_check(keys, revoked, value.base, value.len, controller_unix_us(r->ctl) / 1000000, &r->caller,
                      detail);
}

static void refuse_auth(struct api_request *r, enum auth_result result, const char *detail)
{
    counter_add(&r->worker->counters, unauthorized, 1);
    if (result == AUTH_EXPIRED)
        api_problem(r, 401, "token_expired", detail);
    else if (result == AUTH_MISSING)
        api_problem(r, 401, "unauthorized", "an Authorization header with a bearer token is needed");
    else if (result == AUTH_MALFORMED)
        api_problem(r, 401, "unauthorized", detail);
    else
        api_problem(r, 401, "token_invalid", detail);
}

/* ---- limits: per caller, or per address where there is none ---- */

static size_t limit_key(struct api_request *r, uint8_t *key, size_t cap)
{
    struct addr peer;
    int n;

    if (r->caller.kind != CALLER_NOBODY) {
        n = snprintf((char *)key, cap, "%d/%s/%s", (int)r->caller.kind, r->caller.key_id, r->caller.agent);
        return n > 0 && (size_t)n < cap ? (size_t)n : cap - 1;
    }
    (void)api_peer(r, &peer);
    peer = addr_prefix(&peer, peer.family == ADDR_V6 ? 64 : 32);
    memcpy(key, peer.ip, sizeof(peer.ip));
    return sizeof(peer.ip);
}

static void header_number(struct api_request *r, const char *name, int64_t v)
{
    char text[24];

    (void)db_i64(text, v);
    api_header(r, name, text);
}

/* False: answered with 429. */
static bool within_limit(struct api_request *r)
{
    struct limiter *l = r->ctl->limiter;
    uint8_t key[KEY_ID_MAX + AGENT_ID_MAX + 16];
    struct limit_state s;
    int64_t rate, burst, remaining;

    if (l == NULL)
        return true;
    s = limiter_take(l, key, limit_key(r, key, sizeof(key)), r->started_us);
    rate = r->ctl->options->rate_limit;
    burst = r->ctl->options->rate_burst;
    remaining = limiter_remaining(l, s);
    header_number(r, "ratelimit-limit", burst);
    header_number(r, "ratelimit-remaining", remaining);
    header_number(r, "ratelimit-reset", (burst - remaining + rate - 1) / rate);
    if (s.allowed)
        return true;
    counter_add(&r->worker->counters, rate_limited, 1);
    header_number(r, "retry-after", (s.retry_after_us + 999999) / 1000000);
    api_problem(r, 429, "rate_limited", "more requests than this caller may make");
    return false;
}

/* ---- rights ---- */

/* What was revoked must be known to be current, or a revoked key would live on while the database is away. */
static bool revocation_is_fresh(const struct api_request *r, int64_t checked_us)
{
    return checked_us != 0 && r->started_us - checked_us < SNAPSHOT_FRESH_US;
}

static void refuse_unchecked(struct api_request *r)
{
    bool database = snapshot_waits_for_database(&r->ctl->slots[SNAPSHOT_AUTH], r->started_us);

    api_problem(r, 503, database ? "database_unavailable" : "overloaded",
                database ? "what has been revoked can't be looked up now"
                         : "this controller is too busy to look up what has been revoked; try again soon");
}

static const struct {
    enum caller_kind kind;
    const char *name;
} caller_names[] = {
    {CALLER_ADMIN, "the admin key"},
    {CALLER_ORG, "an org key"},
    {CALLER_NODE, "a node key"},
    {CALLER_AGENT, "an agent's JWT"},
};

/* "this call takes an org key, not a node key" */
static void refuse_kind(struct api_request *r)
{
    const char *own = "this token";
    char detail[128];
    size_t n = (size_t)snprintf(detail, sizeof(detail), "this call takes");

    for (size_t i = 0, named = 0; i < sizeof(caller_names) / sizeof(caller_names[0]); i++) {
        if (caller_names[i].kind == r->caller.kind)
            own = caller_names[i].name;
        if ((r->route->may & caller_names[i].kind) != 0)
            n += (size_t)snprintf(detail + n, sizeof(detail) - n, "%s %s", named++ > 0 ? " or" : "",
                                  caller_names[i].name);
    }
    snprintf(detail + n, sizeof(detail) - n, ", not %s", own);
    api_problem(r, 403, "forbidden", detail);
}

static bool may_call(struct api_request *r)
{
    const struct api_route *route = r->route;

    if ((route->may & r->caller.kind) == 0) {
        refuse_kind(r);
        return false;
    }
    if (r->caller.kind == CALLER_AGENT && route->grant != 0 && (r->caller.grants & route->grant) == 0) {
        api_problem(r, 403, "grant_missing",
                    route->grant == GRANT_PROBE ? "the token lacks the grant \"probe\""
                                                : "the token lacks the grant \"join\"");
        return false;
    }
    return true;
}

/* ---- the body ---- */

static bool ends_with(const char *s, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && strncasecmp(s + len - n, end, n) == 0;
}

/* Absent, application/json or application/...+json, with or without parameters. */
static bool content_type_ok(const struct api_request *r)
{
    ssize_t at = h2o_find_header(&r->req->headers, H2O_TOKEN_CONTENT_TYPE, -1);
    const char *value;
    size_t len;

    if (at < 0)
        return true;
    value = r->req->headers.entries[at].value.base;
    len = r->req->headers.entries[at].value.len;
    for (size_t i = 0; i < len; i++)
        if (value[i] == ';')
            len = i;
    while (len > 0 && value[len - 1] == ' ')
        len--;
    return ends_with(value, len, "/json") || ends_with(value, len, "+json");
}

/* False: it isn't plain, or not right. */
static bool read_report(struct api_request *r, h2o_iovec_t entity)
{
    struct report *report = api_alloc(r, sizeof(*report));

    if (report_read(entity.base, entity.len, report) != 0)
        return false;
    r->report = report;
    return true;
}

/* False: answered already. */
static bool read_body(struct api_request *r)
{
    h2o_iovec_t entity = r->req->entity;
    struct doc_error e;

    if (r->route->body == API_BODY_NONE)
        return true;
    if (entity.base == NULL || entity.len == 0) {
        if (r->route->body == API_BODY_OPTIONAL)
            return true;
        api_problem(r, 400, "bad_json", "a JSON object is wanted as the body");
        return false;
    }
    if (entity.len > API_BODY_MAX) {
        api_problem(r, 413, "body_too_large", "the body is larger than 1 MiB");
        return false;
    }
    if (!content_type_ok(r)) {
        api_problem(r, 415, "unsupported_media_type", "the body must be application/json");
        return false;
    }
    if (r->route->body == API_BODY_REPORT && read_report(r, entity))
        return true;
    r->body = doc_parse(entity.base, entity.len, &e);
    if (r->body == NULL) {
        if (strcmp(e.code, "bad_json") == 0)
            api_problem(r, 400, "bad_json", e.detail);
        else
            api_problem(r, 503, "overloaded", "out of memory; try again soon");
        return false;
    }
    if (!json_is_object(r->body)) {
        api_problem_at(r, 422, "invalid_member", "", "the body must be a JSON object");
        return false;
    }
    return true;
}

/* ---- all of it ---- */

static void refuse_route(struct api_request *r, const struct router_match *m)
{
    if (!m->path_known) {
        api_problem(r, 404, "not_found", "there is nothing at this path");
        return;
    }
    api_header(r, "allow", m->allow);
    api_problem(r, 405, "method_not_allowed", "this path has other methods: see Allow");
}

static void dispatch(struct api_request *r)
{
    struct router_match m;
    h2o_req_t *req = r->req;
    size_t path_len = req->input.query_at != SIZE_MAX ? req->input.query_at : req->input.path.len;
    const char *detail = NULL, *twice = given_twice(&req->headers);
    int64_t checked_us = revocation_checked_us(r);
    enum auth_result auth = twice == NULL ? authenticate(r, &detail) : AUTH_MALFORMED;

    if (!within_limit(r))
        return;
    if (twice != NULL) {
        refuse_twice(r, twice);
        return;
    }
    router_find(r->ctl->router, req->input.method.base, req->input.method.len, req->input.path.base, path_len,
                &m);
    if (m.route == NULL) {
        refuse_route(r, &m);
        return;
    }
    r->route = m.route;
    for (size_t i = 0; i < m.n_params; i++)
        r->param[i] = api_strdup(r, m.param[i]);
    if (auth != AUTH_OK && !(auth == AUTH_MISSING && (m.route->may & CALLER_NOBODY) != 0)) {
        refuse_auth(r, auth, detail);
        return;
    }
    if (r->caller.key_id[0] != '\0' && !revocation_is_fresh(r, checked_us)) {
        refuse_unchecked(r);
        return;
    }
    if (may_call(r) && read_body(r))
        m.route->handler(r);
}

static int on_req(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    dispatch(request_new(req));
    return 0;
}

/* ---- what libh2o refuses by its length, before there is a request ---- */

static const char too_large[] = "{\"type\":\"about:blank\",\"title\":\"Content Too Large\",\"status\":413,"
                                "\"code\":\"body_too_large\",\"detail\":\"the body is larger than 1 MiB\"}";

static void send_too_large(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n,
                           h2o_send_state_t state)
{
    h2o_iovec_t body = {.base = (char *)(uintptr_t)too_large, .len = sizeof(too_large) - 1};

    (void)bufs;
    (void)n;
    h2o_ostream_send_next(self, req, &body, 1, state);
}

static void on_refusal(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    (void)self;
    if (req->res.status == 413) {
        h2o_set_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE,
                       H2O_STRLIT("application/problem+json"), 1);
        req->res.content_length = sizeof(too_large) - 1;
        h2o_add_ostream(req, sizeof(h2o_ostream_t), slot)->do_send = send_too_large;
    }
    h2o_setup_next_ostream(req, slot);
}

void request_register(h2o_hostconf_t *host)
{
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    h2o_handler_t *handler = h2o_create_handler(path, sizeof(*handler));
    h2o_filter_t *filter = h2o_create_filter(&host->fallback_path, sizeof(*filter));

    handler->on_req = on_req;
    filter->on_setup_ostream = on_refusal;
}
