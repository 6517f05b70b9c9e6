/* A table for people: columns aligned, fitted to a terminal's width. Knows nothing of what it shows; control
 * characters in cells are replaced, so that no name from elsewhere can talk to the terminal. */
#ifndef BERTH_CLI_TABLE_H
#define BERTH_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 12 };
enum table_align { TABLE_LEFT, TABLE_RIGHT };
enum table_color { TABLE_PLAIN, TABLE_GOOD, TABLE_BAD, TABLE_DIM };

struct table_column {
    const char *title;
    enum table_align align;
    bool shrink; /* may be cut, with "~" for what is lost, where the width demands it */
};

struct table;

/* `columns` stay the caller's, and outlive the table. NULL: out of memory. */
struct table *table_new(const struct table_column *columns, size_t n, size_t indent);
/* Copies `n` cells, NULL ones being empty. A table that ran out of memory remembers it: table_print tells. */
void table_row(struct table *t, const char *const *cells);
/* The colour of a cell of the last row. */
void table_color(struct table *t, size_t column, enum table_color color);
/* A line by itself, not indented, between rows. */
void table_section(struct table *t, const char *text);
/* `width` 0: no limit. The last column of a row that is too long moves to a line of its own and is wrapped there, so nothing of it
 * is lost. 0, or -ENOMEM: nothing was printed. */
int table_print(const struct table *t, FILE *f, size_t width, bool color) __attribute__((warn_unused_result));
void table_free(struct table *t);

/* How many terminal columns a UTF-8 text takes, each character counted as one. */
size_t table_text_width(const char *s);

#endif
