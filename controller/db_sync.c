/* libpq with waits that end: every read and write goes through one poll() on the connection and the stop descriptor.
 * Invariant: after a time-out or a lost connection `conn` is NULL. */
#include "db_sync.h"

#include "db_hosts.h"
#include "sys/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

void db_sync_init(struct db_sync *d, int stop_fd, int64_t timeout_us)
{
    memset(d, 0, sizeof(*d));
    d->stop_fd = stop_fd;
    d->wake_fd = -1;
    d->timeout_us = timeout_us;
}

void db_sync_close(struct db_sync *d)
{
    PQfinish(d->conn);
    d->conn = NULL;
}

static void fail_text(struct db_sync *d, const char *text)
{
    snprintf(d->error, sizeof(d->error), "%s", text);
    d->error[strcspn(d->error, "\n")] = '\0';
}

static int lost(struct db_sync *d, const char *text, int error)
{
    fail_text(d, text);
    db_sync_close(d);
    return error;
}

/* 1 ready, 0 deadline passed or (where one is given) wake_fd readable, -EINTR stopped. */
static int wait_or_wake(struct db_sync *d, short events, int64_t deadline_us, int wake_fd)
{
    struct pollfd fds[3] = {{.fd = PQsocket(d->conn), .events = events},
                            {.fd = d->stop_fd, .events = POLLIN},
                            {.fd = wake_fd, .events = POLLIN}};

    for (;;) {
        int64_t left = deadline_us - clock_mono_us();
        int n = poll(fds, 3, left > 0 ? (int)((left + 999) / 1000) : 0);
        if (fds[1].revents != 0 && n > 0) {
            d->stopped = true;
            return -EINTR;
        }
        if (n > 0)
            return fds[0].revents != 0 ? 1 : 0;
        if (n == 0)
            return 0;
        if (errno != EINTR)
            return 0;
    }
}

static int wait_socket(struct db_sync *d, short events, int64_t deadline_us)
{
    return wait_or_wake(d, events, deadline_us, -1);
}

