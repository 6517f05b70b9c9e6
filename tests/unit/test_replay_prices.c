/* link: berth_replay */
/* Seats' prices: optimal duals, none where seats suffice, whatever the order; and their bounds. */
#include "check.h"

#include "loadtest/replay/prices.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEOPLE = 6, NODES = 4, ROUNDS = 400, CROWD = 200, PLACES = 12, MOST_US = 30000 };

struct cases {
    struct prices_problem p;
    struct prices_node nodes[PLACES];
    char ids[PLACES][8];
    int32_t cost[CROWD * PLACES], price[PLACES];
};

static void solve(struct cases *c)
{
    void *work = malloc(prices_work_size(c->p.n_nodes, c->p.n_people));

    prices_make(&c->p, work, c->price);
    free(work);
}

static void init(struct cases *c, size_t people, size_t nodes, uint64_t *random)
{
    memset(c, 0, sizeof(*c));
    c->p = (struct prices_problem){.n_nodes = nodes,
                                   .n_people = people,
                                   .nodes = c->nodes,
                                   .cost_us = c->cost,
                                   .stay_pct = 80,
                                   .expected = (int64_t)people};
    for (size_t v = 0; v < nodes; v++) {
        snprintf(c->ids[v], sizeof(c->ids[v]), "n%02u", (unsigned)v);
        c->nodes[v].id = c->ids[v];
    }
    for (size_t k = 0; k < people * nodes; k++)
        c->cost[k] = (int32_t)(check_random(random) % MOST_US);
}

/* With as many seats as the sample sees them: more than 10 for each 9 people. False: there are not enough. */
static bool give_seats(struct cases *c, uint64_t *random)
{
    int64_t seats = 0;

    for (size_t v = 0; v < c->p.n_nodes; v++) {
        c->nodes[v].capacity = 1 + (int64_t)(check_random(random) % 4);
        seats += c->nodes[v].capacity;
    }
    return seats * 9 >= (int64_t)c->p.n_people * 10;
}

static int64_t brute_force(const struct cases *c)
{
    size_t seat[PEOPLE] = {0}, i = 0, n = c->p.n_people, nodes = c->p.n_nodes;
    int64_t best = INT64_MAX;

    while (i < n) {
        int64_t sum = 0, used[NODES] = {0};
        bool fits = true;

        for (size_t k = 0; k < n; k++) {
            sum += c->cost[k * nodes + seat[k]];
            fits = ++used[seat[k]] <= c->nodes[seat[k]].capacity && fits;
        }
        best = fits && sum < best ? sum : best;
        for (i = 0; i < n && ++seat[i] == nodes; i++)
            seat[i] = 0;
    }
    return best;
}

/* What the prices say that seating all must cost at least. */
static int64_t dual(const struct cases *c)
{
    int64_t sum = 0;

    for (size_t i = 0; i < c->p.n_people; i++) {
        int64_t least = INT64_MAX;

        for (size_t v = 0; v < c->p.n_nodes; v++) {
            int64_t with = c->cost[i * c->p.n_nodes + v] + c->price[v];
            least = with < least ? with : least;
        }
        sum += least;
    }
    for (size_t v = 0; v < c->p.n_nodes; v++)
        sum -= c->price[v] * c->nodes[v].capacity;
    return sum;
}

/* Weak duality says "not more than the optimum", whatever the prices; near it only optimal ones come. */
static void test_prices_are_optimal_duals(void **state)
{
    uint64_t random = 5;
    size_t priced = 0, seen = 0;

    for (int round = 0; round < ROUNDS; round++) {
        struct cases c;
        int64_t best, of;

        init(&c, 1 + check_random(&random) % PEOPLE, 1 + check_random(&random) % NODES, &random);
        if (!give_seats(&c, &random))
            continue;
        solve(&c);
        best = brute_force(&c);
        of = dual(&c);
        if (of > best || of < best - (int64_t)c.p.n_people * PRICES_STEP_US)
            fail_msg("round %d: the prices account for %lld of %lld us", round, (long long)of,
                     (long long)best);
        for (size_t v = 0; v < c.p.n_nodes; v++)
            priced += c.price[v] > 0;
        seen++;
    }
    assert_true(seen > ROUNDS / 3 && priced > seen / 10);
}

/* Everybody's nearest has a seat for them, by far or just so: nobody pays anything. */
static void test_no_price_where_seats_suffice(void **state)
{
    uint64_t random = 6;
    struct cases c;

    init(&c, CROWD, PLACES, &random);
    for (size_t v = 0; v < PLACES; v++)
        c.nodes[v].capacity = CROWD / 4;
    solve(&c);
    for (size_t v = 0; v < PLACES; v++)
        assert_int_equal(c.price[v], 0);
    for (size_t v = 0; v < PLACES; v++)
        c.nodes[v].capacity = 0; /* no limit */
    c.p.expected = 1000000;
    solve(&c);
    for (size_t v = 0; v < PLACES; v++)
        assert_int_equal(c.price[v], 0);
}

