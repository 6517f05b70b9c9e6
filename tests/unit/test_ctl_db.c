/* link: berth_controller_lib */
/* The pipelined connections against a real PostgreSQL, on a loop of their own. */
#include "check.h"
#include "db_conn.h"
#include "db_sync.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_US = 20 * 1000 * 1000 };

static char folder[] = "/tmp/berth-test-db-XXXXXX";
static char conninfo[512];
static pid_t server;
static h2o_loop_t *loop;
static struct db *db;
static _Atomic int64_t up, served;

/* ---- a private server ---- */

static int free_port(void)
{
    struct addr any, bound;
    int fd, port;

    if (addr_parse(&any, "127.0.0.1:0") != 0)
        return -1;
    fd = socket_listen_tcp(&any, false, 1);
    port = fd >= 0 && socket_local_addr(fd, &bound) == 0 ? bound.port : -1;
    close(fd);
    return port;
}

static void start_server(int port)
{
    char script[512], text[16], *end;

    snprintf(script, sizeof(script), "%s", __FILE__);
    end = strstr(script, "/tests/unit/");
    assert_non_null(end);
    snprintf(end, sizeof(script) - (size_t)(end - script), "/common/sh/private-postgres");
    snprintf(text, sizeof(text), "%d", port);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(126);
        execl(script, script, folder, text, (char *)NULL);
        _exit(127);
    }
}

static bool read_password(char *out, size_t cap)
{
    char path[256];
    FILE *f;
    bool ok;

    snprintf(path, sizeof(path), "%s/password", folder);
    f = fopen(path, "r");
    if (f == NULL)
        return false;
    ok = fgets(out, (int)cap, f) != NULL;
    out[strcspn(out, "\n")] = '\0';
    fclose(f);
    return ok;
}

static void connect_until(struct db_sync *d, int port)
{
    int64_t deadline = clock_mono_us() + 3 * (int64_t)WAIT_US;
    char password[128];

    for (;;) {
        if (read_password(password, sizeof(password))) {
            snprintf(conninfo, sizeof(conninfo), "postgresql://postgres:%s@127.0.0.1:%d/postgres", password,
                     port);
            if (db_sync_connect(d, conninfo) == 0)
                return;
        }
        assert_true(clock_mono_us() < deadline);
        usleep(20000);
    }
}

static void run_until(bool (*done)(void *), void *ctx)
{
    int64_t deadline = clock_mono_us() + WAIT_US;

    while (!done(ctx)) {
        assert_true(clock_mono_us() < deadline);
        (void)h2o_evloop_run(loop, 20);
    }
}

static bool all_up(void *ctx)
{
    (void)ctx;
    return atomic_load(&up) == DB_CONNS;
}

static int setup(void **state)
{
    int port = free_port();
    struct db_sync d;

    (void)state;
    assert_non_null(mkdtemp(folder));
    start_server(port);
    db_sync_init(&d, -1, WAIT_US);
    connect_until(&d, port);
    assert_int_equal(
        db_sync_script(&d, "create role berth_tenant; create role berth_ingest; create role berth_operator; "
                           "create table t (n int primary key check (n < 1000)); "
                           "grant all on t to berth_operator, berth_tenant"),
        0);
    db_sync_close(&d);
    loop = h2o_evloop_create();
    const struct db_opts opts = {
        .conninfo = conninfo, .statement_timeout_us = 5000000, .up = &up, .served = &served};
    assert_int_equal(db_new(&db, loop, &opts), 0);
    run_until(all_up, NULL);
    return 0;
}

static int teardown(void **state)
{
    char command[600];

    (void)state;
    db_destroy(db);
    for (int i = 0; i < 8; i++)
        (void)h2o_evloop_run(loop, 0);
    h2o_evloop_destroy(loop);
    kill(server, SIGINT);
    waitpid(server, NULL, 0);
    snprintf(command, sizeof(command),
             "data=$(cat %s/data-path); case $data in /var/tmp/berth-postgres-*) rm -rf \"${data%%/data}\";; "
             "esac; rm -rf %s",
             folder, folder);
    return system(command);
}

/* ---- batches ---- */

static const struct db_stmt insert_stmt = {"insert", "insert into t values ($1::int) returning n"};
static const struct db_stmt echo_stmt = {"echo",
                                         "select $1::text, current_setting('berth.org', true), current_user"};
