/* link: berth_core */
/* The list of nodes and its policy: round trip, ten thousand nodes and more, what is wrong and left out, repeated nodes. */
#include "doc_case.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SPKI "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static const char whole[] = "{\"version\":\"v1\",\"policy\":{\"samples\":7,\"more\":true},\"nodes\":[{"
                            "\"node\":\"n1\",\"cluster\":\"c\","
                            "\"class\":\"mesh\",\"region\":\"eu\",\"addresses\":{\"udp\":[\"1.2.3.4:5\",\"[::"
                            "1]:6\"],\"tls\":[\"1.2.3.4:443\"]},"
                            "\"tls_name\":\"n1.example.org\",\"tls_spki\":[\"" SPKI "\"],\"load\":1}]}";

static void test_whole(void **state)
{
    struct nodelist l;
    struct doc_error e;
    struct probe_policy defaults;
    char text[ADDR_TEXT_LEN];
    json_t *j = doc_must_parse(whole);
    probe_policy_init(&defaults);
    assert_int_equal(nodelist_from_json(j, &l, &e), 0);
    assert_string_equal(l.version, "v1");
    assert_int_equal(l.policy.samples, 7);
    assert_int_equal(l.policy.budget_ms, defaults.budget_ms);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.n_listed, 1);
    assert_string_equal(l.first_left_out.code, "");
    assert_true(l.nodes[0].mesh);
    assert_string_equal(l.nodes[0].tls_name, "n1.example.org");
    assert_int_equal(l.nodes[0].tls_spki.n, 1);
    assert_string_equal(l.nodes[0].tls_spki.at[0], SPKI);
    assert_int_equal(l.nodes[0].addresses.n[TRANSPORT_UDP], 2);
    assert_int_equal(l.nodes[0].addresses.n[TRANSPORT_TCP], 0);
    assert_string_equal(addr_format(&l.nodes[0].addresses.at[TRANSPORT_UDP][1], text), "[::1]:6");
    json_t *entry = node_entry_to_json(&l.nodes[0]), *was = json_array_get(json_object_get(j, "nodes"), 0);
    assert_int_equal(json_object_del(was, "load"), 0);
    assert_true(json_equal(entry, was));
    json_decref(entry);
    json_decref(j);
    nodelist_clear(&l);
    nodelist_clear(&l);
    nodelist_clear(NULL);
}

static json_t *many(size_t n, size_t same_a, size_t same_b)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "node-%zu", i == same_b ? same_a : i);
        json_t *node = json_pack("{s:s, s:s, s:s, s:s, s:{s:[s]}}", "node", name, "cluster", "c", "class",
                                 "cloud", "region", "r", "addresses", "udp", "10.0.0.1:5004");
        assert_int_equal(json_array_append_new(nodes, node), 0);
    }
    return json_pack("{s:s, s:o}", "version", "1", "nodes", nodes);
}

static void test_ten_thousand_nodes(void **state)
{
    struct nodelist l;
    struct doc_error e;
    json_t *j = many(NODELIST_MAX, SIZE_MAX, SIZE_MAX);
    assert_int_equal(nodelist_from_json(j, &l, &e), 0);
    assert_int_equal(l.n, NODELIST_MAX);
    assert_string_equal(l.nodes[NODELIST_MAX - 1].node, "node-9999");
    nodelist_clear(&l);
    json_decref(j);
    j = many(NODELIST_MAX + 3, SIZE_MAX, SIZE_MAX); /* the first of them are taken */
    assert_int_equal(nodelist_from_json(j, &l, &e), 0);
    assert_int_equal(l.n, NODELIST_MAX);
    assert_int_equal(l.n_listed, NODELIST_MAX + 3);
    assert_string_equal(l.nodes[NODELIST_MAX - 1].node, "node-9999");
    assert_string_equal(l.first_left_out.detail, "at most 10000 nodes");
    nodelist_clear(&l);
    json_decref(j);
    j = many(NODELIST_MAX, 3, 9000);
    assert_int_equal(nodelist_from_json(j, &l, &e), 0);
    assert_int_equal(l.n, NODELIST_MAX - 1);
    assert_string_equal(l.nodes[3].node, "node-3");
    assert_string_equal(l.nodes[8999].node, "node-8999");
    assert_string_equal(l.nodes[9000].node, "node-9001");
    assert_string_equal(l.first_left_out.detail, "node node-3 occurs twice");
    nodelist_clear(&l);
    json_decref(j);
}

/* `whole` with that member of its node. */
static json_t *changed(const char *member, const char *value)
{
    char text[512];
    snprintf(text, sizeof text, "[%s]", value);
    json_t *j = doc_must_parse(whole), *wrapped = doc_must_parse(text);
    assert_int_equal(
        json_object_set(json_array_get(json_object_get(j, "nodes"), 0), member, json_array_get(wrapped, 0)),
        0);
    json_decref(wrapped);
    return j;
}

