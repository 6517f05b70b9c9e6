/* link: berth_controller_lib */
/* What a node's last figures mean now, with those who came since. */
#include "node_now.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_load(void **state)
{
    struct catalogue_load l = {.told = false, .cpu = 1};

    (void)state;
    assert_true(node_now_load(0, &l) > 0.5 && node_now_load(0, &l) < 0.95);
    l = (struct catalogue_load){.told = true, .cpu = 0.4, .assigned = 40, .assigned_told = 40};
    assert_true(node_now_load(100, &l) == 0.4);
    l.assigned = 50; /* as much each as those there */
    assert_float_equal(node_now_load(100, &l), 0.5, 1e-9);
    l.assigned = 1000;
    assert_true(node_now_load(1000, &l) < 0.95);
    l.cpu = 0.99;
    assert_true(node_now_load(1000, &l) == 0.99);
}

static void test_kbps(void **state)
{
    struct catalogue_load l = {.told = true, .bandwidth_bps = 400000, .assigned = 3, .assigned_told = 3};

    (void)state;
    assert_int_equal(node_now_kbps_left(0, &l, 900), 0);
    assert_int_equal(node_now_kbps_left(2000, &l, 900), 1600);
    l.assigned = 4;
    assert_int_equal(node_now_kbps_left(2000, &l, 900), 700);
    l.assigned = 5; /* nothing is left, which isn't "no limit" */
    assert_int_equal(node_now_kbps_left(2000, &l, 900), 1);
    l.assigned = 2; /* who left may be sending still */
    assert_int_equal(node_now_kbps_left(2000, &l, 900), 1600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_kbps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
