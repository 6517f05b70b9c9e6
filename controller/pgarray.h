/* PostgreSQL's arrays of one dimension: the text format read, the binary format written. Pure. */
#ifndef BERTH_CONTROLLER_PGARRAY_H
#define BERTH_CONTROLLER_PGARRAY_H

#include "core/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Goes over "{a,"b c",NULL}". */
struct pgarray {
    const char *p; /* NULL: broken */
};
struct pgarray pgarray_open(const char *text);
/* 1: an element (a null one gives "" and *null true); 0: the end; -EBADMSG: broken, or an element longer than the buffer. */
int pgarray_next(struct pgarray *a, char *out, size_t cap, bool *null);
enum { PGARRAY_DIGITS_MAX = 18 }; /* of an integer that is read */
/* How many integers, none null; -EBADMSG: broken, or more than `cap`. */
int pgarray_int_list(const char *text, int64_t *out, size_t cap) __attribute__((warn_unused_result));
/* Exactly n integers, none null. 0 or -EBADMSG. */
int pgarray_ints(const char *text, int64_t *out, size_t n) __attribute__((warn_unused_result));
/* At least as many as there are elements, at the price of one look at every byte. */
size_t pgarray_most(const char *text);

/* Binary format; sizes first, so that one allocation holds many. */
enum { PGARRAY_HEADER = 20, PGARRAY_INT2_OID = 21, PGARRAY_INT4_OID = 23, PGARRAY_TEXT_OID = 25 };
size_t pgarray_int_size(size_t n, size_t width); /* width 2 or 4 */
void pgarray_begin(struct wire_wr *w, uint32_t oid, size_t n);
/* Whole ones. */
void pgarray_int2s(struct wire_wr *w, const int16_t *v, size_t n);
void pgarray_int4s(struct wire_wr *w, const int32_t *v, size_t n);
void pgarray_text(struct wire_wr *w, const char *s);

#endif
