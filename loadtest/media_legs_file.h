/* The legs of a server that knows no assignments: a JSON file with addresses and keys, which whoever has set up the
 * server writes. */
#ifndef BERTH_LOADTEST_MEDIA_LEGS_FILE_H
#define BERTH_LOADTEST_MEDIA_LEGS_FILE_H

#include "keyed_leg.h"
#include "media_tally.h"
#include "replay/fail.h"

/* {"participants": 2, "suite": "gcm", "legs": [{"local": "127.0.0.1:4000", "remote": "127.0.0.1:5000", "send": HEX,
 * "receive": HEX}, ...]}, meeting by meeting; keys are master key and salt. *out is the caller's to free. 0, or
 * negative errno with *e. */
int media_legs_file_read(const char *path, size_t legs_max, struct media_shape *shape,
                         struct keyed_plan **out, struct replay_error *e) __attribute__((warn_unused_result));

#endif
