/* link: berth_controller_lib */
/* Predictions from aggregates: prefixes of addresses, confidence, rows, errors; and what opens as a file of countries. */
#include "geo.h"
#include "predict.h"
#include "predict_judge.h"

#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct predict_nets nets_of(const char *const *addrs, size_t n)
{
    struct predict_nets nets = {0, 0};

    for (size_t i = 0; i < n; i++) {
        struct addr a;

        assert_int_equal(addr_parse_ip(&a, addrs[i]), 0);
        predict_nets_add(&nets, &a);
    }
    return nets;
}

static void test_prefixes(void **state)
{
    static const char *const mixed[] = {"10.0.0.1", "203.0.113.9",     "203.0.114.9",
                                        "fd00::1",  "2001:db8:1:2::3", "::1"};
    static const char *const mapped[] = {"::ffff:198.51.100.7"};
    static const char *const nowhere[] = {
        "10.1.2.3",  "172.16.0.1",  "172.31.255.1", "192.168.1.1", "100.64.0.1", "100.127.0.1",
        "127.0.0.1", "169.254.1.1", "198.18.0.1",   "0.0.0.0",     "224.0.0.1",  "255.255.255.255",
        "::1",       "fe80::1",     "fc00::1",      "ff02::1",     "::",         "64:ff9b::1"};
    static const char *const somewhere[] = {"172.15.0.1", "172.32.0.1", "100.63.0.1",  "100.128.0.1",
                                            "9.0.0.1",    "11.0.0.1",   "192.167.0.1", "198.17.0.1",
                                            "198.20.0.1", "2000::1"};
    struct predict_nets n = nets_of(mixed, 6);

    (void)state;
    assert_true(n.net4 == 0xCB0071 && n.net6 == 0x20010db80001);
    n = nets_of(mapped, 1);
    assert_true(n.net4 == 0xC63364 && n.net6 == 0);
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        n = nets_of(&nowhere[i], 1);
        if (n.net4 != 0 || n.net6 != 0)
            fail_msg("%s stands for a place", nowhere[i]);
    }
    for (size_t i = 0; i < sizeof(somewhere) / sizeof(somewhere[0]); i++) {
        n = nets_of(&somewhere[i], 1);
        if (n.net4 == -1 && n.net6 == 0)
            fail_msg("%s stands for no place", somewhere[i]);
    }
}

static struct predict_group group(enum predict_source s, int64_t agents, int64_t spread_us,
                                  struct predict_cell *cell)
{
    *cell =
        (struct predict_cell){.rtt_us = 20000, .spread_us = spread_us, .tested = agents, .reached = agents};
    return (struct predict_group){.source = s, .agents = agents, .n = 1, .cells = cell};
}

static unsigned sure(enum predict_source s, int64_t agents, int64_t spread_us)
{
    struct predict_cell cell;
    struct predict_group g = group(s, agents, spread_us, &cell);

    return predict_confidence(&g);
}

static void test_confidence(void **state)
{
    (void)state;
    for (unsigned s = 0; s + 1 < PREDICT_SOURCES; s++)
        assert_true(sure((enum predict_source)s, 5, 0) > sure((enum predict_source)(s + 1), 5, 0));
    assert_true(sure(PREDICT_NETWORK, 16, 0) > sure(PREDICT_NETWORK, 1, 0));
    assert_true(sure(PREDICT_NETWORK, 5, 0) > sure(PREDICT_NETWORK, 5, 10000));
    assert_int_equal(sure(PREDICT_NETWORK, 1, 0), 60);
    assert_int_equal(sure(PREDICT_COUNTRY, 1, INT32_MAX), 1); /* never nothing: that would be no prediction */
    assert_true(sure(PREDICT_NETWORK, 1000000, 0) <= 100);
}

static void test_names(void **state)
{
    (void)state;
    for (unsigned s = 0; s < PREDICT_SOURCES; s++) {
        enum predict_source back = PREDICT_SOURCES;

        assert_int_equal(predict_source_parse(predict_source_name((enum predict_source)s), &back), 0);
        assert_int_equal(back, s);
    }
    enum predict_source none;
    assert_int_equal(predict_source_parse("hearsay", &none), -EINVAL);
}

