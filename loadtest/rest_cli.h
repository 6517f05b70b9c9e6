/* What every command that loads a controller is told, and how such a load is begun. */
#ifndef BERTH_LOADTEST_REST_CLI_H
#define BERTH_LOADTEST_REST_CLI_H

#include "rest_load.h"

#include <getopt.h>

struct rest_cli {
    struct rest_load_opts load;
    const char *url, *token;                        /* NULL: not said; not copied */
    int64_t rate, seconds, warm, connections, seed; /* rate 0: as fast as they are answered */
    bool json;
};

/* For a command's own table of getopt_long, whose letters must be none of these. */
#define REST_CLI_OPTIONS                                                                       \
    {"url", required_argument, NULL, 'u'}, {"token", required_argument, NULL, 't'},            \
        {"rate", required_argument, NULL, 'r'}, {"seconds", required_argument, NULL, 's'},     \
        {"warm", required_argument, NULL, 'w'}, {"connections", required_argument, NULL, 'c'}, \
        {"seed", required_argument, NULL, 'S'},                                                \
    {                                                                                          \
        "json", no_argument, NULL, 'j'                                                         \
    }

/* One of them, with optarg. 0 or -EINVAL. */
int rest_cli_take(struct rest_cli *c, int opt) __attribute__((warn_unused_result));
/* Whether what no load can be without was said. */
bool rest_cli_complete(const struct rest_cli *c);
/* The whole load, begun at `now_us`. As rest_load_run. */
int rest_cli_run(struct rest_cli *c, int64_t now_us, const struct rest_source *source,
                 struct rest_load_result *out) __attribute__((warn_unused_result));

#endif
