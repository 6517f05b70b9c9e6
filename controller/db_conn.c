/* One libpq connection in pipeline mode on libh2o's loop: connecting, sending, and matching what comes back.
 * Invariant: the batches from head to tail are those whose Sync was sent, in the order in which the server will answer. */
#include "db_conn.h"

#include "db_hosts.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A pipeline is serial: who waits for a lock makes all behind it wait. What a join asks has one good plan whatever
 * its arguments are, by indexes; left to itself, PostgreSQL plans some of it anew each time, as a meeting of many looks
 * dearer than the mean one, and keeps going through all of a table that was small when the plan was made, until it has
 * looked at it again, a minute later. Over the other connection goes what is asked now and then, and of more. */
struct conn_role {
    const char *word;        /* for the log */
    const char *name;        /* the database's */
    int64_t lock_timeout_us; /* 0: as long as a statement may take */
    bool planned_once; /* by indexes, and never compiled, for which what has none would look dear enough */
};
static const struct conn_role roles[DB_ROLE_COUNT] = {
    [DB_TENANT] = {"tenant", "berth_tenant", 200 * 1000, true},
    [DB_TENANT_WRITE] = {"tenant_write", "berth_tenant", 200 * 1000, true},
    [DB_TENANT_SLOW] = {"tenant_slow", "berth_tenant", 1000 * 1000, false},
    [DB_INGEST] = {"ingest", "berth_ingest", 0, false},
    [DB_OPERATOR] = {"operator", "berth_operator", 0, false},
};

static void on_readable(h2o_socket_t *sock, const char *err);
static void on_writable(h2o_socket_t *sock, const char *err);

static void batch_free(struct db_batch *b)
{
    for (size_t i = 0; i < b->n_res; i++)
        PQclear(b->res[i]);
    free(b->res);
    free(b->expect);
    free(b);
}

/* Tells the one who waits, if anybody still does. */
static void batch_tell(struct db_batch *b, int error)
{
    db_done_cb *done = b->done;
    struct db_result result = {.error = error, .failed = b->failed, .n = b->n_res, .res = b->res};

    b->done = NULL;
    if (done == NULL)
        return;
    memcpy(result.sqlstate, b->sqlstate, sizeof(result.sqlstate));
    memcpy(result.message, b->message, sizeof(result.message));
    done(b->ctx, &result);
}

void conn_init(struct db_conn *c, struct db *db, enum db_role role)
{
    memset(c, 0, sizeof(*c));
    c->db = db;
    c->role = role;
    c->tail = &c->head;
}

/* ---- the socket ---- */

static void socket_drop(struct db_conn *c)
{
    if (c->sock != NULL)
        h2o_socket_close(c->sock);
    c->sock = NULL;
    c->writing = false;
}