/* Two want the one seat that is near: its price keeps off who can do without better, and not the other. */
static void test_a_seat_costs_what_the_next_one_would_give(void **state)
{
    static const int32_t cost[] = {10000, 15000, 10000, 60000};
    uint64_t random = 7;
    struct cases c;

    init(&c, 2, 2, &random);
    memcpy(c.cost, cost, sizeof(cost));
    c.nodes[0].capacity = 1;
    c.nodes[1].capacity = 5;
    solve(&c);
    assert_in_range(c.price[0], 5000, 50000 + PRICES_STEP_US);
    assert_int_equal(c.price[1], 0);
    c.cost[1] = -1; /* it has no other now: neither gives way for less than the other, or the most */
    solve(&c);
    assert_in_range(c.price[0], 50000, PRICES_MOST_US);
    c.p.expected = 0;
    solve(&c);
    assert_int_equal(c.price[0], 0);
}

/* A node is nearest to as many as it has seats: they take them, and nobody is turned away. */
static void test_no_price_where_nobody_is_turned_away(void **state)
{
    uint64_t random = 10;
    struct cases c;

    init(&c, 10, 2, &random);
    for (size_t i = 0; i < 10; i++) {
        c.cost[2 * i] = i < 6 ? 10000 : 30000;
        c.cost[2 * i + 1] = i < 6 ? 30000 : 10000;
    }
    c.nodes[0].capacity = c.nodes[1].capacity = 6;
    solve(&c);
    assert_int_equal(c.price[0] + c.price[1], 0);
    c.nodes[0].capacity = 5;
    c.nodes[1].capacity = 9;
    solve(&c);
    assert_in_range(c.price[0], 20000, 20000 + 10 * PRICES_STEP_US);
    assert_int_equal(c.price[1], 0);
}

static void test_the_order_of_input_does_not_matter(void **state)
{
    uint64_t random = 8;
    struct cases a, b;
    int32_t most = 0;

    init(&a, CROWD, PLACES, &random);
    init(&b, CROWD, PLACES, &random);
    a.p.expected = b.p.expected = 5 * CROWD;
    for (size_t v = 0; v < PLACES; v++) {
        a.nodes[v].capacity = 30 + 12 * (int64_t)v;
        a.nodes[v].seated = 2 * (int64_t)v;
    }
    for (size_t v = 0; v < PLACES; v++) {
        size_t at = (v * 5 + 3) % PLACES;

        b.nodes[at] = a.nodes[v];
        for (size_t i = 0; i < CROWD; i++)
            b.cost[(i * 7 + 1) % CROWD * PLACES + at] = a.cost[i * PLACES + v];
    }
    solve(&a);
    solve(&b);
    for (size_t v = 0; v < PLACES; v++) {
        assert_int_equal(a.price[v], b.price[(v * 5 + 3) % PLACES]);
        most = a.price[v] > most ? a.price[v] : most;
    }
    assert_true(most > PRICES_STEP_US);
}

/* However many are expected, no seat is dearer than the most; and of more people or nodes than there may be nothing is said. */
static void test_bounds(void **state)
{
    uint64_t random = 9;
    struct cases c;
    size_t people = PRICES_PEOPLE + 1, nodes = PRICES_NODES + 1;

    init(&c, CROWD, PLACES, &random);
    for (size_t v = 0; v < PLACES; v++)
        c.nodes[v] = (struct prices_node){.id = c.ids[v], .capacity = 3 + (int64_t)v, .seated = 3};
    c.p.expected = INT64_MAX;
    for (int stranger = 0; stranger < 2; stranger++) {
        solve(&c);
        for (size_t v = 0; v < PLACES; v++)
            assert_in_range(c.price[v], 0, PRICES_MOST_US);
        memset(c.cost, 0xff, sizeof(c.cost)); /* nobody reaches anything */
    }
    struct prices_node *many = calloc(nodes, sizeof(*many));
    int32_t *cost = calloc(people * nodes, sizeof(*cost)), *price = calloc(nodes, sizeof(*price));
    void *work = malloc(prices_work_size(nodes, people));
    for (size_t v = 0; v < nodes; v++)
        many[v] = (struct prices_node){.id = c.ids[v % PLACES], .capacity = 1};
    c.p = (struct prices_problem){
        .n_nodes = 2, .n_people = people, .nodes = many, .cost_us = cost, .expected = 9};
    price[0] = price[1] = 1;
    prices_make(&c.p, work, price);
    assert_int_equal(price[0] + price[1], 0);
    c.p.n_people = 2;
    c.p.n_nodes = nodes;
    price[0] = price[nodes - 1] = 1;
    prices_make(&c.p, work, price);
    assert_int_equal(price[0] + price[nodes - 1], 0);
    free(many);
    free(cost);
    free(price);
    free(work);
}

static void test_what_is_expected_follows_the_day(void **state)
{
    assert_in_range(prices_expected(500, 500, 900, 900), 900, 901); /* as then */
    assert_in_range(prices_expected(250, 500, 900, 900), 490, 540); /* half as many, with some doubt */
    assert_in_range(prices_expected(0, 0, 900, 900), 900, 901);     /* nothing seen yet */
    assert_int_equal(prices_expected(700, 700, 600, 900), 700);     /* it goes down from here */
    assert_int_equal(prices_expected(7, 0, 0, 0), 7);
    assert_true(prices_expected(INT64_MAX, 0, INT64_MAX, INT64_MAX) > 0);
    assert_int_equal(prices_expected(-5, -5, -5, -5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices_are_optimal_duals),
        cmocka_unit_test(test_no_price_where_seats_suffice),
        cmocka_unit_test(test_a_seat_costs_what_the_next_one_would_give),
        cmocka_unit_test(test_no_price_where_nobody_is_turned_away),
        cmocka_unit_test(test_the_order_of_input_does_not_matter),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_what_is_expected_follows_the_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