static const struct db_stmt sleep_stmt = {"sleep", "select pg_sleep($1::float)"};
static const struct db_stmt fresh_stmt = {"fresh", "select 'fresh' || $1::text"};
static const struct db_stmt pid_stmt = {"pid", "select pg_backend_pid()"};
static const struct db_stmt has_stmt = {"has", "select exists (select from t where n = $1::int)"};
static const struct db_stmt count_stmt = {"count", "select count(*) from t"};

struct outcome {
    int calls, error;
    size_t n, failed;
    char sqlstate[6], first[64], second[64], third[64];
};

static void on_done(void *ctx, const struct db_result *r)
{
    struct outcome *o = ctx;

    o->calls++;
    o->error = r->error;
    o->n = r->n;
    o->failed = r->failed;
    memcpy(o->sqlstate, r->sqlstate, sizeof(o->sqlstate));
    if (r->error != 0 || r->n == 0 || PQntuples(r->res[r->n - 1]) == 0)
        return;
    const PGresult *last = r->res[r->n - 1];
    snprintf(o->first, sizeof(o->first), "%s", db_get(last, 0, 0));
    if (PQnfields(last) == 3) {
        snprintf(o->second, sizeof(o->second), "%s", db_get(last, 0, 1));
        snprintf(o->third, sizeof(o->third), "%s", db_get(last, 0, 2));
    }
}

static bool was_called(void *ctx)
{
    const struct outcome *o = ctx;
    return o->calls > 0;
}

static struct db_batch *begin(enum db_role role, int64_t timeout_us)
{
    struct db_batch *b = NULL;

    assert_int_equal(
        db_begin(db, role, db_role_of_org(role) ? "oabc" : NULL, clock_mono_us() + timeout_us, &b), 0);
    return b;
}

static void add(struct db_batch *b, const struct db_stmt *stmt, const char *param)
{
    const struct db_param p = db_text(param);
    db_add(b, stmt, &p, param != NULL);
}

static void finish(struct db_batch *b, struct outcome *o)
{
    assert_int_equal(db_send(b, on_done, o), 0);
    assert_int_equal(o->calls, 0); /* never from inside */
    run_until(was_called, o);
    assert_int_equal(o->calls, 1);
}

static void test_results_in_order(void **state)
{
    struct outcome o = {0};
    struct db_batch *b = begin(DB_OPERATOR, WAIT_US);

    (void)state;
    add(b, &insert_stmt, "1");
    add(b, &insert_stmt, "2");
    add(b, &echo_stmt, "h\xc3\xa9llo");
    finish(b, &o);
    assert_int_equal(o.error, 0);
    assert_int_equal(o.n, 3);
    assert_string_equal(o.first, "h\xc3\xa9llo");
    assert_string_equal(o.third, "berth_operator");
}

static void test_the_org_lasts_one_batch(void **state)
{
    struct outcome tenant = {0}, other = {0};
    struct db_batch *b = begin(DB_TENANT, WAIT_US);

    (void)state;
    add(b, &echo_stmt, "x");
    finish(b, &tenant);
    assert_string_equal(tenant.second, "oabc");
    assert_string_equal(tenant.third, "berth_tenant");
    b = begin(DB_INGEST, WAIT_US);
    add(b, &echo_stmt, "x");
    finish(b, &other);
    assert_string_equal(other.second, "");
    assert_string_equal(other.third, "berth_ingest");
}

/* All or nothing, and what comes behind is unharmed; also what was to be prepared in the batch that failed. */
static void test_a_failed_batch(void **state)
{
    struct outcome bad = {0}, behind = {0}, after = {0}, rows = {0};
    struct db_batch *b = begin(DB_OPERATOR, WAIT_US);

    (void)state;
    add(b, &insert_stmt, "3");
    add(b, &insert_stmt, "5000");
    add(b, &fresh_stmt, "1");
    assert_int_equal(db_send(b, on_done, &bad), 0);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &fresh_stmt, "2");
    finish(b, &behind);
    assert_int_equal(bad.error, -ECANCELED);
    assert_string_equal(bad.sqlstate, "23514");
    assert_int_equal(bad.failed, 1);
    assert_int_equal(behind.error, 0);
    assert_string_equal(behind.first, "fresh2");
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &fresh_stmt, "3");
    finish(b, &after);
    assert_string_equal(after.first, "fresh3");
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &count_stmt, NULL);
    finish(b, &rows);
    assert_string_equal(rows.first, "2");
}

