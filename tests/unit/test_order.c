/* link: berth_core */
/* Orders of every size: sorted ones, backward ones, and ones that are full of ties, against what an order is. */
#include "check.h"

#include "core/order.h"

#include <stdbool.h>

enum { MOST = 200 };

struct things {
    int value[MOST];
    size_t *looks;
};

static int by_value(const void *ctx, size_t a, size_t b)
{
    const struct things *t = ctx;

    ++*t->looks;
    return (t->value[a] > t->value[b]) - (t->value[a] < t->value[b]);
}

/* How many looks it took. */
static size_t assert_in_order(struct things *t, size_t n)
{
    size_t order[MOST + 1], looks = 0;
    bool seen[MOST] = {false};

    order[n] = SIZE_MAX;
    t->looks = &looks;
    order_sort(order, n, by_value, t);
    for (size_t i = 0; i < n; i++) {
        assert_in_range(order[i], 0, n - 1);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
        assert_true(i == 0 || t->value[order[i - 1]] <= t->value[order[i]]);
    }
    assert_true(order[n] == SIZE_MAX);
    return looks;
}

static void all_sizes_are_sorted(void **state)
{
    static struct things t;
    uint64_t random = 20260101;

    for (size_t n = 0; n <= MOST; n++) {
        for (size_t i = 0; i < n; i++)
            t.value[i] = (int)(n - i);
        assert_in_order(&t, n);
        for (size_t i = 0; i < n; i++)
            t.value[i] = (int)(check_random(&random) % 1000000);
        assert_in_order(&t, n);
        for (size_t i = 0; i < n; i++)
            t.value[i] = (int)(check_random(&random) % 4);
        assert_in_order(&t, n);
    }
}

static void what_is_in_order_is_looked_at_once(void **state)
{
    static struct things t;

    for (size_t i = 0; i < MOST; i++)
        t.value[i] = (int)i / 3;
    assert_int_equal(assert_in_order(&t, MOST), MOST - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sizes_are_sorted),
        cmocka_unit_test(what_is_in_order_is_looked_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
