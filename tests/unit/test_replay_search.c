/* link: berth_replay */
/* The yardsticks of placement: costs by their definition, the exact search against every plan there is, the bound
 * below all of them. */
#include "replay_world.h"

#include "loadtest/replay/search.h"

#include <math.h>

enum { ROUNDS = 400, STEPS = 1 << 20 };

static void costs(void **state)
{
    /* two on node 0, one on node 1: pairs 10+20, 10+30+40, 20+30+40 ms of round trip */
    struct small_house s = {.rtt = {{10000, 90000}, {20000, 90000}, {90000, 40000}},
                            .between = {0, 30000, 30000, 0}};
    const size_t seat[] = {0, 0, 1}, apart[] = {0, HOUSE_NO_SEAT, 1};
    struct house_cost c;
    for (size_t i = 0; i < 3; i++)
        s.row[i] = s.rtt[i];
    s.h = (struct house){.n = 3, .rtt = s.row, .n_nodes = 2, .between = s.between, .allowed = s.allowed};
    house_cost(&s.h, seat, &c);
    assert_int_equal(c.sum, 30000 + 80000 + 90000);
    assert_int_equal(house_sum(&s.h, seat), c.sum);
    assert_true(fabs(c.mean_ms - 200.0 / 3 / 2) < 1e-9);
    assert_true(fabs(c.worst_ms - (80.0 + 90.0) / 2 / 2) < 1e-9);
    assert_int_equal(c.nodes, 2);
    assert_int_equal(c.unconnected, 0);
    house_cost(&s.h, apart, &c);
    assert_int_equal(c.unconnected, 1);
    assert_int_equal(c.sum, 2 * (int64_t)WORLD_FAR_US + 10000 + 40000 + 80000);
}

/* The exact search finds what trying every plan finds; the local search is never below it; the bound never above. */
static void against_every_plan(void **state)
{
    uint64_t random = 42;
    size_t local_found = 0;
    struct search *search = search_new();
    assert_non_null(search);
    for (int round = 0; round < ROUNDS; round++) {
        struct small_house s;
        size_t best_seat[HOUSE_PEOPLE_MAX], seat[HOUSE_PEOPLE_MAX];
        size_t n = 2 + check_random(&random) % 4, n_nodes = 1 + check_random(&random) % 6;
        small_house_random(&s, n, n_nodes, &random);
        int64_t best = brute_force(&s.h, best_seat), bound = search_bound(search, &s.h);
        for (size_t i = 0; i < n; i++)
            seat[i] = HOUSE_NO_SEAT;
        int64_t sum = search_best(search, &s.h, 20, 7, seat);
        assert_true(sum >= best);
        assert_int_equal(sum, house_sum(&s.h, seat));
        assert_true(bound >= 0 && bound <= best);
        if (n == 2 && best < 2 * (int64_t)WORLD_FAR_US)
            assert_int_equal(bound, best);
        local_found += sum == best;
        assert_true(search_exact(search, &s.h, STEPS, seat, &sum));
        assert_int_equal(sum, best);
        assert_int_equal(house_sum(&s.h, seat), best);
    }
    if (local_found < ROUNDS * 99 / 100)
        fail_msg("the local search found the optimum in %zu of %d houses", local_found, ROUNDS);
    search_destroy(search);
}

static void from_a_bad_plan(void **state)
{
    struct search *search = search_new();
    uint64_t random = 5;
    struct small_house s;
    size_t best_seat[HOUSE_PEOPLE_MAX], seat[HOUSE_PEOPLE_MAX] = {0};
    small_house_random(&s, 5, 6, &random);
    int64_t best = brute_force(&s.h, best_seat), sum = house_sum(&s.h, seat);
    assert_true(search_exact(search, &s.h, STEPS, seat, &sum));
    assert_int_equal(sum, best);
    search_destroy(search);
}

static void gives_up(void **state)
{
    struct search *search = search_new();
    uint64_t random = 9;
    struct small_house s;
    size_t seat[HOUSE_PEOPLE_MAX] = {0};
    small_house_random(&s, 8, 8, &random);
    int64_t sum = house_sum(&s.h, seat);
    assert_false(search_exact(search, &s.h, 1, seat, &sum));
    assert_int_equal(sum, house_sum(&s.h, seat));
    search_destroy(search);
}

static void more_than_the_exact_search_takes(void **state)
{
    static const int64_t rtt[2] = {1000, 2000}, between[4] = {0, 500, 500, 0};
    static const bool allowed[2] = {true, true};
    const int64_t *row[EXACT_SIZE_MAX + 1];
    size_t seat[EXACT_SIZE_MAX + 1] = {0};
    struct search *search = search_new();
    for (size_t i = 0; i <= EXACT_SIZE_MAX; i++)
        row[i] = rtt;
    for (size_t n = EXACT_SIZE_MAX; n <= EXACT_SIZE_MAX + 1; n++) {
        struct house h = {.n = n, .rtt = row, .n_nodes = 2, .between = between, .allowed = allowed};
        int64_t sum = house_sum(&h, seat);
        assert_int_equal(search_exact(search, &h, STEPS, seat, &sum), n <= EXACT_SIZE_MAX);
    }
    search_destroy(search);
}

static void nothing_allowed(void **state)
{
    struct search *search = search_new();
    uint64_t random = 3;
    struct small_house s;
    size_t seat[HOUSE_PEOPLE_MAX] = {0};
    small_house_random(&s, 3, 2, &random);
    memset(s.allowed, 0, sizeof s.allowed);
    int64_t sum = search_best(search, &s.h, 5, 1, seat);
    assert_int_equal(seat[0], HOUSE_NO_SEAT);
    assert_int_equal(sum, 6 * (int64_t)WORLD_FAR_US);
    assert_int_equal(search_bound(search, &s.h), sum);
    assert_true(search_exact(search, &s.h, STEPS, seat, &sum));
    search_destroy(search);
    search_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs),
        cmocka_unit_test(against_every_plan),
        cmocka_unit_test(from_a_bad_plan),
        cmocka_unit_test(gives_up),
        cmocka_unit_test(more_than_the_exact_search_takes),
        cmocka_unit_test(nothing_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