static void test_the_pipeline_is_bounded(void **state)
{
    struct outcome *o = calloc(DB_PIPELINE_MAX, sizeof(*o));
    struct db_batch *b = NULL;

    (void)state;
    assert_non_null(o);
    for (size_t i = 0; i < DB_PIPELINE_MAX; i++) {
        b = begin(DB_OPERATOR, WAIT_US);
        add(b, &echo_stmt, "x");
        assert_int_equal(db_send(b, on_done, &o[i]), 0);
    }
    assert_int_equal(db_depth(db, DB_OPERATOR), DB_PIPELINE_MAX);
    assert_int_equal(db_begin(db, DB_OPERATOR, NULL, clock_mono_us() + WAIT_US, &b), -EAGAIN);
    run_until(was_called, &o[DB_PIPELINE_MAX - 1]);
    for (size_t i = 0; i < DB_PIPELINE_MAX; i++)
        assert_true(o[i].calls == 1 && o[i].error == 0);
    assert_int_equal(db_depth(db, DB_OPERATOR), 0);
    free(o);
}

static void test_the_one_who_waits_has_gone(void **state)
{
    struct outcome gone = {0}, next = {0}, rows = {0};
    struct db_batch *b = begin(DB_OPERATOR, WAIT_US);

    (void)state;
    add(b, &insert_stmt, "7");
    assert_int_equal(db_send(b, on_done, &gone), 0);
    db_detach(b);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &echo_stmt, "x");
    finish(b, &next);
    assert_int_equal(gone.calls, 0);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &count_stmt, NULL);
    finish(b, &rows);
    assert_string_equal(rows.first, "3"); /* it was written all the same */
}

static struct db_sync elsewhere(void)
{
    struct db_sync d;

    db_sync_init(&d, -1, WAIT_US);
    assert_int_equal(db_sync_connect(&d, conninfo), 0);
    return d;
}

static bool timed_out(const struct outcome *o)
{
    return o->error == -ETIMEDOUT || (o->error == -ECANCELED && strcmp(o->sqlstate, "57014") == 0);
}

static void test_a_deadline_is_kept(void **state)
{
    struct outcome slow = {0}, waits = {0};
    struct db_batch *b = begin(DB_OPERATOR, 100000);
    int64_t start = clock_mono_us();

    (void)state;
    add(b, &sleep_stmt, "3");
    assert_int_equal(db_send(b, on_done, &slow), 0);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &echo_stmt, "x");
    assert_int_equal(db_send(b, on_done, &waits), 0);
    run_until(was_called, &slow);
    assert_true(timed_out(&slow));
    assert_true(clock_mono_us() - start < 500000);
    run_until(was_called, &waits); /* the server ended the slow one, the connection lives on */
    assert_int_equal(waits.error, 0);
    assert_true(clock_mono_us() - start < 1500000);
    assert_int_equal(slow.calls, 1);
    assert_int_equal(atomic_load(&up), DB_CONNS);
    b = NULL;
    assert_int_equal(db_begin(db, DB_OPERATOR, NULL, clock_mono_us(), &b), -ETIMEDOUT);
    assert_null(b);
}

/* An answer that nobody comes to read is no time that the database took. */
static void test_who_was_too_slow(void **state)
{
    enum { STALL_US = 400000 };
    struct db_wait stalled = {0}, slow = {0}, none = {0};
    struct outcome answered = {0}, late = {0};
    struct db_batch *b = begin(DB_OPERATOR, STALL_US / 2);

    (void)state;
    add(b, &echo_stmt, "x");
    db_wait_begin(&stalled, db);
    assert_int_equal(db_send(b, on_done, &answered), 0);
    usleep(STALL_US); /* the thread does something else */
    run_until(was_called, &answered);
    db_wait_end(&stalled, db);
    assert_int_equal(answered.error, 0); /* late, and an answer all the same */
    assert_in_range(stalled.total_us, 0, STALL_US / 4);
    assert_string_equal(db_refusal(-ETIMEDOUT, &stalled, STALL_US).code, "overloaded");

    b = begin(DB_OPERATOR, STALL_US / 2);
    add(b, &sleep_stmt, "3");
    db_wait_begin(&slow, db);
    assert_int_equal(db_send(b, on_done, &late), 0);
    run_until(was_called, &late);
    db_wait_end(&slow, db);
    assert_true(timed_out(&late));
    assert_true(slow.total_us >= 20000); /* a look at it in time each */
    slow.total_us = STALL_US / 2;
    assert_string_equal(db_refusal(-ETIMEDOUT, &slow, STALL_US).code, "database_unavailable");

    assert_string_equal(db_refusal(-ETIMEDOUT, &none, STALL_US).code, "overloaded"); /* it was never asked */
    assert_string_equal(db_refusal(-ENOTCONN, &none, STALL_US).code, "database_unavailable");
    assert_string_equal(db_refusal(-EAGAIN, &none, STALL_US).code, "overloaded");
}