/* libpq may open another socket with every step of connecting, and libh2o closes what it wraps: a fresh dup each time. */
static int socket_wrap(struct db_conn *c)
{
    int fd;

    socket_drop(c);
    fd = dup(PQsocket(c->pg));
    if (fd < 0)
        return -errno;
    c->sock = h2o_evloop_socket_create(c->db->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    c->sock->data = c;
    return 0;
}

static void want_write(struct db_conn *c)
{
    if (!c->writing) {
        c->writing = true;
        h2o_socket_notify_write(c->sock, on_writable);
    }
}

static void conn_flush(struct db_conn *c)
{
    int r = PQflush(c->pg);

    if (r < 0) {
        c->broken = true;
        db_tick_start(c->db);
    } else if (r == 1) {
        want_write(c);
    }
}

/* ---- down and up again ---- */

static size_t count_up(const struct db *db, enum db_role role)
{
    size_t n = 0;

    for (size_t i = 0; i < DB_CONNS; i++)
        n += db->conns[i].role == role && db->conns[i].state == CONN_UP;
    return n;
}

void conn_fail(struct db_conn *c, const char *why)
{
    struct db_batch *b = c->head;
    bool was_up = c->state == CONN_UP;
    char reason[256];

    if (c->state == CONN_DOWN)
        return;
    snprintf(reason, sizeof(reason), "%.*s", (int)strcspn(why, "\n"), why);
    log_event(c->db->opts.log, was_up && !c->db->closing ? LOG_WARN : LOG_DEBUG, "db", "disconnected",
              LOG_S("role", roles[c->role].word), LOG_S("reason", reason));
    socket_drop(c);
    PQfinish(c->pg);
    c->pg = NULL;
    c->state = CONN_DOWN;
    if (was_up) {
        atomic_fetch_sub(c->db->opts.up, 1);
        if (count_up(c->db, c->role) == 0)
            atomic_fetch_sub(c->db->opts.served, 1);
    }
    c->turn += !was_up;
    c->broken = false;
    c->head = NULL;
    c->tail = &c->head;
    c->depth = 0;
    c->n_stmts = 0;
    c->retry_at_us = clock_mono_us() + c->backoff_us;
    c->backoff_us = c->backoff_us * 2 > CONN_BACKOFF_MAX_US ? CONN_BACKOFF_MAX_US : c->backoff_us * 2;
    db_tick_start(c->db);
    while (b != NULL) {
        struct db_batch *next = b->next;
        batch_tell(b, -ENOTCONN);
        batch_free(b);
        b = next;
    }
}

static void on_setup_done(void *ctx, const struct db_result *result)
{
    struct db_conn *c = ctx;

    if (result->error == -ENOTCONN)
        return;
    if (result->error != 0) {
        log_event(c->db->opts.log, LOG_WARN, "db", "setup_failed", LOG_S("role", roles[c->role].word),
                  LOG_S("error", result->message));
        c->broken = true;
        return;
    }
    c->state = CONN_UP;
    c->backoff_us = CONN_BACKOFF_MIN_US;
    atomic_fetch_add(c->db->opts.up, 1);
    if (count_up(c->db, c->role) == 1)
        atomic_fetch_add(c->db->opts.served, 1);
    log_event(c->db->opts.log, LOG_DEBUG, "db", "connected", LOG_S("role", roles[c->role].word));
}

static void conn_setup(struct db_conn *c)
{
    static const struct db_stmt stmt = {
        "berth_setup",
        "select set_config('role', $1, false), set_config('statement_timeout', $2, false), "
        "set_config('lock_timeout', $3, false), set_config('timezone', 'UTC', false), "
        "set_config('plan_cache_mode', $4, false), "
        "set_config('enable_seqscan', coalesce($5, current_setting('enable_seqscan')), false), "
        "set_config('jit', coalesce($5, current_setting('jit')), false)"};
    const struct conn_role *role = &roles[c->role];
    int64_t timeout_us = c->db->opts.statement_timeout_us;
    int64_t lock_us = role->lock_timeout_us > 0 ? role->lock_timeout_us : timeout_us;
    char timeout[24], lock_timeout[24];
    struct db_param params[5] = {db_text(role->name), db_i64(timeout, timeout_us / 1000),
                                 db_i64(lock_timeout, lock_us / 1000),
                                 db_text(role->planned_once ? "force_generic_plan" : "auto"),
                                 db_text(role->planned_once ? "off" : NULL)};
    struct db_batch *b;

    c->state = CONN_SETUP;
    if (PQsetnonblocking(c->pg, 1) != 0 || PQenterPipelineMode(c->pg) != 1) {
        conn_fail(c, "no pipeline mode");
        return;
    }
    b = conn_begin(c, c->connect_deadline_us, timeout_us);
    if (b == NULL) {
        conn_fail(c, "out of memory");
        return;
    }
    conn_add(c, b, EXPECT_HIDDEN, &stmt, params, 5);
    if (conn_send(c, b, on_setup_done, c) != 0) {
        conn_fail(c, "setup could not be sent");
        return;
    }
    h2o_socket_read_start(c->sock, on_readable);
}

static void conn_step(struct db_conn *c)
{
    PostgresPollingStatusType status = PQconnectPoll(c->pg);

    if (status == PGRES_POLLING_FAILED) {
        conn_fail(c, PQerrorMessage(c->pg));
        return;
    }
    if (socket_wrap(c) != 0) {
        conn_fail(c, "no descriptor");
        return;
    }
    if (status == PGRES_POLLING_OK)
        conn_setup(c);
    else if (status == PGRES_POLLING_WRITING)
        want_write(c);
    else
        h2o_socket_read_start(c->sock, on_readable);
}

/* libpq would write them to stderr. */
static void on_notice(void *ctx, const char *message)
{
    struct db_conn *c = ctx;

    log_event(c->db->opts.log, LOG_DEBUG, "db", "notice", LOG_S("role", roles[c->role].word),
              LOG_S("text", message));
}

static void conn_start(struct db_conn *c, int64_t now_us)
{
    struct db_hosts hosts;

    db_hosts_params(&hosts, c->db->opts.conninfo, c->turn);
    c->pg = PQconnectStartParams(hosts.keys, hosts.values, 1);
    c->state = CONN_CONNECTING;
    c->connect_deadline_us = now_us + db_hosts_timeout_us(&hosts, CONN_CONNECT_TIMEOUT_US);
    if (c->backoff_us == 0)
        c->backoff_us = CONN_BACKOFF_MIN_US;
    if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD) {
        conn_fail(c, c->pg == NULL ? "out of memory" : PQerrorMessage(c->pg));
        return;
    }
    (void)PQsetNoticeProcessor(c->pg, on_notice, c);
    /* The first wait is for writing, whatever PQconnectPoll would say. */
    if (socket_wrap(c) != 0) {
        conn_fail(c, "no descriptor");
        return;
    }
    want_write(c);
}

