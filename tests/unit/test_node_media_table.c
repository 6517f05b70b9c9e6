/* link: berth_media_home */
/* The engine's table and its limiter. */
#include "check.h"

#include "node/media/limit.h"
#include "node/media/table.h"

enum { ITEMS = 300, STEPS = 100000 };

static bool is(const void *item, const void *key)
{
    return item == key;
}

/* Any order of putting and taking out, where many have the same place: exactly what is in it is found. */
static void test_any_order(void **state)
{
    static int items[ITEMS];
    struct media_table t = {0};
    bool in[ITEMS] = {false};
    uint64_t random = 99;
    size_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        size_t i = check_random(&random) % ITEMS;
        uint64_t hash = i % 5 == 0 ? 7 : i * 0x9E3779B97F4A7C15u; /* a fifth of them collide */
        assert_ptr_equal(media_table_get(&t, hash, is, &items[i]), in[i] ? &items[i] : NULL);
        if (in[i])
            media_table_drop(&t, hash, &items[i]);
        else
            assert_int_equal(media_table_put(&t, hash, &items[i]), 0);
        in[i] = !in[i];
        n = in[i] ? n + 1 : n - 1;
        assert_int_equal(t.n, n);
    }
    assert_true(t.room <= 4 * ITEMS);
    media_table_clear(&t);
    assert_null(media_table_get(&t, 7, is, &items[0]));
    media_table_drop(&t, 7, &items[0]);
}

static size_t passed(struct media_limit *l, size_t packets, size_t bytes, int64_t from_us, int64_t gap_us)
{
    size_t n = 0;
    for (size_t i = 0; i < packets; i++)
        n += media_limit_take(l, bytes, from_us + (int64_t)i * gap_us);
    return n;
}

static void test_limit(void **state)
{
    struct media_limit l = {.kbps = 800};                      /* 100 packets of 1000 bytes a second */
    assert_int_equal(passed(&l, 1000, 1000, 5000000, 0), 100); /* the burst */
    assert_int_equal(passed(&l, 1000, 1000, 5000000, 1000), 100 - 1);
    assert_int_equal(passed(&l, 50, 1000, 9000000, 10000), 50); /* within its rate */
    l = (struct media_limit){.kbps = UINT32_MAX};
    assert_int_equal(passed(&l, 1000, 1500, 1, 0), 1000);
    l = (struct media_limit){.kbps = 1};
    assert_int_equal(passed(&l, 10, 1500, 1, 0), 0); /* one packet would be more than its burst */
    assert_int_equal(passed(&l, 10, 100, 1, 0), 1);
}

/* Small packets cost as many as large ones: so many a second whatever their length, and a refused one costs neither
 * limit anything. */
static void test_limit_of_packets(void **state)
{
    struct media_limit l = {.kbps = 20000};
    assert_int_equal(passed(&l, 100000, 28, 5000000, 0), 4000);      /* the burst */
    assert_in_range(passed(&l, 90000, 28, 6000000, 11), 7950, 7970); /* another, and 0.99 s of them */
    l = (struct media_limit){.kbps = 100};
    assert_int_equal(passed(&l, 100000, 1, 5000000, 0), 4000); /* never fewer: these are what voices take */
    l = (struct media_limit){.kbps = 200000};
    assert_int_equal(passed(&l, 100000, 28, 5000000, 0), 40000);
    assert_int_equal(media_limit_packets(&(struct media_limit){.kbps = UINT32_MAX}), UINT32_MAX / 5);
    l = (struct media_limit){.kbps = 8000};
    assert_int_equal(passed(&l, 1000, 1000000, 5000000, 0), 1);
    assert_int_equal(passed(&l, 10000, 1000, 5000000, 0), 0);
    assert_int_equal(passed(&l, 5000, 1, 5100000, 0), 4000); /* those that were refused have taken none */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_of_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
