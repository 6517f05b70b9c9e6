/* GET /openapi.json: the documentation of every call, as docs/openapi.json has it. Invariant: the bytes are those of the build. */
#include "modules.h"

extern const char openapi_json[];
extern const size_t openapi_json_len;

static void openapi_get(struct api_request *r)
{
    api_header(r, "cache-control", "public, max-age=3600");
    api_bytes(r, 200, "application/json", openapi_json, openapi_json_len);
}

#define ANYBODY (CALLER_NOBODY | CALLER_ADMIN | CALLER_ORG | CALLER_NODE | CALLER_AGENT)

const struct api_route api_openapi_routes[API_OPENAPI_ROUTES] = {
    {"GET", "/openapi.json", ANYBODY, 0, API_BODY_NONE, openapi_get},
};