static void test_wrong_node_members(void **state)
{
    static const struct {
        const char *member, *value, *pointer;
    } cases[] = {
        {"node", "\"\"", "/nodes/0/node"},
        {"cluster", "5", "/nodes/0/cluster"},
        {"region", "\"a b\"", "/nodes/0/region"},
        {"class", "\"edge\"", "/nodes/0/class"},
        {"class", "true", "/nodes/0/class"},
        {"tls_name", "\"a b\"", "/nodes/0/tls_name"},
        {"tls_name", "\"host:443\"", "/nodes/0/tls_name"},
        {"tls_spki", "\"" SPKI "\"", "/nodes/0/tls_spki"},
        {"tls_spki", "[1]", "/nodes/0/tls_spki"},
        {"tls_spki", "[\"\"]", "/nodes/0/tls_spki"},
        {"tls_spki", "[\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==\"]", "/nodes/0/tls_spki"},
        {"tls_spki", "[\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=\"]", "/nodes/0/tls_spki"},
        {"tls_spki", "[\"" SPKI "\",\"" SPKI "\",\"" SPKI "\",\"" SPKI "\",\"" SPKI "\"]",
         "/nodes/0/tls_spki"},
        {"addresses", "[]", "/nodes/0/addresses"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nodelist l = {.n = 77};
        struct doc_error e = {0};
        json_t *j = changed(cases[i].member, cases[i].value);
        json_t *nodes = json_object_get(j, "nodes"), *right = json_array_get(nodes, 0);
        if (nodelist_from_json(j, &l, &e) != -EINVAL) /* there is no other entry */
            fail_msg("accepted: %s %s", cases[i].member, cases[i].value);
        assert_string_equal(e.pointer, cases[i].pointer);
        assert_int_equal(l.n, 77);
        /* Between right ones it alone is left out. */
        right = json_deep_copy(right);
        json_object_update_new(right, json_pack("{s:s, s:s, s:s, s:s, s:s, s:[], s:{}}", "node", "n0",
                                                "cluster", "c", "class", "cloud", "region", "eu", "tls_name",
                                                "a.example", "tls_spki", "addresses"));
        assert_int_equal(json_array_insert(nodes, 0, right), 0);
        assert_int_equal(json_array_append_new(nodes, json_deep_copy(right)), 0);
        json_object_set_new(json_array_get(nodes, 2), "node", json_string("n2"));
        json_object_del(json_array_get(nodes, 2), "tls_name");
        json_decref(right);
        assert_int_equal(nodelist_from_json(j, &l, &e), 0);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.n_listed, 3);
        assert_string_equal(l.nodes[1].node, "n2");
        assert_string_equal(l.nodes[1].tls_name, ""); /* nothing of the wrong one is left */
        assert_int_equal(l.n_addresses_left_out, 0);
        assert_memory_equal(l.first_left_out.pointer, "/nodes/1", 8);
        nodelist_clear(&l);
        json_decref(j);
    }
}

