/* A blocking connection for the threads that have no loop (control, housekeeper) and for migrate: every wait ends at
 * its deadline, or at once when `stop_fd` becomes readable. Used by one thread. */
#ifndef BERTH_CONTROLLER_DB_SYNC_H
#define BERTH_CONTROLLER_DB_SYNC_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DB_SYNC_ERROR = 256, DB_NOTICE_MAX = 7999 /* PostgreSQL's own bound */ };

struct db_sync {
    PGconn *conn;              /* NULL: not connected */
    int stop_fd;               /* -1: none */
    int wake_fd;               /* ends db_sync_notify when readable; -1: none */
    size_t turn;               /* which host is asked first: db_hosts.h */
    int64_t timeout_us;        /* for connecting, and for each statement */
    bool stopped;              /* stop_fd became readable */
    char error[DB_SYNC_ERROR]; /* of the last failure, for people; holds no secret */
    char sqlstate[6];          /* of the last failed statement, else "" */
};

void db_sync_init(struct db_sync *d, int stop_fd, int64_t timeout_us);
/* 0, -ENOTCONN, -ETIMEDOUT, -EINTR (stopped). */
int db_sync_connect(struct db_sync *d, const char *conninfo) __attribute__((warn_unused_result));
/* As the operator role, in UTC, with a bound on each statement: of those who watch the database. -EIO: it was not given. */
int db_sync_connect_operator(struct db_sync *d, const char *conninfo) __attribute__((warn_unused_result));
void db_sync_close(struct db_sync *d);
/* One statement with text parameters. The result (PQclear it) when it worked, else NULL with error and sqlstate set; a lost
 * connection or a time-out closes it. */
PGresult *db_sync_exec(struct db_sync *d, const char *sql, const char *const *params, int n_params)
    __attribute__((warn_unused_result));
/* Several statements separated by semicolons, one transaction. 0, or -EIO. */
int db_sync_script(struct db_sync *d, const char *sql) __attribute__((warn_unused_result));
struct db_notice {
    char channel[64];
    char payload[DB_NOTICE_MAX + 1];
};
/* Waits for a notification at most that long, or until wake_fd is readable. 1: one came; 0: none; -ENOTCONN; -EINTR. */
int db_sync_notify(struct db_sync *d, int64_t timeout_us, struct db_notice *out)
    __attribute__((warn_unused_result));

#endif