/* ---- sending ---- */

struct db_batch *conn_begin(struct db_conn *c, int64_t deadline_us, int64_t timeout_us)
{
    struct db_batch *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->conn = c;
    b->deadline_us = deadline_us;
    b->timeout_us = timeout_us;
    c->building = b;
    return b;
}

/* Room for what one statement is answered with, and for the one that undoes a batch. */
static int expect_reserve(struct db_batch *b)
{
    size_t cap = b->cap_expect == 0 ? 8 : b->cap_expect * 2;
    struct expect *grown;

    if (b->n_expect + EXPECT_STEP <= b->cap_expect)
        return 0;
    grown = realloc(b->expect, cap * sizeof(*grown));
    if (grown == NULL)
        return -ENOMEM;
    b->expect = grown;
    b->cap_expect = cap;
    return 0;
}

static void expect_push(struct db_batch *b, enum expect_kind kind, size_t slot)
{
    b->expect[b->n_expect++] = (struct expect){.kind = kind, .slot = slot};
}

static struct stmt_slot *slot_find(struct db_conn *c, const struct db_stmt *stmt)
{
    for (size_t i = 0; i < c->n_stmts; i++)
        if (c->stmts[i].stmt == stmt)
            return &c->stmts[i];
    if (c->n_stmts == DB_STMTS_MAX)
        return NULL;
    c->stmts[c->n_stmts] = (struct stmt_slot){.stmt = stmt, .state = STMT_UNPREPARED};
    return &c->stmts[c->n_stmts++];
}

/* May this batch use the prepared name? Prepares it where nobody has. What another batch is only about to prepare may still fail
 * with it, so then the statement goes unnamed. */
