/* link: berth_controller_lib */
/* Which partitions are made: no gap, no overlap, whatever there is already. */
#include "check.h"
#include "housekeeper.h"

#include <stdlib.h>

enum { CAP = 2048 };

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(partition_width_s(2), 5);
    assert_int_equal(partition_width_s(20), 5);
    assert_int_equal(partition_width_s(40), 10);
    assert_int_equal(partition_width_s(7200), 1800);
    assert_int_equal(partition_width_s(7 * 86400), 3600);
}

static int by_lo(const void *a, const void *b)
{
    const struct partition_range *x = a, *y = b;
    return (x->lo_s > y->lo_s) - (x->lo_s < y->lo_s);
}

/* Adds what is missing and checks that from `now - lifetime` to `now + 60 s` all is covered, once. */
static size_t make(struct partition_range *all, size_t n, int64_t now, int64_t lifetime)
{
    size_t made = partitions_missing(all, n, now, lifetime, all + n, CAP - n);

    for (size_t i = 0; i < made; i++)
        assert_true(all[n + i].hi_s - all[n + i].lo_s <= partition_width_s(lifetime));
    n += made;
    qsort(all, n, sizeof(*all), by_lo);
    for (size_t i = 0; i < n; i++) {
        assert_true(all[i].lo_s < all[i].hi_s);
        if (i > 0)
            assert_true(all[i - 1].hi_s <= all[i].lo_s);
    }
    for (int64_t t = now - lifetime; t <= now + 60; t++) {
        size_t hits = 0;
        for (size_t i = 0; i < n; i++)
            hits += all[i].lo_s <= t && t < all[i].hi_s;
        assert_int_equal(hits, 1);
    }
    return n;
}

static void test_first_and_again(void **state)
{
    struct partition_range *all = calloc(CAP, sizeof(*all));
    int64_t now = 1800000123;
    size_t n;

    (void)state;
    assert_non_null(all);
    n = make(all, 0, now, 7200);
    assert_int_equal(partitions_missing(all, n, now, 7200, all + n, CAP - n), 0);
    assert_int_equal(make(all, n, now + 1800, 7200), n + 1);
    free(all);
}

/* Lifetimes come and go, time passes, old ones are dropped, some are missing in the middle. */
static void test_random_histories(void **state)
{
    static const int64_t lifetimes[] = {2, 9, 45, 100, 600, 1111, 1800};
    uint64_t seed = 42;

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct partition_range *all = calloc(CAP, sizeof(*all));
        int64_t now = 1800000000 + (int64_t)(check_random(&seed) % 10000);
        size_t n = 0;
        assert_non_null(all);
        for (int step = 0; step < 8; step++) {
            n = make(all, n, now, lifetimes[check_random(&seed) % 7]);
            now += (int64_t)(check_random(&seed) % 400);
            for (size_t i = 0; i < n; i++)
                if (check_random(&seed) % 5 == 0)
                    all[i--] = all[--n];
            qsort(all, n, sizeof(*all), by_lo);
        }
        free(all);
    }
}

static void test_no_room(void **state)
{
    struct partition_range out[3];

    (void)state;
    assert_int_equal(partitions_missing(NULL, 0, 1800000000, 7200, out, 3), 3);
    assert_int_equal(out[0].hi_s, out[1].lo_s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_first_and_again),
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
