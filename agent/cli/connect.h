/* Connecting by the ladder of an assignment, and what is to be said of it. */
#ifndef BERTH_CLI_CONNECT_H
#define BERTH_CLI_CONNECT_H

#include "../berth.h"
#include "cli.h"

/* Connects, stays for --seconds, and adds what happened to the assignment as its member "connection". CLI_OK;
 * CLI_BUT: no rung works, or the connection did not last (told); or another, told. */
enum cli_exit connect_assignment(struct cli *c, json_t *assignment) __attribute__((warn_unused_result));
/* The rungs, one by one, and what it ended on, of an assignment's "connection". */
enum cli_exit connect_print(const struct cli *c, const json_t *assignment)
    __attribute__((warn_unused_result));

#endif
