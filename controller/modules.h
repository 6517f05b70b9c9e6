/* What modules.c lists: one declaration a module. */
#ifndef BERTH_CONTROLLER_MODULES_H
#define BERTH_CONTROLLER_MODULES_H

#include "api.h"
#include "snapshot.h"

enum {
    API_REPORTS_ROUTES = 1,
    API_AGENTS_ROUTES = 4,
    API_NODES_ROUTES = 11,
    API_ORGS_ROUTES = 4,
    API_KEYS_ROUTES = 4,
    API_MEETINGS_ROUTES = 4,
    API_PARTICIPANTS_ROUTES = 3,
    API_EXPLAIN_ROUTES = 1,
    API_SIMULATE_ROUTES = 1,
    API_FAILURE_ROUTES = 1,
    API_OPENAPI_ROUTES = 1,
    API_IP_RANGES_ROUTES = 1,
    API_ANALYTICS_ROUTES = 4,
    API_STREAM_ROUTES = 2,
    API_EVENTS_ROUTES = 1,
};
extern const struct api_route api_reports_routes[API_REPORTS_ROUTES];
extern const struct api_route api_agents_routes[API_AGENTS_ROUTES];
extern const struct api_route api_nodes_routes[API_NODES_ROUTES];
extern const struct api_route api_orgs_routes[API_ORGS_ROUTES];
extern const struct api_route api_keys_routes[API_KEYS_ROUTES];
extern const struct api_route api_meetings_routes[API_MEETINGS_ROUTES];
extern const struct api_route api_participants_routes[API_PARTICIPANTS_ROUTES];
extern const struct api_route api_explain_routes[API_EXPLAIN_ROUTES];
extern const struct api_route api_failure_routes[API_FAILURE_ROUTES];
extern const struct api_route api_simulate_routes[API_SIMULATE_ROUTES];
extern const struct api_route api_openapi_routes[API_OPENAPI_ROUTES];
extern const struct api_route api_analytics_routes[API_ANALYTICS_ROUTES];
extern const struct api_route api_ip_ranges_routes[API_IP_RANGES_ROUTES];
extern const struct api_route api_stream_routes[API_STREAM_ROUTES];
extern const struct api_route api_events_routes[API_EVENTS_ROUTES];

extern const struct snapshot_builder auth_snapshot_builder;

#endif
