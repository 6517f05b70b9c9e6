/* The way to the controller for subcommands that call it themselves: the same proxies as the agent's. */
#ifndef BERTH_CLI_WAY_H
#define BERTH_CLI_WAY_H

#include "cli.h"
#include "proxy_finder.h"

/* https_proxy, all_proxy and no_proxy of the environment (also in capitals), where no option says otherwise. What can't be used
 * there is as if it were not set. */
void way_from_environment(struct cli_options *o, char *const *environ_);
bool way_valid(const char *proxy); /* a --proxy that can be used */
/* CLI_OK, or CLI_USAGE with its reason told: --proxy can't be used. What the environment names and can't be used is
 * told, and no more. */
enum cli_exit way_check(const struct cli *c);

struct way {
    struct proxy_hop hop;
    struct proxy_login login;
};
/* Waits where a script has to be asked. The proxy (in *w), or NULL: directly. way_clear in either case. */
const struct rest_proxy *way_find(struct way *w, const struct cli *c);
/* Nothing was said of proxies, and the controller can't be reached: asks the network, as an agent does. A proxy (in
 * *w), or NULL. */
const struct rest_proxy *way_ask_network(struct way *w, const struct cli *c);
void way_clear(struct way *w);

/* What to do where no answer of the controller came, from libcurl's words for it; NULL: those words don't tell. */
const char *way_advice(const struct cli *c, const char *error);

#endif
