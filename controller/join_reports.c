/* Live reports, for a decision. Invariant: which reports count, and that they are alive, is what this look's transaction saw;
 * what they say is the same whether it is read now or was kept. */
#include "join_rows.h"

#include "report_cache.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The live reports of everybody else in the meeting, each for the network it named; where they have too many rows together, how many. */
static const struct db_stmt all_stmt = {
    "join_others",
    "with live as materialized (select r.*"
    "  from (select array_agg(agent::text) as agents, array_agg(network::text) as networks from participant"
    "   where org = $1 and meeting = $2 and agent is distinct from $3) asked,"
    "  live_report($1, asked.agents, asked.networks) r),"
    " total as (select coalesce(sum(cardinality(node)), 0) as rows from live)"
    " select total.rows, " REPORT_BRIEF_COLUMNS " from total left join live r on total.rows <= $4::bigint"};

/* The newcomer's live report as a whole: addresses and proxies are of use in its ladder. The function is a part of the statement, planned
 * once, as its arguments are plain columns; with a subquery among them it would be planned at every call. */
static const struct db_stmt mine_stmt = {
    "join_mine", "select " REPORT_COLUMNS " from (select coalesce($3::text, (select network from participant"
                 "   where $4::boolean and org = $1 and meeting = $5 and agent = $2)) as network) asked,"
                 "  live_report($1, array[$2::text], array[asked.network]) r"};

/* The same reports and the newcomer's own: which they are, and of what they say the newcomer's alone. The newest by the time that it was
 * measured at is found without a sort, from the newest partition on. It is the one, unless another was measured since it was received (its
 * clock was ahead) or at the same moment: then the row is "open", and all are to be compared. All of it is one statement, as what it
 * costs is mostly its start, in each partition for each time that reports are named; partitions ahead aren't opened. The org is named as the
 * table's policy names it, so that nothing is compared twice. */
static const struct db_stmt newest_stmt = {
    "join_newest",
    "select a.agent, newest.report_id, berth_us(newest.measured_at), berth_us(newest.expires_at), rest.open,"
    " " REPORT_COLUMNS " from (select array_agg(agent::text) || $3::text as agents,"
    "  array_agg(network::text) || coalesce($4::text, (select network::text from participant"
    "   where $5::boolean and org = $1 and meeting = $2 and agent = $3)) as networks from participant"
    "   where org = $1 and meeting = $2 and agent is distinct from $3) asked,"
    "  unnest(asked.agents, asked.networks) as a (agent, network)"
    " cross join lateral (select * from report r where r.org = current_setting('berth.org', true)"
    "   and r.agent = a.agent collate \"C\" and (a.network is null or r.network = a.network collate \"C\")"
    "   and r.expires_at > now() and r.measured_at < now() + interval '2 minutes'"
    "   order by r.measured_at desc limit 1) newest"
    " cross join lateral (select exists (select from report t where t.org = current_setting('berth.org', "
    "true)"
    "   and t.agent = a.agent collate \"C\" and (a.network is null or t.network = a.network collate \"C\")"
    "   and t.expires_at > now() and t.measured_at >= least(newest.measured_at, newest.received_at)"
    "   and t.measured_at <= newest.measured_at"
    "   and (t.measured_at, t.report_id) <> (newest.measured_at, newest.report_id)) as open offset 0) rest"
    " left join lateral (select newest.* where a.agent = $3 offset 0) r on true"};
enum { NEWEST_AGENT, NEWEST_ID, NEWEST_MEASURED, NEWEST_EXPIRES, NEWEST_OPEN, NEWEST_REPORT };

/* These reports, by their key. */
static const struct db_stmt fetch_stmt = {
    "join_reports_fetch",
    "with live as materialized (select r.* from unnest($2::text[], $3::bigint[], $4::uuid[])"
    "   as asked (agent, measured_at, report_id) cross join lateral (select * from report"
    "   where org = $1 and report.agent = asked.agent collate \"C\""
    "   and report.measured_at = berth_time(asked.measured_at) and report.report_id = asked.report_id limit "
    "1) r),"
    " total as (select coalesce(sum(cardinality(node)), 0) as rows from live)"
    " select total.rows, " REPORT_BRIEF_COLUMNS " from total left join live r on total.rows <= $5::bigint"};
enum { COL_ROWS, COL_REPORT };

