/* link: berth_controller_lib */
/* Reviews that wait: each meeting once, and so many. */
#include "check.h"
#include "controller.h"
#include "reviews.h"

#include <stdio.h>

static void test_a_meeting_waits_once_and_so_many_wait(void **state)
{
    struct worker w = {.index = 1};
    struct reviews *all;
    char meeting[24];

    assert_int_equal(reviews_new(&all, &w), 0);
    assert_false(reviews_hurry(all));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < REVIEWS_MAX; i++) {
            snprintf(meeting, sizeof(meeting), "m%d", i);
            reviews_add(all, "org", meeting);
        }
    }
    assert_true(reviews_hurry(all));
    assert_int_equal(w.counters.reviews_left_out, 0);
    reviews_add(all, "other", "m0"); /* another org's is another meeting */
    assert_int_equal(w.counters.reviews_left_out, 1);
    reviews_close(all);
    assert_false(reviews_hurry(all));
    reviews_turn(all, 0);
    assert_int_equal(w.counters.reviews_failed, 0);
    reviews_destroy(all);
}

static void test_so_many_reports_wait(void **state)
{
    struct worker w = {.index = 1};
    struct reviews *all;
    char agent[24];

    assert_int_equal(reviews_new(&all, &w), 0);
    for (int i = 0; i <= REVIEWS_REPORTS_MAX; i++) {
        snprintf(agent, sizeof(agent), "a%d", i);
        reviews_reported(all, "org", agent);
    }
    assert_int_equal(w.counters.reviews_left_out, 1);
    reviews_close(all);
    reviews_destroy(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_meeting_waits_once_and_so_many_wait),
        cmocka_unit_test(test_so_many_reports_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
