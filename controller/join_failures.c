/* Failures in a scene. Invariant: a participant is offered what failed for it only when it would have nothing else. */
#include "join_failures.h"

#include "join_rows.h"

#include <string.h>

static const struct db_stmt failures_stmt = {
    "join_failures", "select f.agent, f.node_org, f.node, f.transport"
                     " from (select agent from participant where org = $1 and meeting = $2"
                     "  union select $3::text where $3::text is not null) asked"
                     " join node_failure f on f.org = $1 and f.agent = asked.agent collate \"C\""
                     " where f.at > now() - $4::bigint * interval '1 second' order by 1, 2, 3, 4"};

void join_failures_read(struct db_batch *b, const struct join_ask *ask)
{
    char seconds[24];
    const struct db_param p[] = {db_text(ask->org), db_text(ask->meeting), db_text(ask->agent),
                                 db_i64(seconds, FAILURE_AVOID_S)};

    db_add(b, &failures_stmt, p, 4);
}

static void note(struct join_person *who, size_t node, unsigned transport)
{
    size_t k = 0;

    while (k < who->n_avoid && who->avoid[k].node != node)
        k++;
    if (k == who->n_avoid)
        who->avoid[who->n_avoid++] = (struct join_avoid){.node = node};
    who->avoid[k].transports |= 1u << transport;
}

static unsigned avoided(const struct join_person *who, size_t node)
{
    for (size_t k = 0; k < who->n_avoid; k++) {
        if (who->avoid[k].node == node)
            return who->avoid[k].transports;
    }
    return 0;
}

/* Is there another way to this node, by what it, the policy and the participant have? Without measurements there is none to choose by. */
static bool other_way(const struct join_scene *s, const struct place_participant *p,
                      const struct place_row *rows, size_t node)
{
    unsigned can =
        p->capabilities & s->problem.nodes[node].transports & meeting_policy_place(&s->policy).transports;

    for (size_t k = 0; k < p->n_rows; k++) {
        if (rows[k].node == node && rows[k].reachable && (can & (1u << rows[k].transport)))
            return true;
    }
    return false;
}

/* Rows over what failed say "not reachable"; a node that has no other way is barred. */
static void bar(struct join_scene *s, struct join_person *who, struct place_participant *p)
{
    struct place_row *rows = join_scene_alloc(s, p->n_rows, sizeof(*rows));
    size_t *failed = join_scene_alloc(s, who->n_avoid, sizeof(*failed));

    if (p->n_rows > 0)
        memcpy(rows, p->rows, p->n_rows * sizeof(*rows));
    for (size_t k = 0; k < p->n_rows; k++) {
        if (avoided(who, rows[k].node) & (1u << rows[k].transport))
            rows[k].reachable = false;
    }
    who->bare_rows = p->rows;
    p->rows = rows;
    for (size_t k = 0; k < who->n_avoid; k++) {
        if (!other_way(s, p, rows, who->avoid[k].node))
            failed[p->n_failed++] = who->avoid[k].node;
    }
    p->failed = failed;
}

/* Rows come by agent: those of the one that `row` is of. */
static int run_end(const PGresult *res, int row)
{
    int end = row + 1;

    while (end < PQntuples(res) && strcmp(db_get(res, end, 0), db_get(res, row, 0)) == 0)
        end++;
    return end;
}

static void take_run(struct join_scene *s, const PGresult *res, int row, int end, struct join_person *who)
{
    who->avoid = join_scene_alloc(s, (size_t)(end - row), sizeof(*who->avoid));
    for (; row < end; row++) {
        size_t node = join_scene_node(s, db_get(res, row, 2), PLACE_NONE);
        int64_t transport = db_get_i64(res, row, 3);

        if (node != PLACE_NONE && transport < TRANSPORT_COUNT &&
            strcmp(s->nodes[node]->org, db_get(res, row, 1)) == 0)
            note(who, node, (unsigned)transport);
    }
}

void join_failures_note(struct join_scene *s, const PGresult *res)
{
    for (int row = 0, end = 0; row < PQntuples(res); row = end) {
        size_t i = join_rows_person(s, db_get(res, row, 0));

        end = run_end(res, row);
        if (i != PLACE_NONE)
            take_run(s, res, row, end, &s->people[i]);
    }
}

void join_failures_bar(struct join_scene *s)
{
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (s->people[i].n_avoid > 0)
            bar(s, &s->people[i], &s->participants[i]);
    }
}

bool join_failures_lift(struct join_scene *s)
{
    struct place_participant *p = s->participants;
    bool any = false;

    for (size_t i = 0; i < s->problem.n_participants; i++) {
        struct join_person *who = &s->people[i];

        if (s->plan.seats[i].node != PLACE_NONE || who->n_avoid == 0 || who->lifted)
            continue;
        p[i].rows = who->bare_rows;
        p[i].n_failed = 0;
        who->lifted = any = true;
    }
    return any;
}

void join_failures_order(struct join_scene *s)
{
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        struct place_seat *seat = &s->plan.seats[i];
        unsigned last = avoided(&s->people[i], seat->node);
        enum transport ladder[TRANSPORT_COUNT];
        size_t n = 0;

        for (size_t k = 0; k < seat->n_ladder; k++) {
            if (!(last & (1u << seat->ladder[k])))
                ladder[n++] = seat->ladder[k];
        }
        for (size_t k = 0; k < seat->n_ladder; k++) {
            if (last & (1u << seat->ladder[k]))
                ladder[n++] = seat->ladder[k];
        }
        memcpy(seat->ladder, ladder, n * sizeof(ladder[0]));
    }
}
