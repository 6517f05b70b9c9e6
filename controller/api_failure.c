/* POST .../participants/{agent}/failure: this node did not work for me. Invariant: what failed is stored before
 * anything is decided, so whoever decides from then on knows it; a repeat changes nothing. */
#include "api_body.h"
#include "api_meetings.h"
#include "catalogue.h"
#include "core/timefmt.h"
#include "join_failures.h"
#include "join_run.h"
#include "modules.h"

#include <string.h>

enum {
    FAILURES_OF_AGENT_MAX = 32, /* that are avoided at a time; one more is a 429 */
    FAILURE_REASON_MAX = 200,
    FAILURES_RETRY_AFTER_S = 60,
};

struct failing {
    struct join_run run; /* first: its end leads back here */
    struct api_request *r;
    const struct catalogue_node *node; /* NULL: deleted, there is nothing to be avoided */
    enum transport transport;
    const char *reason;
    int64_t until_us;
};

static void answer(struct join_run *run, const struct join_end *end)
{
    struct failing *f = (struct failing *)run;
    char time[TIME_TEXT_LEN];

    if (end->answer != NULL && f->node != NULL)
        json_object_set_new(end->answer, "avoided",
                            json_pack("{s:s, s:s, s:s}", "node", f->node->id, "transport",
                                      transport_name(f->transport), "until", time_format(f->until_us, time)));
    api_run_answer(f->r, end);
}

static void decide(struct failing *f)
{
    f->run.worker = f->r->worker;
    f->run.deadline_us = f->r->deadline_us;
    f->run.done = answer;
    join_run_start(&f->run);
}

/* ---- storing ---- */

static const struct db_stmt put_stmt = {
    "failure_put", "select word, until_us from node_failure_put($1, $2, $3, $4, $5, $6::smallint, $7, "
                   "$8::bigint, $9::bigint)"};

static void put_done(struct api_request *r, const struct db_result *result)
{
    struct failing *f = r->state;
    const char *word;

    if (result->error != 0) {
        api_db_failed(r, result);
        return;
    }
    word = db_get(result->res[0], 0, 0);
    f->until_us = db_get_i64(result->res[0], 0, 1);
    if (strcmp(word, "no_meeting") == 0) {
        api_unknown_meeting(r);
    } else if (strcmp(word, "no_agent") == 0) {
        api_problem(r, 404, "unknown_agent", "this agent is not in the meeting");
    } else if (strcmp(word, "many") == 0) {
        char seconds[24];

        (void)db_i64(seconds, FAILURES_RETRY_AFTER_S);
        api_header(r, "retry-after", seconds);
        api_problem(r, 429, "rate_limited", "this agent has told of as many failures as are taken at a time");
    } else {
        if (strcmp(word, "new") == 0)
            counter_add(&r->worker->counters, failures, 1);
        decide(f);
    }
}

static void put(struct api_request *r)
{
    struct failing *f = r->state;
    struct db_batch *b = api_db_begin(r, DB_TENANT_WRITE);
    char transport[24], avoid[24], most[24];

    if (b == NULL)
        return;
    const struct db_param p[] = {
        db_text(f->run.ask.org), db_text(f->run.ask.meeting),    db_text(f->run.ask.agent),
        db_text(f->node->org),   db_text(f->node->id),           db_i64(transport, f->transport),
        db_text(f->reason),      db_i64(avoid, FAILURE_AVOID_S), db_i64(most, FAILURES_OF_AGENT_MAX)};
    db_add(b, &put_stmt, p, sizeof(p) / sizeof(p[0]));
    api_db_send(r, b, put_done);
}

/* ---- the request ---- */

static bool read_transport(struct api_request *r, enum transport *out)
{
    const char *name = json_string_value(json_object_get(r->body, "transport"));

    return (name != NULL && transport_parse(name, out) == 0) ||
           body_refuse(r, "", "transport", "udp, tcp, tls or proxy is wanted: what did not work");
}

/* The request has ended, answered or not. */
static void dispose(void *p)
{
    join_run_drop(p);
}

static void failure_post(struct api_request *r)
{
    const struct catalogue *c;
    struct failing *f = h2o_mem_alloc_shared(&r->req->pool, sizeof(*f), dispose);
    const char *node = NULL, *agent;

    memset(f, 0, sizeof(*f));
    r->state = f;
    f->r = r;
    if ((agent = api_agent(r, r->param[1])) == NULL || !api_meeting_param(r) ||
        !body_id(r, "node", NODE_ID_MAX, true, &node) || !read_transport(r, &f->transport) ||
        !body_text(r, "reason", FAILURE_REASON_MAX, false, &f->reason) || (c = api_catalogue(r)) == NULL)
        return;
    f->run.ask = (struct join_ask){
        .org = r->caller.org, .meeting = r->param[0], .agent = agent, .capabilities = -1, .stays = true};
    f->node = catalogue_resolve(c, r->caller.org, node);
    r->again = put;
    if (f->node != NULL)
        put(r);
    else if (catalogue_knows(c, r->caller.org, node))
        decide(f);
    else
        api_problem_at(r, 422, "unknown_node", "/node", "there is no such node");
}

const struct api_route api_failure_routes[API_FAILURE_ROUTES] = {
    {"POST", "/v1/meetings/{meeting}/participants/{agent}/failure", CALLER_ORG | CALLER_AGENT, GRANT_JOIN,
     API_BODY_OBJECT, failure_post},
};
