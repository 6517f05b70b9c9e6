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
    struct report_head head = {
        .agent_id = "agent-1", .network_id = "net-1", .measured_at_us = 1767323045678901};
    struct call_stretches calls = {.n = 1};
    call_stretch_init(&calls.at[0]);
    strcpy(calls.at[0].node, "n1");
    calls.at[0].rtt_min_us = calls.at[0].rtt_median_us = calls.at[0].rtt_p95_us = 7;
    assert_int_equal(kept_report_make(&k, &head, &s, &calls), 0);
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
    assert_int_equal(r.n_calls, 1);
    assert_string_equal(r.calls[0].node, "n1");
    json_decref(j);
    report_clear(&r);
    char first[BERTH_UUID_TEXT];
    memcpy(first, k.report_id, sizeof first);
    head.agent_id = NULL;
    assert_int_equal(kept_report_make(&k, &head, &s, &calls), 0);
    assert_string_not_equal(k.report_id, first);
    assert_null(strstr(k.body, "\"agent\"")); /* the token names it */
    kept_report_clear(&k);
    results_clear(&s);
    j = report_of_calls(&head, &calls);
    assert_int_equal(report_from_json(j, &r, &e), 0);
    assert_true(report_is_of_calls(&r));
    json_decref(j);
    report_clear(&r);
}

/* A fourth row where a proxy leads to the node: each candidate to each TLS address, by name where a name means the same. */
static void proxy_rows(void **state)
{
    struct results s = begin();
    struct proxy_table table = {
        .n = 3,
        .at = {{PROXY_HTTP, 3128, "a.example"}, {PROXY_DIRECT, 0, ""}, {PROXY_HTTPS, 443, "b.example"}}};
    struct proxy_list lists[2] = {{.n = 1, .at = {1}}, {.n = 3, .at = {0, 1, 2}}};
    struct prober_target_spec targets[8];
    struct node_entry *n2 = &s.list.nodes[1];
    strcpy(n2->tls_name, "n2.example");
    n2->addresses.n[TRANSPORT_TLS] = 2;
    assert_int_equal(addr_parse(&n2->addresses.at[TRANSPORT_TLS][0], "192.0.2.1:443"), 0);
    assert_int_equal(addr_parse(&n2->addresses.at[TRANSPORT_TLS][1], "[2001:db8::1]:443"), 0);
    assert_int_equal(results_set_proxies(&s, &table, lists), 0);
    assert_true(results_has_proxies(&s));
    assert_int_equal(s.n_rows, 7);
    assert_int_equal(results_nodes(&s), 2);
    results_targets(&s, targets);
    const struct prober_target_spec *t = &targets[6];
    assert_int_equal(t->transport, TRANSPORT_PROXY);
    assert_int_equal(t->node, 1);
    assert_true(t->websocket && targets[5].websocket && !targets[4].websocket);
    assert_int_equal(t->n_addrs, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(t->routes[i].proxy->host, i < 4 ? "a.example" : "b.example");
        assert_int_equal(t->routes[i].by_name, i % 2);
        assert_int_equal(t->addrs[i].family, i % 4 < 2 ? ADDR_V4 : ADDR_V6);
    }
    strcpy(n2->tls_name, "localhost"); /* would be the proxy's own */
    assert_int_equal(results_set_proxies(&s, &table, lists), 0);
    results_targets(&s, targets);
    assert_int_equal(targets[6].n_addrs, 4);

    struct berth_result r;
    set_reachable(&s, 6, "198.51.100.1:1");
    struct probe_result *row = &s.rows[6].r;
    row->framing = FRAMING_WEBSOCKET;
    row->via_proxy = row->tls_intercepted = true;
    strcpy(row->proxy_url, "http://a.example:3128");
    strcpy(row->proxy_auth, "ntlm");
    results_public(&s, 6, &r);
    assert_int_equal(r.node_index, 1);
    assert_int_equal(r.transport, BERTH_PROXY);
    assert_int_equal(r.framing, BERTH_FRAMING_WEBSOCKET);
    assert_string_equal(r.proxy, "http://a.example:3128");
    assert_string_equal(r.proxy_auth, "ntlm");
    assert_int_equal(r.tls_intercepted, 1);
    assert_int_equal(results_reachable(&s), 1);
    json_t *j = results_to_json(&s);
    json_t *rows = json_object_get(json_array_get(json_object_get(j, "nodes"), 1), "results");
    assert_int_equal(json_array_size(rows), 4);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 3), "transport")), "proxy");
    json_decref(j);

    /* And none again. */
    assert_int_equal(results_set_proxies(&s, &table, NULL), 0);
    assert_int_equal(s.n_rows, 6);
    assert_false(results_has_proxies(&s));
    assert_int_equal(results_reachable(&s), 0);
    results_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proxy_rows),
        cmocka_unit_test(rows_begin_untested),
        cmocka_unit_test(json_is_the_contracts),
        cmocka_unit_test(mapped_addresses_are_distinct),
        cmocka_unit_test(a_report_parses_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
