/* What an agent is told by a controller: an assignment with its ladder. What is taken names a node, a transport that
 * its ladder has, and an order in which every place stands once. */
#include "../../agent/call_assignment.h"
#include "core/doc.h"
#include "fuzz.h"
#include "path/ladder.h"

static void check_ladder(const json_t *j)
{
    struct doc_error e = {.code = ""};
    struct ladder_place *places = calloc(LADDER_PLACES_MAX, sizeof *places);
    size_t order[LADDER_PLACES_MAX];
    bool seen[LADDER_PLACES_MAX] = {false};
    FUZZ_CHECK(places);
    ssize_t n = ladder_from_json(j, places, &e);
    FUZZ_CHECK(n <= LADDER_PLACES_MAX);
    if (n > 0) {
        ladder_order(places, (size_t)n, order);
        for (ssize_t i = 0; i < n; i++) {
            FUZZ_CHECK(order[i] < (size_t)n && !seen[order[i]]);
            seen[order[i]] = true;
            FUZZ_CHECK(strnlen(places[i].tls_name, sizeof places[i].tls_name) <= HOST_MAX);
            FUZZ_CHECK(strnlen(places[i].proxy, sizeof places[i].proxy) <= PROXY_URL_MAX);
        }
    }
    free(places);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct call_assignment a;
    struct doc_error e;
    char *text = fuzz_text(data, size);
    if (call_assignment_read(&a, text) == 0) {
        FUZZ_CHECK(a.to.node[0] != '\0' && a.participant[0] != '\0');
        FUZZ_CHECK(a.to.transports & 1u << a.to.transport);
        FUZZ_CHECK(!a.has_grant || (a.grant.username[0] != '\0' && a.grant.password[0] != '\0'));
    }
    json_t *j = doc_parse(text, size, &e);
    if (json_is_object(j))
        check_ladder(j);
    json_decref(j);
    free(text);
    return 0;
}
