/* POST /v1/reports. Invariant: it is answered only when the report is committed, or refused for good, or when the client must try again. */
#include "api.h"
#include "catalogue.h"
#include "core/timefmt.h"
#include "geo.h"
#include "ingest.h"
#include "modules.h"
#include "report_store.h"
#include "reviews.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is needed once the row is in. */
struct posted {
    const char *agent;
    const char *report_id;
    char measured_at[24];
    bool of_calls;          /* alone */
    int64_t received_at_us; /* that it has if it is new; 0: it isn't */
    size_t n_calls;
    struct call_stretch *calls;
};

/* Neither a UUID nor an agent's id holds what JSON would have escaped. */
#define ANSWER "{\"report_id\":\"%s\",\"agent\":\"%s\",\"received_at\":\"%s\",\"expires_at\":\"%s\"}"
enum { ANSWER_MAX = sizeof(ANSWER) + 37 + AGENT_ID_MAX + 2 * TIME_TEXT_LEN };

static void answer(struct api_request *r, int status, int64_t received_at_us, int64_t expires_at_us)
{
    const struct posted *p = r->state;
    char received[TIME_TEXT_LEN], expires[TIME_TEXT_LEN], text[ANSWER_MAX];
    int len = snprintf(text, sizeof(text), ANSWER, p->report_id, p->agent,
                       time_format(received_at_us, received), time_format(expires_at_us, expires));

    api_bytes(r, status, "application/json", text, (size_t)len);
}

/* What calls measured counts once, where it was taken. A mesh node is its org's: it has no line of its own. */
static void calibrate(struct api_request *r)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);
    const struct posted *p = r->state;

    for (size_t i = 0; i < p->n_calls && c != NULL; i++) {
        const struct catalogue_node *n = catalogue_resolve(c, r->caller.org, p->calls[i].node);

        if (n != NULL)
            calibration_add(&r->worker->calibration, n->mesh ? NULL : n->id, &p->calls[i]);
    }
}

/* It is new. */
static void taken(struct api_request *r, int64_t received_at_us, int64_t expires_at_us)
{
    const struct posted *p = r->state;

    calibrate(r);
    if (!p->of_calls)
        reviews_reported(r->worker->reviews, r->caller.org, p->agent);
    answer(r, 201, received_at_us, expires_at_us);
}

static void on_repeat(struct api_request *r, const struct db_result *result)
{
    const struct posted *p = r->state;

    if (result->error != 0)
        api_db_failed(r, result);
    else if (PQntuples(result->res[0]) == 0) /* erased in between */
        api_problem(r, 503, "database_unavailable", "the report has just been erased");
    else if (p->received_at_us != 0 && db_get_i64(result->res[0], 0, 0) == p->received_at_us)
        taken(r, db_get_i64(result->res[0], 0, 0), db_get_i64(result->res[0], 0, 1));
    else
        answer(r, 200, db_get_i64(result->res[0], 0, 0), db_get_i64(result->res[0], 0, 1));
}

/* A repeat is answered with what the first one was answered. */
static void read_repeat(struct api_request *r)
{
    static const struct db_stmt stmt = {
        "berth_report_times",
        "select berth_us(received_at), berth_us(expires_at) from report where org = $1 and "
        "agent = $2 and report_id = $3::uuid and measured_at = berth_time($4::bigint)"};
    const struct posted *p = r->state;
    const struct db_param params[] = {db_text(r->caller.org), db_text(p->agent), db_text(p->report_id),
                                      db_text(p->measured_at)};
    struct db_batch *b = api_db_begin(r, DB_TENANT);

    if (b == NULL)
        return;
    db_add(b, &stmt, params, 4);
    api_db_send(r, b, on_repeat);
}

