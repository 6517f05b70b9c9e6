/* link: berth_core */
/* The limiter as tables of time patterns, and two threads on one cell. */
#include "check.h"

#include "core/limiter.h"

#include <pthread.h>
#include <string.h>

static const uint8_t seed[16] = {1, 2, 3};

struct step {
    int64_t at_us;
    bool allowed;
    int64_t remaining, retry_after_us;
};

static void run(int64_t rate, int64_t burst, const struct step *steps, size_t n)
{
    static const int64_t epochs[] = {1, 1000000, 1LL << 50}; /* the clock's origin doesn't matter */
    for (size_t e = 0; e < 3; e++) {
        _Atomic int64_t cells[16] = {0};
        struct limiter l;
        limiter_init(&l, cells, 16, rate, burst, seed);
        for (size_t i = 0; i < n; i++) {
            struct limit_state s = limiter_take(&l, "key", 3, epochs[e] + steps[i].at_us);
            if (s.allowed != steps[i].allowed)
                fail_msg("step %zu", i);
            assert_int_equal(limiter_remaining(&l, s), steps[i].remaining);
            assert_int_equal(s.retry_after_us, steps[i].retry_after_us);
        }
    }
}

static void test_one_a_second(void **state)
{
    static const struct step steps[] = {
        {0, true, 0, 0},
        {0, false, 0, 1000000},
        {999999, false, 0, 1},
        {1000000, true, 0, 0},
        {1500000, false, 0, 500000},
        {9000000, true, 0, 0},
        {9000001, false, 0, 999999},
    };
    run(1, 1, steps, sizeof steps / sizeof steps[0]);
}

static void test_burst_then_rate(void **state)
{
    static const struct step steps[] = {
        {0, true, 2, 0},           {0, true, 1, 0},          {0, true, 0, 0},
        {0, false, 0, 100000},     {50000, false, 0, 50000}, {100000, true, 0, 0},
        {100001, false, 0, 99999}, {300000, true, 1, 0}, /* two came back, one is taken */
        {10000000, true, 2, 0},                          /* rested: the whole burst, and no more than it */
        {10000000, true, 1, 0},    {10000000, true, 0, 0},   {10000000, false, 0, 100000},
    };
    run(10, 3, steps, sizeof steps / sizeof steps[0]);
}

static void test_fastest_rate(void **state)
{
    static const struct step steps[] = {
        {0, true, 0, 0}, {0, false, 0, 1}, {1, true, 0, 0}, {1, false, 0, 1}, {2, true, 0, 0}};
    run(1000000, 1, steps, sizeof steps / sizeof steps[0]);
}

/* Who asks all the time is never let in more often than the rate, and hardly less, whether or not it divides a
 * million. */
static void test_every_rate_is_kept(void **state)
{
    static const int64_t rates[] = {1,      3,      7,      1999,   2000,   30000,  142857,
                                    300000, 333334, 500001, 600000, 700000, 999999, 1000000};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        _Atomic int64_t cells[1] = {0};
        struct limiter l;
        int64_t passed = 0, seconds = rates[r] < 1000 ? 1000 : 1;
        limiter_init(&l, cells, 1, rates[r], rates[r], seed);
        while (limiter_take(&l, "k", 1, 1).allowed)
            passed++;
        assert_int_equal(passed, rates[r]); /* the burst, whole */
        passed = 0;
        for (int64_t now = 1, step = seconds; now <= seconds * 1000000; now += step)
            while (limiter_take(&l, "k", 1, now + step).allowed)
                passed++;
        assert_in_range(passed, rates[r] * seconds * 999 / 1000 - 1, rates[r] * seconds);
    }
}

/* Whoever comes back after so long is let in, and no earlier. */
static void test_retry_after_is_kept(void **state)
{
    for (int64_t rate = 1; rate <= 1000000; rate = rate * 3 + 1) {
        _Atomic int64_t cells[1] = {0};
        struct limiter l;
        limiter_init(&l, cells, 1, rate, 1, seed);
        assert_true(limiter_take(&l, "k", 1, 1000).allowed);
        int64_t after = limiter_take(&l, "k", 1, 1000).retry_after_us;
        assert_true(after >= 1);
        assert_false(limiter_take(&l, "k", 1, 1000 + after - 1).allowed);
        assert_true(limiter_take(&l, "k", 1, 1000 + after).allowed);
    }
}

static void test_time_that_goes_back_gives_nothing(void **state)
{
    static const struct step steps[] = {
        {1000000, true, 0, 0}, {500000, false, 0, 1500000}, {2000000, true, 0, 0}};
    run(1, 1, steps, sizeof steps / sizeof steps[0]);
}

/* Over a long time exactly rate x time + burst pass, however many try. */
static void test_long_run(void **state)
{
    _Atomic int64_t cells[1] = {0};
    struct limiter l;
    uint64_t random = 7;
    int64_t passed = 0, now = 1000;
    limiter_init(&l, cells, 1, 100, 20, seed);
    for (int64_t end = now + 60 * 1000000; now < end; now += (int64_t)(check_random(&random) % 2000))
        passed += limiter_take(&l, "k", 1, now).allowed;
    assert_in_range(passed, 60 * 100, 60 * 100 + 20);
}

static void test_keys_are_apart(void **state)
{
    static _Atomic int64_t cells[65536];
    struct limiter l;
    unsigned refused = 0;
    limiter_init(&l, cells, 65536, 1, 1, seed);
    for (uint32_t key = 0; key < 1000; key++)
        refused += !limiter_take(&l, &key, sizeof key, 1).allowed;
    assert_true(refused < 30); /* about 7.6 pairs share a cell */
    for (uint32_t key = 0; key < 1000; key++)
        assert_false(limiter_take(&l, &key, sizeof key, 2).allowed);
}

static void test_seed_moves_keys(void **state)
{
    unsigned moved = 0;
    for (uint32_t key = 0; key < 64; key++) {
        uint8_t other[16] = {9};
        _Atomic int64_t a[256] = {0}, b[256] = {0};
        struct limiter l;
        limiter_init(&l, a, 256, 1, 1, seed);
        assert_true(limiter_take(&l, &key, sizeof key, 1).allowed);
        limiter_init(&l, b, 256, 1, 1, other);
        assert_true(limiter_take(&l, &key, sizeof key, 1).allowed);
        bool same = true;
        for (size_t i = 0; i < 256; i++)
            same &= a[i] == b[i];
        moved += !same;
    }
    assert_true(moved > 50);
}

struct worker {
    struct limiter *l;
    int64_t passed;
};

static void *take_many(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < 200000; i++)
        w->passed += limiter_take(w->l, "k", 1, 1000).allowed;
    return NULL;
}

static void test_two_threads_share_one_budget(void **state)
{
    _Atomic int64_t cells[1] = {0};
    struct limiter l;
    pthread_t threads[2];
    limiter_init(&l, cells, 1, 1, 100000, seed);
    struct worker workers[2] = {{.l = &l}, {.l = &l}};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &workers[i]), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(workers[0].passed + workers[1].passed, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_a_second),
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_fastest_rate),
        cmocka_unit_test(test_every_rate_is_kept),
        cmocka_unit_test(test_retry_after_is_kept),
        cmocka_unit_test(test_time_that_goes_back_gives_nothing),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_keys_are_apart),
        cmocka_unit_test(test_seed_moves_keys),
        cmocka_unit_test(test_two_threads_share_one_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
