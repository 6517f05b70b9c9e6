/* A request's line (method, space, path) and what the database answers in arrays: a path leads to one route at most,
 * its parameters are as they were written; an array is gone through to its end and not beyond. */
#include "../../controller/pgarray.h"
#include "../../controller/router.h"
#include "fuzz.h"

enum { ELEMENTS_MAX = 64, ELEMENT_MAX = 100 };

static void handler(struct api_request *r)
{
}

static const struct api_route routes[] = {
    {"GET", "/v1/agents", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"GET", "/v1/agents/{agent}", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"DELETE", "/v1/agents/{agent}", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"GET", "/v1/agents/{agent}/report", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"GET", "/v1/meetings/{id}/explain", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"POST", "/v1/meetings/{id}/participants/{agent}/failure", CALLER_AGENT, 0, API_BODY_OBJECT, handler},
    {"GET", "/v1/meetings/mine", CALLER_ORG, 0, API_BODY_NONE, handler},
};
static const struct api_module modules[] = {{routes, sizeof routes / sizeof routes[0]}};

static void find(const char *text, size_t size)
{
    struct router *r = NULL;
    struct router_match m;
    char decoded[ROUTER_PARAM_MAX + 1];
    const char *space = memchr(text, ' ', size);
    size_t method = space ? (size_t)(space - text) : 0, at = space ? method + 1 : 0;
    FUZZ_CHECK(router_new(&r, modules, 1) == 0);
    router_find(r, text, method, text + at, size - at, &m);
    FUZZ_CHECK(m.n_params <= API_PATH_PARAMS_MAX && strnlen(m.allow, sizeof m.allow) < sizeof m.allow);
    FUZZ_CHECK(!m.route || (m.path_known && m.route >= routes && m.route < routes + modules[0].n_routes));
    for (size_t i = 0; m.route && i < m.n_params; i++)
        FUZZ_CHECK(strnlen(m.param[i], sizeof m.param[i]) <= ROUTER_PARAM_MAX && m.param[i][0] != '\0');
    if (percent_decode(text, size, true, decoded, sizeof decoded))
        FUZZ_CHECK(strlen(decoded) <= size && strlen(decoded) <= ROUTER_PARAM_MAX);
    router_destroy(r);
}

static void arrays(const char *text)
{
    char element[ELEMENT_MAX];
    int64_t numbers[ELEMENTS_MAX];
    bool null;
    int rc;
    struct pgarray a = pgarray_open(text);
    size_t n = 0, most = pgarray_most(text);
    while ((rc = pgarray_next(&a, element, sizeof element, &null)) == 1) {
        FUZZ_CHECK(strnlen(element, sizeof element) < sizeof element && (!null || element[0] == '\0'));
        FUZZ_CHECK(++n <= most);
    }
    FUZZ_CHECK(rc <= 0);
    int listed = pgarray_int_list(text, numbers, ELEMENTS_MAX);
    FUZZ_CHECK(listed <= ELEMENTS_MAX && (listed < 0 || (size_t)listed <= most));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    find(text, size);
    arrays(text);
    free(text);
    return 0;
}
