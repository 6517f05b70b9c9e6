/* Statements and their parameters: what can be made without a connection. */
#ifndef BERTH_CONTROLLER_DB_PARAM_H
#define BERTH_CONTROLLER_DB_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct st_h2o_mem_pool_t; /* libh2o's h2o_mem_pool_t, without its header */

enum { DB_PARAMS_MAX = 2048 }; /* parameters of one statement */

/* Make them `static const`: the address is the identity, the name must be unique among all. Prepared where first used.
 * Cast parameters whose type the server can't infer: `$1::text[]`. */
struct db_stmt {
    const char *name;
    const char *sql;
};

struct db_param {
    const void *value; /* NULL: SQL null */
    size_t len;        /* binary only */
    bool binary;
};
/* Text (NUL-terminated); NULL is SQL null. */
struct db_param db_text(const char *s);
struct db_param db_bytes(const void *p, size_t len); /* the type's binary format */
struct db_param db_i64(char buf[static 24], int64_t v);
struct db_param db_bool(bool v);
/* A text[] literal of `n` strings written to the pool; a NULL string is a null element. Memory from `pool`. */
struct db_param db_text_array(struct st_h2o_mem_pool_t *pool, const char *const *v, size_t n);

#endif
