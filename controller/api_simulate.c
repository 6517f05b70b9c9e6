/* POST /v1/simulate: what would be decided for given measurements. Invariant: neither reads nor writes the database; the nodes are those that
 * the org sees, as they are now; and one org's simulations and explanations are one after another on a worker. */
#include "api.h"
#include "join_scene.h"
#include "join_turn.h"
#include "modules.h"

#include <string.h>

struct simulating {
    struct join_turn turn; /* of the org; first: its start leads back here */
    struct api_request *r;
    struct explain_ask what;
    struct api_page page;
};

/* Before the answer, which may end the request. */
static void end_turn(struct simulating *e)
{
    join_turn_done(&e->r->worker->joins, &e->turn);
}

static void answer(struct simulating *e, struct join_scene *s)
{
    const char *last;
    json_t *j;

    if (e->what.agent != NULL && !join_scene_has(s, e->what.agent)) {
        end_turn(e);
        api_problem(e->r, 404, "unknown_agent", "this agent is none of the participants");
        return;
    }
    j = join_explain(s, &e->what, &last);
    if (j != NULL)
        json_object_set_new(j, "next", api_page_next(last));
    end_turn(e);
    api_json(e->r, 200, j);
}

static void start(struct join_turn *t)
{
    struct simulating *e = (struct simulating *)t;
    struct join_ask ask = {.org = e->r->caller.org, .capabilities = -1};
    struct join_scene s;
    struct doc_error wrong;

    if (join_scene_given(&s, &ask, api_snapshot(e->r, SNAPSHOT_CATALOGUE), e->r->body, &wrong) == 0) {
        answer(e, &s);
    } else {
        end_turn(e);
        api_doc_error(e->r, &wrong);
    }
    join_scene_clear(&s);
}

static void late(struct join_turn *t)
{
    struct simulating *e = (struct simulating *)t;

    api_problem(e->r, 503, "overloaded", "too many large meetings are looked at at once; try again soon");
}

/* The request has ended, answered or not. */
static void dispose(void *p)
{
    struct simulating *e = p;

    if (e->r != NULL)
        end_turn(e);
}

static void simulate_post(struct api_request *r)
{
    struct simulating *e = h2o_mem_alloc_shared(&r->req->pool, sizeof(*e), dispose);

    memset(e, 0, sizeof(*e));
    r->state = e;
    if (!api_page(r, &e->page) || api_catalogue(r) == NULL)
        return;
    e->what = (struct explain_ask){.agent = api_query(r, "agent"), .given = true};
    e->what.limit = api_query(r, "limit") != NULL ? (size_t)e->page.limit : EXPLAIN_PEOPLE;
    e->what.after = e->page.after;
    e->turn = (struct join_turn){
        .org = r->caller.org, .meeting = "", .deadline_us = r->deadline_us, .start = start, .late = late};
    e->r = r;
    if (!join_turn_take(&r->worker->joins, &e->turn))
        late(&e->turn);
}

const struct api_route api_simulate_routes[API_SIMULATE_ROUTES] = {
    {"POST", "/v1/simulate", CALLER_ORG, 0, API_BODY_OBJECT, simulate_post},
};
