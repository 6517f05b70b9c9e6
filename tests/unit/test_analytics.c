/* link: berth_controller_lib */
/* The arithmetic of analytics: rows in, answers out. */
#include "analytics.h"
#include "check.h"

#include <string.h>

static struct analytics_call call(const char *node, enum transport t, int64_t rtt_us, int64_t expected_us)
{
    return (struct analytics_call){.node = node,
                                   .transport = t,
                                   .rtt_us = rtt_us,
                                   .expected = {.transport = TRANSPORT_UDP, .rtt_us = expected_us},
                                   .seconds = 10,
                                   .received = 90,
                                   .lost = 10};
}

static int64_t figure(const json_t *item, const char *object, const char *member)
{
    const json_t *j = json_object_get(object != NULL ? json_object_get(item, object) : item, member);
    if (!json_is_integer(j))
        fail_msg("no %s.%s", object != NULL ? object : "", member);
    return json_integer_value(j);
}

static void test_calls(void **state)
{
    struct analytics_call c[] = {
        call("b", TRANSPORT_UDP, 30000, NOT_MEASURED), call("a", TRANSPORT_UDP, 22000, 20000),
        call("a", TRANSPORT_TLS, 40000, 20000),        call("a", TRANSPORT_UDP, 17000, 20000),
        call("a", TRANSPORT_UDP, 50000, 40000),
    };
    c[0].received = c[0].lost = NOT_MEASURED;
    json_t *items = analytics_calls(c, 5);
    assert_int_equal(json_array_size(items), 3);
    const json_t *a = json_array_get(items, 0), *tls = json_array_get(items, 1),
                 *b = json_array_get(items, 2);
    assert_string_equal(json_string_value(json_object_get(a, "node")), "a");
    assert_string_equal(json_string_value(json_object_get(a, "transport")), "udp");
    assert_int_equal(figure(a, NULL, "calls"), 3);
    assert_int_equal(figure(a, NULL, "seconds"), 30);
    assert_int_equal(figure(a, NULL, "compared"), 3);
    assert_int_equal(figure(a, "rtt_us", "min"), 17000);
    assert_int_equal(figure(a, "rtt_us", "median"), 22000);
    assert_int_equal(figure(a, "error_us", "mean"), 3000); /* 2, -3, 10 ms */
    assert_int_equal(figure(a, "error_us", "mean_abs"), 5000);
    assert_int_equal(figure(a, "error_us", "median_abs"), 3000);
    assert_int_equal(figure(a, "error_us", "p95_abs"), 10000);
    assert_true(json_real_value(json_object_get(a, "loss")) > 0.099);
    assert_true(figure(tls, NULL, "elsewhere") == 1 && figure(tls, NULL, "compared") == 0);
    assert_null(json_object_get(tls, "error_us"));
    assert_true(figure(b, NULL, "elsewhere") == 0 && figure(b, NULL, "calls") == 1);
    assert_null(json_object_get(b, "loss"));
    json_decref(items);
    items = analytics_calls(c, 0);
    assert_int_equal(json_array_size(items), 0);
    json_decref(items);
}

/* What an agent may say at most, as often as one answer takes: nothing overflows. */
static void test_the_greatest_figures(void **state)
{
    enum { MANY = 4000 };
    static struct analytics_call c[MANY];
    for (size_t i = 0; i < MANY; i++) {
        c[i] = call("a", TRANSPORT_UDP, i % 2 == 0 ? RTT_MAX_US : 0, i % 2 == 0 ? 0 : RTT_MAX_US);
        c[i].received = c[i].lost = (int64_t)1 << 40;
        c[i].seconds = 7 * 86400;
    }
    json_t *items = analytics_calls(c, MANY);
    const json_t *a = json_array_get(items, 0);
    assert_int_equal(figure(a, "error_us", "mean"), 0);
    assert_int_equal(figure(a, "error_us", "mean_abs"), RTT_MAX_US);
    assert_true(json_real_value(json_object_get(a, "loss")) == 0.5);
    json_decref(items);
}

static struct analytics_agent agent(const char *site, int64_t now_us, int64_t apart_us, int64_t most_us)
{
    return (struct analytics_agent){.site = site, .now_us = now_us, .apart_us = apart_us, .most_us = most_us};
}

static void test_what_an_agent_would_measure(void **state)
{
    struct analytics_agent a = agent("s", 80000, 1000, 160000);
    assert_int_equal(analytics_then(&a), 6500);
    a.apart_us = 150000; /* no farther than by the node that both know */
    assert_int_equal(analytics_then(&a), 160000);
    a.apart_us = NOT_MEASURED;
    assert_int_equal(analytics_then(&a), NOT_MEASURED);
    a.there = true;
    assert_int_equal(analytics_then(&a), 2000);
    a.now_us = 900;
    assert_int_equal(analytics_then(&a), 900);
}

static void test_whom_a_node_would_help(void **state)
{
    struct analytics_agent a[] = {
        agent("small", 83000, 1000, 160000), agent("large", 30000, 0, 60000),
        agent("large", 40000, 0, 80000),     agent("large", 90000, 0, 180000),
        agent("far", 10000, 50000, 70000),   agent("unknown", 50000, NOT_MEASURED, 0),
        agent(NULL, 60000, 0, 120000), /* seen from nowhere: it counts, in no site */
    };
    size_t told;
    json_t *j = analytics_gain(a, 7, 5000, 50, "prefix", &told);
    assert_int_equal(told, 6);
    assert_int_equal(figure(j, NULL, "agents"), 7);
    assert_int_equal(figure(j, NULL, "helped"), 5);
    assert_int_equal(figure(j, NULL, "rtt_now_us"), 60000);
    const json_t *sites = json_object_get(j, "sites"), *first = json_array_get(sites, 0);
    assert_int_equal(json_array_size(sites), 2); /* those that gain, the most together first */
    assert_string_equal(json_string_value(json_object_get(first, "prefix")), "large");
    assert_int_equal(figure(first, NULL, "helped"), 3);
    assert_int_equal(figure(first, NULL, "rtt_now_us"), 40000);
    assert_int_equal(figure(first, NULL, "rtt_then_us"), 5000);
    assert_int_equal(figure(first, NULL, "gain_us"), 35000);
    json_decref(j);
    j = analytics_gain(a, 7, 5000, 1, "prefix", &told);
    assert_int_equal(json_array_size(json_object_get(j, "sites")), 1);
    assert_int_equal(figure(j, NULL, "helped"), 5);
    json_decref(j);
    j = analytics_gain(a, 7, 10000000, 50, "network", &told);
    assert_true(figure(j, NULL, "helped") == 0 && json_array_size(json_object_get(j, "sites")) == 0);
    assert_null(json_object_get(j, "gain_us"));
    json_decref(j);
    j = analytics_gain(a, 0, 5000, 50, "network", &told);
    assert_true(told == 0 && figure(j, NULL, "agents") == 0);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_the_greatest_figures),
        cmocka_unit_test(test_what_an_agent_would_measure),
        cmocka_unit_test(test_whom_a_node_would_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
