/* The route table: what a module serves, and to whom. Needs neither HTTP nor the database. */
#ifndef BERTH_CONTROLLER_ROUTE_H
#define BERTH_CONTROLLER_ROUTE_H

#include <stddef.h>

enum { API_PATH_PARAMS_MAX = 4 };

/* Who calls; also bits of a route's mask. CALLER_AGENT is a JWT. */
enum caller_kind {
    CALLER_NOBODY = 1, /* no token at all */
    CALLER_ADMIN = 2,
    CALLER_ORG = 4,
    CALLER_NODE = 8,
    CALLER_AGENT = 16,
};

struct api_request;
typedef void api_handler(struct api_request *r);

/* A report is an object, or has been read already: it is the request's `report` then, and there is no body. */
enum api_body { API_BODY_NONE, API_BODY_OPTIONAL, API_BODY_OBJECT, API_BODY_REPORT };

/* One row of the route table. A GET route answers HEAD too. Patterns: "/v1/agents/{agent}/report"; a {name} takes one whole
 * segment, percent-decoded. A literal segment wins over a parameter. */
struct api_route {
    const char *method;
    const char *pattern;
    unsigned
        may; /* enum caller_kind, ORed; with CALLER_NOBODY no token is needed (one that is sent must be valid) */
    unsigned grant; /* the grant that a JWT needs: GRANT_PROBE, GRANT_JOIN, 0: none */
    enum api_body body;
    api_handler *handler;
};

/* ---- modules: controller/modules.c lists them ---- */
struct api_module {
    const struct api_route *routes;
    size_t n_routes;
};
extern const struct api_module api_modules[];
extern const size_t api_modules_n;

#endif