static bool slot_usable(struct db_conn *c, struct db_batch *b, struct stmt_slot *slot)
{
    if (slot == NULL)
        return false;
    if (slot->state == STMT_READY || (slot->state == STMT_PENDING && slot->preparer == b))
        return true;
    if (slot->state == STMT_PENDING)
        return false;
    if (PQsendPrepare(c->pg, slot->stmt->name, slot->stmt->sql, 0, NULL) != 1) {
        b->error = -ENOTCONN;
        return false;
    }
    slot->state = STMT_PENDING;
    slot->preparer = b;
    expect_push(b, EXPECT_PREPARE, (size_t)(slot - c->stmts));
    return true;
}

void conn_add(struct db_conn *c, struct db_batch *b, enum expect_kind kind, const struct db_stmt *stmt,
              const struct db_param *params, size_t n)
{
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX], sent;
    bool named;

    if (b->error != 0)
        return;
    if (n > DB_PARAMS_MAX || (kind == EXPECT_RESULT && b->n_stmts >= DB_BATCH_STMTS_MAX))
        b->error = -E2BIG;
    else
        b->error = expect_reserve(b);
    if (b->error != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        values[i] = params[i].value;
        lengths[i] = (int)params[i].len;
        formats[i] = params[i].binary ? 1 : 0;
    }
    named = slot_usable(c, b, slot_find(c, stmt));
    if (b->error != 0)
        return;
    sent = named ? PQsendQueryPrepared(c->pg, stmt->name, (int)n, values, lengths, formats, 0)
                 : PQsendQueryParams(c->pg, stmt->sql, (int)n, NULL, values, lengths, formats, 0);
    if (sent != 1) {
        b->error = -ENOTCONN;
        return;
    }
    expect_push(b, kind, 0);
    b->n_stmts += kind == EXPECT_RESULT;
}

/* libpq could not send: the pipeline is in an unknown state, and the connection goes with the batch. */
static int send_refused(struct db_conn *c, struct db_batch *b)
{
    c->broken = true;
    db_tick_start(c->db);
    batch_free(b);
    return -ENOTCONN;
}

/* What has been sent of a batch that is given up must not be committed: its transaction is made to fail. */
static int batch_undo(struct db_conn *c, struct db_batch *b)
{
    static const char sql[] = "do $$ begin raise exception 'this batch was given up'; end $$";

    if (PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0) != 1)
        return -ENOTCONN;
    expect_push(b, EXPECT_HIDDEN, 0);
    b->n_stmts = 0; /* nobody wants results */
    return 0;
}

static void batch_append(struct db_conn *c, struct db_batch *b)
{
    if (c->head == NULL)
        c->head_since_us = clock_mono_us();
    *c->tail = b;
    c->tail = &b->next;
    c->depth++;
    db_tick_start(c->db);
    conn_flush(c);
}

int conn_send(struct db_conn *c, struct db_batch *b, db_done_cb *done, void *ctx)
{
    int error;

    c->building = NULL;
    if (b->error == 0 && b->n_stmts > 0) {
        b->res = calloc(b->n_stmts, sizeof(*b->res));
        if (b->res == NULL)
            b->error = -ENOMEM;
    }
    error = b->error;
    if (error == -ENOTCONN)
        return send_refused(c, b);
    if (error != 0 && b->n_expect == 0) {
        batch_free(b);
        return error;
    }
    if ((error != 0 && batch_undo(c, b) != 0) || PQpipelineSync(c->pg) != 1)
        return send_refused(c, b);
    b->failed = b->n_stmts;
    b->done = error == 0 ? done : NULL;
    b->ctx = ctx;
    batch_append(c, b);
    return error;
}

/* ---- receiving ---- */

static void batch_note_failure(struct db_batch *b, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (b->sqlstate[0] != '\0')
        return;
    snprintf(b->sqlstate, sizeof(b->sqlstate), "%s", state != NULL ? state : "XX000");
    snprintf(b->message, sizeof(b->message), "%s", message != NULL ? message : "no message");
    b->failed = b->n_res;
}

