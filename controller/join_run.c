/* Looking, deciding, keeping. Invariant: what is answered has been committed, or needed no change; and who was moved by
 * it has its event in the same transaction. */
#include "join_run.h"

#include "admission.h"
#include "catalogue.h"
#include "join_events.h"
#include "join_keep.h"
#include "join_rows.h"
#include "lease.h"
#include "outbox.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A look at the meeting, with the catalogue that its nodes are of. */
struct join_look {
    struct snapshot *catalogue;
    struct join_scene scene;
};

static void look(struct join_run *j);

/* ---- the end ---- */

static void look_free(struct join_look *l)
{
    if (l == NULL)
        return;
    join_scene_clear(&l->scene);
    snapshot_release(l->catalogue);
    free(l);
}

static struct join_look *look_take(struct join_run *j)
{
    struct join_look *l = j->look;

    j->look = NULL;
    return l;
}

/* What waits for this run is the next one's; must come before `done`, after which the run may be no more. */
static void end_turns(struct join_run *j)
{
    join_turn_done(&j->worker->joins, &j->weighs);
    join_turn_done(&j->worker->joins, &j->turn);
}

static void clear(struct join_run *j)
{
    json_decref(j->answer);
    json_decref(j->told);
    free(j->why);
    j->answer = j->told = NULL;
    j->why = NULL;
    look_free(look_take(j));
}

static void finish(struct join_run *j, const struct join_end *end)
{
    end_turns(j);
    clear(j);
    j->done(j, end);
}

static void refuse(struct join_run *j, int status, const char *code, const char *detail)
{
    if (j->ask.agent != NULL)
        counter_add(&j->worker->counters, joins_refused, 1);
    finish(j, &(struct join_end){.status = status, .code = code, .detail = detail});
}

static void run_accept(struct join_run *j)
{
    struct join_end end = {.status = j->status, .answer = j->answer, .why = j->why, .moved = j->moved};
    char *why = j->why;

    j->answer = NULL;
    j->why = NULL;
    if (j->ask.agent != NULL)
        counter_add(&j->worker->counters, joins, 1);
    counter_add(&j->worker->counters, joins_predicted, j->predicted);
    counter_add(&j->worker->counters, moves, j->moved);
    finish(j, &end);
    free(why);
}

void join_run_drop(struct join_run *j)
{
    if (j->worker == NULL)
        return;
    if (j->batch != NULL)
        db_detach(j->batch);
    j->batch = NULL;
    end_turns(j);
    clear(j);
}

/* ---- the database ---- */

static bool weighs_much(const struct join_run *j)
{
    return j->ask.rows_max == JOIN_ROWS_MAX;
}

static void refuse_late(struct join_run *j)
{
    struct db_refusal no = db_refusal(-ETIMEDOUT, &j->waited, clock_mono_us() - j->started_us);

    if (weighs_much(j))
        no = (struct db_refusal){"overloaded", "too many large meetings are joined at once; try again soon"};
    refuse(j, 503, no.code, no.detail);
}

static struct db_batch *begin(struct join_run *j, enum db_role role)
{
    struct db_batch *b = NULL;
    struct db_refusal no;
    int e;

    if (j->patient)
        role = DB_TENANT_SLOW;
    e = db_begin(j->worker->db, role, j->ask.org, j->deadline_us, &b);
    if (e == 0)
        return b;
    if (e == -ETIMEDOUT) {
        refuse_late(j);
        return NULL;
    }
    no = db_refusal(e, NULL, 0);
    refuse(j, 503, no.code, no.detail);
    return NULL;
}

/* The plan was not kept, for sure. */
static void unseat(struct join_run *j)
{
    lease_give_back(j->worker->leases, j->lease, j->coming);
    j->lease = 0;
}

/* A lock was not to be had, or the meeting was ended under us: looked at again. */
static void on_done(void *ctx, const struct db_result *result)
{
    struct join_run *j = ctx;

    j->batch = NULL;
    db_wait_end(&j->waited, j->worker->db);
    if (result->error != 0)
        look_free(look_take(j));
    if (result->error == -ECANCELED)
        unseat(j);
    if (db_lost_to_others(result) ||
        (result->error == -ECANCELED && strncmp(result->sqlstate, "23", 2) == 0)) {
        j->patient = j->patient || db_lost_to_others(result);
        look(j);
    } else if (db_too_late(result)) {
        refuse_late(j);
    } else if (result->error != 0) {
        finish(j, &(struct join_end){.status = 503, .failed = result});
    } else {
        j->then(j, result);
    }
}

static void run_send(struct join_run *j, struct db_batch *b, db_done_cb *then)
{
    j->then = then;
    if (db_send(b, on_done, j) == 0) {
        j->batch = b;
        db_wait_begin(&j->waited, j->worker->db);
        return;
    }
    unseat(j);
    refuse(j, 503, "database_unavailable", "the database is away; try again soon");
}

