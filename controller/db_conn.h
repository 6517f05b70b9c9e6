/* One pipelined connection: private to db.c and db_conn.c. */
#ifndef BERTH_CONTROLLER_DB_CONN_H
#define BERTH_CONTROLLER_DB_CONN_H

#include "db.h"

/* down -> connecting -> setup (SET ROLE is under way) -> up; from each back to down when something fails. */
enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_SETUP, CONN_UP };

enum {
    CONN_CONNECT_TIMEOUT_US = 5 * 1000 * 1000,
    CONN_BACKOFF_MIN_US = 50 * 1000,
    CONN_BACKOFF_MAX_US = 1000 * 1000,
    CONN_STUCK_US = 1000 * 1000, /* a server this far past the head's own timeout is given up */
};

/* What the pipeline will answer next. */
enum expect_kind { EXPECT_HIDDEN, EXPECT_PREPARE, EXPECT_RESULT };
enum { EXPECT_STEP = 3 }; /* a statement, its preparation, and the one that undoes the batch */
struct expect {
    enum expect_kind kind;
    size_t slot; /* EXPECT_PREPARE: of conn->stmts */
};

struct db_batch {
    struct db_batch *next;
    struct db_conn *conn;
    db_done_cb *done; /* NULL: detached, or told already */
    void *ctx;
    int64_t deadline_us;
    int64_t timeout_us; /* the server ends a statement of it that takes longer */
    int error;          /* while building: of a statement that could not be sent */
    struct expect *expect;
    size_t n_expect, cap_expect, at;
    PGresult **res;
    size_t n_stmts, n_res;
    char sqlstate[6];
    size_t failed;
    char message[256];
};

enum stmt_state { STMT_UNPREPARED, STMT_PENDING, STMT_READY };
struct stmt_slot {
    const struct db_stmt *stmt;
    enum stmt_state state;
    const struct db_batch
        *preparer; /* STMT_PENDING: only this batch may use the name, its failure would undo the rest */
};

struct db_conn {
    struct db *db;
    enum db_role role;
    enum conn_state state;
    bool writing; /* a write notification is asked for */
    bool broken;  /* to be failed at the next safe moment */
    size_t turn;  /* which host is asked first: db_hosts.h */
    PGconn *pg;
    h2o_socket_t *sock; /* wraps a dup of libpq's descriptor */
    struct db_batch *head, **tail;
    int64_t head_since_us; /* the server has been at the head since then */
    size_t depth;
    struct db_batch *building;
    struct stmt_slot stmts[DB_STMTS_MAX];
    size_t n_stmts;
    int64_t retry_at_us, backoff_us, connect_deadline_us;
};

struct db {
    h2o_loop_t *loop;
    struct db_opts opts;
    bool closing; /* in db_destroy: losing connections is no news */
    h2o_timeout_t tick;
    h2o_timeout_entry_t tick_entry;
    int64_t tick_due_us; /* 0: none is due */
    int64_t late_us;     /* what ticks came late by, in all */
    struct db_conn conns[DB_CONNS];
};

void conn_init(struct db_conn *c, struct db *db, enum db_role role);
/* Reconnects, ends batches past their deadline, gives up a stuck server. True while another tick is needed. */
bool conn_tick(struct db_conn *c, int64_t now_us);
/* Drops the connection; every batch under way gets -ENOTCONN. */
void conn_fail(struct db_conn *c, const char *why);
struct db_batch *conn_begin(struct db_conn *c, int64_t deadline_us, int64_t timeout_us);
/* Kept in b->error when it fails. */
void conn_add(struct db_conn *c, struct db_batch *b, enum expect_kind kind, const struct db_stmt *stmt,
              const struct db_param *params, size_t n);
int conn_send(struct db_conn *c, struct db_batch *b, db_done_cb *done, void *ctx);
void db_tick_start(struct db *db);

#endif