/* libpq would write them to stderr; what matters comes as an error besides. */
static void on_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static int connect_once(struct db_sync *d, const struct db_hosts *hosts)
{
    int64_t deadline = clock_mono_us() + db_hosts_timeout_us(hosts, d->timeout_us);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    db_sync_close(d);
    d->conn = PQconnectStartParams(hosts->keys, hosts->values, 1);
    if (d->conn == NULL || PQstatus(d->conn) == CONNECTION_BAD)
        return lost(d, d->conn != NULL ? PQerrorMessage(d->conn) : "out of memory", -ENOTCONN);
    (void)PQsetNoticeProcessor(d->conn, on_notice, NULL);
    while (status != PGRES_POLLING_OK) {
        int r = wait_socket(d, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        if (r < 0)
            return lost(d, "stopped", -EINTR);
        if (r == 0)
            return lost(d, "connecting took too long", -ETIMEDOUT);
        status = PQconnectPoll(d->conn);
        if (status == PGRES_POLLING_FAILED)
            return lost(d, PQerrorMessage(d->conn), -ENOTCONN);
    }
    if (PQsetnonblocking(d->conn, 1) != 0)
        return lost(d, PQerrorMessage(d->conn), -ENOTCONN);
    return 0;
}

int db_sync_connect(struct db_sync *d, const char *conninfo)
{
    struct db_hosts hosts;
    size_t tried = 0;
    int r;

    do { /* a host that refuses is libpq's to go past, one that says nothing is ours */
        db_hosts_params(&hosts, conninfo, d->turn);
        r = connect_once(d, &hosts);
        d->turn += r != 0;
    } while (r == -ETIMEDOUT && ++tried < hosts.n);
    return r;
}

/* Sends what is buffered and waits until a result can be had without blocking. */
static int wait_result(struct db_sync *d, int64_t deadline_us)
{
    for (;;) {
        int flushed = PQflush(d->conn), r;
        if (flushed < 0)
            return lost(d, PQerrorMessage(d->conn), -ENOTCONN);
        if (flushed == 0 && !PQisBusy(d->conn))
            return 0;
        r = wait_socket(d, (short)(POLLIN | (flushed == 1 ? POLLOUT : 0)), deadline_us);
        if (r < 0)
            return lost(d, "stopped", -EINTR);
        if (r == 0)
            return lost(d, "the server did not answer in time", -ETIMEDOUT);
        if (PQconsumeInput(d->conn) != 1)
            return lost(d, PQerrorMessage(d->conn), -ENOTCONN);
    }
}

/* Reads all results of what was sent; the last one is the answer, the first failure wins. */
static PGresult *collect(struct db_sync *d)
{
    int64_t deadline = clock_mono_us() + d->timeout_us;
    PGresult *last = NULL, *res;
    bool failed = false;

    for (;;) {
        if (wait_result(d, deadline) != 0) {
            PQclear(last);
            return NULL;
        }
        res = PQgetResult(d->conn);
        if (res == NULL)
            break;
        if (!failed) {
            PQclear(last);
            last = res;
            failed = PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK;
        } else {
            PQclear(res);
        }
    }
    if (failed) {
        const char *state = PQresultErrorField(last, PG_DIAG_SQLSTATE);
        snprintf(d->sqlstate, sizeof(d->sqlstate), "%s", state != NULL ? state : "");
        fail_text(d, PQresultErrorMessage(last));
        PQclear(last);
        last = NULL;
        if (PQstatus(d->conn) == CONNECTION_BAD)
            db_sync_close(d);
    }
    return last;
}

PGresult *db_sync_exec(struct db_sync *d, const char *sql, const char *const *params, int n_params)
{
    d->sqlstate[0] = '\0';
    if (d->conn == NULL) {
        fail_text(d, "not connected");
        return NULL;
    }
    if (PQsendQueryParams(d->conn, sql, n_params, NULL, params, NULL, NULL, 0) != 1) {
        (void)lost(d, PQerrorMessage(d->conn), -ENOTCONN);
        return NULL;
    }
    return collect(d);
}

int db_sync_script(struct db_sync *d, const char *sql)
{
    PGresult *res;

    d->sqlstate[0] = '\0';
    if (d->conn == NULL) {
        fail_text(d, "not connected");
        return -EIO;
    }
    if (PQsendQuery(d->conn, sql) != 1) {
        (void)lost(d, PQerrorMessage(d->conn), -ENOTCONN);
        return -EIO;
    }
    res = collect(d);
    if (res == NULL)
        return -EIO;
    PQclear(res);
    return 0;
}

int db_sync_notify(struct db_sync *d, int64_t timeout_us, struct db_notice *out)
{
    int64_t deadline = clock_mono_us() + timeout_us;

    for (;;) {
        PGnotify *n;
        int r;
        if (d->conn == NULL)
            return -ENOTCONN;
        n = PQnotifies(d->conn);
        if (n != NULL) {
            snprintf(out->channel, sizeof(out->channel), "%s", n->relname);
            snprintf(out->payload, sizeof(out->payload), "%s", n->extra);
            PQfreemem(n);
            return 1;
        }
        r = wait_or_wake(d, POLLIN, deadline, d->wake_fd);
        if (r < 0)
            return -EINTR;
        if (r == 0)
            return 0;
        if (PQconsumeInput(d->conn) != 1)
            return lost(d, PQerrorMessage(d->conn), -ENOTCONN);
    }
}

int db_sync_connect_operator(struct db_sync *d, const char *conninfo)
{
    int r = db_sync_connect(d, conninfo);

    return r != 0 ? r
                  : db_sync_script(d, "select set_config('role', 'berth_operator', false), "
                                      "set_config('statement_timeout', '1500', false), "
                                      "set_config('timezone', 'UTC', false)");
}
