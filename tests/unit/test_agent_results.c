/* link: berth_agent_core */
/* Rows and reports. */
#include "check.h"

#include "agent/report.h"

#include <stdlib.h>
#include <string.h>

static struct nodelist two_nodes(void)
{
    struct nodelist list = {.n = 2, .nodes = calloc(2, sizeof *list.nodes)};
    assert_non_null(list.nodes);
    probe_policy_init(&list.policy);
    for (size_t i = 0; i < 2; i++) {
        strcpy(list.nodes[i].node, i == 0 ? "n1" : "n2");
        strcpy(list.nodes[i].cluster, "c1");
        list.nodes[i].addresses.n[TRANSPORT_UDP] = 1;
        assert_int_equal(addr_parse(&list.nodes[i].addresses.at[TRANSPORT_UDP][0], "192.0.2.1:5004"), 0);
    }
    return list;
}

static struct results begin(void)
{
    struct results s = {0};
    struct nodelist list = two_nodes();
    assert_int_equal(results_begin(&s, &list), 0);
    assert_null(list.nodes); /* taken over */
    return s;
}

static void set_reachable(struct results *s, size_t row, const char *mapped)
{
    struct probe_result *r = &s->rows[row].r;
    r->status = PROBE_REACHABLE;
    r->rtt_min_us = 1000;
    r->rtt_median_us = 2000;
    r->rtt_p95_us = 3000;
    r->sent = 5;
    r->received = 4;
    r->framing = FRAMING_STUN;
    assert_int_equal(addr_parse(&r->address, "192.0.2.1:5004"), 0);
    assert_int_equal(addr_parse(&r->mapped_address, mapped), 0);
}

static void rows_begin_untested(void **state)
{
    struct results s = begin();
    assert_int_equal(s.n_rows, 6);
    for (size_t i = 0; i < 6; i++) {
        struct berth_result r;
        results_public(&s, i, &r);
        assert_string_equal(r.node, i < 3 ? "n1" : "n2");
        assert_int_equal(r.node_index, i / 3);
        assert_int_equal(r.transport, i % 3);
        assert_int_equal(r.status, BERTH_UNTESTED);
        assert_int_equal(r.rtt_median_us, -1);
        assert_string_equal(r.address, "");
    }
    struct prober_target_spec targets[6];
    results_targets(&s, targets);
    assert_int_equal(targets[3].n_addrs, 1);
    assert_int_equal(targets[3].node, 1);
    assert_int_equal(targets[4].n_addrs, 0);
    results_clear(&s);
}

static void json_is_the_contracts(void **state)
{
    struct results s = begin();
    set_reachable(&s, 0, "198.51.100.7:4000");
    json_t *j = results_to_json(&s);
    char *text = json_dumps(j, JSON_COMPACT);
    assert_string_equal(
        text,
        "{\"nodes\":[{\"node\":\"n1\",\"results\":[{\"node\":\"n1\",\"transport\":\"udp\",\"status\":"
        "\"reachable\","
        "\"address\":\"192.0.2.1:5004\",\"rtt_us\":{\"min\":1000,\"median\":2000,\"p95\":3000},\"sent\":5,"
        "\"received\":4,\"mapped_address\":\"198.51.100.7:4000\",\"framing\":\"stun\"},"
        "{\"node\":\"n1\",\"transport\":\"tcp\",\"status\":\"untested\"},"
        "{\"node\":\"n1\",\"transport\":\"tls\",\"status\":\"untested\"}]},"
        "{\"node\":\"n2\",\"results\":[{\"node\":\"n2\",\"transport\":\"udp\",\"status\":\"untested\"},"
        "{\"node\":\"n2\",\"transport\":\"tcp\",\"status\":\"untested\"},"
        "{\"node\":\"n2\",\"transport\":\"tls\",\"status\":\"untested\"}]}]}");
    free(text);
    json_decref(j);
    results_clear(&s);
}

static void mapped_addresses_are_distinct(void **state)
{
    struct results s = begin();
    struct addr mapped[REPORT_MAPPED_MAX];
    assert_int_equal(results_mapped(&s, mapped), 0);
    set_reachable(&s, 0, "198.51.100.7:4000");
    set_reachable(&s, 1, "198.51.100.7:4001");
    set_reachable(&s, 3, "[2001:db8::7]:4000");
    assert_int_equal(results_mapped(&s, mapped), 2);
    assert_int_equal(mapped[0].port, 0);
    assert_int_equal(results_reachable(&s), 2);
    results_clear(&s);
}

/* What we send is what the controller's own parser takes. */
static void a_report_parses_back(void **state)
{
    struct results s = begin();
    struct kept_report k = {0};
    struct doc_error e = {0};
    struct report r;
    set_reachable(&s, 0, "198.51.100.7:4000");
    assert_int_equal(kept_report_make(&k, &s, "agent-1", "net-1", 1767323045678901), 0);
    json_t *j = json_loads(k.body, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    assert_int_equal(report_from_json(j, &r, &e), 0);
    assert_string_equal(r.agent, "agent-1");
    assert_string_equal(r.network_id, "net-1");
    assert_string_equal(r.report_id, k.report_id);
    assert_true(uuid_valid(k.report_id));
    assert_int_equal(r.measured_at_us, 1767323045678901);
    assert_int_equal(r.n_results, 6);
    assert_int_equal(r.results[0].rtt_median_us, 2000);
    assert_int_equal(r.n_mapped, 1);
    assert_int_equal(r.capabilities, 7);
    json_decref(j);
    report_clear(&r);
    char first[BERTH_UUID_TEXT];
    memcpy(first, k.report_id, sizeof first);
    assert_int_equal(kept_report_make(&k, &s, NULL, "net-1", 1767323045678901), 0);
    assert_string_not_equal(k.report_id, first);
    assert_null(strstr(k.body, "\"agent\"")); /* the token names it */
    kept_report_clear(&k);
    results_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_begin_untested),
        cmocka_unit_test(json_is_the_contracts),
        cmocka_unit_test(mapped_addresses_are_distinct),
        cmocka_unit_test(a_report_parses_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
