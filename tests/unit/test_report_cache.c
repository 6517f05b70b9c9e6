/* link: berth_controller_lib */
/* What is kept of reports: the same comes back, only under its whole key, within the bound and not past the report's end. */
#include "check.h"
#include "report_cache.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 3, RESULTS = 5 };

/* Which is told from others by its figures. */
static void put(struct report_cache *c, const struct report_key *key, int32_t figure, int64_t until_us)
{
    struct report_name names[NAMES];
    struct report_brief_result results[RESULTS];
    struct report_brief b = {.has_capabilities = true, .capabilities = 5, .n_names = NAMES, .names = names};

    for (int i = 0; i < NAMES; i++)
        snprintf(names[i].id, sizeof(names[i].id), "node-%d", i);
    for (int k = 0; k < RESULTS; k++)
        results[k] = (struct report_brief_result){.name = (uint16_t)(k % NAMES), .rtt_min_us = figure + k};
    b.n_results = RESULTS;
    b.results = results;
    report_cache_put(c, key, &b, until_us);
}

static struct report_key key_of(const char *agent, int64_t measured_at_us)
{
    return (struct report_key){"org", agent, "00000000-0000-4000-8000-000000000001", measured_at_us};
}

static struct report_cache *fresh(size_t bytes)
{
    struct report_cache *c;

    assert_int_equal(report_cache_new(&c, bytes), 0);
    return c;
}

static void test_what_is_put_comes_back(void **state)
{
    struct report_cache *c = fresh(100000);
    struct report_key key = key_of("ann", 7), other[] = {key, key, key, key};
    const struct report_kept *kept;
    const char *name;

    (void)state;
    put(c, &key, 1000, 50);
    kept = report_cache_get(c, &key);
    assert_non_null(kept);
    assert_true(kept->has_capabilities);
    assert_int_equal(kept->capabilities, 5);
    assert_int_equal(kept->n_names, NAMES);
    assert_int_equal(kept->n_results, RESULTS);
    name = kept->names;
    for (int i = 0; i < NAMES; i++, name += strlen(name) + 1)
        assert_int_equal(name[strlen("node-")], '0' + i);
    for (int k = 0; k < RESULTS; k++)
        assert_int_equal(kept->results[k].rtt_min_us, 1000 + k);
    other[0].org = "orc";
    other[1].agent = "anna";
    other[2].report_id = "00000000-0000-4000-8000-000000000002";
    other[3].measured_at_us = 8;
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        assert_null(report_cache_get(c, &other[i]));
    report_cache_destroy(c);
    report_cache_destroy(NULL);
}

/* Many more than there is room for: those asked for last are there, and the bound holds at every step. */
static void test_bound(void **state)
{
    enum { ALL = 5000, BOUND = 20000 };
    struct report_cache *c = fresh(BOUND);
    struct report_key first = key_of("first", 1);
    char agent[16];
    size_t there = 0;

    (void)state;
    put(c, &first, 1, 50);
    for (int i = 0; i < ALL; i++) {
        snprintf(agent, sizeof(agent), "a%d", i);
        struct report_key key = key_of(agent, i);

        put(c, &key, i, 50);
        assert_true(report_cache_bytes(c) <= BOUND);
        assert_non_null(report_cache_get(c, &key));
        assert_non_null(report_cache_get(c, &first)); /* in use: it stays */
    }
    for (int i = 0; i < ALL; i++) {
        snprintf(agent, sizeof(agent), "a%d", i);
        struct report_key key = key_of(agent, i);
        const struct report_kept *kept = report_cache_get(c, &key);

        there += kept != NULL;
        assert_true(kept == NULL || kept->results[0].rtt_min_us == i);
    }
    assert_true(there > 10 && there < 200);
    report_cache_destroy(c);
}

static void test_too_large_for_it(void **state)
{
    struct report_cache *c = fresh(100);
    struct report_key key = key_of("ann", 7);

    (void)state;
    put(c, &key, 1, 50);
    assert_null(report_cache_get(c, &key));
    assert_int_equal(report_cache_bytes(c), 0);
    report_cache_destroy(c);
}

static void test_ended_ones_go(void **state)
{
    struct report_cache *c = fresh(1000000);
    char agent[16];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(agent, sizeof(agent), "a%d", i);
        struct report_key key = key_of(agent, i);

        put(c, &key, i, i);
    }
    for (int turn = 0; turn < REPORT_CACHE_TURNS; turn++)
        report_cache_turn(c, 49);
    for (int i = 0; i < 100; i++) {
        snprintf(agent, sizeof(agent), "a%d", i);
        struct report_key key = key_of(agent, i);

        assert_int_equal(report_cache_get(c, &key) != NULL, i > 49);
    }
    for (int turn = 0; turn < REPORT_CACHE_TURNS; turn++)
        report_cache_turn(c, 99);
    assert_int_equal(report_cache_bytes(c), 0);
    report_cache_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_comes_back),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_too_large_for_it),
        cmocka_unit_test(test_ended_ones_go),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