/* Held up between its look at the sockets and that at the clock: what has come meanwhile counts, however late it is. */
static void test_who_was_held_up_between(void **state)
{
    struct db_conn *c = &db->conns[DB_CONNS - 1];
    struct outcome answered = {0};
    struct db_batch *b = begin(DB_OPERATOR, WAIT_US);

    (void)state;
    add(b, &echo_stmt, "x");
    assert_int_equal(db_send(b, on_done, &answered), 0);
    struct pollfd answer = {.fd = PQsocket(c->pg), .events = POLLIN};
    assert_int_equal(poll(&answer, 1, WAIT_US / 1000), 1);
    (void)conn_tick(c, clock_mono_us() + 2 * (int64_t)WAIT_US);
    assert_int_equal(answered.calls, 1);
    assert_int_equal(answered.error, 0);
    assert_int_equal(c->role, DB_OPERATOR);
    assert_int_equal(atomic_load(&up), DB_CONNS);
}

/* Begun with little left behind one that takes longer: it gets its own time, and costs nobody the connection. */
static void test_a_late_batch(void **state)
{
    struct outcome ahead = {0}, late = {0}, behind = {0};
    struct db_batch *b = begin(DB_OPERATOR, WAIT_US);

    (void)state;
    add(b, &sleep_stmt, "2");
    assert_int_equal(db_send(b, on_done, &ahead), 0);
    b = begin(DB_OPERATOR, 300000);
    add(b, &sleep_stmt, "3");
    assert_int_equal(db_send(b, on_done, &late), 0);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &echo_stmt, "x");
    assert_int_equal(db_send(b, on_done, &behind), 0);
    run_until(was_called, &behind);
    assert_int_equal(ahead.error, 0);
    assert_int_equal(late.error, -ETIMEDOUT);
    assert_int_equal(behind.error, 0);
}

static void test_a_server_that_is_stuck(void **state)
{
    struct outcome pid = {0}, stuck = {0}, behind = {0};
    struct db_batch *b = begin(DB_OPERATOR, WAIT_US);

    (void)state;
    add(b, &pid_stmt, NULL);
    finish(b, &pid);
    assert_true(atoi(pid.first) > 1); /* else a whole group of processes would be stopped */
    assert_int_equal(kill(atoi(pid.first), SIGSTOP), 0);
    b = begin(DB_OPERATOR, 100000);
    add(b, &echo_stmt, "x");
    finish(b, &stuck);
    assert_int_equal(stuck.error, -ETIMEDOUT);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &echo_stmt, "x");
    finish(b, &behind);
    assert_int_equal(behind.error, -ENOTCONN); /* the server is given up, and found again */
    assert_int_equal(kill(atoi(pid.first), SIGCONT), 0);
    run_until(all_up, NULL);
}

/* One locked row holds up who wants it, and the others only for a moment. */
static void test_tenants_do_not_wait_for_locks(void **state)
{
    static const struct db_stmt touch = {"touch", "update t set n = n where n = 1"};
    struct db_sync d = elsewhere();
    struct outcome blocked = {0}, behind = {0}, slow = {0};
    struct db_batch *b;
    int64_t start;

    (void)state;
    assert_int_equal(db_sync_script(&d, "begin; update t set n = n where n = 1"), 0);
    b = begin(DB_TENANT, WAIT_US);
    start = clock_mono_us();
    add(b, &touch, NULL);
    assert_int_equal(db_send(b, on_done, &blocked), 0);
    b = begin(DB_TENANT, WAIT_US);
    add(b, &echo_stmt, "x");
    finish(b, &behind);
    assert_int_equal(blocked.error, -ECANCELED);
    assert_string_equal(blocked.sqlstate, "55P03");
    assert_int_equal(behind.error, 0);
    assert_true(clock_mono_us() - start < 1000000);
    b = begin(DB_TENANT_SLOW, WAIT_US); /* has the same rights, and more patience */
    add(b, &touch, NULL);
    assert_int_equal(db_send(b, on_done, &slow), 0);
    start = clock_mono_us();
    while (clock_mono_us() - start < 400000)
        (void)h2o_evloop_run(loop, 20);
    assert_int_equal(slow.calls, 0);
    assert_int_equal(db_sync_script(&d, "rollback"), 0);
    run_until(was_called, &slow);
    assert_int_equal(slow.error, 0);
    db_sync_close(&d);
}