static void test_rows(void **state)
{
    const struct predict_cell cells[] = {
        {.node = 3, .transport = TRANSPORT_UDP, .tested = 5, .reached = 2, .rtt_us = 9000},
        {.node = 3, .transport = TRANSPORT_TLS, .tested = 5, .reached = 5, .rtt_us = 30000},
        {.node = 3, .transport = TRANSPORT_TCP, .tested = 4, .reached = 2, .rtt_us = 20000},
        {.node = PLACE_NONE, .transport = TRANSPORT_UDP, .tested = 5, .reached = 5, .rtt_us = 1},
        {.node = 0, .transport = TRANSPORT_UDP, .tested = 5, .reached = 0, .rtt_us = -1},
    };
    const struct predict_group g = {.source = PREDICT_NETWORK, .agents = 5, .n = 5, .cells = cells};
    struct place_row rows[5];

    (void)state;
    assert_int_equal(predict_rows(&g, rows), 4);
    assert_false(rows[0].reachable); /* two of five got through */
    assert_true(rows[1].reachable && rows[1].rtt_us == 30000);
    assert_true(rows[2].reachable && rows[2].node == 3);
    assert_true(rows[3].node == 0 && !rows[3].reachable);
    assert_true(predict_rtt(&g, 3) == 20000);
    assert_true(predict_rtt(&g, 0) == -1);
    assert_true(predict_rtt(&g, 7) == -1);
}

static void test_errors(void **state)
{
    static struct predict_errors e;
    char buf[16384];
    struct metrics_text m;

    (void)state;
    predict_error_add(&e.of[PREDICT_PREFIX], 1000);
    predict_error_add(&e.of[PREDICT_PREFIX], 1001);
    predict_error_add(&e.of[PREDICT_PREFIX], 900000);
    predict_error_add(&e.of[PREDICT_PREFIX], -1);
    metrics_init(&m, buf, sizeof(buf));
    predict_errors_write(&e, &m);
    assert_false(m.truncated);
    assert_non_null(strstr(buf, "# TYPE berth_prediction_error_ms histogram\n"));
    assert_non_null(strstr(buf, "berth_prediction_error_ms_bucket{source=\"prefix\",le=\"1\"} 1\n"));
    assert_non_null(strstr(buf, "berth_prediction_error_ms_bucket{source=\"prefix\",le=\"2\"} 2\n"));
    assert_non_null(strstr(buf, "berth_prediction_error_ms_bucket{source=\"prefix\",le=\"200\"} 2\n"));
    assert_non_null(strstr(buf, "berth_prediction_error_ms_bucket{source=\"prefix\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(buf, "berth_prediction_error_ms_sum{source=\"prefix\"} 902.001\n"));
    assert_non_null(strstr(buf, "berth_prediction_unreached_total{source=\"prefix\"} 1\n"));
    assert_non_null(strstr(buf, "berth_prediction_error_ms_count{source=\"network\"} 0\n"));
}

static void test_no_countries(void **state)
{
    char country[COUNTRY_LEN + 1] = "xx", error[256], path[] = "/tmp/berth-geo-XXXXXX";
    struct geo *g = NULL;
    struct addr a;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(addr_parse_ip(&a, "203.0.113.9"), 0);
    geo_country_of(NULL, &a, 1, country);
    assert_string_equal(country, "");
    assert_true(fd >= 0 && write(fd, "no such format", 14) == 14);
    close(fd);
    assert_int_equal(geo_open(&g, path, error, sizeof(error)), -EINVAL);
    assert_non_null(strstr(error, path));
    unlink(path);
    assert_int_equal(geo_open(&g, path, error, sizeof(error)), -ENOENT);
    assert_non_null(strstr(error, "No such file"));
    geo_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_confidence),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_rows),
        cmocka_unit_test(test_errors),   cmocka_unit_test(test_no_countries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
