/* link: berth_core */
/* Reports: round trip, each wrong member, repeated pairs, limits. */
#include "doc_case.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char whole[] =
    "{\"report_id\":\"0189ABCD-0000-7000-8000-00000000000f\",\"agent\":\"laptop-1\","
    "\"network\":{\"id\":\"net:1\",\"mapped_addresses\":[\"1.2.3.4\",\"[2001:db8::1]:5\"]},"
    "\"measured_at\":\"2026-01-02T03:04:05.678901Z\",\"capabilities\":[\"udp\",\"tls\"],"
    "\"results\":[{\"node\":\"a\",\"transport\":\"udp\",\"status\":\"timeout\"},"
    "{\"node\":\"a\",\"transport\":\"tcp\",\"status\":\"refused\"}]}";

static void test_round_trip(void **state)
{
    struct report r, again;
    struct doc_error e;
    json_t *j = doc_must_parse(whole);
    assert_int_equal(report_from_json(j, &r, &e), 0);
    json_decref(j);
    assert_string_equal(r.report_id, "0189abcd-0000-7000-8000-00000000000f");
    assert_string_equal(r.agent, "laptop-1");
    assert_string_equal(r.network_id, "net:1");
    assert_int_equal(r.n_mapped, 2);
    assert_int_equal(r.mapped[0].port, 0);
    assert_int_equal(r.mapped[1].port, 5);
    assert_true(r.measured_at_us == 1767323045678901);
    assert_true(r.has_capabilities);
    assert_int_equal(r.capabilities, 1u << TRANSPORT_UDP | 1u << TRANSPORT_TLS);
    assert_int_equal(r.n_results, 2);
    j = report_to_json(&r);
    assert_non_null(j);
    assert_int_equal(report_from_json(j, &again, &e), 0);
    json_t *k = report_to_json(&again);
    assert_true(json_equal(j, k));
    json_decref(j);
    json_decref(k);
    report_clear(&r);
    report_clear(&again);
    report_clear(&again); /* twice is fine */
    report_clear(NULL);
}

static void test_least(void **state)
{
    json_t *j =
        doc_must_parse("{\"report_id\":\"00000000-0000-0000-0000-000000000000\",\"network\":{\"id\":\"n\"},"
                       "\"measured_at\":\"2026-01-02T03:04:05Z\",\"results\":[],\"extra\":[1]}");
    struct report r;
    struct doc_error e;
    assert_int_equal(report_from_json(j, &r, &e), 0);
    assert_string_equal(r.agent, "");
    assert_int_equal(r.n_results, 0);
    assert_false(r.has_capabilities);
    json_decref(j);
    j = report_to_json(&r);
    assert_null(json_object_get(j, "agent"));
    assert_null(json_object_get(j, "capabilities"));
    json_decref(j);
    report_clear(&r);
}

/* One member of the whole report changed at a time. */
static void test_wrong_members(void **state)
{
    static const struct {
        const char *member, *value, *pointer;
    } cases[] = {
        {"report_id", "7", "/report_id"},
        {"report_id", "\"0189abcd00007000800000000000000f\"", "/report_id"},
        {"report_id", "\"0189abcd-0000-7000-8000-00000000000g\"", "/report_id"},
        {"report_id", "\"0189abcd-0000-7000-8000-00000000000f0\"", "/report_id"},
        {"agent", "\"\"", "/agent"},
        {"agent", "\"a/b\"", "/agent"},
        {"agent", "null", "/agent"},
        {"network", "\"x\"", "/network"},
        {"network", "{}", "/network/id"},
        {"network", "{\"id\":\"\"}", "/network/id"},
        {"network", "{\"id\":\"n\",\"mapped_addresses\":5}", "/network/mapped_addresses"},
        {"network", "{\"id\":\"n\",\"mapped_addresses\":[\"1.2.3.4\",\"x\"]}", "/network/mapped_addresses/1"},
        {"network", "{\"id\":\"n\",\"mapped_addresses\":[5]}", "/network/mapped_addresses/0"},
        {"measured_at", "1767323045", "/measured_at"},
        {"measured_at", "\"yesterday\"", "/measured_at"},
        {"capabilities", "{}", "/capabilities"},
        {"capabilities", "[\"udp\",\"quic\"]", "/capabilities/1"},
        {"capabilities", "[\"udp\",\"udp\"]", "/capabilities/1"},
        {"capabilities", "[1]", "/capabilities/0"},
        {"results", "{}", "/results"},
        {"results", "[5]", "/results/0"},
        {"results", "[{\"node\":\"a\",\"transport\":\"udp\",\"status\":\"reachable\"}]", "/results/0/rtt_us"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char value[128];
        struct report r = {.n_mapped = 77};
        struct doc_error e = {0};
        snprintf(value, sizeof value, "[%s]", cases[i].value);
        json_t *j = doc_must_parse(whole), *wrapped = doc_must_parse(value);
        assert_int_equal(json_object_set(j, cases[i].member, json_array_get(wrapped, 0)), 0);
        if (report_from_json(j, &r, &e) != -EINVAL)
            fail_msg("accepted: %s %s", cases[i].member, cases[i].value);
        assert_string_equal(e.pointer, cases[i].pointer);
        assert_string_equal(e.code, "invalid_member");
        assert_int_equal(r.n_mapped, 77);
        json_decref(j);
        json_decref(wrapped);
    }
}

static void test_missing_members(void **state)
{
    static const char *const required[] = {"report_id", "network", "measured_at", "results"};
    for (size_t i = 0; i < 4; i++) {
        char pointer[32];
        struct report r;
        struct doc_error e;
        json_t *j = doc_must_parse(whole);
        assert_int_equal(json_object_del(j, required[i]), 0);
        assert_int_equal(report_from_json(j, &r, &e), -EINVAL);
        snprintf(pointer, sizeof pointer, "/%s", required[i]);
        assert_string_equal(e.pointer, pointer);
        json_decref(j);
    }
}

/* A report of `n` rows over the four transports; the rows at `same` are alike. */
static json_t *many(size_t n, size_t same_a, size_t same_b)
{
    json_t *j = doc_must_parse(whole), *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        char node[32];
        size_t k = i == same_b ? same_a : i;
        snprintf(node, sizeof node, "node-%zu", k / 4);
        json_t *row = json_pack("{s:s, s:s, s:s}", "node", node, "transport",
                                transport_name((enum transport)(k % 4)), "status", "timeout");
        assert_int_equal(json_array_append_new(rows, row), 0);
    }
    assert_int_equal(json_object_set_new(j, "results", rows), 0);
    return j;
}

