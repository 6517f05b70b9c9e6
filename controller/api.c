/* What handlers answer and ask with. Invariant: a request is answered exactly once, and nothing of it is touched
 * after its pool is gone: a batch under way is detached by the pool's end (request.c). */
#include "api.h"

#include "migrate.h"
#include "router.h"
#include "serve/http.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory and data ---- */

void *api_alloc(struct api_request *r, size_t size)
{
    void *p = h2o_mem_alloc_pool(&r->req->pool, size > 0 ? size : 1);

    memset(p, 0, size);
    return p;
}

const char *api_strdup(struct api_request *r, const char *s)
{
    return h2o_strdup(&r->req->pool, s, strlen(s)).base;
}

const char *api_query(struct api_request *r, const char *name)
{
    const h2o_req_t *req = r->req;
    const char *p, *end;
    char *value;

    if (req->input.query_at == SIZE_MAX)
        return NULL;
    p = req->input.path.base + req->input.query_at + 1;
    end = req->input.path.base + req->input.path.len;
    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p)), *eq;
        const char *stop = amp != NULL ? amp : end;
        eq = memchr(p, '=', (size_t)(stop - p));
        if (eq == NULL)
            eq = stop;
        if ((size_t)(eq - p) == strlen(name) && memcmp(p, name, (size_t)(eq - p)) == 0) {
            size_t len = eq < stop ? (size_t)(stop - eq - 1) : 0;
            value = h2o_mem_alloc_pool(&r->req->pool, len + 1);
            /* A broken escape is kept as it is: no id looks like that, so it is refused as a value. */
            if (!percent_decode(stop - len, len, true, value, len + 1))
                snprintf(value, len + 1, "%.*s", (int)len, stop - len);
            return value;
        }
        p = stop + 1;
    }
    return NULL;
}

const char *api_request_header(struct api_request *r, const char *name)
{
    ssize_t at = h2o_find_header_by_str(&r->req->headers, name, strlen(name), -1);
    const h2o_token_t *token = h2o_lookup_token(name, strlen(name));

    if (token != NULL)
        at = h2o_find_header(&r->req->headers, token, -1);
    if (at < 0)
        return NULL;
    return h2o_strdup(&r->req->pool, r->req->headers.entries[at].value.base,
                      r->req->headers.entries[at].value.len)
        .base;
}

bool api_peer(struct api_request *r, struct addr *out)
{
    struct sockaddr_storage ss;

    memset(&ss, 0, sizeof(ss));
    (void)r->req->conn->callbacks->get_peername(r->req->conn, (struct sockaddr *)&ss);
    addr_from_sockaddr(out, (struct sockaddr *)&ss);
    return addr_is_set(out);
}

const void *api_snapshot(struct api_request *r, enum controller_snapshot which)
{
    if (r->snapshots[which] == NULL)
        r->snapshots[which] = snapshot_acquire(&r->ctl->slots[which]);
    return r->snapshots[which] != NULL ? r->snapshots[which]->data : NULL;
}

const struct catalogue *api_catalogue(struct api_request *r)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);

    if (c == NULL)
        api_problem(r, 503, "database_unavailable",
                    "the list of nodes has not been read yet; try again soon");
    return c;
}

/* ---- answering ---- */

void api_header(struct api_request *r, const char *lower_case_name, const char *value)
{
    h2o_iovec_t n = h2o_strdup(&r->req->pool, lower_case_name, strlen(lower_case_name));
    h2o_iovec_t v = h2o_strdup(&r->req->pool, value, strlen(value));

    h2o_add_header_by_str(&r->req->pool, &r->req->res.headers, n.base, n.len, 1, NULL, v.base, v.len);
}

