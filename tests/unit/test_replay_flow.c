/* link: berth_replay */
/* Minimum-cost flow against every assignment there is. */
#include "check.h"

#include "loadtest/replay/flow.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { PEOPLE = 6, NODES = 4, ROUNDS = 500 };

struct cases {
    size_t n, n_nodes;
    int64_t cost[PEOPLE][NODES];
    const int64_t *row[PEOPLE];
    int64_t capacity[NODES];
    bool allowed[NODES];
};

static void make(struct cases *c, uint64_t *random)
{
    c->n = 1 + check_random(random) % PEOPLE;
    c->n_nodes = 1 + check_random(random) % NODES;
    for (size_t i = 0; i < c->n; i++) {
        c->row[i] = c->cost[i];
        for (size_t v = 0; v < c->n_nodes; v++)
            c->cost[i][v] = (int64_t)(check_random(random) % 50);
    }
    for (size_t v = 0; v < c->n_nodes; v++) {
        c->capacity[v] = (int64_t)(check_random(random) % 4); /* 0: no limit */
        c->allowed[v] = check_random(random) % 8 > 0;
    }
}

static bool fits(const struct cases *c, const size_t *seat)
{
    for (size_t v = 0; v < c->n_nodes; v++) {
        int64_t used = 0;
        for (size_t i = 0; i < c->n; i++)
            used += seat[i] == v;
        if (used > 0 && (!c->allowed[v] || (c->capacity[v] != FLOW_UNLIMITED && used > c->capacity[v])))
            return false;
    }
    return true;
}

/* -1: there is not room for all. */
static int64_t brute_force(const struct cases *c)
{
    size_t seat[PEOPLE] = {0}, i = 0;
    int64_t best = -1;
    while (i < c->n) {
        int64_t sum = 0;
        for (size_t k = 0; k < c->n; k++)
            sum += c->cost[k][seat[k]];
        if (fits(c, seat) && (best < 0 || sum < best))
            best = sum;
        for (i = 0; i < c->n && ++seat[i] == c->n_nodes; i++)
            seat[i] = 0;
    }
    return best;
}

static void against_every_assignment(void **state)
{
    uint64_t random = 11;
    size_t no_room = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct cases c;
        size_t seat[PEOPLE];
        int64_t total = -1, sum = 0;
        make(&c, &random);
        int64_t best = brute_force(&c);
        int answer = flow_solve(c.n, c.n_nodes, c.row, c.capacity, c.allowed, seat, &total);
        no_room += best < 0;
        assert_int_equal(answer, best < 0 ? -ENOSPC : 0);
        if (best < 0)
            continue;
        for (size_t i = 0; i < c.n; i++)
            sum += c.cost[i][seat[i]];
        assert_true(fits(&c, seat));
        assert_int_equal(total, best);
        assert_int_equal(sum, best);
    }
    assert_true(no_room > 10 && no_room < ROUNDS / 2);
}

static void nobody(void **state)
{
    static const int64_t capacity[] = {1};
    static const bool allowed[] = {true};
    int64_t total = -1;
    assert_int_equal(flow_solve(0, 1, NULL, capacity, allowed, NULL, &total), 0);
    assert_int_equal(total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_every_assignment),
        cmocka_unit_test(nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