void join_reports_read(struct db_batch *b, const struct join_ask *ask)
{
    char most[24];
    const struct db_param p[] = {db_text(ask->org), db_text(ask->meeting), db_text(ask->agent),
                                 db_i64(most, ask->rows_max)};
    const struct db_param newest[] = {p[0], p[1], p[2], db_text(ask->network), db_bool(ask->stays)};
    const struct db_param mine[] = {p[0], p[2], newest[3], newest[4], p[1]};

    if (ask->reports != NULL) {
        db_add(b, &newest_stmt, newest, 5);
        return;
    }
    db_add(b, &all_stmt, p, 4);
    db_add(b, &mine_stmt, mine, 5);
}

/* ---- rows ---- */

static void take_row(struct join_scene *s, struct place_participant *who, const size_t *index,
                     const struct report_brief_result *results, size_t n)
{
    struct place_row *rows = h2o_mem_alloc_pool(&s->pool, (n + 1) * sizeof(*rows));

    for (size_t k = 0; k < n; k++)
        join_rows_add(rows, &who->n_rows, index[results[k].name], results[k]);
    who->measured = true;
    who->rows = rows;
    s->n_rows += (int64_t)n;
}

/* Reports mostly name nodes in the order of the list. */
static size_t place_in_list(const struct join_scene *s, const char *id, const size_t *index, size_t i)
{
    return join_scene_node(s, id, i > 0 ? index[i - 1] + 1 : 0);
}

static void take_my_rows(struct join_scene *s, struct place_participant *who)
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

/* The newcomer's report, from this column on. 0, -EBADMSG, -ENOMEM. */
static int take_mine(struct join_scene *s, const PGresult *res, int row, int col,
                     struct place_participant *who)
{
    int rc = report_row_decode(&s->mine, res, row, col);

    if (rc != 0)
        return rc;
    take_my_rows(s, who);
    join_rows_capabilities(who, s->capabilities, s->mine.report.has_capabilities,
                           s->mine.report.capabilities);
    return 0;
}

static void take_brief(struct join_scene *s, struct place_participant *who, const struct report_brief *b)
{
    size_t *index = h2o_mem_alloc_pool(&s->pool, (b->n_names + 1) * sizeof(*index));

    for (size_t i = 0; i < b->n_names; i++)
        index[i] = place_in_list(s, b->names[i].id, index, i);
    take_row(s, who, index, b->results, b->n_results);
}

static void take_kept(struct join_scene *s, struct place_participant *who, const struct report_kept *kept)
{
    size_t *index = h2o_mem_alloc_pool(&s->pool, (kept->n_names + 1) * sizeof(*index));
    const char *name = kept->names;

    for (size_t i = 0; i < kept->n_names; i++, name += strlen(name) + 1)
        index[i] = place_in_list(s, name, index, i);
    take_row(s, who, index, kept->results, kept->n_results);
}

/* ---- what is kept ---- */

static struct report_key key_of(const struct join_ask *ask, const struct join_person *who)
{
    return (struct report_key){ask->org, who->agent, who->report_id, who->measured_at_us};
}

/* By this host's clock: when what ends at that time of the database's is over. */
static int64_t until(const struct join_scene *s, int64_t ends_us)
{
    return clock_mono_us() + ends_us - s->now_us;
}

/* The newcomer's, which who joins next is decided with. */
static void keep_mine(const struct join_scene *s, const struct join_ask *ask)
{
    const struct report *r = &s->mine.report;
    const struct report_key key = {ask->org, r->agent, r->report_id, r->measured_at_us};
    struct report_brief b = {.has_capabilities = r->has_capabilities, .capabilities = r->capabilities};

    b.names = malloc((r->n_results + 1) * sizeof(*b.names));
    b.results = malloc((r->n_results + 1) * sizeof(*b.results));
    for (size_t k = 0; b.names != NULL && b.results != NULL && k < r->n_results; k++) {
        const struct probe_result *m = &r->results[k];

        if (b.n_names == 0 || strcmp(b.names[b.n_names - 1].id, m->node) != 0)
            memcpy(b.names[b.n_names++].id, m->node, sizeof(b.names[0].id));
        b.results[k] = join_rows_brief(m);
        b.results[k].name = (uint16_t)(b.n_names - 1);
        b.n_results++;
    }
    if (b.n_results == r->n_results)
        report_cache_put(ask->reports, &key, &b, until(s, s->mine.expires_at_us));
    report_brief_clear(&b);
}

static void take_kept_one(struct join_scene *s, const struct join_ask *ask, const PGresult *res, int row,
                          struct place_participant *to)
{
    struct join_person *who = &s->people[to - s->participants];
    const struct report_kept *kept;

