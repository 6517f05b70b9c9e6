/* The rows of one look. Invariant: what is decided on is exactly what the statements of one transaction saw, the meeting's epoch read
 * first; so a plan kept under that epoch was made on nothing older. */
#include "join_rows.h"

#include "join_failures.h"
#include "join_predict.h"

#include <errno.h>
#include <string.h>

enum { RESULT_MEETING, RESULT_PEOPLE, RESULT_MINE, RESULT_OTHERS, RESULT_FAILURES, RESULT_PREDICTION };

static const struct db_stmt meeting_stmt = {
    "join_meeting", "select epoch, policy, node_org, node, berth_us(clock_timestamp()) from meeting"
                    " where org = $1 and id = $2"};

static const struct db_stmt people_stmt = {
    "join_people", "select agent, network, capabilities, node_org, node, transport, ladder, guessed,"
                   " case when moved_at is null then 0 else greatest(berth_us(now()) - berth_us(moved_at), "
                   "1) end from participant"
                   " where org = $1 and meeting = $2 order by agent"};

/* The newcomer's live report as a whole: addresses and proxies are of use in its ladder. */
static const struct db_stmt mine_stmt = {
    "join_mine",
    "select " REPORT_COLUMNS
    " from live_report($1, array[$2::text], array[coalesce($3::text, (select network from participant"
    "  where $4::boolean and org = $1 and meeting = $5 and agent = $2))]) r"};

/* The live reports of everybody else in the meeting, each for the network it named; where they have too many rows together, how many. */
static const struct db_stmt others_stmt = {
    "join_others",
    "with live as materialized (select r.*"
    "  from (select array_agg(agent::text) as agents, array_agg(network::text) as networks from participant"
    "   where org = $1 and meeting = $2 and agent is distinct from $3) asked,"
    "  live_report($1, asked.agents, asked.networks) r),"
    " total as (select coalesce(sum(cardinality(node)), 0) as rows from live)"
    " select total.rows, " REPORT_BRIEF_COLUMNS " from total left join live r on total.rows <= $4::bigint"};
enum { OTHERS_ROWS, OTHERS_REPORT };

void join_scene_read(struct db_batch *b, const struct join_ask *ask)
{
    char most[24];
    const struct db_param p[] = {db_text(ask->org), db_text(ask->meeting), db_text(ask->agent),
                                 db_i64(most, ask->rows_max)};
    const struct db_param mine[] = {db_text(ask->org), db_text(ask->agent), db_text(ask->network),
                                    db_bool(ask->stays), db_text(ask->meeting)};

    db_add(b, &meeting_stmt, p, 2);
    db_add(b, &people_stmt, p, 2);
    db_add(b, &mine_stmt, mine, 5);
    db_add(b, &others_stmt, p, 4);
    join_failures_read(b, ask);
    if (ask->predict != NULL)
        join_predict_read(b, ask);
}

static const char *scene_text(struct join_scene *s, const PGresult *res, int row, int col)
{
    return db_null(res, row, col) ? NULL : h2o_strdup(&s->pool, db_get(res, row, col), SIZE_MAX).base;
}

/* ---- the meeting and its people ---- */

int join_rows_meeting(struct join_scene *s, const struct db_result *result)
{
    const PGresult *res = result->res[RESULT_MEETING];
    struct doc_error e;

    if (PQntuples(res) == 0)
        return -ENOENT;
    s->epoch = db_get_i64(res, 0, 0);
    s->now_us = db_get_i64(res, 0, 4);
    s->policy_json = json_loads(db_get(res, 0, 1), 0, NULL);
    if (s->policy_json == NULL || meeting_policy_from_json(s->policy_json, &s->policy, &e) != 0)
        return -EBADMSG;
    s->node_org = scene_text(s, res, 0, 2);
    s->node = scene_text(s, res, 0, 3);
    return 0;
}

static void read_person(struct join_scene *s, const PGresult *res, int row, struct join_person *who)
{
    *who = (struct join_person){
        .agent = scene_text(s, res, row, 0),
        .network = scene_text(s, res, row, 1),
        .capabilities = db_null(res, row, 2) ? -1 : (int)db_get_i64(res, row, 2),
        .stored = true,
        .node_org = scene_text(s, res, row, 3),
        .node = scene_text(s, res, row, 4),
        .transport = (int)db_get_i64(res, row, 5),
        .ladder = scene_text(s, res, row, 6),
        .guessed = db_get_bool(res, row, 7),
        .moved_ago_us = db_get_i64(res, row, 8),
    };
}

/* Among those who were there before; they come by agent. n_stored: not there. */
static size_t find_stored(const struct join_scene *s, const char *agent)
{
    size_t lo = 0, hi = s->n_stored;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(s->people[mid].agent, agent);

        if (c == 0)
            return mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return s->n_stored;
}

size_t join_rows_person(const struct join_scene *s, const char *agent)
{
    size_t i = find_stored(s, agent);

    if (i < s->n_stored)
        return i;
    return s->me == s->n_stored && strcmp(s->people[i].agent, agent) == 0 ? i : PLACE_NONE;
}