/* What one has to wait for at its commit holds up no other's, nor who reads, whoever came first. */
static void test_writers_wait_for_themselves(void **state)
{
    static const struct db_stmt wait = {"wait", "select pg_advisory_xact_lock(730581)"};
    struct db_sync d = elsewhere();
    struct outcome waits = {0}, writes = {0}, reads = {0};
    struct db_batch *b;

    (void)state;
    assert_int_equal(db_sync_script(&d, "select pg_advisory_lock(730581); set lock_timeout = 0"), 0);
    b = begin(DB_TENANT_WRITE, WAIT_US);
    add(b, &wait, NULL);
    assert_int_equal(db_send(b, on_done, &waits), 0);
    b = begin(DB_TENANT_WRITE, WAIT_US);
    add(b, &echo_stmt, "x");
    finish(b, &writes);
    assert_int_equal(waits.calls, 0);
    assert_string_equal(writes.second, "oabc");
    assert_string_equal(writes.third, "berth_tenant");
    b = begin(DB_TENANT, WAIT_US);
    add(b, &echo_stmt, "x");
    finish(b, &reads);
    assert_int_equal(waits.calls, 0);
    run_until(was_called, &waits);
    assert_string_equal(waits.sqlstate, "55P03");
    db_sync_close(&d);
}

/* Of many, each connection has its share; together they have as much room as they are connections. */
static void test_writers_share(void **state)
{
    enum { ALL = DB_WRITERS * DB_PIPELINE_MAX };
    static struct outcome o[ALL];
    struct db_batch *b = NULL;
    size_t done = 0;

    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        b = begin(DB_TENANT_WRITE, WAIT_US);
        add(b, &echo_stmt, "x");
        assert_int_equal(db_send(b, on_done, &o[i]), 0);
    }
    assert_int_equal(db_depth(db, DB_TENANT_WRITE), ALL);
    assert_int_equal(db_begin(db, DB_TENANT_WRITE, "oabc", clock_mono_us() + WAIT_US, &b), -EAGAIN);
    for (size_t i = 0; i < ALL; i++) {
        run_until(was_called, &o[i]);
        done += o[i].error == 0;
    }
    assert_int_equal(done, ALL);
}

/* As an operator, or a crash, ends a connection. */
static void end_connections_that(const char *condition)
{
    struct db_sync d = elsewhere();
    char sql[256];

    snprintf(sql, sizeof(sql), "select pg_terminate_backend(pid) from pg_stat_activity where %s", condition);
    int64_t deadline = clock_mono_us() + WAIT_US;
    for (int ended = 0; ended == 0;) {
        PGresult *res = db_sync_exec(&d, sql, NULL, 0);
        assert_non_null(res);
        ended = PQntuples(res);
        PQclear(res);
        assert_true(clock_mono_us() < deadline);
    }
    db_sync_close(&d);
}

static void test_a_lost_connection(void **state)
{
    struct outcome lost = {0}, behind = {0}, after = {0};
    struct db_batch *b = begin(DB_OPERATOR, WAIT_US), *refused = NULL;

    (void)state;
    add(b, &sleep_stmt, "4");
    assert_int_equal(db_send(b, on_done, &lost), 0);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &echo_stmt, "x");
    assert_int_equal(db_send(b, on_done, &behind), 0);
    (void)h2o_evloop_run(loop, 0);
    end_connections_that("query like 'select pg_sleep%'");
    run_until(was_called, &behind);
    assert_int_equal(behind.error, -ENOTCONN);
    assert_int_equal(lost.calls, 1);
    assert_int_not_equal(lost.error, 0);
    assert_int_equal(db_begin(db, DB_OPERATOR, NULL, clock_mono_us() + WAIT_US, &refused), -ENOTCONN);
    assert_true(db_is_up(db, DB_TENANT));
    run_until(all_up, NULL);
    b = begin(DB_OPERATOR, WAIT_US);
    add(b, &fresh_stmt, "4"); /* prepared again */
    finish(b, &after);
    assert_string_equal(after.first, "fresh4");
}