/* One result of the batch at the head; takes it over. */
static void batch_result(struct db_conn *c, struct db_batch *b, PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    const struct expect *e;

    if (status == PGRES_FATAL_ERROR)
        batch_note_failure(b, res);
    if (b->at >= b->n_expect) { /* the commit itself failed: between the last statement and the Sync */
        PQclear(res);
        return;
    }
    e = &b->expect[b->at];
    if (e->kind == EXPECT_PREPARE) {
        c->stmts[e->slot].state = ok ? STMT_READY : STMT_UNPREPARED;
        c->stmts[e->slot].preparer = NULL;
    }
    if (e->kind == EXPECT_RESULT && b->n_res < b->n_stmts)
        b->res[b->n_res++] = res;
    else
        PQclear(res);
}

static void batch_complete(struct db_conn *c)
{
    struct db_batch *b = c->head;

    c->head = b->next;
    c->head_since_us = clock_mono_us();
    if (c->head == NULL)
        c->tail = &c->head;
    c->depth--;
    /* A prepared statement that no longer fits the schema, or is gone: only a new connection mends that. */
    if (strcmp(b->sqlstate, "0A000") == 0 || strcmp(b->sqlstate, "26000") == 0)
        c->broken = true;
    batch_tell(b, b->sqlstate[0] != '\0' ? -ECANCELED : 0);
    batch_free(b);
}

static void conn_receive(struct db_conn *c)
{
    if (PQconsumeInput(c->pg) != 1) {
        conn_fail(c, PQerrorMessage(c->pg));
        return;
    }
    while (c->head != NULL && !c->broken && !PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);
        if (res == NULL) {
            c->head->at++;
        } else if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            batch_complete(c);
        } else {
            batch_result(c, c->head, res);
        }
        if (PQstatus(c->pg) == CONNECTION_BAD)
            c->broken = true;
    }
    if (c->broken || PQstatus(c->pg) == CONNECTION_BAD)
        conn_fail(c, PQerrorMessage(c->pg));
    else
        conn_flush(c);
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
    struct db_conn *c = sock->data;

    if (err != NULL)
        conn_fail(c, err);
    else if (c->state == CONN_CONNECTING)
        conn_step(c);
    else
        conn_receive(c);
}

static void on_writable(h2o_socket_t *sock, const char *err)
{
    struct db_conn *c = sock->data;

    c->writing = false;
    if (err != NULL)
        conn_fail(c, err);
    else if (c->state == CONN_CONNECTING)
        conn_step(c);
    else
        conn_receive(c); /* libpq may have to read before it can write on */
}

/* ---- time ---- */

static bool is_stuck(const struct db_conn *c, int64_t now_us)
{
    return c->head != NULL && c->state == CONN_UP &&
           now_us >= c->head_since_us + c->head->timeout_us + CONN_STUCK_US;
}

/* Who waits for something has waited too long. */
static bool is_overdue(const struct db_conn *c, int64_t now_us)
{
    for (const struct db_batch *b = c->head; b != NULL && c->state == CONN_UP; b = b->next)
        if (b->done != NULL && now_us >= b->deadline_us)
            return true;
    return is_stuck(c, now_us);
}

bool conn_tick(struct db_conn *c, int64_t now_us)
{
    if (c->broken)
        conn_fail(c, "broken");
    if (is_overdue(c, now_us))
        conn_receive(c); /* a thread that was held up may not have looked yet at what has come */
    if (c->state == CONN_DOWN && now_us >= c->retry_at_us)
        conn_start(c, now_us);
    else if ((c->state == CONN_CONNECTING || c->state == CONN_SETUP) && now_us >= c->connect_deadline_us)
        conn_fail(c, "connecting took too long");
    if (is_stuck(c, now_us))
        conn_fail(c, "the server does not answer");
    for (struct db_batch *b = c->head; b != NULL && c->state == CONN_UP; b = b->next)
        if (now_us >= b->deadline_us)
            batch_tell(b, -ETIMEDOUT);
    return c->state != CONN_UP || c->head != NULL || c->broken;
}
