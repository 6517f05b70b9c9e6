/* PostgreSQL on one thread's loop: libpq connections in pipeline mode, one for each role (DB_WRITERS for one of them).
 * A batch is one transaction: db_begin, db_add for each statement, db_send; all three in one go (nothing else runs
 * between them). Never blocks. Used by the loop's thread only. A connection that is lost comes back by itself, with
 * backoff; meanwhile db_begin refuses at once. */
#ifndef BERTH_CONTROLLER_DB_H
#define BERTH_CONTROLLER_DB_H

#include "db_param.h"
#include "sys/log.h"

#include <h2o.h>
#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    DB_PIPELINE_MAX = 256,    /* batches under way on one connection; where each has as many, -EAGAIN */
    DB_BATCH_STMTS_MAX = 256, /* statements of one batch */
    DB_STMTS_MAX = 128,       /* different statements on one connection */
};

/* Each role has connections of its own that have done SET ROLE, so a statement can't do more than its role may. tenant:
 * what belongs to an org, under row-level security: sees the rows of the batch's org alone. A statement that meets a
 * lock soon fails (55P03) rather than hold up all tenants. tenant_write has the same rights and the same haste, for
 * what is to be on disk before it is answered: a connection waits for the disk at every commit, so there are several,
 * whose commits the server takes to the disk together, and who only reads waits behind none. What takes long or may
 * wait goes over tenant_slow, which has the same rights. ingest: appends reports, reads nothing. operator: nodes, orgs,
 * keys: what isn't per tenant. */
enum db_role { DB_TENANT, DB_TENANT_WRITE, DB_TENANT_SLOW, DB_INGEST, DB_OPERATOR, DB_ROLE_COUNT };
enum {
    DB_WRITERS = 2,                            /* connections of DB_TENANT_WRITE */
    DB_CONNS = DB_ROLE_COUNT - 1 + DB_WRITERS, /* of a thread */
};
/* Is a batch of this role of an org's? */
bool db_role_of_org(enum db_role role);

/* How a batch ended. One PGresult a statement of db_add, in order; they are freed when the callback returns. */
struct db_result {
    int error; /* 0 committed; -ECANCELED: a statement failed, see sqlstate; -ENOTCONN: connection lost; -ETIMEDOUT.
                         With the last two the batch may have been committed all the same. */
    char sqlstate[6];  /* of the statement that failed, else "" */
    size_t failed;     /* its index among the db_add calls (n where it was none of them: at commit) */
    char message[256]; /* the server's primary message, for the log only */
    size_t n;
    PGresult *const *res;
};
/* Trying again may well do: lock not available, deadlock, serialization. */
bool db_lost_to_others(const struct db_result *result);
/* Called exactly once for every batch that db_send accepted, unless it was detached; never from inside db_send. */
typedef void db_done_cb(void *ctx, const struct db_result *result);

struct db;       /* a thread's connections */
struct db_batch; /* valid from db_begin until its callback has run or it is detached */

struct db_opts {
    const char *conninfo; /* URL or keywords; outlives the db */
    /* the server ends a statement that takes longer, or longer than its batch has left */
    int64_t statement_timeout_us;
    struct log *log;
    _Atomic int64_t *up;     /* counts the connections that are up, over all threads */
    _Atomic int64_t *served; /* counts each thread's roles of which one is up */
};

int db_new(struct db **out, h2o_loop_t *loop, const struct db_opts *opts) __attribute__((warn_unused_result));
/* Batches under way get their callback with -ENOTCONN first. NULL is fine. */
void db_destroy(struct db *db);
bool db_is_up(const struct db *db, enum db_role role); /* a connection of it is; NULL is never up */
/* Batches under way on its connections. */
size_t db_depth(const struct db *db, enum db_role role);

/* `org` is required for the tenants' roles and must be NULL else. `deadline_us` is on clock_mono_us(). 0, -ENOTCONN (connection is
 * down, or `db` is NULL), -ETIMEDOUT (the deadline has passed), -EAGAIN (pipeline full), -ENOMEM. */
int db_begin(struct db *db, enum db_role role, const char *org, int64_t deadline_us, struct db_batch **out)
    __attribute__((warn_unused_result));
/* How long somebody has waited for the database, in all, without what this thread itself came late by. Starts as zeros. */
struct db_wait {
    int64_t total_us;
    int64_t since_us, late_us; /* of the wait under way */
};
void db_wait_begin(struct db_wait *w, const struct db *db);
void db_wait_end(struct db_wait *w, const struct db *db);

/* What a client is told of a db_begin that failed, or of a batch that wasn't done in time (-ETIMEDOUT): a 503 with
 * this code and detail. Of a time `took_us` that is over it isn't the database that failed where it had less than
 * half. Static texts. */
struct db_refusal {
    const char *code, *detail;
};
struct db_refusal db_refusal(int error, const struct db_wait *waited, int64_t took_us);
/* The deadline ended the batch, here or at the server. */
bool db_too_late(const struct db_result *result);
/* Parameters are copied at once. A failure is kept and told by db_send. */
void db_add(struct db_batch *b, const struct db_stmt *stmt, const struct db_param *params, size_t n_params);
/* 0: the callback will come. -ENOTCONN, -E2BIG, -ENOMEM: it won't; the batch is gone. */
int db_send(struct db_batch *b, db_done_cb *done, void *ctx) __attribute__((warn_unused_result));
/* The one who waits has gone: the batch runs on, its callback won't be called. */
void db_detach(struct db_batch *b);

/* Reading results (text format). */
bool db_null(const PGresult *res, int row, int col);
const char *db_get(const PGresult *res, int row, int col); /* "" where null */
int64_t db_get_i64(const PGresult *res, int row, int col); /* 0 where null */
bool db_get_bool(const PGresult *res, int row, int col);   /* false where null */

#endif
