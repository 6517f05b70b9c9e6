/* link: berth_load_parts */
#include "loadtest/histogram.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static struct histogram *make(void)
{
    struct histogram *h = calloc(1, sizeof *h);
    assert_non_null(h);
    return h;
}

static void empty(void **state)
{
    struct histogram *h = make();
    char text[HISTOGRAM_TEXT_LEN];
    assert_int_equal(histogram_quantile(h, 0), 0);
    assert_int_equal(histogram_quantile(h, 1), 0);
    assert_true(histogram_mean_us(h) == 0);
    histogram_json(h, text);
    assert_string_equal(text, "{\"n\": 0}");
    histogram_text(h, text);
    assert_string_equal(text, "none");
    free(h);
}

static void small_values_are_exact(void **state)
{
    struct histogram *h = make();
    for (int64_t v = 1; v <= 100; v++)
        histogram_add(h, v);
    assert_int_equal(h->n, 100);
    assert_int_equal(histogram_quantile(h, 0), 1);
    assert_int_equal(histogram_quantile(h, 0.01), 1);
    assert_int_equal(histogram_quantile(h, 0.5), 50);
    assert_int_equal(histogram_quantile(h, 0.99), 99);
    assert_int_equal(histogram_quantile(h, 1), 100);
    assert_true(histogram_mean_us(h) == 50.5);
    free(h);
}

/* One value alone: every quantile is it, and the bucket that it is in is no wider than 1/64 of it. */
static void every_width(void **state)
{
    struct histogram *h = make();
    for (int bit = 0; bit < 63; bit++) {
        int64_t values[] = {((int64_t)1 << bit) - 1, (int64_t)1 << bit, ((int64_t)1 << bit) + 1};
        for (size_t i = 0; i < 3; i++) {
            memset(h, 0, sizeof *h);
            histogram_add(h, values[i]);
            assert_int_equal(histogram_quantile(h, 0.5), values[i]);
            histogram_add(h, INT64_MAX);
            int64_t q = histogram_quantile(h, 0.5);
            if (bit >= HISTOGRAM_BITS)
                continue; /* all in the last one, of which the greatest is told */
            assert_true(q >= values[i]);
            assert_true(q - values[i] <= values[i] / (1 << HISTOGRAM_PARTS_BITS));
        }
    }
    free(h);
}

static void out_of_range(void **state)
{
    struct histogram *h = make();
    histogram_add(h, -5);
    histogram_add(h, INT64_MAX);
    assert_int_equal(h->min_us, 0);
    assert_int_equal(h->bucket[0], 1);
    assert_int_equal(h->bucket[HISTOGRAM_BUCKETS - 1], 1);
    assert_int_equal(histogram_quantile(h, 1), INT64_MAX);
    free(h);
}

/* Against the sorted values themselves. */
static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles(void **state)
{
    enum { N = 20000 };
    static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    struct histogram *h = make(), *half = make();
    int64_t *values = calloc(N, sizeof *values);
    uint64_t seed = 7;
    assert_non_null(values);
    for (size_t i = 0; i < N; i++) {
        values[i] = (int64_t)(check_random(&seed) >> (24 + check_random(&seed) % 36));
        histogram_add(i % 2 ? half : h, values[i]);
    }
    histogram_merge(h, half);
    qsort(values, N, sizeof *values, compare);
    assert_int_equal(h->n, N);
    assert_int_equal(h->min_us, values[0]);
    assert_int_equal(h->max_us, values[N - 1]);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        int64_t right = values[(size_t)(shares[i] * N) - 1], q = histogram_quantile(h, shares[i]);
        assert_true(q >= right);
        assert_true(q - right <= right / (1 << HISTOGRAM_PARTS_BITS));
    }
    free(values);
    free(half);
    free(h);
}

static void merging_with_an_empty_one(void **state)
{
    struct histogram *h = make(), *none = make();
    histogram_merge(h, none);
    assert_int_equal(h->n, 0);
    histogram_add(h, 7);
    histogram_merge(h, none);
    histogram_merge(none, h);
    assert_int_equal(none->min_us, 7);
    assert_int_equal(h->n, 1);
    free(h);
    free(none);
}

static void texts(void **state)
{
    struct histogram *h = make();
    char text[HISTOGRAM_TEXT_LEN];
    histogram_add(h, 1);
    histogram_add(h, 2);
    histogram_json(h, text);
    assert_string_equal(text, "{\"n\": 2, \"mean_us\": 1.5, \"min_us\": 1, \"p50_us\": 1, \"p90_us\": 2, "
                              "\"p99_us\": 2, \"p999_us\": 2, \"max_us\": 2}");
    memset(h, 0, sizeof *h);
    histogram_add(h, 1500);
    histogram_text(h, text);
    assert_string_equal(text, "p50 1.50 ms, p90 1.50 ms, p99 1.50 ms, p99.9 1.50 ms, most 1.50 ms");
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        histogram_add(h, INT64_MAX);
        histogram_add(h, -1);
    }
    histogram_json(h, text); /* the longest there is ends in it */
    assert_int_equal(text[strlen(text) - 1], '}');
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),       cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(every_width), cmocka_unit_test(out_of_range),
        cmocka_unit_test(quantiles),   cmocka_unit_test(merging_with_an_empty_one),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
