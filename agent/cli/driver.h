/* An agent of the library, made from the command line: what `probe` and `watch` share. */
#ifndef BERTH_CLI_DRIVER_H
#define BERTH_CLI_DRIVER_H

#include "../berth.h"
#include "cli.h"
#include "node_spec.h"

struct driver {
    struct cli *cli;
    struct berth_agent *agent;
    struct node_spec *specs;
    struct berth_node *nodes;
    size_t n_nodes;
};

/* Reads --node alone: s->nodes, without an agent. CLI_OK, or CLI_USAGE (told). driver_close in either case. */
enum cli_exit driver_nodes(struct driver *s) __attribute__((warn_unused_result));
/* CLI_OK, or CLI_USAGE (told). driver_close in either case. */
enum cli_exit driver_open(struct driver *s, struct cli *c, const struct berth_callbacks *callbacks,
                          void *user) __attribute__((warn_unused_result));
void driver_close(struct driver *s);

/* Waits for the agent, or for a signal where `signal_fd` is not -1, and lets it work. 0: go on; 1: a signal waits;
 * or a negative errno. */
int driver_step(struct driver *s, int signal_fd) __attribute__((warn_unused_result));

/* The same without a signal, and no longer than until that time (monotonic; a day ahead at most). */
int driver_step_until(struct driver *s, int64_t until_us) __attribute__((warn_unused_result));

/* The exit status of an error that the library gave; 0 gives CLI_OK. */
enum cli_exit driver_exit(int error);
/* Tells an error of the library's, and what to do. Returns driver_exit(error). */
enum cli_exit driver_fail(const struct cli *c, const char *what, int error, int http_status,
                          const char *detail);

#endif
