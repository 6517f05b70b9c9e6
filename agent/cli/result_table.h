/* Probe results for people: a table with a section per node. */
#ifndef BERTH_CLI_RESULT_TABLE_H
#define BERTH_CLI_RESULT_TABLE_H

#include "../berth.h"
#include "cli.h"

enum { RESULT_MS_TEXT = 16 };

/* Microseconds as milliseconds with about three digits that count: "0.12", "20.1", "1500"; "-" for what was not measured. */
const char *result_table_ms(int64_t us, char buf[static RESULT_MS_TEXT]);
/* Rows of the newest probe, in the library's order. */
enum cli_exit result_table_print(const struct cli *c, struct berth_agent *agent);
/* Did this transport reach any node? */
bool result_table_reached(struct berth_agent *agent, int transport);

#endif
