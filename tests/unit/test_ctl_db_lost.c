/* link: berth_controller_lib */
/* Several connections of one role, against a real PostgreSQL: who waits, who is lost, and who serves meanwhile. */
#include "ctl_db_case.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers_wait_for_themselves),
        cmocka_unit_test(test_writers_share),
        cmocka_unit_test(test_a_lost_connection),
        cmocka_unit_test(test_a_lost_writer),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
