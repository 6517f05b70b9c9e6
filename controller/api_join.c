/* Joining a meeting: what the request says, and the answer. Invariant: what is answered has been committed, or
 * needed no change (join_run.c decides and keeps). */
#include "api_body.h"
#include "api_meetings.h"
#include "geo.h"
#include "join_run.h"

#include <string.h>

struct joining {
    struct join_run run; /* first: its end leads back here */
    struct api_request *r;
};

static void answer(struct join_run *run, const struct join_end *end)
{
    api_run_answer(((struct joining *)run)->r, end);
}

void api_run_answer(struct api_request *r, const struct join_end *end)
{
    if (end->failed != NULL)
        api_db_failed(r, end->failed);
    else if (end->code != NULL)
        api_problem(r, end->status, end->code, end->detail);
    else
        api_json_with(r, end->status, end->answer, "why", end->why);
}

/* The request has ended, answered or not. */
static void dispose(void *p)
{
    join_run_drop(p);
}

/* A name, or an object with its id, as in a report. */
static bool read_network(struct api_request *r, const char **out)
{
    const json_t *v = json_object_get(r->body, "network");

    if (json_is_object(v))
        v = json_object_get(v, "id");
    if (v == NULL || json_is_null(v))
        return true;
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v) ||
        !id_valid(json_string_value(v), NETWORK_ID_MAX))
        return body_refuse(r, "", "network", "the id of a network as in a report is wanted");
    *out = json_string_value(v);
    return true;
}

/* The addresses that it says it has, and, of an agent itself, the one that it comes from. An org's key speaks for
 * agents that are elsewhere. */
static bool read_place(struct api_request *r, struct join_predict *p)
{
    const json_t *v = json_object_get(json_object_get(r->body, "network"), "mapped_addresses"), *one;
    struct addr known[REPORT_MAPPED_MAX + 1];
    size_t i, n = 0;

    if (v != NULL && (!json_is_array(v) || json_array_size(v) > REPORT_MAPPED_MAX))
        return body_refuse(r, "/network", "mapped_addresses",
                           "an array of addresses as in a report is wanted");
    json_array_foreach(v, i, one)
    {
        const char *text = json_string_value(one);

        if (text == NULL || (addr_parse(&known[n], text) != 0 && addr_parse_ip(&known[n], text) != 0))
            return body_refuse(r, "/network", "mapped_addresses",
                               "an array of addresses as in a report is wanted");
        predict_nets_add(&p->own, &known[n++]);
    }
    if (r->caller.kind == CALLER_AGENT && api_peer(r, &known[n]))
        predict_nets_add(&p->seen, &known[n++]);
    geo_country_of(r->ctl->geo, known, n, p->country);
    return true;
}

static bool read_capabilities(struct api_request *r, int *out)
{
    const json_t *v = json_object_get(r->body, "capabilities");
    struct doc_error e;
    char at[sizeof(e.pointer) + sizeof("capabilities")];
    unsigned bits;

    if (v == NULL || json_is_null(v))
        return true;
    if (capabilities_from_json(v, &bits, &e) != 0) {
        snprintf(at, sizeof(at), "capabilities%s", e.pointer);
        return body_refuse(r, "", at, e.detail);
    }
    *out = (int)bits;
    return true;
}

void api_participant_join(struct api_request *r)
{
    struct joining *j = h2o_mem_alloc_shared(&r->req->pool, sizeof(*j), dispose);
    struct join_ask *ask = &j->run.ask;

    memset(j, 0, sizeof(*j));
    ask->capabilities = -1;
    if (!api_meeting_param(r) || !read_network(r, &ask->network) || !read_place(r, &j->run.predict) ||
        !read_capabilities(r, &ask->capabilities) || (ask->agent = api_body_agent(r)) == NULL)
        return;
    ask->org = r->caller.org;
    ask->meeting = r->param[0];
    j->r = r;
    j->run.worker = r->worker;
    j->run.started_us = r->started_us;
    j->run.deadline_us = r->deadline_us;
    j->run.done = answer;
    join_run_start(&j->run);
}