static void on_committed(struct api_request *r, enum ingest_outcome outcome, int64_t received_at_us,
                         int64_t expires_at_us)
{
    struct posted *p = r->state;

    switch (outcome) {
    case INGEST_NEW:
        taken(r, received_at_us, expires_at_us);
        break;
    case INGEST_UNSURE:
        p->received_at_us = received_at_us;
        read_repeat(r);
        break;
    case INGEST_REPEAT:
        read_repeat(r);
        break;
    case INGEST_EXPIRED:
        api_problem_at(r, 422, "report_expired", "/measured_at", "the report is older than a report lives");
        break;
    case INGEST_FUTURE:
        api_problem_at(r, 422, "report_in_future", "/measured_at", "measured_at is more than 60 s ahead");
        break;
    case INGEST_NO_PLACE:
        api_problem_at(r, 422, "report_no_place", "/measured_at",
                       "reports that were measured then are not kept here");
        break;
    case INGEST_LATE:
        api_too_late(r);
        break;
    case INGEST_FAILED:
        api_problem(r, 503, "database_unavailable", "the report could not be committed; send it again");
        break;
    }
}

/* False: answered. */
static bool nodes_known(struct api_request *r, const struct report *report)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);
    char pointer[48];

    if (c == NULL) {
        api_problem(r, 503, "database_unavailable", "the list of nodes isn't here yet");
        return false;
    }
    for (size_t i = 0; i < report->n_results; i++) {
        const char *node = report->results[i].node;
        if ((i > 0 && strcmp(node, report->results[i - 1].node) == 0) ||
            catalogue_knows(c, r->caller.org, node))
            continue;
        snprintf(pointer, sizeof(pointer), "/results/%zu/node", i);
        api_problem_at(r, 422, "unknown_node", pointer, "there is no such node");
        return false;
    }
    return true;
}

static void put(struct api_request *r, const struct report *report, const char *agent)
{
    struct posted *p = api_alloc(r, sizeof(*p));
    char country[COUNTRY_LEN + 1];
    struct report_row row;
    int e;

    p->agent = agent;
    p->report_id = api_strdup(r, report->report_id);
    (void)db_i64(p->measured_at, report->measured_at_us);
    p->of_calls = report_is_of_calls(report);
    p->received_at_us = 0;
    p->n_calls = report->n_calls;
    p->calls = api_alloc(r, report->n_calls * sizeof(*p->calls));
    for (size_t i = 0; i < report->n_calls; i++)
        p->calls[i] = report->calls[i];
    r->state = p;
    geo_country_of(r->ctl->geo, report->mapped, report->n_mapped, country);
    e = report_row_encode(&row, report, r->caller.org, agent, r->ctl->options->report_lifetime_s, country);
    if (e == 0)
        e = ingest_put(r->worker->ingest, r, &row, on_committed);
    if (e == 0)
        return;
    report_row_clear(&row);
    if (e == -ENOTCONN)
        api_problem(r, 503, "database_unavailable", "the database is away; send it again soon");
    else
        api_problem(r, 503, "overloaded", "too many reports are waiting; send it again soon");
}

/* False: answered. */
static bool report_is_there(struct api_request *r)
{
    struct doc_error e;
    int rc;

    if (r->report != NULL)
        return true;
    r->report = api_alloc(r, sizeof(*r->report));
    rc = report_from_json(r->body, r->report, &e);
    if (rc == -EINVAL)
        api_doc_error(r, &e);
    else if (rc != 0)
        api_problem(r, 503, "overloaded", "out of memory; send it again soon");
    return rc == 0;
}

/* Of whom it is, as far as this caller may say so; NULL: answered. */
static const char *report_agent(struct api_request *r)
{
    if (r->report == NULL)
        return api_body_agent(r);
    return api_agent(r, r->report->agent[0] != '\0' ? r->report->agent : NULL);
}

static void post_report(struct api_request *r)
{
    const char *agent = report_agent(r);

    if (agent == NULL || !report_is_there(r))
        return;
    if (nodes_known(r, r->report))
        put(r, r->report, api_strdup(r, agent));
    report_clear(r->report);
}

const struct api_route api_reports_routes[API_REPORTS_ROUTES] = {
    {"POST", "/v1/reports", CALLER_ORG | CALLER_AGENT, GRANT_PROBE, API_BODY_REPORT, post_report},
};
