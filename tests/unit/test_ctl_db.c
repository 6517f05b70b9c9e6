/* link: berth_controller_lib */
/* The pipelined connections against a real PostgreSQL, on a loop of their own. */
#include "ctl_db_case.h"

#include <poll.h>

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
        cmocka_unit_test(test_too_much_for_one_batch),
        cmocka_unit_test(test_text_arrays),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
