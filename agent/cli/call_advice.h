/* What to do about a call that failed; what other calls than call.c's ask stands in call.h. */
#ifndef BERTH_CLI_CALL_ADVICE_H
#define BERTH_CLI_CALL_ADVICE_H

#include "call.h"

#include <curl/curl.h>

/* The controller wasn't reached. NULL: nothing is known. */
const char *call_advice_of_transport(const struct cli *c, CURLcode rc, const char *error);
/* A member was refused that has an option of its own. NULL: it has none. */
const char *call_advice_of_pointer(const char *pointer);

#endif
