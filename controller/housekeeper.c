/* One blocking connection as the schema's owner. Invariant: only the holder of the advisory lock makes or drops; a
 * partition is dropped only when its keep_until had passed by the database's clock when it was claimed, and what is
 * claimed nobody claims back; whatever is interrupted is finished by the next turn. */
#include "housekeeper.h"

#include "api_links.h"
#include "catalogue_links.h"
#include "migrate.h"
#include "outbox.h"
#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HOUSEKEEPER_LOCK "7305804402567"

enum {
    HOUSEKEEPER_TIMEOUT_US = 30 * 1000 * 1000,
    HOUSEKEEPER_STATEMENT_MS =
        20 * 1000, /* a detach that waits for an old transaction is cancelled and finished later */
    PARTITIONS_MAX =
        4096, /* that matter for one lifetime: a week has 168, two seconds have 14; older lifetimes' stand among them */
    MAKE_MAX = 512,
    LINKS_DROP_MAX = 20000, /* at once */
    EVENT_QUIET_S = 60,     /* what nobody has met with again for so long is over */
    EVENT_KEEP_S = 30 * 86400,
    EVENT_KEEP_MAX = 10000, /* cleared ones */
    TURN_MIN_MS = 500,
    TURN_MAX_MS = 10 * 1000,
};

struct housekeeper {
    struct controller *ctl;
    pthread_t thread;
    int stop_fd;
    struct db_sync db;
    bool holds_lock;
};

static void failed(struct housekeeper *h, const char *what, const char *name)
{
    if (!h->db.stopped)
        log_event(h->ctl->log, LOG_WARN, "housekeeper", what, LOG_S("partition", name),
                  LOG_S("error", h->db.error));
}

static void rollback(struct housekeeper *h)
{
    if (h->db.conn != NULL && db_sync_script(&h->db, "rollback") != 0)
        db_sync_close(&h->db);
}

/* ---- making ---- */

/* Made aside and attached: so no lock is taken that would make reports wait. The parameters keep rows in one piece: compressing
 * them costs more than it saves in two hours. */
static int make_one(struct housekeeper *h, const struct partition_range *p)
{
    char sql[1024], name[64];
    int r;

    snprintf(name, sizeof(name), "report_p%" PRId64, p->lo_s);
    snprintf(sql, sizeof(sql),
             "begin; set local lock_timeout = '2s'; "
             "create table %s (like report including all) with (toast_tuple_target = 8160); "
             "alter table report attach partition %s for values from (berth_time(%" PRId64 "000000)) to "
             "(berth_time(%" PRId64 "000000)); "
             "insert into report_partition (name, lo, hi, keep_until) select '%s', lo, hi, hi + %" PRId64
             " * interval '1 second' from (select berth_time(%" PRId64 "000000) as lo, berth_time(%" PRId64
             "000000) as hi) t; commit;",
             name, name, p->lo_s, p->hi_s, name, h->ctl->options->report_lifetime_s, p->lo_s, p->hi_s);
    r = db_sync_script(&h->db, sql);
    if (r == 0)
        return 0;
    failed(h, "make_failed", name);
    rollback(h);
    return r;
}

static int make_missing(struct housekeeper *h)
{
    struct partition_range *have = calloc(PARTITIONS_MAX, sizeof(*have));
    struct partition_range *missing = calloc(MAKE_MAX, sizeof(*missing));
    char lifetime[24];
    const char *params[1] = {lifetime};
    PGresult *res = NULL;
    size_t n = 0;
    int r = -ENOMEM;

    if (have == NULL || missing == NULL)
        goto out;
    r = -EIO;
    (void)db_i64(lifetime, h->ctl->options->report_lifetime_s);
    res = db_sync_exec(&h->db,
                       "select extract(epoch from lo)::bigint, extract(epoch from hi)::bigint, "
                       "extract(epoch from now())::bigint from report_partition "
                       "where hi > now() - ($1::bigint + 3600) * interval '1 second' "
                       "union all select null, null, extract(epoch from now())::bigint order by 1 nulls last",
                       params, 1);
    if (res == NULL) {
        failed(h, "look_failed", "");
        goto out;
    }
    for (int i = 0; i + 1 < PQntuples(res) && n < PARTITIONS_MAX; i++, n++)
        have[n] = (struct partition_range){.lo_s = db_get_i64(res, i, 0), .hi_s = db_get_i64(res, i, 1)};
    r = 0;
    n = partitions_missing(have, n, db_get_i64(res, PQntuples(res) - 1, 2),
                           h->ctl->options->report_lifetime_s, missing, MAKE_MAX);
    for (size_t i = 0; i < n && r == 0; i++)
        r = make_one(h, &missing[i]);
    if (n > 0 && r == 0)
        log_event(h->ctl->log, LOG_DEBUG, "housekeeper", "made", LOG_I("partitions", n));
out:
    PQclear(res);
    free(have);
    free(missing);
    return r;
}

