/* Joining a meeting: read, decide, and keep the plan only if the meeting's epoch is still the one that was read; else look again.
 * Invariant: what is answered has been committed, or needed no change. */
#include "api_body.h"
#include "api_meetings.h"
#include "join_scene.h"
#include "join_turn.h"
#include "lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct join {
    struct join_turn turn; /* of the meeting; first: its start leads back here */
    struct join_turn
        weighs; /* of the org: one at a time of its joins that weigh many reports; taken once a look has shown it */
    struct api_request *r;
    struct join_ask ask;
    json_t *answer; /* what is said once the plan is kept */
    int status;
    char node_org[ORG_ID_MAX + 1], node[NODE_ID_MAX + 1]; /* of the plan under way */
    int64_t lease, coming; /* the seats that it takes there, and whose they are; 0: the database counts */
};

static void look(struct join *j);

static struct join *join_of(struct api_request *r)
{
    return r->state;
}

/* What waits for this join is the next one's; must come before the answer, which may end the request. */
static void end_turns(struct join *j)
{
    join_turn_done(&j->r->worker->joins, &j->weighs);
    join_turn_done(&j->r->worker->joins, &j->turn);
}

/* Every join that is refused after its turn was taken ends here. */
static void refuse(struct join *j, int status, const char *code, const char *detail)
{
    counter_add(&j->r->worker->counters, joins_refused, 1);
    end_turns(j);
    api_problem(j->r, status, code, detail);
}

static void join_accept(struct join *j)
{
    json_t *answer = j->answer;

    j->answer = NULL;
    counter_add(&j->r->worker->counters, joins, 1);
    end_turns(j);
    api_json(j->r, j->status, answer);
}

/* ---- keeping a plan ---- */

/* Nothing is written unless the epoch is the one that was read and the node still takes them. Rows come as arrays, one element a
 * participant that moves or joins; the meeting's row is locked first, here and in leaving. */
static const struct db_stmt keep_stmt = {
    "join_keep",
    "with takes as materialized (select node_takes($4, $5, $6::bigint, $16::bigint) as word),"
    " won as (update meeting m set epoch = m.epoch + 1, node_org = $7, node = $8 from takes"
    "  where m.org = $1 and m.id = $2 and m.epoch = $3::bigint and takes.word = 'ok' returning m.org, m.id),"
    " put as (insert into participant as p (org, meeting, agent, node_org, node, transport, ladder, network, "
    "capabilities, lease)"
    "  select won.org, won.id, v.agent, v.node_org, v.node, v.transport, v.ladder::smallint[], v.network, "
    "v.capabilities, case when (v.node_org, v.node) = ($4, $5) then $16::bigint end"
    "  from won, unnest($9::text[], $10::text[], $11::text[], $12::smallint[], $13::text[], $14::text[], "
    "$15::smallint[])"
    "   as v (agent, node_org, node, transport, ladder, network, capabilities)"
    "  on conflict (org, meeting, agent) do update set node_org = excluded.node_org, node = excluded.node,"
    "   transport = excluded.transport, ladder = excluded.ladder, network = excluded.network,"
    "   capabilities = excluded.capabilities,"
    "   lease = case when (p.node_org, p.node) = (excluded.node_org, excluded.node) then p.lease else "
    "excluded.lease end, assigned_at = case when (p.node_org, p.node, p.transport)"
    "   is distinct from (excluded.node_org, excluded.node, excluded.transport) then now() else "
    "p.assigned_at end)"
    " select (select word from takes), (select count(*) from won)"};

/* It was not kept, for sure. */
static void unseat(struct join *j)
{
    lease_give_back(j->r->worker->leases, j->lease, j->coming);
    j->lease = 0;
}