    who->report_id = h2o_strdup(&s->pool, db_get(res, row, NEWEST_ID), SIZE_MAX).base;
    who->measured_at_us = db_get_i64(res, row, NEWEST_MEASURED);
    who->report_ends_us = db_get_i64(res, row, NEWEST_EXPIRES);
    to->measured = true;
    const struct report_key key = key_of(ask, who);
    kept = report_cache_get(ask->reports, &key);
    who->missing = kept == NULL;
    s->n_missing += who->missing;
    if (kept == NULL)
        return;
    take_kept(s, to, kept);
    join_rows_capabilities(to, who->capabilities, kept->has_capabilities, kept->capabilities);
}

static int take_newest(struct join_scene *s, const struct join_ask *ask, const PGresult *res,
                       struct place_participant *to)
{
    for (int row = 0; row < PQntuples(res); row++) {
        size_t i = join_rows_person(s, db_get(res, row, NEWEST_AGENT));
        int rc;

        if (i == PLACE_NONE)
            continue; /* it has come or left between two statements: the epoch will tell */
        if (db_get_bool(res, row, NEWEST_OPEN))
            return -EAGAIN;
        if (i != s->me) {
            take_kept_one(s, ask, res, row, &to[i]);
            continue;
        }
        rc = take_mine(s, res, row, NEWEST_REPORT, &to[i]);
        if (rc != 0)
            return rc;
    }
    if (s->mine.report.report_id[0] != '\0')
        keep_mine(s, ask);
    return s->n_rows > ask->rows_max ? -EFBIG : 0;
}

/* ---- what is read ---- */

/* The rows of one result; what came of somebody who is in no list any more is left out. */
static int take_rows(struct join_scene *s, const struct join_ask *ask, const PGresult *res,
                     struct place_participant *to)
{
    for (int row = 0; row < PQntuples(res); row++) {
        struct report_brief b;
        size_t i;
        int rc;

        if (db_null(res, row, COL_REPORT))
            continue; /* the one row of no reports */
        i = join_rows_person(s, db_get(res, row, COL_REPORT));
        if (i == PLACE_NONE || i == s->me)
            continue; /* it has come or left between two statements: the epoch will tell */
        rc = report_brief_decode(&b, res, row, COL_REPORT);
        if (rc != 0)
            return rc;
        take_brief(s, &to[i], &b);
        join_rows_capabilities(&to[i], s->people[i].capabilities, b.has_capabilities, b.capabilities);
        if (s->people[i].missing) {
            const struct report_key key = key_of(ask, &s->people[i]);

            report_cache_put(ask->reports, &key, &b, until(s, s->people[i].report_ends_us));
            s->people[i].missing = false;
            s->n_missing--;
        }
        report_brief_clear(&b);
    }
    return 0;
}

int join_reports_take(struct join_scene *s, const struct join_ask *ask, PGresult *const *res,
                      struct place_participant *to)
{
    int rc = 0;

    if (ask->reports != NULL)
        return take_newest(s, ask, res[0], to);
    if (PQntuples(res[1]) > 0)
        rc = take_mine(s, res[1], 0, 0, &to[s->me]);
    if (rc == 0 && db_get_i64(res[0], 0, COL_ROWS) > ask->rows_max)
        rc = -EFBIG;
    return rc != 0 ? rc : take_rows(s, ask, res[0], to);
}

void join_scene_fetch(struct join_scene *s, struct db_batch *b, const struct join_ask *ask)
{
    const char **agent = join_scene_alloc(s, s->n_missing, sizeof(*agent));
    const char **measured_at = join_scene_alloc(s, s->n_missing, sizeof(*measured_at));
    const char **report_id = join_scene_alloc(s, s->n_missing, sizeof(*report_id));
    char most[24], us[24];
    size_t n = 0;

    for (size_t i = 0; i < s->n_stored; i++) {
        if (!s->people[i].missing)
            continue;
        (void)db_i64(us, s->people[i].measured_at_us);
        agent[n] = s->people[i].agent;
        measured_at[n] = h2o_strdup(&s->pool, us, SIZE_MAX).base;
        report_id[n++] = s->people[i].report_id;
    }
    const struct db_param p[] = {
        db_text(ask->org), db_text_array(&s->pool, agent, n), db_text_array(&s->pool, measured_at, n),
        db_text_array(&s->pool, report_id, n), db_i64(most, ask->rows_max - s->n_rows)};
    db_add(b, &fetch_stmt, p, 5);
}

int join_reports_take_fetched(struct join_scene *s, const struct join_ask *ask, const PGresult *res,
                              struct place_participant *to)
{
    int rc;

    if (db_get_i64(res, 0, COL_ROWS) > ask->rows_max - s->n_rows)
        return -EFBIG;
    rc = take_rows(s, ask, res, to);
    return rc != 0 ? rc : s->n_missing > 0 ? -ESTALE : 0;
}
