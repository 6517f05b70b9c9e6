/* A whole file in memory. */
#ifndef BERTH_LOADTEST_SLURP_H
#define BERTH_LOADTEST_SLURP_H

#include "replay/fail.h"

#include <jansson.h>

enum { SLURP_MAX = 1 << 30 }; /* bytes */

/* *text: size + 1 bytes, the last a NUL; the caller frees it. Negative errno with *e. */
int slurp(const char *path, char **text, size_t *size, struct replay_error *e)
    __attribute__((warn_unused_result));

/* The same as JSON; the caller's reference. */
int slurp_json(const char *path, json_t **out, struct replay_error *e) __attribute__((warn_unused_result));

#endif
