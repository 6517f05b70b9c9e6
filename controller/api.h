/* What a REST handler works with: its request, who calls, the database, and ways to answer. A handler runs on one
 * worker's thread, never blocks, and answers exactly once: at once, or in a continuation of api_db_send. Memory of a
 * request comes from its pool (api_alloc) and lives until the answer has been sent or the client has gone;
 * continuations of a client that has gone aren't called. */
#ifndef BERTH_CONTROLLER_API_H
#define BERTH_CONTROLLER_API_H

#include "controller.h"
#include "core/addr.h"
#include "core/doc.h"
#include "core/token.h"
#include "db.h"
#include "route.h"

#include <h2o.h>
#include <jansson.h>

enum {
    API_PAGE_DEFAULT = 100,
    API_PAGE_MAX = 500,
    API_CURSOR_MAX = 400, /* bytes inside a cursor */
    API_BODY_MAX = 1024 * 1024,
    API_RETRY_AFTER_S = 1, /* of a 429 that names no other; a 503 has HTTP's */
};

struct caller {
    enum caller_kind kind;
    char org[ORG_ID_MAX + 1];     /* "" of nobody and of the admin */
    char key_id[KEY_ID_MAX + 1];  /* of an org or node key, and of the key that signed a JWT */
    char agent[AGENT_ID_MAX + 1]; /* JWT: sub; else "" */
    unsigned grants;              /* JWT: enum grant; an org key has both */
    int64_t expires_s;            /* JWT: exp, Unix time; 0: never */
};

/* Called once the batch is committed (error 0), or refused by a constraint (error -ECANCELED and an sqlstate of
 * class 23); everything else has been answered already (503 or 500). `result` lives until it returns. */
typedef void api_db_cb(struct api_request *r, const struct db_result *result);

struct catalogue;
struct api_request {
    h2o_req_t *req;
    struct worker *worker;
    const struct controller *ctl; /* worker->ctl */
    const struct api_route *route;
    struct caller caller;
    const char *param[API_PATH_PARAMS_MAX]; /* in the pattern's order; checked by nobody yet */
    json_t *body;                           /* an object, or NULL where the route allows it */
    struct report *report;                  /* of API_BODY_REPORT; NULL: to be made of `body` */
    int64_t started_us, deadline_us;        /* clock_mono_us() */
    void *state;                            /* the handler's own, from api_alloc */
    char id[33];                            /* X-Request-Id */
    bool answered;
    api_handler *
        again; /* where a batch lost to a lock or a concurrent change: called in place of a 503; NULL: none */
    struct db_wait waited;  /* for the database */
    struct db_batch *batch; /* under way; the fields from here on are api.c's own */
    api_db_cb *then;
    bool patient;             /* has met a lock: its batches go over DB_TENANT_SLOW from then on */
    struct ingest_item *item; /* a report of this request waits for its commit */
    struct snapshot *snapshots[CONTROLLER_SNAPSHOTS_MAX];
};

/* ---- memory and data ---- */
void *api_alloc(struct api_request *r,
                size_t size); /* zeroed; never NULL (libh2o aborts when memory runs out) */
const char *api_strdup(struct api_request *r, const char *s);
/* The query's parameter, decoded; NULL where absent; the first one counts. */
const char *api_query(struct api_request *r, const char *name);
/* A request header's value or NULL; `name` in lower case. */
const char *api_request_header(struct api_request *r, const char *name);
/* The address that the request came from. False: not known. */
bool api_peer(struct api_request *r, struct addr *out);
/* Data of the newest snapshot of ctl->slots[i] as it was when this request first asked; NULL before the first one. */
const void *api_snapshot(struct api_request *r, enum controller_snapshot which);
/* The newest catalogue; NULL: there is none yet, and the request is answered. */
const struct catalogue *api_catalogue(struct api_request *r);

/* ---- answering ---- */
void api_header(struct api_request *r, const char *lower_case_name, const char *value); /* copied */
void api_json(struct api_request *r, int status, json_t *steal);                        /* NULL json: 500 */
/* An object and one member more, whose value is there as text already; as doc_text_with. */
void api_json_with(struct api_request *r, int status, json_t *steal, const char *name, const char *value);
void api_empty(struct api_request *r, int status); /* 204, 304 */
/* Whether to send the whole: false where the request's If-None-Match names this tag (in its quotes), which is a 304. */
bool api_none_match(struct api_request *r, const char *etag);
/* Counts and logs an answer that is sent by other means than these. */
void api_answered(struct api_request *r, int status);
void api_bytes(struct api_request *r, int status, const char *content_type, const char *body, size_t len);
/* application/problem+json. 401, 429 and 503 carry their headers. */
void api_problem(struct api_request *r, int status, const char *code, const char *detail);
void api_problem_at(struct api_request *r, int status, const char *code, const char *pointer,
                    const char *detail);
void api_doc_error(struct api_request *r, const struct doc_error *e); /* 422 with its code and pointer */

/* ---- the agent a call is about ----
 * A JWT speaks for its sub: `named` (of body or query, NULL where absent) must be absent or equal. An org key must name one.
 * NULL: answered already (agent_mismatch 403, agent_required 422, invalid_member 422). */
const char *api_agent(struct api_request *r, const char *named);
/* The body's member "agent" for api_agent: a wrong type counts as invalid. NULL: answered already. */
const char *api_body_agent(struct api_request *r);

/* ---- paging: ?limit=&cursor= ---- */
struct api_page {
    int limit;                      /* 1 to API_PAGE_MAX */
    char after[API_CURSOR_MAX + 1]; /* what the last page's cursor held; "" at the start */
};
/* False: answered already (400 bad_request). */
bool api_page(struct api_request *r, struct api_page *page);
/* {"items": items, "next": cursor or null}. Steals items. `last` is what `after` shall be for the next page; NULL: no more. Ask the
 * database for limit + 1 rows to know. */
void api_page_json(struct api_request *r, json_t *items, const char *last);
json_t *api_page_next(const char *last); /* the member "next" alone */

/* A list that is one statement. Its parameters are the handler's own, then the cursor's text ("" at the start), then
 * how many rows to give, one more than the page shows; its first column is what a cursor holds. */
struct api_list {
    enum db_role role;
    const struct db_stmt *stmt;
    json_t *(*item)(const PGresult *res, int row);
};
/* Answers with a page of it, or refuses the query. */
void api_list(struct api_request *r, const struct api_list *list, const struct db_param *own, size_t n);

/* ---- database ----
 * struct db_batch *b = api_db_begin(r, DB_TENANT);
 * if (b == NULL) return;                          answered already: 503
 * db_add(b, &stmt, params, n); ...
 * api_db_send(r, b, then);                        answers 503 itself where it fails */
struct db_batch *api_db_begin(struct api_request *r,
                              enum db_role role); /* the caller's org where it is a tenant's role */
struct db_batch *api_db_begin_org(struct api_request *r,
                                  const char *org); /* DB_TENANT_SLOW of another org: the admin's calls */
void api_db_send(struct api_request *r, struct db_batch *b, api_db_cb *then);
/* 503 for what the deadline has ended: whether that was the database's fault is seen from how long it had. */
void api_too_late(struct api_request *r);
/* Answers for a batch that failed: 503 where trying again may help, else 500 and a line in the log. */
void api_db_failed(struct api_request *r, const struct db_result *result);

#endif
