/* The rows of one look. Invariant: what is decided on is exactly what the statements of one transaction saw, the meeting's epoch read
 * first; so a plan kept under that epoch was made on nothing older. */
#include "join_rows.h"

#include "join_failures.h"
#include "join_predict.h"

#include <errno.h>
#include <string.h>

/* What is predicted comes last, behind what join_reports_read asks for. */
enum { RESULT_MEETING, RESULT_PEOPLE, RESULT_FAILURES, RESULT_REPORTS };

static const struct db_stmt meeting_stmt = {
    "join_meeting", "select epoch, policy, node_org, node, berth_us(clock_timestamp()) from meeting"
                    " where org = $1 and id = $2"};

static const struct db_stmt people_stmt = {
    "join_people", "select agent, network, capabilities, node_org, node, transport, ladder, guessed,"
                   " case when moved_at is null then 0 else greatest(berth_us(now()) - berth_us(moved_at), "
                   "1) end from participant"
                   " where org = $1 and meeting = $2 order by agent"};

void join_scene_read(struct db_batch *b, const struct join_ask *ask)
{
    const struct db_param p[] = {db_text(ask->org), db_text(ask->meeting)};

    db_add(b, &meeting_stmt, p, 2);
    db_add(b, &people_stmt, p, 2);
    join_failures_read(b, ask);
    join_reports_read(b, ask);
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

/* What the join said goes before what the report says. */
void join_rows_capabilities(struct place_participant *who, int said, bool has, unsigned reported)
{
    if (said < 0 && has)
        who->capabilities = reported & TRANSPORTS_ALL;
}

int join_rows_reports(struct join_scene *s, const struct join_ask *ask, const struct db_result *result,
                      struct place_participant *to)
{
    int rc;

    join_failures_note(s, result->res[RESULT_FAILURES]);
    rc = join_reports_take(s, ask, result->res + RESULT_REPORTS, to);
    if (rc == 0 && ask->predict != NULL)
        rc = join_predict_apply(s, result->res[result->n - 1], to);
    return rc;
}
