/* link: berth_load_parts */
/* Arrivals: where they fall, that they are the same for the same seed, and that being late with one moves no other. */
#include "check.h"

#include "loadtest/schedule.h"

#include <errno.h>
#include <math.h>

enum { ARRIVALS = 200000, START_US = 5000000 };

static void fixed_is_even(void **state)
{
    struct schedule s;
    (void)state;
    schedule_init(&s, SCHEDULE_FIXED, 3, 1, START_US);
    for (int64_t i = 0; i < ARRIVALS; i++) {
        int64_t meant = START_US + (int64_t)((double)i * (1e6 / 3));
        assert_int_equal(schedule_peek_us(&s), meant);
        assert_int_equal(schedule_take_us(&s), meant);
    }
    assert_int_equal(s.n, ARRIVALS);
}

static void poisson_has_its_mean_and_spread(void **state)
{
    struct schedule s;
    double sum = 0, squares = 0;
    (void)state;
    schedule_init(&s, SCHEDULE_POISSON, 1000, 7, START_US);
    for (int64_t i = 0, before = START_US; i < ARRIVALS; i++) {
        int64_t at = schedule_take_us(&s);
        double pause = (double)(at - before);
        assert_true(at >= before);
        sum += pause;
        squares += pause * pause;
        before = at;
    }
    double mean = sum / ARRIVALS, deviation = sqrt(squares / ARRIVALS - mean * mean);
    /* An exponential distribution's deviation is its mean; 200,000 of them are within 1 % of both. */
    assert_true(fabs(mean - 1000) < 10);
    assert_true(fabs(deviation - 1000) < 15);
}

static void a_seed_is_a_future(void **state)
{
    struct schedule a, b, other;
    bool differs = false;
    (void)state;
    schedule_init(&a, SCHEDULE_POISSON, 50, 42, START_US);
    schedule_init(&b, SCHEDULE_POISSON, 50, 42, START_US);
    schedule_init(&other, SCHEDULE_POISSON, 50, 43, START_US);
    for (size_t i = 0; i < 1000; i++) {
        int64_t at = schedule_take_us(&a);
        assert_int_equal(at, schedule_take_us(&b));
        differs |= at != schedule_take_us(&other);
    }
    assert_true(differs);
}

static void what_is_due_counts_what_was_missed(void **state)
{
    struct schedule s;
    (void)state;
    schedule_init(&s, SCHEDULE_FIXED, 1000, 1, START_US);
    assert_int_equal(schedule_due(&s, START_US - 1, 10), 0);
    assert_int_equal(schedule_due(&s, START_US, 10), 1);
    assert_int_equal(schedule_due(&s, START_US + 4999, 10), 5);
    assert_int_equal(schedule_due(&s, START_US + 4999, 3), 3);
    assert_int_equal(s.n, 0); /* looking takes none */
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(schedule_take_us(&s), START_US + (int64_t)i * 1000);
    assert_int_equal(schedule_due(&s, START_US + 4999, 10), 0);
}

static void what_is_skipped_is_what_would_be_taken(void **state)
{
    (void)state;
    for (enum schedule_kind kind = SCHEDULE_FIXED; kind <= SCHEDULE_POISSON; kind++) {
        struct schedule s;
        uint64_t n = 0;
        schedule_init(&s, kind, 1000, 1, START_US);
        struct schedule taken = s;
        for (; schedule_peek_us(&taken) < START_US + 100500; n++)
            (void)schedule_take_us(&taken);
        assert_int_equal(schedule_skip(&s, START_US + 100500), n);
        assert_true(n > 0);
        assert_int_equal(schedule_peek_us(&s), schedule_peek_us(&taken));
        assert_int_equal(schedule_skip(&s, START_US + 100500), 0);
    }
}

static void kinds_have_names(void **state)
{
    enum schedule_kind kind = SCHEDULE_POISSON;
    (void)state;
    assert_int_equal(schedule_kind_parse(&kind, "fixed"), 0);
    assert_int_equal(kind, SCHEDULE_FIXED);
    assert_int_equal(schedule_kind_parse(&kind, "often"), -EINVAL);
    assert_int_equal(kind, SCHEDULE_FIXED);
    assert_int_equal(schedule_kind_parse(&kind, "poisson"), 0);
    assert_int_equal(kind, SCHEDULE_POISSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_is_even),
        cmocka_unit_test(poisson_has_its_mean_and_spread),
        cmocka_unit_test(a_seed_is_a_future),
        cmocka_unit_test(what_is_due_counts_what_was_missed),
        cmocka_unit_test(what_is_skipped_is_what_would_be_taken),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
