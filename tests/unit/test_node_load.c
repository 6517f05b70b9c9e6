/* link: berth_node_lib */
#include "node/backoff.h"
#include "node/load.h"

#include "check.h"

static void rates_over_time(void **state)
{
    (void)state;
    const struct load_sample a = {.at_us = 1000000, .cpu_us = 500000, .packets = 100, .bytes = 1000};
    const struct load_sample b = {
        .at_us = 6000000, .cpu_us = 5500000, .packets = 50100, .bytes = 6001000, .sessions = 7};
    struct load l = load_between(&a, &b, 2);
    assert_true(l.cpu > 0.499 && l.cpu < 0.501);
    assert_int_equal(l.packets_per_s, 10000);
    assert_int_equal(l.bandwidth_bps, 9600000);
    assert_int_equal(l.sessions, 7);
}

static void absurd_samples_give_bounded_figures(void **state)
{
    (void)state;
    const struct load_sample a = {.at_us = 1000000, .cpu_us = 500000, .packets = 100, .bytes = 1000};
    struct load l = load_between(&a, &a, 2);
    assert_true(l.cpu <= 0 && l.cpu >= 0);
    assert_int_equal(l.packets_per_s, 0);
    const struct load_sample back = {.at_us = 2000000, .cpu_us = 0, .packets = 1, .bytes = 1, .sessions = -3};
    l = load_between(&a, &back, 2);
    assert_true(l.cpu <= 0 && l.cpu >= 0);
    assert_int_equal(l.packets_per_s, 0);
    assert_int_equal(l.bandwidth_bps, 0);
    assert_int_equal(l.sessions, 0);
    const struct load_sample busy = {.at_us = 2000000, .cpu_us = 900000000};
    l = load_between(&a, &busy, 0);
    assert_true(l.cpu >= 1 && l.cpu <= 1);
}

static void waits_grow_within_bounds(void **state)
{
    (void)state;
    struct backoff b = {.first_us = 1000000, .most_us = 30000000};
    int64_t whole = 1000000;
    for (int i = 0; i < 100; i++) {
        struct backoff low = b, high = b;
        assert_int_equal(backoff_next(&low, 0), whole / 2);
        assert_int_equal(backoff_next(&high, UINT32_MAX), whole);
        int64_t middle = backoff_next(&b, 0x12345678);
        assert_true(middle >= whole / 2 && middle <= whole);
        whole = whole * 2 > 30000000 ? 30000000 : whole * 2;
    }
    backoff_reset(&b);
    assert_int_equal(backoff_next(&b, 0), 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_over_time),
        cmocka_unit_test(absurd_samples_give_bounded_figures),
        cmocka_unit_test(waits_grow_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
