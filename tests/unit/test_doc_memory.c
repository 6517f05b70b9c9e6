/* link: berth_core */
/* Documents when memory runs out: at every single allocation of jansson's, in turn, the answer is NULL or an error, nothing is
 * leaked (the sanitizer looks) and nothing half-made is handed out. */
#include "check.h"

#include "core/doc.h"
#include "core/token.h"

#include <stdlib.h>
#include <string.h>

/* jansson's hooks take no context, so these two belong to the whole program. */
static size_t allocations_left;
static bool refused;

static void *counted_malloc(size_t size)
{
    if (allocations_left == 0) {
        refused = true;
        return NULL;
    }
    allocations_left--;
    return malloc(size);
}

static void fail_after(size_t n)
{
    allocations_left = n;
    refused = false;
}

static int set_up(void **state)
{
    json_set_alloc_funcs(counted_malloc, free);
    fail_after(SIZE_MAX);
    return 0;
}

static struct probe_result row(void)
{
    struct probe_result r;
    probe_result_init(&r);
    strcpy(r.node, "n1");
    r.transport = TRANSPORT_PROXY;
    r.status = PROBE_REACHABLE;
    assert_int_equal(addr_parse(&r.address, "1.2.3.4:5"), 0);
    r.mapped_address = r.address;
    r.rtt_min_us = r.rtt_median_us = r.rtt_p95_us = r.sent = r.received = r.connect_us = r.tls_us = 1;
    r.via_proxy = true;
    strcpy(r.proxy_url, "http://p:1");
    strcpy(r.proxy_scheme, "http");
    strcpy(r.proxy_auth, "basic");
    r.framing = FRAMING_WEBSOCKET;
    return r;
}

static json_t *make_report(void)
{
    struct probe_result rows[2] = {row(), row()};
    struct call_stretch call;
    call_stretch_init(&call);
    strcpy(call.node, "n1");
    strcpy(call.meeting, "m");
    call.rtt_min_us = call.rtt_median_us = call.rtt_p95_us = call.checks = call.expected.rtt_us = 1;
    call.ended = CALL_LEFT;
    struct report r = {.report_id = "00000000-0000-0000-0000-000000000000",
                       .agent = "a",
                       .network_id = "n",
                       .n_mapped = 1,
                       .mapped = {rows[0].mapped_address},
                       .has_capabilities = true,
                       .capabilities = 15,
                       .n_results = 2,
                       .results = rows,
                       .n_calls = 1,
                       .calls = &call};
    return report_to_json(&r);
}

static json_t *make_entry(void)
{
    struct node_entry n = {.node = "n", .cluster = "c", .region = "r", .mesh = true, .tls_name = "t"};
    for (size_t t = 0; t < TRANSPORT_PROXY; t++) {
        assert_int_equal(addr_parse(&n.addresses.at[t][0], "1.2.3.4:5"), 0);
        n.addresses.n[t] = 1;
    }
    return node_entry_to_json(&n);
}

static json_t *make_policy(void)
{
    struct probe_policy p;
    probe_policy_init(&p);
    return probe_policy_to_json(&p);
}

static json_t *make_parsed(void)
{
    static const char text[] = "{\"a\":[1,2,{\"b\":\"a string\"}],\"c\":null}";
    struct doc_error e;
    json_t *j = doc_parse(text, sizeof text - 1, &e);
    if (!j) { /* jansson's lexer calls it a bad token when it has no room for one */
        assert_true(refused);
        assert_true(strcmp(e.code, "internal") == 0 || strcmp(e.code, "bad_json") == 0);
    }
    return j;
}

static void at_every_allocation(json_t *(*make)(void))
{
    fail_after(SIZE_MAX);
    json_t *whole = make();
    assert_non_null(whole);
    size_t n = 0;
    for (;; n++) {
        fail_after(n);
        json_t *j = make();
        bool was_refused = refused;
        fail_after(SIZE_MAX);
        if (!was_refused) {
            assert_true(json_equal(j, whole));
            json_decref(j);
            break;
        }
        assert_null(j);
    }
    assert_true(n > 5);
    json_decref(whole);
}

static void test_report(void **state)
{
    at_every_allocation(make_report);
}

static void test_entry(void **state)
{
    at_every_allocation(make_entry);
}

static void test_policy(void **state)
{
    at_every_allocation(make_policy);
}

static void test_parse(void **state)
{
    at_every_allocation(make_parsed);
}

/* A token that cannot be looked into is not accepted. */
static void test_token(void **state)
{
    static const uint8_t random[12];
    struct master_keys mk = {.n = 1, .key = {{1}}};
    struct jwt_claims in = {.sub = "a", .exp_s = 1000, .grants = GRANT_JOIN}, out;
    struct key_id id;
    char key[API_KEY_MAX + 1], token[JWT_MAX];
    key_id_make(&id, "acme", KEY_ORG, random);
    api_key_make(&id, mk.key[0], key);
    assert_true(jwt_sign(key, &in, token, sizeof token) > 0);
    for (size_t n = 0;; n++) {
        fail_after(n);
        enum jwt_error answer = jwt_verify(token, strlen(token), &mk, 500, &out);
        if (!refused) {
            assert_int_equal(answer, JWT_OK);
            break;
        }
        assert_int_equal(answer, JWT_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report), cmocka_unit_test(test_entry), cmocka_unit_test(test_policy),
        cmocka_unit_test(test_parse),  cmocka_unit_test(test_token),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