/* ---- keeping a plan ---- */

static void kept(void *ctx, const struct db_result *result)
{
    struct join_run *j = ctx;

    if (join_kept(result->res[0])) {
        for (size_t i = 0; i < json_array_size(j->told); i++) {
            const struct outbox_event e = {json_string_value(json_array_get(j->told, i)), "assignment", ""};

            outbox_tell(j->worker->ctl->outbox, j->ask.org, &e, 1);
        }
        run_accept(j);
        return;
    }
    if (join_kept_no_lease(result->res[0]))
        lease_lost(j->worker->leases, j->lease);
    else
        unseat(j);
    j->lease = 0;
    counter_add(&j->worker->counters, join_conflicts, 1);
    if (join_keep_correct(&j->ask, result->res[0]))
        look(j);
    else
        refuse(j, 503, "no_node", "nodes fill up faster than they can be assigned; try again soon");
}

/* What is told, to be put with the plan; whom, to be remembered until it is committed. */
static void tell(struct join_run *j, struct join_scene *s, const struct join_columns *c, struct db_batch *b)
{
    struct outbox_event *events = join_scene_alloc(s, c->n, sizeof(*events));

    json_decref(j->told);
    j->told = json_array();
    j->moved = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->body[i] == NULL)
            continue;
        events[j->moved++] = (struct outbox_event){c->agent[i], "assignment", c->body[i]};
        json_array_append_new(j->told, json_string(c->agent[i]));
    }
    outbox_add(b, &s->pool, j->ask.org, events, j->moved);
}

/* Of one node alone: who needs seats of several has them counted. */
static void take_lease(struct join_run *j, const struct join_scene *s, const struct join_needs *n)
{
    size_t node = n->n == 1 ? join_scene_node(s, n->node[0], PLACE_NONE) : PLACE_NONE;

    if (node == PLACE_NONE || s->nodes[node]->capacity == 0)
        return;
    j->coming = strtoll(n->more[0], NULL, 10);
    j->lease = lease_take(j->worker->leases, n->org[0], n->node[0], j->coming);
}

static void keep(struct join_run *j, struct join_scene *s, const struct join_columns *c)
{
    struct db_batch *b = begin(j, DB_TENANT_WRITE);
    struct join_needs needs;

    if (b == NULL)
        return;
    join_needs(s, c, &needs);
    take_lease(j, s, &needs);
    join_keep_add(b, s, &j->ask, c, &needs, j->lease);
    join_predict_keep(b, s, &j->ask);
    tell(j, s, c, b);
    run_send(j, b, kept);
}

/* ---- looking and deciding ---- */

static void refuse_plan(struct join_run *j, struct join_scene *s)
{
    char obstacles[256], detail[512];
    unsigned why;

    if (s->plan.outcome == PLACE_NO_REGION) {
        refuse(j, 451, "no_region_allowed",
               "the meeting's policy allows none of the regions that have nodes");
        return;
    }
    why = join_obstacles(s, s->me, obstacles, sizeof(obstacles));
    if (s->problem.n_nodes == 0)
        snprintf(detail, sizeof(detail),
                 "no node has been heard of in the last ten minutes: start one, or look at its log");
    else
        snprintf(detail, sizeof(detail), "none of %zu nodes can be used: %s", s->problem.n_nodes, obstacles);
    join_tell_refusal(j->worker, s, &j->ask, why, detail);
    refuse(j, 503, "no_node", detail);
}

/* What the one who joins is told once the plan with that epoch is kept. */
static void answer(struct join_run *j, struct join_scene *s, int64_t epoch)
{
    const struct admission a = {j->ask.org, j->ask.meeting, j->ask.agent, s->now_us};

    j->answer = join_answer(s, s->me, epoch);
    j->why = join_why(s, s->me, WHY_CANDIDATES_MAX);
    admission_complete(j->worker->ctl, &a, j->answer);
}

static void carry_out(struct join_run *j, struct join_scene *s)
{
    struct join_columns c;

    if (s->me != PLACE_NONE && s->plan.seats[s->me].node == PLACE_NONE) {
        refuse_plan(j, s);
        return;
    }
    clear(j);
    j->status = 200;
    j->moved = 0;
    j->predicted = s->me != PLACE_NONE && s->people[s->me].prediction != NULL;
    if (s->me != PLACE_NONE) {
        join_tell_overload(j->worker, s, &j->ask);
        j->status = s->people[s->me].stored ? 200 : 201;
    } else {
        join_tell_stranded(j->worker, s, &j->ask);
    }
    join_diff(s, &j->ask, &c);
    if (s->me != PLACE_NONE)
        answer(j, s, c.n > 0 ? s->epoch + 1 : s->epoch);
    if (c.n == 0)
        run_accept(j);
    else
        keep(j, s, &c);
}