static void test_wrong_addresses(void **state)
{
    static const struct {
        const char *value, *pointer;
        size_t kept, left_out;
    } cases[] = {
        {"{\"quic\":[]}", "/nodes/0/addresses", 0, 0},
        {"{\"proxy\":[\"1.2.3.4:5\"],\"udp\":[\"1.2.3.4:5\"]}", "/nodes/0/addresses", 1, 1},
        {"{\"udp\":\"1.2.3.4:5\"}", "/nodes/0/addresses", 0, 1},
        {"{\"udp\":[\"1.2.3.4:5\",\"1.2.3.4\"]}", "/nodes/0/addresses/udp/1", 1, 1},
        {"{\"tls\":[\"1.2.3.4:0\"]}", "/nodes/0/addresses/tls/0", 0, 1},
        {"{\"tcp\":[null]}", "/nodes/0/addresses/tcp/0", 0, 1},
        {"{\"udp\":[\"1.2.3.4:5\",\"224.0.0.1:5\"]}", "/nodes/0/addresses/udp/1", 1, 1},
        {"{\"udp\":[\"[::ffff:0.0.0.0]:5\"]}", "/nodes/0/addresses/udp/0", 0, 1},
        {"{\"tls\":[\"[fe80::1%2]:5\"]}", "/nodes/0/addresses/tls/0", 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nodelist l;
        struct doc_error e;
        json_t *j = changed("addresses", cases[i].value);
        if (nodelist_from_json(j, &l, &e) != 0)
            fail_msg("refused: %s", cases[i].value);
        assert_int_equal(l.n, 1);
        size_t kept = 0;
        for (size_t t = 0; t < TRANSPORT_PROXY; t++)
            kept += l.nodes[0].addresses.n[t];
        assert_int_equal(kept, cases[i].kept);
        assert_int_equal(l.n_addresses_left_out, cases[i].left_out);
        assert_string_equal(l.first_left_out.pointer, cases[i].pointer);
        nodelist_clear(&l);
        json_decref(j);
    }
}

/* Of a list longer than the bound the first are taken. */
static void test_too_many_addresses_of_an_entry(void **state)
{
    struct nodelist l;
    struct doc_error e;
    json_t *j = changed("addresses", "{\"udp\":[\"224.0.0.1:5\"]}");
    json_t *list =
        json_object_get(json_object_get(json_array_get(json_object_get(j, "nodes"), 0), "addresses"), "udp");
    for (unsigned i = 1; i <= NODE_ADDRESSES_MAX + 2; i++)
        assert_int_equal(json_array_append_new(list, json_sprintf("1.2.3.4:%u", i)), 0);
    assert_int_equal(nodelist_from_json(j, &l, &e), 0);
    assert_int_equal(l.nodes[0].addresses.n[TRANSPORT_UDP], NODE_ADDRESSES_MAX);
    assert_int_equal(l.nodes[0].addresses.at[TRANSPORT_UDP][NODE_ADDRESSES_MAX - 1].port, NODE_ADDRESSES_MAX);
    assert_int_equal(l.n_addresses_left_out, 3);
    nodelist_clear(&l);
    json_decref(j);
}

static void test_too_many_addresses(void **state)
{
    struct node_addresses a;
    struct doc_error e;
    for (size_t n = NODE_ADDRESSES_MAX; n <= NODE_ADDRESSES_MAX + 1; n++) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
            assert_int_equal(json_array_append_new(list, json_string("1.2.3.4:5")), 0);
        json_t *j = json_pack("{s:o}", "tcp", list);
        assert_int_equal(node_addresses_from_json(j, &a, &e), n > NODE_ADDRESSES_MAX ? -EINVAL : 0);
        json_decref(j);
    }
    assert_string_equal(e.pointer, "/tcp");
}

static void test_policy_ranges(void **state)
{
    static const struct {
        const char *name;
        json_int_t min, max;
    } cases[] = {{"samples", 1, 50},         {"spacing_ms", 1, 10000},
                 {"timeout_ms", 50, 60000},  {"node_budget_ms", 50, 600000},
                 {"budget_ms", 50, 3600000}, {"reprobe_after_s", 1, 604800},
                 {"pace_per_s", 1, 10000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int step = 0; step < 4; step++) {
            struct probe_policy p;
            struct doc_error e;
            char pointer[32];
            json_int_t v = step < 2 ? cases[i].min - step : cases[i].max + step - 2;
            json_t *j = json_pack("{s:I}", cases[i].name, v);
            bool right = step % 2 == 0;
            assert_int_equal(probe_policy_from_json(j, &p, &e), right ? 0 : -EINVAL);
            if (right) {
                json_t *back = probe_policy_to_json(&p);
                assert_true(json_integer_value(json_object_get(back, cases[i].name)) == v);
                json_decref(back);
            } else {
                snprintf(pointer, sizeof pointer, "/%s", cases[i].name);
                assert_string_equal(e.pointer, pointer);
            }
            json_decref(j);
        }
    }
}

static void test_wrong_lists(void **state)
{
    static const char *const wrong[][2] = {
        {"[]", ""},
        {"{}", "/version"},
        {"{\"version\":5}", "/version"},
        {"{\"version\":\"1\"}", "/nodes"},
        {"{\"version\":\"1\",\"nodes\":{}}", "/nodes"},
        {"{\"version\":\"1\",\"nodes\":[1]}", "/nodes/0"},
        {"{\"version\":\"1\",\"policy\":[],\"nodes\":[]}", "/policy"},
        {"{\"version\":\"1\",\"policy\":{\"samples\":0},\"nodes\":[]}", "/policy/samples"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct nodelist l;
        struct doc_error e;
        json_t *j = doc_must_parse(wrong[i][0]);
        assert_int_equal(nodelist_from_json(j, &l, &e), -EINVAL);
        assert_string_equal(e.pointer, wrong[i][1]);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_ten_thousand_nodes),
        cmocka_unit_test(test_wrong_node_members),
        cmocka_unit_test(test_wrong_addresses),
        cmocka_unit_test(test_too_many_addresses_of_an_entry),
        cmocka_unit_test(test_too_many_addresses),
        cmocka_unit_test(test_policy_ranges),
        cmocka_unit_test(test_wrong_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
