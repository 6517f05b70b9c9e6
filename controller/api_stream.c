/* GET /v1/stream, and what an org puts into it: the wish for a probe. Invariant: a stream is of one agent, the
 * caller's own or, with an org key, the one that is named. */
#include "api_body.h"
#include "modules.h"
#include "outbox.h"
#include "streams.h"

#include <string.h>

enum { PROBE_ASKED_S = 5 }; /* one that was asked for so lately counts for those that follow */

/* ---- the stream ---- */

/* What can't be an id of ours is older than all: a reset. */
static int64_t position_of(const char *last_event_id)
{
    int64_t v = 0;

    if (last_event_id == NULL || last_event_id[0] == '\0')
        return STREAM_FROM_NOW;
    for (const char *p = last_event_id; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || p - last_event_id >= 18)
            return 0;
        v = v * 10 + (*p - '0');
    }
    return v;
}

static void get_stream(struct api_request *r)
{
    const char *agent = api_agent(r, api_query(r, "agent"));
    const struct stream_start from = {agent, position_of(api_request_header(r, "last-event-id"))};

    if (agent == NULL)
        return;
    if (h2o_memis(r->req->input.method.base, r->req->input.method.len, H2O_STRLIT("HEAD")))
        api_bytes(r, 200, "text/event-stream", "", 0);
    else
        streams_open(r->worker->streams, r, &from);
}

/* ---- a probe ---- */

/* Known by a live report, by a meeting, or by what it was told lately. Where nothing is to be put, the statement
 * behind this one puts nothing. */
static const struct db_stmt known_stmt = {
    "stream_probe_known",
    "select k.known, case when not k.known or exists (select from outbox where org = $1 and agent = $2"
    "  and kind = 'probe' and at > now() - $3::bigint * interval '1 second') then " OUTBOX_VOID " end"
    " from (select exists (select from live_report($1, array[$2::text], null))"
    "  or exists (select from participant where org = $1 and agent = $2)"
    "  or exists (select from outbox_head where org = $1 and agent = $2) as known) k"};

static struct outbox_event wish(const struct api_request *r)
{
    return (struct outbox_event){r->param[0], "probe", "{\"reason\":\"asked\"}"};
}

static void asked(struct api_request *r, const struct db_result *result)
{
    const struct outbox_event e = wish(r);

    if (result->error != 0) {
        api_db_failed(r, result);
    } else if (!db_get_bool(result->res[0], 0, 0)) {
        api_problem(r, 404, "unknown_agent", "nothing is known of this agent");
    } else {
        if (db_get_i64(result->res[1], 0, 0) > 0)
            outbox_tell(r->ctl->outbox, r->caller.org, &e, 1);
        api_json(r, 202, json_object());
    }
}

static void ask_probe(struct api_request *r)
{
    const struct outbox_event e = wish(r);
    struct db_batch *b;
    char lately[24];

    if (!agent_id_valid(r->param[0])) {
        api_problem(r, 404, "unknown_agent", "nothing is known of this agent");
        return;
    }
    r->again = ask_probe;
    b = api_db_begin(r, DB_TENANT_WRITE);
    if (b == NULL)
        return;
    const struct db_param p[] = {db_text(r->caller.org), db_text(r->param[0]), db_i64(lately, PROBE_ASKED_S)};
    db_add(b, &known_stmt, p, sizeof(p) / sizeof(p[0]));
    outbox_add(b, &r->req->pool, r->caller.org, &e, 1);
    api_db_send(r, b, asked);
}

const struct api_route api_stream_routes[API_STREAM_ROUTES] = {
    {"GET", "/v1/stream", CALLER_ORG | CALLER_AGENT, 0, API_BODY_NONE, get_stream},
    {"POST", "/v1/agents/{agent}/probe", CALLER_ORG, 0, API_BODY_OPTIONAL, ask_probe},
};
