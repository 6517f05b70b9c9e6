/* What the doc_*.c files share: members of JSON objects, read with their checks. Private to core. */
#ifndef BERTH_CORE_DOC_JSON_H
#define BERTH_CORE_DOC_JSON_H

#include "core/doc.h"

enum doc_need { DOC_OPTIONAL, DOC_REQUIRED };

/* Each answers 1 where the member was there and right, 0 where an optional one is absent, else -EINVAL with *e filled; the
 * pointer is "/<name>". Nothing is written but on 1. A null is not an absence. */
int doc_get_object(const json_t *o, const char *name, enum doc_need need, const json_t **out,
                   struct doc_error *e) __attribute__((warn_unused_result));
int doc_get_array(const json_t *o, const char *name, enum doc_need need, const json_t **out,
                  struct doc_error *e) __attribute__((warn_unused_result));
int doc_get_string(const json_t *o, const char *name, enum doc_need need, const char **out,
                   struct doc_error *e) __attribute__((warn_unused_result));
int doc_get_int(const json_t *o, const char *name, enum doc_need need, int64_t min, int64_t max, int64_t *out,
                struct doc_error *e) __attribute__((warn_unused_result));
int doc_get_bool(const json_t *o, const char *name, enum doc_need need, bool *out, struct doc_error *e)
    __attribute__((warn_unused_result));
/* An id (id_valid) of at most cap - 1 characters. */
int doc_get_id(const json_t *o, const char *name, enum doc_need need, char *out, size_t cap,
               struct doc_error *e) __attribute__((warn_unused_result));
/* {"min", "median", "p95"} in microseconds, rising. */
int doc_get_rtt(const json_t *o, const char *name, enum doc_need need, int64_t *min_us, int64_t *median_us,
                int64_t *p95_us, struct doc_error *e) __attribute__((warn_unused_result));
/* Of a member that may be left out: 0, or not 0: out of memory. NOT_MEASURED and "" are left out. */
int doc_set_measured(json_t *o, const char *name, int64_t v);
int doc_set_text(json_t *o, const char *name, const char *v);
int doc_set_rtt(json_t *o, const char *name, int64_t min_us, int64_t median_us, int64_t p95_us);

/* Is it an object? -EINVAL with pointer "" if not. */
int doc_check_object(const json_t *j, const char *what, struct doc_error *e)
    __attribute__((warn_unused_result));
/* Puts what `fmt` makes before the error's pointer; answers -EINVAL. */
int doc_fail_under(struct doc_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Parts of a report, for its two readers. */
bool report_set_id(struct report *r, const char *text); /* false: no UUID */
int report_check_pairs(const struct report *r, struct doc_error *e) __attribute__((warn_unused_result));
/* The member "calls" of `j`, which may be absent. 0, -EINVAL with *e filled, or -ENOMEM. */
int report_calls_from_json(const json_t *j, struct report *r, struct doc_error *e)
    __attribute__((warn_unused_result));

/* "1.2.3.4:5" or "[::1]:5"; without its port where that is 0. */
json_t *doc_addr_to_json(const struct addr *a);
/* An address with a port other than 0, or an IP alone (port 0). -EINVAL if neither. */
int doc_addr_parse(struct addr *a, const char *text) __attribute__((warn_unused_result));

#endif