static void kept(struct api_request *r, const struct db_result *result)
{
    struct join *j = join_of(r);
    const char *word;
    struct join_correction *c;

    if (result->error != 0) { /* the meeting was ended under us */
        unseat(j);
        look(j);
        return;
    }
    word = db_get(result->res[0], 0, 0);
    if (db_get_i64(result->res[0], 0, 1) == 1) {
        join_accept(j);
        return;
    }
    if (strcmp(word, "lease") == 0)
        lease_lost(r->worker->leases, j->lease);
    else
        unseat(j);
    counter_add(&r->worker->counters, join_conflicts, 1);
    if (strcmp(word, "ok") != 0 && strcmp(word, "lease") != 0) {
        if (j->ask.n_corrections == JOIN_CORRECTIONS_MAX) {
            refuse(j, 503, "no_node", "nodes fill up faster than they can be assigned; try again soon");
            return;
        }
        c = &j->ask.corrections[j->ask.n_corrections++];
        memcpy(c->org, j->node_org, sizeof(c->org));
        memcpy(c->node, j->node, sizeof(c->node));
        c->full = strcmp(word, "full") == 0;
    }
    look(j);
}

static void keep(struct join *j, struct join_scene *s, const struct join_columns *c)
{
    struct api_request *r = j->r;
    size_t node = s->plan.seats[s->me].node;
    bool common = s->plan.outcome == PLACE_COMMON;
    char epoch[24], coming[24], lease[24];
    struct db_batch *b = api_db_begin(r, DB_TENANT);

    if (b == NULL)
        return;
    snprintf(j->node_org, sizeof(j->node_org), "%s", s->nodes[node]->org);
    snprintf(j->node, sizeof(j->node), "%s", s->nodes[node]->id);
    j->coming = join_count_coming(s, node);
    j->lease =
        s->nodes[node]->capacity > 0 ? lease_take(r->worker->leases, j->node_org, j->node, j->coming) : 0;
    const struct db_param p[] = {
        db_text(j->ask.org),
        db_text(j->ask.meeting),
        db_i64(epoch, s->epoch),
        db_text(j->node_org),
        db_text(j->node),
        db_i64(coming, j->coming),
        db_text(common ? j->node_org : s->node_org),
        db_text(common ? j->node : s->node),
        db_text_array(&s->pool, c->agent, c->n),
        db_text_array(&s->pool, c->node_org, c->n),
        db_text_array(&s->pool, c->node, c->n),
        db_text_array(&s->pool, c->transport, c->n),
        db_text_array(&s->pool, c->ladder, c->n),
        db_text_array(&s->pool, c->network, c->n),
        db_text_array(&s->pool, c->capabilities, c->n),
        j->lease != 0 ? db_i64(lease, j->lease) : db_text(NULL),
    };
    db_add(b, &keep_stmt, p, sizeof(p) / sizeof(p[0]));
    api_db_send(r, b, kept);
}

/* ---- looking and deciding ---- */

static void refuse_plan(struct join *j, const struct join_scene *s)
{
    char obstacles[256], detail[512];

    if (s->plan.outcome == PLACE_NO_REGION) {
        refuse(j, 451, "no_region_allowed",
               "the meeting's policy allows none of the regions that have nodes");
        return;
    }
    join_obstacles(s, obstacles, sizeof(obstacles));
    if (s->problem.n_nodes == 0)
        snprintf(detail, sizeof(detail),
                 "no node has been heard of in the last ten minutes: start one, or look at its log");
    else
        snprintf(detail, sizeof(detail), "none of %zu nodes can be used: %s", s->problem.n_nodes, obstacles);
    refuse(j, 503, "no_node", detail);
}

static void carry_out(struct join *j, struct join_scene *s)
{
    struct join_columns c;

    if (s->plan.seats[s->me].node == PLACE_NONE) {
        refuse_plan(j, s);
        return;
    }
    json_decref(j->answer);
    j->answer = join_answer(s, &j->ask);
    j->status = s->people[s->me].stored ? 200 : 201;
    join_diff(s, &j->ask, &c);
    if (c.n == 0)
        join_accept(j);
    else
        keep(j, s, &c);
}

static void start_weighing(struct join_turn *t)
{
    look(H2O_STRUCT_FROM_MEMBER(struct join, weighs, t));
}

static void late_weighing(struct join_turn *t)
{
    refuse(H2O_STRUCT_FROM_MEMBER(struct join, weighs, t), 503, "overloaded",
           "too many large meetings are joined at once; try again soon");
}