static void test_limits(void **state)
{
    struct report r;
    struct doc_error e;
    json_t *j = many(REPORT_RESULTS_MAX, SIZE_MAX, SIZE_MAX);
    assert_int_equal(report_from_json(j, &r, &e), 0);
    assert_int_equal(r.n_results, REPORT_RESULTS_MAX);
    report_clear(&r);
    json_decref(j);
    j = many(REPORT_RESULTS_MAX + 1, SIZE_MAX, SIZE_MAX);
    assert_int_equal(report_from_json(j, &r, &e), -EINVAL);
    assert_string_equal(e.code, "too_many_results");
    assert_string_equal(e.pointer, "/results");
    json_decref(j);
    j = doc_must_parse(whole);
    json_t *mapped = json_object_get(json_object_get(j, "network"), "mapped_addresses");
    while (json_array_size(mapped) <= REPORT_MAPPED_MAX)
        assert_int_equal(json_array_append_new(mapped, json_string("1.2.3.4")), 0);
    assert_int_equal(report_from_json(j, &r, &e), -EINVAL);
    assert_string_equal(e.pointer, "/network/mapped_addresses");
    json_decref(j);
}

static void test_repeated_pairs(void **state)
{
    static const size_t pairs[][2] = {{0, 1}, {0, 4095}, {4094, 4095}, {7, 2000}};
    for (size_t i = 0; i < 4; i++) {
        char pointer[32];
        struct report r;
        struct doc_error e;
        json_t *j = many(REPORT_RESULTS_MAX, pairs[i][0], pairs[i][1]);
        assert_int_equal(report_from_json(j, &r, &e), -EINVAL);
        assert_string_equal(e.code, "duplicate_result");
        snprintf(pointer, sizeof pointer, "/results/%zu", pairs[i][1]);
        assert_string_equal(e.pointer, pointer);
        json_decref(j);
    }
}

static void test_capabilities(void **state)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        unsigned back = 99;
        struct doc_error e;
        json_t *j = capabilities_to_json(bits);
        assert_int_equal(capabilities_from_json(j, &back, &e), 0);
        assert_int_equal(back, bits);
        json_decref(j);
    }
}

#define CALL                                                                                            \
    "{\"node\":\"n1\",\"transport\":\"tls\",\"meeting\":\"m:1\",\"seconds\":900,\"rtt_us\":{\"min\":1," \
    "\"median\":2,"                                                                                     \
    "\"p95\":60000000},\"checks\":180,\"received\":0,\"lost\":3,\"jitter_us\":4,\"ended\":\"moved\","   \
    "\"expected\":{\"transport\":\"udp\",\"rtt_us\":5,\"predicted\":true}}"
#define LEAST_CALL                                                                             \
    "{\"node\":\"n2\",\"transport\":\"udp\",\"seconds\":0,\"rtt_us\":{\"min\":0,\"median\":0," \
    "\"p95\":0},\"more\":[]}"

static json_t *with_calls(const char *calls)
{
    json_t *j = doc_must_parse(whole), *value = doc_must_parse(calls);
    assert_int_equal(json_object_set_new(j, "calls", value), 0);
    return j;
}

