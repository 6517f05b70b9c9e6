/* One synchronous call to the controller, its errors told to the user. */
#ifndef BERTH_CLI_CALL_H
#define BERTH_CLI_CALL_H

#include "cli.h"

enum { CALL_PATH_MAX = 512 };

/* Which token a call carries. */
enum call_token {
    CALL_TOKEN_OWN,   /* --token */
    CALL_TOKEN_ADMIN, /* --admin-token where set, unless --token stands on the command line */
};

/* `what` for errors: "make the organisation" of "cannot make the organisation: ...". `body` is stolen; may be NULL.
 * CLI_OK with *answer a new reference (JSON null where the answer has no body), else CLI_CONTROLLER with everything
 * told on stderr. */
enum cli_exit call(const struct cli *c, enum call_token which, const char *what, const char *method,
                   const char *path, json_t *body, json_t **answer) __attribute__((warn_unused_result));
/* A POST of what may be there already: *made tells. */
enum cli_exit call_make(const struct cli *c, enum call_token which, const char *what, const char *path,
                        json_t *body, json_t **answer, bool *made) __attribute__((warn_unused_result));
/* A GET, and by the server's clock when (Unix time in seconds; -1: it doesn't say). */
enum cli_exit call_dated(const struct cli *c, enum call_token which, const char *what, const char *path,
                         json_t **answer, int64_t *date_s) __attribute__((warn_unused_result));
/* All pages of a list: {"items":[...]}. */
enum cli_exit call_list(const struct cli *c, enum call_token which, const char *what, const char *path,
                        json_t **answer) __attribute__((warn_unused_result));
/* "/v1/meetings/" and an id, percent-encoded, and `rest`. CLI_OK, or CLI_USAGE: too long. */
enum cli_exit call_path(const struct cli *c, char out[static CALL_PATH_MAX], const char *base, const char *id,
                        const char *rest) __attribute__((warn_unused_result));
/* Puts `text` ("/participants/") and an id behind a path. The same. */
enum cli_exit call_path_add(const struct cli *c, char path[static CALL_PATH_MAX], const char *text,
                            const char *id) __attribute__((warn_unused_result));
/* Tells what to do about a refusal: the problem's status and code. False: nothing is known. */
bool call_advise(const struct cli *c, enum call_token which, long status, const char *code);
const char *call_token_text(const struct cli *c, enum call_token which);

#endif
