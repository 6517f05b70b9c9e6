/* As which agent the command speaks: --agent, the one that a JWT names, or the host. */
#ifndef BERTH_CLI_WHO_H
#define BERTH_CLI_WHO_H

#include "cli.h"
#include "core/token.h"

/* The agent that a JWT names (its `sub`, unverified: the controller judges it). False: it is no JWT, or names none. */
bool who_of_token(const char *token, char agent[static AGENT_ID_MAX + 1]);
/* The agent: --agent, else the token's, else the host name. Points into *c or `agent`. */
const char *who_is(const struct cli *c, char agent[static AGENT_ID_MAX + 1]);
/* CLI_OK, or CLI_USAGE (told): --agent names another one than the token, whose word counts. */
enum cli_exit who_check(const struct cli *c);

#endif