/* One of several that is lost is no loss of its role; the only one of a role is. */
static void test_a_lost_writer(void **state)
{
    struct outcome writes = {0};
    struct db_batch *b;

    (void)state;
    assert_int_equal(atomic_load(&served), DB_ROLE_COUNT);
    conn_fail(&db->conns[DB_TENANT_WRITE], "lost");
    assert_int_equal(atomic_load(&up), DB_CONNS - 1);
    assert_int_equal(atomic_load(&served), DB_ROLE_COUNT);
    b = begin(DB_TENANT_WRITE, WAIT_US);
    add(b, &echo_stmt, "x");
    finish(b, &writes);
    assert_int_equal(writes.error, 0);
    conn_fail(&db->conns[DB_TENANT], "lost");
    assert_int_equal(atomic_load(&served), DB_ROLE_COUNT - 1);
    run_until(all_up, NULL);
    assert_int_equal(atomic_load(&served), DB_ROLE_COUNT);
}

/* What was sent of it is undone, and nobody else is harmed. */
static void test_too_much_for_one_batch(void **state)
{
    struct outcome o = {0}, ahead = {0}, after = {0}, full = {0};
    struct db_batch *b = begin(DB_TENANT, WAIT_US);

    (void)state;
    add(b, &sleep_stmt, "0.1");
    assert_int_equal(db_send(b, on_done, &ahead), 0);
    b = begin(DB_TENANT, WAIT_US);
    add(b, &insert_stmt, "77");
    for (size_t i = 0; i < DB_BATCH_STMTS_MAX; i++)
        add(b, &echo_stmt, "x");
    assert_int_equal(db_send(b, on_done, &o), -E2BIG);
    b = begin(DB_TENANT, WAIT_US);
    add(b, &has_stmt, "77");
    finish(b, &after);
    assert_int_equal(ahead.error, 0);
    assert_int_equal(o.calls, 0);
    assert_int_equal(after.error, 0);
    assert_string_equal(after.first, "f");
    b = begin(DB_TENANT, WAIT_US);
    for (size_t i = 0; i < DB_BATCH_STMTS_MAX; i++)
        add(b, &echo_stmt, "x");
    finish(b, &full);
    assert_int_equal(full.error, 0);
    assert_int_equal(full.n, DB_BATCH_STMTS_MAX);
}

static void test_text_arrays(void **state)
{
    static const struct db_stmt stmt = {"arrays", "select array_to_json($1::text[])"};
    static const char *const v[] = {"a", NULL, "NULL", "", "q\"\\{},", "\xc3\xa9"};
    h2o_mem_pool_t pool;
    struct outcome o = {0};
    struct db_batch *b;

    (void)state;
    h2o_mem_init_pool(&pool);
    const struct db_param p = db_text_array(&pool, v, 6);
    b = begin(DB_OPERATOR, WAIT_US);
    db_add(b, &stmt, &p, 1);
    finish(b, &o);
    assert_string_equal(o.first, "[\"a\",null,\"NULL\",\"\",\"q\\\"\\\\{},\",\"\xc3\xa9\"]");
    h2o_mem_clear_pool(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_in_order),
        cmocka_unit_test(test_the_org_lasts_one_batch),
        cmocka_unit_test(test_a_failed_batch),
        cmocka_unit_test(test_the_pipeline_is_bounded),
        cmocka_unit_test(test_the_one_who_waits_has_gone),
        cmocka_unit_test(test_a_deadline_is_kept),
        cmocka_unit_test(test_who_was_too_slow),
        cmocka_unit_test(test_who_was_held_up_between),
        cmocka_unit_test(test_a_late_batch),
        cmocka_unit_test(test_a_server_that_is_stuck),
        cmocka_unit_test(test_tenants_do_not_wait_for_locks),
        cmocka_unit_test(test_writers_wait_for_themselves),
        cmocka_unit_test(test_writers_share),
        cmocka_unit_test(test_a_lost_connection),
        cmocka_unit_test(test_a_lost_writer),
        cmocka_unit_test(test_too_much_for_one_batch),
        cmocka_unit_test(test_text_arrays),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
