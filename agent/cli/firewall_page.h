/* What `berth firewall` found, as one page for people: 80 columns, whatever the terminal. */
#ifndef BERTH_CLI_FIREWALL_PAGE_H
#define BERTH_CLI_FIREWALL_PAGE_H

#include "../firewall.h"
#include "cli.h"

enum cli_exit firewall_page_print(const struct cli *c, const struct firewall_verdict *v);

#endif
