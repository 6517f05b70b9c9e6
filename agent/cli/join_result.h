/* What `berth join` tells at its end. */
#ifndef BERTH_CLI_JOIN_RESULT_H
#define BERTH_CLI_JOIN_RESULT_H

#include "cli.h"
#include "story.h"
#include "test_media.h"

struct join_result {
    bool ok; /* it was up at the end */
    const char *agent;
    const struct berth_call *call;
    const struct test_media *media;
    const struct story *story;
};

json_t *join_result_json(const struct join_result *r);
/* `o` is join_result_json's. */
enum cli_exit join_result_print(const struct cli *c, const struct join_result *r, const json_t *o);
double join_share(int64_t lost, int64_t received); /* lost of all */

#endif