/* ---- dropping ---- */

/* Another controller may have raised keep_until since it was looked at. Once it is -infinity, none does. */
static int claim(struct housekeeper *h, const char *name, bool *claimed)
{
    const char *params[1] = {name};
    PGresult *res = db_sync_exec(&h->db,
                                 "update report_partition set keep_until = '-infinity' "
                                 "where name = $1 and keep_until < now() returning name",
                                 params, 1);

    *claimed = res != NULL && PQntuples(res) == 1;
    if (res == NULL)
        failed(h, "claim_failed", name);
    PQclear(res);
    return res != NULL ? 0 : -EIO;
}

/* Steps of a partition's end, each safe to repeat: claim, detach without blocking anybody, drop, forget. */
static int drop_one(struct housekeeper *h, const char *name, const char *state)
{
    char sql[512];
    bool claimed = false;
    int r = claim(h, name, &claimed);

    if (r != 0 || !claimed)
        return r;
    if (strcmp(state, "gone") != 0) {
        snprintf(sql, sizeof(sql), "alter table report detach partition %s %s", name,
                 strcmp(state, "pending") == 0 ? "finalize" : "concurrently");
        r = db_sync_script(&h->db, sql);
    }
    if (r == 0) {
        snprintf(sql, sizeof(sql),
                 "begin; set local lock_timeout = '2s'; drop table if exists %s; "
                 "delete from report_partition where name = '%s'; commit;",
                 name, name);
        r = db_sync_script(&h->db, sql);
    }
    if (r == 0) {
        log_event(h->ctl->log, LOG_DEBUG, "housekeeper", "dropped", LOG_S("partition", name));
        return 0;
    }
    failed(h, "drop_failed", name);
    rollback(h);
    return r;
}

/* A partition of which the detaching was interrupted goes first, as while it is pending that of another can't begin. */
static int drop_expired(struct housekeeper *h)
{
    PGresult *res = db_sync_exec(
        &h->db,
        "select p.name, case when i.inhrelid is null then 'gone' when i.inhdetachpending then 'pending' "
        "else 'attached' end from report_partition p left join pg_inherits i on i.inhrelid = "
        "to_regclass(p.name) "
        "and i.inhparent = 'report'::regclass where p.keep_until < now() order by i.inhdetachpending desc "
        "nulls last, p.lo limit 64",
        NULL, 0);
    int r = 0;

    if (res == NULL) {
        failed(h, "look_failed", "");
        return -EIO;
    }
    for (int i = 0; i < PQntuples(res) && r == 0; i++)
        r = drop_one(h, db_get(res, i, 0), db_get(res, i, 1));
    PQclear(res);
    return r;
}

/* ---- events ---- */

static void drop_events(struct housekeeper *h)
{
    char lifetime[24], at_most[24];
    const char *params[2] = {lifetime, at_most};
    int64_t dropped = OUTBOX_DROP_MAX;

    (void)db_i64(lifetime, h->ctl->options->event_lifetime_s);
    (void)db_i64(at_most, OUTBOX_DROP_MAX);
    for (int i = 0; i < OUTBOX_DROPS_MAX && dropped == OUTBOX_DROP_MAX; i++) {
        PGresult *res = db_sync_exec(&h->db, "select outbox_drop($1::bigint, $2::bigint)", params, 2);
        dropped = res != NULL ? db_get_i64(res, 0, 0) : 0;
        if (res == NULL)
            failed(h, "events_not_dropped", "");
        PQclear(res);
    }
}

/* ---- round trips between nodes ---- */

/* What more is old waits for the next turn. */
static void drop_links(struct housekeeper *h)
{
    char stale[24], at_most[24];
    const char *params[2] = {stale, at_most};
    PGresult *res;

    (void)db_i64(stale, LINKS_STALE_S);
    (void)db_i64(at_most, LINKS_DROP_MAX);
    res = db_sync_exec(&h->db,
                       "delete from node_rtt where ctid = any (array(select ctid from node_rtt"
                       " where at < now() - $1::bigint * interval '1 second' limit $2::bigint))",
                       params, 2);
    if (res == NULL)
        failed(h, "old_round_trips_not_dropped", "");
    PQclear(res);
}

/* ---- what nodes have been told of their meetings ---- */

static void drop_news(struct housekeeper *h)
{
    char older[24], at_most[24];
    const char *params[2] = {older, at_most};
    PGresult *res;

    (void)db_i64(older, NEWS_KEEP_S);
    (void)db_i64(at_most, NEWS_DROP_MAX);
    res = db_sync_exec(&h->db, "select node_news_drop($1::bigint, $2::bigint)", params, 2);
    if (res == NULL)
        failed(h, "old_news_not_dropped", "");
    PQclear(res);
}

/* ---- what the planner knows ---- */

/* Statements of joins keep the plan that they have once, and of a table of which nothing is known the index by agent
 * looks as good as the one by meeting. PostgreSQL itself takes a minute to look; a plan is made anew after it. */