/* More rows than others' requests should wait for: when it is this one's turn, over the connection that nobody hurries on. */
static void weigh(struct join *j)
{
    if (j->ask.rows_max == JOIN_ROWS_MAX) {
        refuse(j, 409, "meeting_full",
               "the live reports of those in the meeting are too many to be weighed together");
        return;
    }
    j->ask.rows_max = JOIN_ROWS_MAX;
    j->weighs = (struct join_turn){.org = j->ask.org,
                                   .meeting = "",
                                   .deadline_us = j->r->deadline_us,
                                   .start = start_weighing,
                                   .late = late_weighing};
    if (!join_turn_take(&j->r->worker->joins, &j->weighs))
        late_weighing(&j->weighs);
}

static void looked(struct api_request *r, const struct db_result *result)
{
    const struct catalogue *c = api_snapshot(r, SNAPSHOT_CATALOGUE);
    struct join *j = join_of(r);
    struct join_scene s;

    if (result->error != 0) {
        end_turns(j);
        api_db_failed(r, result);
        return;
    }
    switch (join_scene_build(&s, &j->ask, c, result)) {
    case 0:
        carry_out(j, &s);
        break;
    case -EFBIG:
        weigh(j);
        break;
    case -ENOENT:
        refuse(j, 404, "unknown_meeting", "there is no such meeting");
        break;
    case -ENOSPC:
        refuse(j, 409, "meeting_full", "the meeting has as many participants as one can have");
        break;
    default:
        refuse(j, 500, "internal", "what is stored of the meeting can't be read");
    }
    join_scene_clear(&s);
}

static void look(struct join *j)
{
    struct db_batch *b = api_db_begin(j->r, j->ask.rows_max == JOIN_ROWS_MAX ? DB_TENANT_SLOW : DB_TENANT);

    if (b == NULL)
        return;
    join_scene_read(b, &j->ask);
    api_db_send(j->r, b, looked);
}

/* ---- POST ---- */

static void start(struct join_turn *t)
{
    look((struct join *)t);
}

static void late(struct join_turn *t)
{
    refuse((struct join *)t, 503, "overloaded", "too many join this meeting at once; try again soon");
}

/* A lock was not to be had. */
static void look_again(struct api_request *r)
{
    unseat(join_of(r));
    look(join_of(r));
}

/* The request has ended, answered or not. */
static void join_dispose(void *p)
{
    struct join *j = p;

    json_decref(j->answer);
    if (j->r != NULL)
        end_turns(j);
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

static bool read_capabilities(struct api_request *r, int *out)
{
    const json_t *v = json_object_get(r->body, "capabilities");
    struct doc_error e;
    unsigned bits;

    if (v == NULL || json_is_null(v))
        return true;
    if (capabilities_from_json(v, &bits, &e) != 0)
        return body_refuse(r, "", "capabilities", e.detail);
    *out = (int)bits;
    return true;
}

void api_participant_join(struct api_request *r)
{
    struct join *j = h2o_mem_alloc_shared(&r->req->pool, sizeof(*j), join_dispose);

    memset(j, 0, sizeof(*j));
    r->state = j;
    j->ask.capabilities = -1;
    j->ask.rows_max = JOIN_ROWS_LITTLE;
    if (!api_meeting_param(r) || !read_network(r, &j->ask.network) ||
        !read_capabilities(r, &j->ask.capabilities) || (j->ask.agent = api_body_agent(r)) == NULL)
        return;
    if (api_snapshot(r, SNAPSHOT_CATALOGUE) == NULL) {
        api_problem(r, 503, "database_unavailable",
                    "the list of nodes has not been read yet; try again soon");
        return;
    }
    j->ask.org = r->caller.org;
    j->ask.meeting = r->param[0];
    j->turn = (struct join_turn){.org = j->ask.org,
                                 .meeting = j->ask.meeting,
                                 .deadline_us = r->deadline_us,
                                 .start = start,
                                 .late = late};
    j->r = r;
    r->again = look_again;
    if (!join_turn_take(&r->worker->joins, &j->turn))
        late(&j->turn);
}