static void start_weighing(struct join_turn *t)
{
    look(H2O_STRUCT_FROM_MEMBER(struct join_run, weighs, t));
}

static void late_weighing(struct join_turn *t)
{
    refuse_late(H2O_STRUCT_FROM_MEMBER(struct join_run, weighs, t));
}

/* More rows than others' requests should wait for: when it is this one's turn, over the connection that nobody hurries on. */
static void weigh(struct join_run *j)
{
    if (weighs_much(j)) {
        refuse(j, 409, "meeting_full",
               "the live reports of those in the meeting are too many to be weighed together");
        return;
    }
    j->ask.rows_max = JOIN_ROWS_MAX;
    if (j->ask.agent != NULL && j->ask.predict == NULL)
        join_predict_newcomer(&j->predict, j->ask.network);
    j->ask.predict = &j->predict;
    j->weighs = (struct join_turn){.org = j->ask.org,
                                   .meeting = "",
                                   .deadline_us = j->deadline_us,
                                   .start = start_weighing,
                                   .late = late_weighing};
    if (!join_turn_take(&j->worker->joins, &j->weighs))
        late_weighing(&j->weighs);
}

/* Somebody has no live report: the next look asks what others tell of it. */
static bool predict(struct join_run *j, const struct join_scene *s)
{
    if (j->ask.predict != NULL || !join_predict_wanted(s, &j->predict))
        return false;
    j->ask.predict = &j->predict;
    return true;
}

static void fetched(void *ctx, const struct db_result *result);

/* Reports that this worker doesn't know yet: mostly of those who have joined through another one. */
static void fetch(struct join_run *j, struct join_look *l)
{
    struct db_batch *b = begin(j, weighs_much(j) ? DB_TENANT_SLOW : DB_TENANT);

    if (b == NULL) {
        look_free(l);
        return;
    }
    join_scene_fetch(&l->scene, b, &j->ask);
    j->look = l;
    run_send(j, b, fetched);
}

/* What is done about a look that has come to this. The look goes, and the run may be no more. */
static void conclude(struct join_run *j, struct join_look *l, int rc)
{
    if (rc == -EINPROGRESS) {
        fetch(j, l);
        return;
    }
    switch (rc) {
    case 0:
        if (predict(j, &l->scene))
            look(j);
        else
            carry_out(j, &l->scene);
        break;
    case -EAGAIN:
        j->ask.reports = NULL;
        look(j);
        break;
    case -ESTALE:
        look(j);
        break;
    case -EFBIG:
        weigh(j);
        break;
    case -ENOENT:
        refuse(j, 404, "unknown_meeting", "there is no such meeting");
        break;
    case -ESRCH:
        refuse(j, 404, "unknown_agent", "this agent is not in the meeting");
        break;
    case -ENOSPC:
        refuse(j, 409, "meeting_full", "the meeting has as many participants as one can have");
        break;
    default:
        refuse(j, 500, "internal", "what is stored of the meeting can't be read");
    }
    look_free(l);
}

static void fetched(void *ctx, const struct db_result *result)
{
    struct join_run *j = ctx;
    struct join_look *l = look_take(j);

    conclude(j, l, join_scene_fetched(&l->scene, &j->ask, result));
}

static void looked(void *ctx, const struct db_result *result)
{
    struct join_run *j = ctx;
    struct join_look *l = calloc(1, sizeof(*l));

    if (l != NULL)
        l->catalogue = snapshot_acquire(&j->worker->ctl->slots[SNAPSHOT_CATALOGUE]);
    if (l == NULL || l->catalogue == NULL) {
        look_free(l);
        refuse(j, 503, "database_unavailable", "the list of nodes has not been read yet; try again soon");
        return;
    }
    conclude(j, l, join_scene_build(&l->scene, &j->ask, l->catalogue->data, result));
}

static void look(struct join_run *j)
{
    struct db_batch *b = begin(j, weighs_much(j) ? DB_TENANT_SLOW : DB_TENANT);

    if (b == NULL)
        return;
    join_scene_read(b, &j->ask);
    run_send(j, b, looked);
}

static void start(struct join_turn *t)
{
    look(H2O_STRUCT_FROM_MEMBER(struct join_run, turn, t));
}

static void late(struct join_turn *t)
{
    refuse(H2O_STRUCT_FROM_MEMBER(struct join_run, turn, t), 503, "overloaded",
           "too many join this meeting at once; try again soon");
}

void join_run_start(struct join_run *j)
{
    j->ask.rows_max = JOIN_ROWS_LITTLE;
    j->ask.reports = j->worker->reports;
    j->turn = (struct join_turn){.org = j->ask.org,
                                 .meeting = j->ask.meeting,
                                 .deadline_us = j->deadline_us,
                                 .start = start,
                                 .late = late};
    if (!join_turn_take(&j->worker->joins, &j->turn))
        late(&j->turn);
}