static void test_calls(void **state)
{
    struct report r;
    struct doc_error e;
    json_t *j = with_calls("[" CALL "," LEAST_CALL "]");
    assert_int_equal(report_from_json(j, &r, &e), 0);
    json_decref(j);
    assert_int_equal(r.n_calls, 2);
    assert_false(report_is_of_calls(&r)); /* it has results */
    assert_string_equal(r.calls[0].meeting, "m:1");
    assert_true(r.calls[0].transport == TRANSPORT_TLS && r.calls[0].ended == CALL_MOVED);
    assert_true(r.calls[0].rtt_p95_us == RTT_MAX_US && r.calls[0].seconds == 900 && r.calls[0].lost == 3);
    assert_true(r.calls[0].expected.rtt_us == 5 && r.calls[0].expected.predicted);
    assert_true(r.calls[1].ended == CALL_GOES_ON && r.calls[1].checks == NOT_MEASURED);
    assert_true(r.calls[1].expected.rtt_us == NOT_MEASURED && r.calls[1].meeting[0] == '\0');
    j = report_to_json(&r);
    json_t *call = json_array_get(json_object_get(j, "calls"), 1);
    assert_null(json_object_get(call, "expected"));
    assert_null(json_object_get(call, "ended"));
    json_decref(j);
    report_clear(&r);
    j = with_calls("[" LEAST_CALL "]");
    assert_int_equal(json_array_clear(json_object_get(j, "results")), 0);
    assert_int_equal(report_from_json(j, &r, &e), 0);
    assert_true(report_is_of_calls(&r));
    json_decref(j);
    report_clear(&r);
}

static void test_wrong_calls(void **state)
{
    static const struct {
        const char *member, *value, *pointer;
    } cases[] = {
        {"node", "\"a b\"", "/calls/0/node"},
        {"transport", "\"quic\"", "/calls/0/transport"},
        {"meeting", "\"\"", "/calls/0/meeting"},
        {"seconds", "-1", "/calls/0/seconds"},
        {"seconds", "604801", "/calls/0/seconds"},
        {"rtt_us", "5", "/calls/0/rtt_us"},
        {"rtt_us", "{\"min\":3,\"median\":2,\"p95\":4}", "/calls/0/rtt_us"},
        {"rtt_us", "{\"min\":1,\"median\":2,\"p95\":60000001}", "/calls/0/rtt_us/p95"},
        {"checks", "0", "/calls/0/checks"},
        {"received", "1.5", "/calls/0/received"},
        {"lost", "1099511627777", "/calls/0/lost"},
        {"jitter_us", "60000001", "/calls/0/jitter_us"},
        {"ended", "\"bored\"", "/calls/0/ended"},
        {"ended", "\"\"", "/calls/0/ended"},
        {"expected", "[]", "/calls/0/expected"},
        {"expected", "{\"transport\":\"udp\"}", "/calls/0/expected/rtt_us"},
        {"expected", "{\"transport\":\"udp\",\"rtt_us\":-1}", "/calls/0/expected/rtt_us"},
        {"expected", "{\"transport\":5,\"rtt_us\":1}", "/calls/0/expected/transport"},
    };
    struct report r;
    struct doc_error e;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char value[128];
        snprintf(value, sizeof value, "[%s]", cases[i].value);
        json_t *j = with_calls("[" CALL "]"), *wrapped = doc_must_parse(value);
        json_t *call = json_array_get(json_object_get(j, "calls"), 0);
        assert_int_equal(json_object_set(call, cases[i].member, json_array_get(wrapped, 0)), 0);
        if (report_from_json(j, &r, &e) != -EINVAL)
            fail_msg("accepted: %s %s", cases[i].member, cases[i].value);
        assert_string_equal(e.pointer, cases[i].pointer);
        json_decref(j);
        json_decref(wrapped);
    }
    json_t *j = with_calls("{}");
    assert_int_equal(report_from_json(j, &r, &e), -EINVAL);
    assert_string_equal(e.pointer, "/calls");
    json_decref(j);
}

static void test_calls_have_a_limit(void **state)
{
    struct report r;
    struct doc_error e;
    json_t *j = with_calls("[" LEAST_CALL "]"), *calls = json_object_get(j, "calls");
    while (json_array_size(calls) < REPORT_CALLS_MAX)
        assert_int_equal(json_array_append(calls, json_array_get(calls, 0)), 0);
    assert_int_equal(report_from_json(j, &r, &e), 0);
    report_clear(&r);
    assert_int_equal(json_array_append(calls, json_array_get(calls, 0)), 0);
    assert_int_equal(report_from_json(j, &r, &e), -EINVAL);
    assert_string_equal(e.pointer, "/calls");
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_least),
        cmocka_unit_test(test_wrong_members), cmocka_unit_test(test_missing_members),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_repeated_pairs),
        cmocka_unit_test(test_capabilities),  cmocka_unit_test(test_calls),
        cmocka_unit_test(test_wrong_calls),   cmocka_unit_test(test_calls_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
