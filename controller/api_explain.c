/* GET /v1/meetings/{meeting}/explain: what would be decided now, and why. Invariant: nothing is written, and one org's looks are one after
 * another on a worker, over the connection that nobody hurries on. */
#include "api_meetings.h"
#include "join_predict.h"
#include "join_scene.h"
#include "join_turn.h"
#include "modules.h"

#include <errno.h>
#include <string.h>

struct explaining {
    struct join_turn turn; /* of the org; first: its start leads back here */
    struct api_request *r;
    struct join_ask ask;
    struct join_predict predict; /* asked for once a look has shown that somebody has no live report */
    struct explain_ask what;
    struct api_page page;
};

/* Before the answer, which may end the request. */
static void end_turn(struct explaining *e)
{
    join_turn_done(&e->r->worker->joins, &e->turn);
}

static void refuse(struct explaining *e, int status, const char *code, const char *detail)
{
    end_turn(e);
    api_problem(e->r, status, code, detail);
}

static void answer(struct explaining *e, struct join_scene *s)
{
    const char *last;
    json_t *j;

    if (e->what.agent != NULL && !join_scene_has(s, e->what.agent)) {
        refuse(e, 404, "unknown_agent", "this agent is not in the meeting");
        return;
    }
    j = join_explain(s, &e->what, &last);
    if (j != NULL) {
        json_object_set_new(j, "meeting", json_string(e->ask.meeting));
        json_object_set_new(j, "next", api_page_next(last));
    }
    end_turn(e);
    api_json(e->r, 200, j);
}

static void start(struct join_turn *t);

static void looked(struct api_request *r, const struct db_result *result)
{
    struct explaining *e = r->state;
    struct join_scene s;

    if (result->error != 0) {
        end_turn(e);
        api_db_failed(r, result);
        return;
    }
    switch (join_scene_build(&s, &e->ask, api_snapshot(r, SNAPSHOT_CATALOGUE), result)) {
    case 0:
        if (e->ask.predict == NULL && join_predict_wanted(&s, &e->predict)) {
            e->ask.predict = &e->predict;
            start(&e->turn);
        } else {
            answer(e, &s);
        }
        break;
    case -EFBIG:
        refuse(e, 409, "meeting_full",
               "the live reports of those in the meeting are too many to be weighed together");
        break;
    case -ENOENT:
        refuse(e, 404, "unknown_meeting", "there is no such meeting");
        break;
    default:
        refuse(e, 500, "internal", "what is stored of the meeting can't be read");
    }
    join_scene_clear(&s);
}

static void start(struct join_turn *t)
{
    struct explaining *e = (struct explaining *)t;
    struct db_batch *b = api_db_begin(e->r, DB_TENANT_SLOW);

    if (b == NULL)
        return;
    join_scene_read(b, &e->ask);
    api_db_send(e->r, b, looked);
}

static void late(struct join_turn *t)
{
    struct explaining *e = (struct explaining *)t;

    api_problem(e->r, 503, "overloaded", "too many large meetings are looked at at once; try again soon");
}

/* The request has ended, answered or not. */
static void dispose(void *p)
{
    struct explaining *e = p;

    if (e->r != NULL)
        end_turn(e);
}

static void explain_get(struct api_request *r)
{
    struct explaining *e = h2o_mem_alloc_shared(&r->req->pool, sizeof(*e), dispose);

    memset(e, 0, sizeof(*e));
    r->state = e;
    e->what.agent = api_query(r, "agent");
    if (!api_meeting_param(r) || !api_page(r, &e->page))
        return;
    if (e->what.agent != NULL && !agent_id_valid(e->what.agent)) {
        api_problem(r, 404, "unknown_agent", "this agent is not in the meeting");
        return;
    }
    if (api_catalogue(r) == NULL)
        return;
    e->what.limit = api_query(r, "limit") != NULL ? (size_t)e->page.limit : EXPLAIN_PEOPLE;
    e->what.after = e->page.after;
    e->ask = (struct join_ask){
        .org = r->caller.org, .meeting = r->param[0], .capabilities = -1, .rows_max = JOIN_ROWS_MAX};
    e->turn = (struct join_turn){
        .org = r->caller.org, .meeting = "", .deadline_us = r->deadline_us, .start = start, .late = late};
    e->r = r;
    if (!join_turn_take(&r->worker->joins, &e->turn))
        late(&e->turn);
}

const struct api_route api_explain_routes[API_EXPLAIN_ROUTES] = {
    {"GET", "/v1/meetings/{meeting}/explain", CALLER_ORG, 0, API_BODY_NONE, explain_get},
};
