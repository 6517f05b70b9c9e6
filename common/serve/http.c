/* libh2o's HTTP as both daemons use it: limits, answers and problems, health.
 * Invariant: HTTP/2 has no way in, and every answer sent here has a length. */
#include "serve/http.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METRICS_CAP = 64 * 1024, METRICS_CAP_MAX = 4 * 1024 * 1024, READY_REASON_MAX = 128 };

void http_globalconf_init(h2o_globalconf_t *conf, const struct http_limits *limits)
{
    h2o_config_init(conf);
    conf->server_name = h2o_iovec_init(H2O_STRLIT("berth"));
    conf->max_request_entity_size = limits->body_max;
    conf->http1.req_timeout = (uint64_t)(limits->request_timeout_us / 1000);
    conf->http1.upgrade_to_http2 = 0;
}

struct status_title {
    int status;
    const char *title;
};

static const struct status_title titles[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

const char *http_status_title(int status)
{
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Unknown";
}

static void add_header(h2o_req_t *req, const h2o_token_t *token, const char *value)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, value, strlen(value));
    h2o_add_header(&req->pool, &req->res.headers, token, NULL, copy.base, copy.len);
}

void http_send(h2o_req_t *req, int status, const char *content_type, const char *body, size_t len)
{
    bool bodiless = status == 204 || status == 304; /* RFC 9110 8.6: no Content-Length of what isn't there */
    req->res.status = status;
    req->res.reason = http_status_title(status);
    if (!content_type || bodiless)
        len = 0;
    if (content_type && !bodiless)
        add_header(req, H2O_TOKEN_CONTENT_TYPE, content_type);
    if (!bodiless)
        req->res.content_length = len;
    h2o_send_inline(req, len > 0 ? body : "", len);
}

/* What isn't UTF-8 is left out. */
static void add_text(json_t *doc, const char *name, const char *value)
{
    if (doc && value)
        (void)json_object_set_new(doc, name, json_string(value));
}

char *http_problem_text(int status, const char *code, const char *detail, const char *pointer,
                        const char *request_id)
{
    json_t *doc = json_pack("{s:s,s:s,s:i,s:s}", "type", "about:blank", "title", http_status_title(status),
                            "status", status, "code", code);
    add_text(doc, "request_id", request_id);
    add_text(doc, "detail", detail);
    add_text(doc, "pointer", pointer);
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    json_decref(doc);
    return text;
}

int http_retry_after_s(void)
{
    return HTTP_RETRY_AFTER_MIN_S +
           (int)randombytes_uniform(HTTP_RETRY_AFTER_MAX_S - HTTP_RETRY_AFTER_MIN_S + 1);
}

void http_send_problem(h2o_req_t *req, int status, const char *code, const char *detail)
{
    char *text = http_problem_text(status, code, detail, NULL, NULL);
    if (status == 503) {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%d", http_retry_after_s());
        h2o_iovec_t v = h2o_strdup(&req->pool, seconds, strlen(seconds));
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("retry-after"), 0, NULL, v.base,
                              v.len);
    }
    const char *body = text ? text : HTTP_PROBLEM_BARE;
    http_send(req, status, "application/problem+json", body, strlen(body));
    free(text);
}

/* ---- health and metrics ---- */

enum health_kind { HEALTH_LIVE, HEALTH_READY, HEALTH_METRICS };

struct health_handler {
    h2o_handler_t super;
    enum health_kind kind;
    const char *path;
    struct health_opts opts;
};

static void send_ready(h2o_req_t *req, const struct health_opts *opts)
{
    char reason[READY_REASON_MAX] = "not ready";
    if (!opts->ready || opts->ready(opts->ctx, reason, sizeof(reason))) {
        http_send(req, 200, "text/plain", "ok\n", 3);
        return;
    }
    http_send_problem(req, 503, "not_ready", reason);
}

static void send_metrics(h2o_req_t *req, const struct health_opts *opts)
{
    struct metrics_text m = {0};
    char *buf = NULL;
    for (size_t cap = METRICS_CAP; cap <= METRICS_CAP_MAX; cap *= 2) {
        free(buf);
        buf = malloc(cap);
        if (!buf)
            break;
        metrics_init(&m, buf, cap);
        opts->metrics(opts->ctx, &m);
        if (!m.truncated)
            break;
    }
    if (buf && !m.truncated)
        http_send(req, 200, "text/plain; version=0.0.4; charset=utf-8", m.buf, m.len);
    else
        http_send_problem(req, 500, "internal", "the metrics did not fit into memory");
    free(buf);
}

static bool is_method(const h2o_req_t *req, const char *name)
{
    return h2o_memis(req->input.method.base, req->input.method.len, name, strlen(name));
}

static int on_health(h2o_handler_t *super, h2o_req_t *req)
{
    const struct health_handler *h = (const struct health_handler *)super;
    if (!h2o_memis(req->path_normalized.base, req->path_normalized.len, h->path, strlen(h->path)))
        return -1; /* a longer path: not ours */
    if (!is_method(req, "GET") && !is_method(req, "HEAD")) {
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("allow"), 0, NULL,
                              H2O_STRLIT("GET, HEAD"));
        http_send_problem(req, 405, "method_not_allowed", "only GET and HEAD");
        return 0;
    }
    add_header(req, H2O_TOKEN_CACHE_CONTROL, "no-store");
    if (h->kind == HEALTH_LIVE)
        http_send(req, 200, "text/plain", "ok\n", 3);
    else if (h->kind == HEALTH_READY)
        send_ready(req, &h->opts);
    else
        send_metrics(req, &h->opts);
    return 0;
}

static void register_one(h2o_hostconf_t *host, const char *path, enum health_kind kind,
                         const struct health_opts *opts)
{
    h2o_pathconf_t *conf = h2o_config_register_path(host, path, 0);
    struct health_handler *h = (struct health_handler *)h2o_create_handler(conf, sizeof(*h));
    h->super.on_req = on_health;
    h->kind = kind;
    h->path = path;
    h->opts = *opts;
}

void http_register_health(h2o_hostconf_t *host, const struct health_opts *opts)
{
    register_one(host, "/livez", HEALTH_LIVE, opts);
    register_one(host, "/readyz", HEALTH_READY, opts);
    if (opts->metrics)
        register_one(host, "/metrics", HEALTH_METRICS, opts);
}
