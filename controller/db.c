/* A thread's connections, each of one role, and the face that handlers see. Invariant: at most one batch of a connection
 * is being built, and it is sent or refused before control returns to the loop. */
#include "db.h"

#include "db_conn.h"
#include "sys/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DB_TICK_MS = 20, DB_TICK_US = DB_TICK_MS * 1000 };

/* A loop that turns is a little late with every timer: that is nothing. */
static int64_t overdue_us(const struct db *db, int64_t now_us)
{
    return db->tick_due_us != 0 && now_us - db->tick_due_us > DB_TICK_US ? now_us - db->tick_due_us : 0;
}

static void on_tick(h2o_timeout_entry_t *entry)
{
    struct db *db = H2O_STRUCT_FROM_MEMBER(struct db, tick_entry, entry);
    int64_t now = clock_mono_us();
    bool again = false;

    db->late_us += overdue_us(db, now);
    db->tick_due_us = 0;
    for (size_t i = 0; i < DB_CONNS; i++)
        again = conn_tick(&db->conns[i], now) || again;
    if (again)
        db_tick_start(db);
}

void db_tick_start(struct db *db)
{
    if (h2o_timeout_is_linked(&db->tick_entry))
        return;
    h2o_timeout_link(db->loop, &db->tick, &db->tick_entry);
    db->tick_due_us = clock_mono_us() + DB_TICK_US;
}

/* Connections of one role stand beside each other, in the order of roles. */
static enum db_role role_of(size_t conn)
{
    if (conn < DB_TENANT_WRITE)
        return (enum db_role)conn;
    return conn < DB_TENANT_WRITE + DB_WRITERS ? DB_TENANT_WRITE : (enum db_role)(conn - DB_WRITERS + 1);
}

int db_new(struct db **out, h2o_loop_t *loop, const struct db_opts *opts)
{
    struct db *db = calloc(1, sizeof(*db));

    if (db == NULL)
        return -ENOMEM;
    db->loop = loop;
    db->opts = *opts;
    for (size_t i = 0; i < DB_CONNS; i++)
        conn_init(&db->conns[i], db, role_of(i));
    h2o_timeout_init(loop, &db->tick, DB_TICK_MS);
    db->tick_entry.cb = on_tick;
    db_tick_start(db);
    *out = db;
    return 0;
}

void db_destroy(struct db *db)
{
    if (db == NULL)
        return;
    db->closing = true;
    for (size_t i = 0; i < DB_CONNS; i++)
        conn_fail(&db->conns[i], "closing");
    h2o_timeout_unlink(&db->tick_entry);
    h2o_timeout_dispose(db->loop, &db->tick);
    free(db);
}

bool db_role_of_org(enum db_role role)
{
    return role == DB_TENANT || role == DB_TENANT_WRITE || role == DB_TENANT_SLOW;
}

/* The one that is up and has the least to do; DB_CONNS: none is up. */
static size_t conn_of(const struct db *db, enum db_role role)
{
    size_t least = DB_CONNS;

    for (size_t i = 0; db != NULL && i < DB_CONNS; i++) {
        const struct db_conn *c = &db->conns[i];

        if (c->role == role && c->state == CONN_UP && !c->broken &&
            (least == DB_CONNS || c->depth < db->conns[least].depth))
            least = i;
    }
    return least;
}

bool db_is_up(const struct db *db, enum db_role role)
{
    return conn_of(db, role) != DB_CONNS;
}

size_t db_depth(const struct db *db, enum db_role role)
{
    size_t n = 0;

    for (size_t i = 0; i < DB_CONNS; i++)
        n += db->conns[i].role == role ? db->conns[i].depth : 0;
    return n;
}

static int64_t min_us(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int db_begin(struct db *db, enum db_role role, const char *org, int64_t deadline_us, struct db_batch **out)
{
    static const struct db_stmt set_org = {"berth_set_org", "select set_config('berth.org', $1, true)"};
    static const struct db_stmt set_timeout = {"berth_set_timeout",
                                               "select set_config('statement_timeout', $1, true)"};
    int64_t left_us = deadline_us - clock_mono_us();
    struct db_param param = db_text(org);
    struct db_conn *c;
    size_t conn;
    char ms[24];

    assert(db_role_of_org(role) == (org != NULL));
    conn = conn_of(db, role);
    if (conn == DB_CONNS)
        return -ENOTCONN;
    c = &db->conns[conn];
    assert(c->building == NULL);
    if (left_us <= 0)
        return -ETIMEDOUT;
    if (c->depth >= DB_PIPELINE_MAX)
        return -EAGAIN;
    *out = conn_begin(c, deadline_us, min_us(left_us, db->opts.statement_timeout_us));
    if (*out == NULL)
        return -ENOMEM;
    if (org != NULL)
        conn_add(c, *out, EXPECT_HIDDEN, &set_org, &param, 1);
    if (left_us < db->opts.statement_timeout_us) { /* else the connection's own timeout is right */
        param = db_i64(ms, left_us / 1000 + 1);
        conn_add(c, *out, EXPECT_HIDDEN, &set_timeout, &param, 1);
    }
    return 0;
}

void db_wait_begin(struct db_wait *w, const struct db *db)
{
    w->since_us = clock_mono_us();
    w->late_us = db->late_us + overdue_us(db, w->since_us);
}

void db_wait_end(struct db_wait *w, const struct db *db)
{
    int64_t now = clock_mono_us();

    w->total_us += now - w->since_us - (db->late_us + overdue_us(db, now) - w->late_us);
}

struct db_refusal db_refusal(int error, const struct db_wait *waited, int64_t took_us)
{
    if (error == -ENOTCONN)
        return (struct db_refusal){"database_unavailable", "the database is away; try again soon"};
    if (error == -ETIMEDOUT && 2 * waited->total_us < took_us)
        return (struct db_refusal){"overloaded", "this controller could not do it in time; try again soon"};
    if (error == -ETIMEDOUT)
        return (struct db_refusal){"database_unavailable",
                                   "the database could not do it in time; try again soon"};
    return (struct db_refusal){"overloaded", "too much is under way; try again soon"};
}

void db_add(struct db_batch *b, const struct db_stmt *stmt, const struct db_param *params, size_t n_params)
{
    conn_add(b->conn, b, EXPECT_RESULT, stmt, params, n_params);
}

int db_send(struct db_batch *b, db_done_cb *done, void *ctx)
{
    return conn_send(b->conn, b, done, ctx);
}

void db_detach(struct db_batch *b)
{
    b->done = NULL;
}

bool db_null(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) != 0;
}

const char *db_get(const PGresult *res, int row, int col)
{
    return PQgetvalue(res, row, col);
}

int64_t db_get_i64(const PGresult *res, int row, int col)
{
    return strtoll(PQgetvalue(res, row, col), NULL, 10);
}

bool db_get_bool(const PGresult *res, int row, int col)
{
    return PQgetvalue(res, row, col)[0] == 't';
}

bool db_too_late(const struct db_result *result)
{
    return result->error == -ETIMEDOUT ||
           (result->error == -ECANCELED && strcmp(result->sqlstate, "57014") == 0);
}

bool db_lost_to_others(const struct db_result *result)
{
    return result->error == -ECANCELED &&
           (strcmp(result->sqlstate, "55P03") == 0 || strncmp(result->sqlstate, "40", 2) == 0);
}
