/* The controller's table of contents: every module's routes, and every snapshot that is built from the database. */
#include "modules.h"

#include "api.h"
#include "catalogue.h"
#include "links_build.h"

const struct api_module api_modules[] = {
    {api_reports_routes, API_REPORTS_ROUTES},
    {api_agents_routes, API_AGENTS_ROUTES},
    {api_nodes_routes, API_NODES_ROUTES},
    {api_orgs_routes, API_ORGS_ROUTES},
    {api_keys_routes, API_KEYS_ROUTES},
    {api_meetings_routes, API_MEETINGS_ROUTES},
    {api_participants_routes, API_PARTICIPANTS_ROUTES},
    {api_explain_routes, API_EXPLAIN_ROUTES},
    {api_failure_routes, API_FAILURE_ROUTES},
    {api_simulate_routes, API_SIMULATE_ROUTES},
    {api_openapi_routes, API_OPENAPI_ROUTES},
    {api_ip_ranges_routes, API_IP_RANGES_ROUTES},
    {api_analytics_routes, API_ANALYTICS_ROUTES},
    {api_stream_routes, API_STREAM_ROUTES},
    {api_events_routes, API_EVENTS_ROUTES},
};
const size_t api_modules_n = sizeof(api_modules) / sizeof(api_modules[0]);

const struct snapshot_builder *const controller_builders[] = {
    &auth_snapshot_builder,
    &catalogue_builder,
    &links_builder,
};
const size_t controller_builders_n = sizeof(controller_builders) / sizeof(controller_builders[0]);
