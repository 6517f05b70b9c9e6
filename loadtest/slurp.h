/* A whole file in memory. */
#ifndef BERTH_LOADTEST_SLURP_H
#define BERTH_LOADTEST_SLURP_H

#include "replay/fail.h"

#include <jansson.h>
#include <stdbool.h>

enum { SLURP_MAX = 1 << 30 }; /* bytes */

/* *text: size + 1 bytes, the last a NUL; the caller frees it. Negative errno with *e, which is never -EINVAL: that is what wrong
 * contents are refused with. */
int slurp(const char *path, char **text, size_t *size, struct replay_error *e)
    __attribute__((warn_unused_result));

/* The same as JSON; the caller's reference. */
int slurp_json(const char *path, json_t **out, struct replay_error *e) __attribute__((warn_unused_result));

/* Whether both paths lead to one regular file; false where one leads to none. */
bool same_file(const char *a, const char *b);

#endif