int join_rows_people(struct join_scene *s, const struct join_ask *ask, const struct db_result *result)
{
    const PGresult *res = result->res[RESULT_PEOPLE];

    s->n_stored = (size_t)PQntuples(res);
    s->people = join_scene_alloc(s, s->n_stored, sizeof(s->people[0]));
    for (size_t i = 0; i < s->n_stored; i++)
        read_person(s, res, (int)i, &s->people[i]);
    s->me = ask->agent != NULL ? find_stored(s, ask->agent) : PLACE_NONE;
    if (s->me == PLACE_NONE)
        return 0;
    if (s->me == s->n_stored && ask->stays)
        return -ESRCH;
    if (s->me == s->n_stored && s->n_stored >= JOIN_PEOPLE_MAX)
        return -ENOSPC;
    s->people[s->me].agent = ask->agent;
    s->stays = ask->stays;
    s->network = ask->stays ? s->people[s->me].network : ask->network;
    s->capabilities = ask->stays ? s->people[s->me].capabilities : ask->capabilities;
    return 0;
}

/* ---- reports ---- */

void join_rows_add(struct place_row *rows, size_t *n, size_t node, struct report_brief_result m)
{
    if (node == PLACE_NONE || m.status == PROBE_UNTESTED)
        return;
    rows[(*n)++] = (struct place_row){.node = (uint32_t)node,
                                      .transport = m.transport,
                                      .reachable = m.status == PROBE_REACHABLE,
                                      .samples = m.sent,
                                      .lost = m.lost,
                                      .rtt_us = m.rtt_min_us};
}

struct report_brief_result join_rows_brief(const struct probe_result *m)
{
    uint8_t sent = report_count(m->sent);

    return (struct report_brief_result){.transport = (uint8_t)m->transport,
                                        .status = (uint8_t)m->status,
                                        .sent = sent,
                                        .lost = report_lost(sent, m->received),
                                        .rtt_min_us = (int32_t)m->rtt_min_us};
}

static void take_brief(struct join_scene *s, struct place_participant *who, const struct report_brief *b)
{
    struct place_row *rows = h2o_mem_alloc_pool(&s->pool, (b->n_results + 1) * sizeof(*rows));
    size_t *index = h2o_mem_alloc_pool(&s->pool, (b->n_names + 1) * sizeof(*index));

    for (size_t i = 0; i < b->n_names; i++)
        index[i] = join_scene_node(s, b->names[i].id, i > 0 ? index[i - 1] + 1 : 0);
    for (size_t k = 0; k < b->n_results; k++)
        join_rows_add(rows, &who->n_rows, index[b->results[k].name], b->results[k]);
    who->measured = true;
    who->rows = rows;
}

static void take_mine(struct join_scene *s, struct place_participant *who)
{
    const struct report *r = &s->mine.report;
    struct place_row *rows = h2o_mem_alloc_pool(&s->pool, (r->n_results + 1) * sizeof(*rows));
    size_t node = 0;

    for (size_t k = 0; k < r->n_results; k++) {
        const struct probe_result *m = &r->results[k];

        node = join_scene_node(s, m->node, node);
        join_rows_add(rows, &who->n_rows, node, join_rows_brief(m));
    }
    who->measured = true;
    who->rows = rows;
}

/* What the join said goes before what the report says. */
static void take_capabilities(struct place_participant *who, int said, bool has, unsigned reported)
{
    if (said < 0 && has)
        who->capabilities = reported & TRANSPORTS_ALL;
}

static int read_others(struct join_scene *s, const PGresult *res, struct place_participant *to)
{
    for (int row = 0; row < PQntuples(res); row++) {
        struct report_brief b;
        size_t i;
        int rc;

        if (db_null(res, row, OTHERS_REPORT))
            continue; /* the one row of no reports */
        i = find_stored(s, db_get(res, row, OTHERS_REPORT));
        if (i == s->n_stored || i == s->me)
            continue; /* it has come or left between two statements: the epoch will tell */
        rc = report_brief_decode(&b, res, row, OTHERS_REPORT);
        if (rc != 0)
            return rc;
        take_brief(s, &to[i], &b);
        take_capabilities(&to[i], s->people[i].capabilities, b.has_capabilities, b.capabilities);
        report_brief_clear(&b);
    }
    return 0;
}

int join_rows_reports(struct join_scene *s, const struct join_ask *ask, const struct db_result *result,
                      struct place_participant *to)
{
    const PGresult *mine = result->res[RESULT_MINE], *others = result->res[RESULT_OTHERS];
    int rc;

    if (db_get_i64(others, 0, OTHERS_ROWS) > ask->rows_max)
        return -EFBIG;
    if (PQntuples(mine) > 0) {
        rc = report_row_decode(&s->mine, mine, 0, 0);
        if (rc != 0)
            return rc;
        take_mine(s, &to[s->me]);
        take_capabilities(&to[s->me], s->capabilities, s->mine.report.has_capabilities,
                          s->mine.report.capabilities);
    }
    rc = read_others(s, others, to);
    if (rc == 0 && ask->predict != NULL)
        rc = join_predict_apply(s, result->res[RESULT_PREDICTION], to);
    if (rc == 0) /* what failed goes before what others tell of it */
        join_failures_take(s, result->res[RESULT_FAILURES], to);
    return rc;
}
