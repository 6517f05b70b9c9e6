/* Comma-separated values (RFC 4180, no line breaks inside quotes), read in place. */
#ifndef BERTH_LOADTEST_REPLAY_CSV_H
#define BERTH_LOADTEST_REPLAY_CSV_H

#include "fail.h"

#include <stdint.h>

enum { CSV_FIELDS_MAX = 4097 }; /* of a row: a name and a figure for 4,096 nodes */

/* `fields` holds the row that csv_next found, each a string inside the text. */
struct csv {
    const char *file;
    char *at, *end;
    size_t line, n;
    char *fields[CSV_FIELDS_MAX];
};

/* `text` has size + 1 bytes, which the reader overwrites; it stays the caller's and lives as long as the fields are used. */
void csv_init(struct csv *c, const char *file, char *text, size_t size);
/* 1: a row; 0: the end; -EINVAL with *e. Empty lines are skipped. */
int csv_next(struct csv *c, struct replay_error *e) __attribute__((warn_unused_result));

/* Numbers of a field. Negative, infinite and not-a-number are refused. -EINVAL says so in *e with the column's name. */
int csv_ms(const struct csv *c, size_t field, const char *name, int64_t max_us, int64_t *us,
           struct replay_error *e) __attribute__((warn_unused_result));
int csv_count(const struct csv *c, size_t field, const char *name, int64_t max, int64_t *out,
              struct replay_error *e) __attribute__((warn_unused_result));
int csv_real(const struct csv *c, size_t field, const char *name, double max, double *out,
             struct replay_error *e) __attribute__((warn_unused_result));

#endif
