/* What modules.c lists: one declaration a module. */
#ifndef BERTH_CONTROLLER_MODULES_H
#define BERTH_CONTROLLER_MODULES_H

#include "api.h"
#include "snapshot.h"

enum { API_REPORTS_ROUTES = 1, API_AGENTS_ROUTES = 4 };
extern const struct api_route api_reports_routes[API_REPORTS_ROUTES];
extern const struct api_route api_agents_routes[API_AGENTS_ROUTES];

extern const struct snapshot_builder auth_snapshot_builder;

#endif
