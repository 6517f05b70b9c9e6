/* What tests of the pipelined connections share: a real PostgreSQL of their own, a loop, and batches that tell what became
 * of them. */
#ifndef BERTH_TESTS_CTL_DB_CASE_H
#define BERTH_TESTS_CTL_DB_CASE_H

#include "check.h"
#include "db_conn.h"
#include "db_sync.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
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

static inline int free_port(void)
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

static inline void start_server(int port)
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

static inline bool read_password(char *out, size_t cap)
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

static inline void connect_until(struct db_sync *d, int port)
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

static inline void run_until(bool (*done)(void *), void *ctx)
{
    int64_t deadline = clock_mono_us() + WAIT_US;

    while (!done(ctx)) {
        assert_true(clock_mono_us() < deadline);
        (void)h2o_evloop_run(loop, 20);
    }
}

static inline bool all_up(void *ctx)
{
    (void)ctx;
    return atomic_load(&up) == DB_CONNS;
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void on_done(void *ctx, const struct db_result *r)
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

static inline bool was_called(void *ctx)
{
    const struct outcome *o = ctx;
    return o->calls > 0;
}

static inline struct db_batch *begin(enum db_role role, int64_t timeout_us)
{
    struct db_batch *b = NULL;

    assert_int_equal(
        db_begin(db, role, db_role_of_org(role) ? "oabc" : NULL, clock_mono_us() + timeout_us, &b), 0);
    return b;
}

static inline void add(struct db_batch *b, const struct db_stmt *stmt, const char *param)
{
    const struct db_param p = db_text(param);
    db_add(b, stmt, &p, param != NULL);
}

static inline void finish(struct db_batch *b, struct outcome *o)
{
    assert_int_equal(db_send(b, on_done, o), 0);
    assert_int_equal(o->calls, 0); /* never from inside */
    run_until(was_called, o);
    assert_int_equal(o->calls, 1);
}

static inline struct db_sync elsewhere(void)
{
    struct db_sync d;

    db_sync_init(&d, -1, WAIT_US);
    assert_int_equal(db_sync_connect(&d, conninfo), 0);
    return d;
}

#endif