static void analyze_unknown(struct housekeeper *h)
{
    if (db_sync_script(&h->db,
                       "do $$ declare t regclass; begin"
                       " for t in select c.oid from pg_class c where c.reltuples < 0" /* never looked at */
                       " and c.oid in ('meeting'::regclass, 'participant'::regclass)"
                       " and pg_relation_size(c.oid) >= 65536"
                       " loop execute format('analyze %s', t); end loop; end $$") != 0)
        failed(h, "not_analyzed", "");
}

/* ---- operators' events ---- */

static void tidy_events(struct housekeeper *h)
{
    char quiet[24], keep[24], most[24];
    const char *params[3] = {quiet, keep, most};
    PGresult *res;

    (void)db_i64(quiet, EVENT_QUIET_S);
    (void)db_i64(keep, EVENT_KEEP_S);
    (void)db_i64(most, EVENT_KEEP_MAX);
    res = db_sync_exec(&h->db, "select event_tidy($1::bigint, $2::bigint, $3::bigint)", params, 3);
    if (res == NULL)
        failed(h, "events_not_tidied", "");
    PQclear(res);
}

/* ---- turns ---- */

static bool connect_up(struct housekeeper *h)
{
    char sql[128];
    int r = db_sync_connect(&h->db, h->ctl->options->database);

    h->holds_lock = false;
    snprintf(sql, sizeof(sql), "set statement_timeout = %d; set client_min_messages = warning",
             HOUSEKEEPER_STATEMENT_MS);
    if (r == 0)
        r = db_sync_script(&h->db, sql);
    if (r != 0)
        db_sync_close(&h->db);
    return r == 0;
}

static bool try_lock(struct housekeeper *h)
{
    PGresult *res = db_sync_exec(&h->db, "select pg_try_advisory_lock(" HOUSEKEEPER_LOCK ")", NULL, 0);

    h->holds_lock = res != NULL && db_get_bool(res, 0, 0);
    PQclear(res);
    return h->holds_lock;
}

static void turn(struct housekeeper *h)
{
    if (atomic_load(&h->ctl->schema_version) < schema_version_needed())
        return;
    if (h->db.conn == NULL && !connect_up(h))
        return;
    if (!h->holds_lock && !try_lock(h))
        return;
    (void)make_missing(h);
    if (h->db.conn != NULL)
        (void)drop_expired(h);
    if (h->db.conn != NULL &&
        predict_judge(h->ctl->predict_errors, &h->db, h->ctl->options->report_lifetime_s) != 0)
        failed(h, "judge_failed", "");
    if (h->db.conn != NULL)
        drop_events(h);
    if (h->db.conn != NULL)
        drop_links(h);
    if (h->db.conn != NULL)
        drop_news(h);
    if (h->db.conn != NULL)
        analyze_unknown(h);
    if (h->db.conn != NULL)
        tidy_events(h);
    if (h->db.conn == NULL)
        h->holds_lock = false;
}

static int turn_ms(const struct housekeeper *h)
{
    int64_t ms;

    if (atomic_load(&h->ctl->schema_version) < schema_version_needed())
        return TURN_MIN_MS / 5;
    if (h->db.conn == NULL || !h->holds_lock)
        return TURN_MIN_MS * 2;
    ms = partition_width_s(h->ctl->options->report_lifetime_s) * 1000 / 4;
    return ms < TURN_MIN_MS ? TURN_MIN_MS : ms > TURN_MAX_MS ? TURN_MAX_MS : (int)ms;
}

static void *housekeeper_main(void *arg)
{
    struct housekeeper *h = arg;
    struct pollfd p = {.fd = h->stop_fd, .events = POLLIN};

    while (!h->db.stopped) {
        turn(h);
        if (poll(&p, 1, turn_ms(h)) > 0)
            h->db.stopped = true;
    }
    db_sync_close(&h->db);
    return NULL;
}

int housekeeper_start(struct housekeeper **out, struct controller *ctl)
{
    struct housekeeper *h = calloc(1, sizeof(*h));
    int r;

    if (h == NULL)
        return -ENOMEM;
    h->ctl = ctl;
    h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = h->stop_fd < 0 ? -errno : 0;
    db_sync_init(&h->db, h->stop_fd, HOUSEKEEPER_TIMEOUT_US);
    if (r == 0)
        r = -pthread_create(&h->thread, NULL, housekeeper_main, h);
    if (r == 0) {
        *out = h;
        return 0;
    }
    if (h->stop_fd >= 0)
        close(h->stop_fd);
    free(h);
    return r;
}

void housekeeper_stop(struct housekeeper *h)
{
    uint64_t one = 1;

    if (h == NULL)
        return;
    if (write(h->stop_fd, &one, sizeof(one)) < 0) {
        /* An eventfd that is full is readable already. */
    }
    pthread_join(h->thread, NULL);
    close(h->stop_fd);
    free(h);
}