void api_answered(struct api_request *r, int status)
{
    struct counters *c = &r->worker->counters;
    char method[16], path[256];

    assert(!r->answered);
    r->answered = true;
    if (status < 300)
        counter_add(c, requests_2xx, 1);
    else if (status < 400)
        counter_add(c, requests_3xx, 1);
    else if (status < 500)
        counter_add(c, requests_4xx, 1);
    else
        counter_add(c, requests_5xx, 1);
    if (!log_enabled(r->ctl->log, LOG_DEBUG))
        return;
    snprintf(method, sizeof(method), "%.*s", (int)r->req->input.method.len, r->req->input.method.base);
    snprintf(path, sizeof(path), "%.*s", (int)r->req->input.path.len, r->req->input.path.base);
    log_event(r->ctl->log, LOG_DEBUG, "http", "request", LOG_S("id", r->id), LOG_S("method", method),
              LOG_S("path", path), LOG_I("status", status), LOG_S("key", r->caller.key_id),
              LOG_I("us", clock_mono_us() - r->started_us));
}

/* RFC 9110 13.1.2: a list of tags, compared weakly. Our tags are plain hex, so a search for the quoted text is exact. */
bool api_none_match(struct api_request *r, const char *etag)
{
    const char *header = api_request_header(r, "if-none-match");

    return header == NULL || (strcmp(header, "*") != 0 && strstr(header, etag) == NULL);
}

void api_bytes(struct api_request *r, int status, const char *content_type, const char *body, size_t len)
{
    api_answered(r, status);
    http_send(r->req, status, content_type, body, len);
}

void api_empty(struct api_request *r, int status)
{
    api_bytes(r, status, NULL, NULL, 0);
}

/* Frees the text. */
static void answer_text(struct api_request *r, int status, char *text)
{
    if (text == NULL) {
        api_problem(r, 500, "internal", "the answer could not be written");
        return;
    }
    api_bytes(r, status, "application/json", text, strlen(text));
    free(text);
}

void api_json(struct api_request *r, int status, json_t *steal)
{
    char *text = steal != NULL ? json_dumps(steal, DOC_COMPACT) : NULL;

    json_decref(steal);
    answer_text(r, status, text);
}

void api_json_with(struct api_request *r, int status, json_t *steal, const char *name, const char *value)
{
    char *text = doc_text_with(steal, name, value);

    json_decref(steal);
    answer_text(r, status, text);
}

void api_problem_at(struct api_request *r, int status, const char *code, const char *pointer,
                    const char *detail)
{
    char *text = http_problem_text(status, code, detail, pointer, r->id);
    const char *body = text != NULL ? text : HTTP_PROBLEM_BARE;

    if (status == 401)
        api_header(r, "www-authenticate", "Bearer");
    if ((status == 503 || status == 429) &&
        h2o_find_header(&r->req->res.headers, H2O_TOKEN_RETRY_AFTER, -1) < 0) {
        char seconds[24];
        (void)db_i64(seconds, status == 503 ? http_retry_after_s() : API_RETRY_AFTER_S);
        api_header(r, "retry-after", seconds);
    }
    api_bytes(r, status, "application/problem+json", body, strlen(body));
    free(text);
}

void api_problem(struct api_request *r, int status, const char *code, const char *detail)
{
    api_problem_at(r, status, code, NULL, detail);
}

void api_doc_error(struct api_request *r, const struct doc_error *e)
{
    api_problem_at(r, 422, e->code, e->pointer, e->detail);
}

/* ---- the agent a call is about ---- */

const char *api_agent(struct api_request *r, const char *named)
{
    if (named != NULL && !agent_id_valid(named)) {
        api_problem_at(r, 422, "invalid_member", "/agent", "an agent's id is 1 to 128 of A-Z a-z 0-9 . _ -");
        return NULL;
    }
    if (r->caller.kind == CALLER_AGENT) {
        if (named == NULL || strcmp(named, r->caller.agent) == 0)
            return r->caller.agent;
        api_problem_at(r, 403, "agent_mismatch", "/agent", "the token is another agent's");
        return NULL;
    }
    if (named == NULL)
        api_problem_at(r, 422, "agent_required", "/agent", "with an org key, the agent must be named");
    return named;
}

