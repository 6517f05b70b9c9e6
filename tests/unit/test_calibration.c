/* link: berth_controller_lib */
/* What placement counted on against what calls measured: what is compared, the lines of the page, and their bound. */
#include "calibration.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 512 * 1024 };

static struct call_stretch call(enum transport t, int64_t rtt_us, enum transport expected,
                                int64_t expected_us)
{
    struct call_stretch c;
    call_stretch_init(&c);
    c.transport = t;
    c.rtt_min_us = rtt_us;
    c.rtt_median_us = c.rtt_p95_us = rtt_us + 50000; /* the least counts, as in a decision */
    c.expected = (struct call_expected){.transport = expected, .rtt_us = expected_us};
    return c;
}

static void test_what_is_compared(void **state)
{
    struct call_stretch c = call(TRANSPORT_UDP, 25000, TRANSPORT_UDP, 20000);
    int64_t error;
    assert_true(calibration_error(&c, &error) && error == 5000);
    c = call(TRANSPORT_UDP, 15000, TRANSPORT_UDP, 20000);
    assert_true(calibration_error(&c, &error) && error == -5000);
    c = call(TRANSPORT_TLS, 25000, TRANSPORT_UDP, 20000);
    assert_false(calibration_error(&c, &error));
    c = call(TRANSPORT_UDP, 25000, TRANSPORT_UDP, NOT_MEASURED);
    assert_false(calibration_error(&c, &error));
}

static char *page(struct calibration *const *all, size_t n)
{
    char *buf = calloc(1, PAGE);
    struct metrics_text m;
    metrics_init(&m, buf, PAGE);
    calibration_write(all, n, &m);
    assert_false(m.truncated);
    return buf;
}

static void has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no %s in\n%s", line, text);
}

static void test_workers_are_added_up(void **state)
{
    struct calibration *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two));
    struct calibration *const all[] = {one, two};
    struct call_stretch longer = call(TRANSPORT_UDP, 25000, TRANSPORT_UDP, 20000);
    struct call_stretch shorter = call(TRANSPORT_UDP, 17000, TRANSPORT_UDP, 20000);
    struct call_stretch fell_back = call(TRANSPORT_TLS, 17000, TRANSPORT_UDP, 20000);
    calibration_add(one, "b", &longer);
    calibration_add(one, "a", &longer);
    calibration_add(two, "a", &shorter);
    calibration_add(two, "a", &fell_back);
    shorter.expected.predicted = true;
    calibration_add(two, NULL, &shorter); /* an org's own node */
    char *text = page(all, 2);
    has(text, "berth_calls_told_total{node=\"a\",transport=\"udp\"} 2\n");
    has(text, "berth_calls_told_total{node=\"a\",transport=\"tls\"} 1\n");
    has(text, "berth_calls_elsewhere_total{node=\"a\",transport=\"tls\"} 1\n");
    has(text, "berth_calls_compared_total{node=\"a\",transport=\"udp\"} 2\n");
    has(text, "berth_calls_compared_total{node=\"a\",transport=\"tls\"} 0\n");
    has(text, "berth_calls_rtt_off_ms_total{node=\"a\",transport=\"udp\",by=\"longer\"} 5\n");
    has(text, "berth_calls_rtt_off_ms_total{node=\"a\",transport=\"udp\",by=\"shorter\"} 3\n");
    has(text, "berth_calls_compared_total{node=\"(other)\",transport=\"udp\"} 1\n");
    has(text, "berth_calls_rtt_error_ms_count{counted_on=\"report\"} 3\n");
    has(text, "berth_calls_rtt_error_ms_bucket{counted_on=\"report\",le=\"2\"} 0\n");
    has(text, "berth_calls_rtt_error_ms_bucket{counted_on=\"report\",le=\"5\"} 3\n");
    has(text, "berth_calls_rtt_error_ms_sum{counted_on=\"prediction\"} 3\n");
    free(text);
    free(one);
    free(two);
}

static void test_nodes_past_the_bound_share_a_line(void **state)
{
    struct calibration *k = calloc(1, sizeof(*k));
    struct calibration *const all[] = {k};
    struct call_stretch c = call(TRANSPORT_TCP, 25000, TRANSPORT_TCP, 20000);
    char id[16], line[96];
    for (int i = 0; i < CALIBRATION_NODES_MAX + 10; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        calibration_add(k, id, &c);
        calibration_add(k, id, &c);
    }
    char *text = page(all, 1);
    snprintf(line, sizeof(line), "berth_calls_told_total{node=\"n%d\",transport=\"tcp\"} 2\n",
             CALIBRATION_NODES_MAX - 1);
    has(text, line);
    has(text, "berth_calls_told_total{node=\"(other)\",transport=\"tcp\"} 20\n");
    free(text);
    free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_compared),
        cmocka_unit_test(test_workers_are_added_up),
        cmocka_unit_test(test_nodes_past_the_bound_share_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
