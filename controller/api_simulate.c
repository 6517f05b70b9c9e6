/* POST /v1/simulate: what would be decided for given measurements. Invariant: neither reads nor writes the database; the nodes are those that
 * the org sees, as they are now. */
#include "api.h"
#include "join_scene.h"
#include "modules.h"

static void answer(struct api_request *r, struct join_scene *s, const struct explain_ask *what)
{
    const char *last;
    json_t *j;

    if (what->agent != NULL && !join_scene_has(s, what->agent)) {
        api_problem(r, 404, "unknown_agent", "this agent is none of the participants");
        return;
    }
    j = join_explain(s, what, &last);
    if (j != NULL)
        json_object_set_new(j, "next", api_page_next(last));
    api_json(r, 200, j);
}

static void simulate_post(struct api_request *r)
{
    const struct catalogue *c;
    struct join_ask ask = {.org = r->caller.org, .capabilities = -1};
    struct explain_ask what = {.agent = api_query(r, "agent"), .given = true};
    struct api_page page;
    struct join_scene s;
    struct doc_error e;

    if (!api_page(r, &page) || (c = api_catalogue(r)) == NULL)
        return;
    what.limit = api_query(r, "limit") != NULL ? (size_t)page.limit : EXPLAIN_PEOPLE;
    what.after = page.after;
    if (join_scene_given(&s, &ask, c, r->body, &e) == 0)
        answer(r, &s, &what);
    else
        api_doc_error(r, &e);
    join_scene_clear(&s);
}

const struct api_route api_simulate_routes[API_SIMULATE_ROUTES] = {
    {"POST", "/v1/simulate", CALLER_ORG, 0, API_BODY_OBJECT, simulate_post},
};
