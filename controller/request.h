/* The HTTP handler behind every API path: private to server.c, request.c and api.c. */
#ifndef BERTH_CONTROLLER_REQUEST_H
#define BERTH_CONTROLLER_REQUEST_H

#include "controller.h"

#include <h2o.h>

/* Routes, knows the caller, limits, checks rights and body, then calls the route's handler. `ctx` of the handler is
 * found by worker_of. */
void request_register(h2o_hostconf_t *host);

#endif
