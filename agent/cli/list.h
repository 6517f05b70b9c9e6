/* Lists and single things of the controller shown alike: a row each of named members, or the JSON. */
#ifndef BERTH_CLI_LIST_H
#define BERTH_CLI_LIST_H

#include "call.h"

/* Prints items as a table of these members, or the whole document where --json asks. Steals `list`: {"items": [...]}. */
enum cli_exit list_print(const struct cli *c, json_t *list, const struct table_column *columns,
                         const char *const *members, size_t n);
/* The same for one object: a table of one row. Steals it. */
enum cli_exit list_print_one(const struct cli *c, json_t *object, const struct table_column *columns,
                             const char *const *members, size_t n);
/* Deletes `base`/`id` and says so ("The key x is revoked."); JSON: {name: id, "deleted": true}. */
enum cli_exit list_delete(const struct cli *c, enum call_token which, const char *base, const char *name,
                          const char *done);
/* The same where the path is made already. */
enum cli_exit list_delete_at(const struct cli *c, enum call_token which, const char *path, const char *name,
                             const char *done);

#endif
