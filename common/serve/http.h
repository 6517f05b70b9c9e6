/* libh2o as both daemons use it: HTTP/1.1 only, bounded. And the small listener for health and metrics. */
#ifndef BERTH_SERVE_HTTP_H
#define BERTH_SERVE_HTTP_H

#include "core/metrics.h"
#include "serve/listener.h"

#include <h2o.h>

struct http_limits {
    size_t body_max;            /* max_request_entity_size */
    int64_t request_timeout_us; /* headers, body and keep-alive idle */
};

/* Defaults of a globalconf: no HTTP/2 by any way in (upgrade_to_http2 = 0), server_name "berth", limits. */
void http_globalconf_init(h2o_globalconf_t *conf, const struct http_limits *limits);

/* Once all paths are registered: 400 and the end of the connection to requests whose length or host could be read in two ways. */
void http_check_framing(h2o_globalconf_t *conf);

const char *http_status_title(int status);
/* In place of h2o_context_dispose, which asserts when a shutdown was requested less than a second ago. */
void http_context_dispose(h2o_context_t *ctx);

/* Sends a whole answer. `body` is copied into the request's pool. content_type NULL: no body. */
void http_send(h2o_req_t *req, int status, const char *content_type, const char *body, size_t len);
/* RFC 9457 as text, to be freed: {"type":"about:blank","title","status","code","detail","pointer","request_id"};
 * what is NULL is left out. NULL: out of memory, to be answered with HTTP_PROBLEM_BARE. */
char *http_problem_text(int status, const char *code, const char *detail, const char *pointer,
                        const char *request_id);
#define HTTP_PROBLEM_BARE "{\"type\":\"about:blank\"}"
/* Retry-After of a 503, by chance: many get it at once, and shall not come back at once. */
enum { HTTP_RETRY_AFTER_MIN_S = 1, HTTP_RETRY_AFTER_MAX_S = 3 };
int http_retry_after_s(void);
/* RFC 9457 application/problem+json: {"type":"about:blank","title","status","code","detail"}, with Retry-After where it
 * is a 503. */
void http_send_problem(h2o_req_t *req, int status, const char *code, const char *detail);

/* GET /livez, /readyz and /metrics on a clear listener of its own. Callbacks run on the loop's thread and must not block. */
struct health_opts {
    /* 0 ready; else false with a reason for people. */
    bool (*ready)(void *ctx, char *reason, size_t cap);
    void (*metrics)(void *ctx, struct metrics_text *m);
    void *ctx;
};
/* Registers the handlers on a host of `conf` (paths as given; /metrics only where opts->metrics is set). `opts` is copied. */
void http_register_health(h2o_hostconf_t *host, const struct health_opts *opts);

#endif