const char *api_body_agent(struct api_request *r)
{
    const json_t *j = json_object_get(r->body, "agent");

    if (j != NULL && !json_is_string(j)) {
        api_problem_at(r, 422, "invalid_member", "/agent", "agent must be a string");
        return NULL;
    }
    return api_agent(r, json_string_value(j));
}

/* ---- database ---- */

static struct db_batch *begin(struct api_request *r, enum db_role role, const char *org)
{
    struct db_batch *b = NULL;
    struct db_refusal no;
    int e;

    if (r->patient && (role == DB_TENANT || role == DB_TENANT_WRITE))
        role = DB_TENANT_SLOW;
    e = db_begin(r->worker->db, role, org, r->deadline_us, &b);

    if (e == 0)
        return b;
    no = db_refusal(e, &r->waited, clock_mono_us() - r->started_us);
    api_problem(r, 503, no.code, no.detail);
    return NULL;
}

void api_too_late(struct api_request *r)
{
    struct db_refusal no = db_refusal(-ETIMEDOUT, &r->waited, clock_mono_us() - r->started_us);

    api_problem(r, 503, no.code, no.detail);
}

struct db_batch *api_db_begin(struct api_request *r, enum db_role role)
{
    return begin(r, role, db_role_of_org(role) ? r->caller.org : NULL);
}

struct db_batch *api_db_begin_org(struct api_request *r, const char *org)
{
    return begin(r, DB_TENANT_SLOW, org);
}

static void on_db_done(void *ctx, const struct db_result *result)
{
    struct api_request *r = ctx;

    r->batch = NULL;
    db_wait_end(&r->waited, r->worker->db);
    if (r->again != NULL && db_lost_to_others(result)) {
        r->patient = true;
        r->again(r);
    } else if (result->error == 0 ||
               (result->error == -ECANCELED && strncmp(result->sqlstate, "23", 2) == 0)) {
        r->then(r, result);
    } else {
        api_db_failed(r, result);
    }
}

void api_db_send(struct api_request *r, struct db_batch *b, api_db_cb *then)
{
    int e;

    assert(r->batch == NULL);
    r->then = then;
    e = db_send(b, on_db_done, r);
    if (e == 0) {
        r->batch = b;
        db_wait_begin(&r->waited, r->worker->db);
        return;
    }
    log_event(r->ctl->log, LOG_WARN, "db", "send_failed", LOG_S("id", r->id), LOG_S("error", strerror(-e)));
    if (e == -E2BIG)
        api_problem(r, 500, "internal", "something went wrong here; the log knows it by the request's id");
    else
        api_problem(r, 503, "database_unavailable", "the database is away; try again soon");
}

/* Failures that pass: serialization, deadlock, cancelled, lock not available, no resources, shutting down, a read-only standby. */
static bool is_transient(const char *sqlstate)
{
    static const char *const prefixes[] = {"40", "53", "55P03", "57", "08", "25006", "0A000", "26000", "58"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(sqlstate, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* Of statements that name what isn't there, in a database that was never migrated, or lags behind. */
static bool lacks_schema(const struct api_request *r)
{
    return atomic_load(&r->ctl->schema_version) < schema_version_needed();
}

void api_db_failed(struct api_request *r, const struct db_result *result)
{
    if (db_too_late(result)) {
        api_too_late(r);
        return;
    }
    if (result->error != -ECANCELED || is_transient(result->sqlstate)) {
        api_problem(r, 503, "database_unavailable", "the database could not do it in time; try again soon");
        return;
    }
    if (lacks_schema(r)) {
        api_problem(r, 503, "database_unavailable",
                    "the database's schema isn't the one that this program needs yet; try again soon");
        return;
    }
    log_event(r->ctl->log, LOG_ERROR, "db", "statement_failed", LOG_S("id", r->id),
              LOG_S("route", r->route->pattern), LOG_S("sqlstate", result->sqlstate),
              LOG_I("index", result->failed), LOG_S("error", result->message));
    api_problem(r, 500, "internal", "something went wrong here; the log knows it by the request's id");
}
