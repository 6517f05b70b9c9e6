/* link: berth_core */
/* Prometheus text: lines, values, escapes, and a buffer that is full. */
#include "check.h"

#include "core/metrics.h"

#include <math.h>
#include <string.h>

static void test_text(void **state)
{
    char buf[512];
    struct metrics_text m;
    metrics_init(&m, buf, sizeof buf);
    metrics_family(&m, "berth_x_total", METRIC_COUNTER, "Things.");
    metrics_sample(&m, "berth_x_total", "", 3);
    metrics_sample(&m, "berth_x_total", "node=\"a\",transport=\"udp\"", 12345678901234.0);
    metrics_family(&m, "berth_y", METRIC_GAUGE, "A level.");
    metrics_sample(&m, "berth_y", "", 0.25);
    metrics_sample(&m, "berth_y", "", -1);
    metrics_sample(&m, "berth_y", "", NAN);
    metrics_sample(&m, "berth_y", "", -INFINITY);
    metrics_sample(&m, "berth_y", "", 1e300);
    assert_false(m.truncated);
    assert_int_equal(m.len, strlen(buf));
    assert_string_equal(buf, "# HELP berth_x_total Things.\n# TYPE berth_x_total counter\nberth_x_total 3\n"
                             "berth_x_total{node=\"a\",transport=\"udp\"} 12345678901234\n"
                             "# HELP berth_y A level.\n# TYPE berth_y gauge\n"
                             "berth_y 0.25\nberth_y -1\nberth_y NaN\nberth_y -Inf\nberth_y 1e+300\n");
}

static void test_only_whole_lines(void **state)
{
    for (size_t cap = 0; cap < 64; cap++) {
        char buf[64];
        struct metrics_text m;
        metrics_init(&m, buf, cap);
        for (int i = 0; i < 20; i++)
            metrics_sample(&m, "abc", "", 1); /* six bytes a line */
        assert_true(m.truncated);
        assert_int_equal(m.len, cap == 0 ? 0 : (cap - 1) / 6 * 6);
        if (cap > 0)
            assert_int_equal(strlen(buf), m.len);
    }
}

static void test_escapes(void **state)
{
    char out[16];
    metrics_escape("a\"b\\c\nd", out, sizeof out);
    assert_string_equal(out, "a\\\"b\\\\c\\nd");
    metrics_escape("ab\"", out, 4); /* no half escape */
    assert_string_equal(out, "ab");
    metrics_escape("abc", out, 1);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_only_whole_lines),
        cmocka_unit_test(test_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
