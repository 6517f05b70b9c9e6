/* Paths to handlers. Pure: knows the route table and nothing of HTTP's rest. */
#ifndef BERTH_CONTROLLER_ROUTER_H
#define BERTH_CONTROLLER_ROUTER_H

#include "route.h"

#include <stdbool.h>

enum { ROUTER_SEGMENTS_MAX = 8, ROUTER_ROUTES_MAX = 128, ROUTER_PARAM_MAX = 512, ROUTER_ALLOW_MAX = 64 };

struct router; /* immutable: shared by all threads */

/* -EINVAL: a pattern that the router can't hold, or two rows for one method and pattern; -ENOMEM. */
int router_new(struct router **out, const struct api_module *modules, size_t n)
    __attribute__((warn_unused_result));
void router_destroy(struct router *r);

struct router_match {
    const struct api_route *route; /* NULL: no such path, or no such method on it */
    bool path_known;
    char allow[ROUTER_ALLOW_MAX]; /* where the path is known: its methods */
    size_t n_params;
    char param[API_PATH_PARAMS_MAX][ROUTER_PARAM_MAX + 1];
};
/* `path`: as sent, without the query. HEAD finds GET's route. */
void router_find(const struct router *r, const char *method, size_t method_len, const char *path,
                 size_t path_len, struct router_match *m);

/* Decodes %XX (and '+' to a space where `plus`). False: a broken escape, a NUL, or too long. */
bool percent_decode(const char *s, size_t len, bool plus, char *out, size_t cap);

#endif
