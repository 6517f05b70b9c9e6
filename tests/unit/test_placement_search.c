/* link: berth_placement berth_core m */
/* How near the engine's plans come to the best: every assignment tried on small cases, bounds and baselines on larger ones; and what must hold
 * of any plan. */
#include "placement_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t brute_force(const struct map *m)
{
    size_t nodes[MAP_PEOPLE] = {0}, n = m->p.n_participants, i;
    int64_t least = INT64_MAX;

    for (;;) {
        int64_t cost = map_latency(m, nodes);

        least = cost < least ? cost : least;
        for (i = 0; i < n && ++nodes[i] == m->p.n_nodes; i++)
            nodes[i] = 0;
        if (i == n)
            return least;
    }
}

static int64_t best_single(const struct map *m)
{
    int64_t least = INT64_MAX;

    for (size_t n = 0; n < m->p.n_nodes; n++) {
        size_t nodes[MAP_PEOPLE];
        int64_t cost;

        for (size_t i = 0; i < m->p.n_participants; i++)
            nodes[i] = n;
        cost = map_latency(m, nodes);
        least = cost < least ? cost : least;
    }
    return least;
}

static void test_within_one_percent_of_brute_force(void **state)
{
    static struct map m;
    double gaps = 0;
    int cases = 0;

    for (uint32_t seed = 1; seed <= 300; seed++, cases++) {
        int64_t optimum, bound;
        double gap;

        map_init(&m, seed, 2 + seed % 5, 2 + seed % 4);
        optimum = brute_force(&m);
        place_decide_best(&m.p, &m.plan);
        gap = (double)m.plan.latency_us / (double)optimum - 1;
        gaps += gap > 0 ? gap : 0;
        if (gap > 0.01)
            fail_msg("seed %u: %lld us, the optimum %lld", seed, (long long)m.plan.latency_us,
                     (long long)optimum);
        bound = place_lower_bound(&m.p, &m.plan);
        assert_true(bound <= optimum + 1);
        assert_true(bound > 0);
    }
    assert_true(gaps / cases < 0.001);
}

static void test_figures_are_those_of_the_plan(void **state)
{
    static struct map m;
    size_t nodes[MAP_PEOPLE];

    for (uint32_t seed = 1; seed <= 200; seed++) {
        int64_t latency;

        map_init(&m, seed, 1 + seed % MAP_NODES, 1 + seed % MAP_PEOPLE);
        place_decide_best(&m.p, &m.plan);
        map_seats(&m, nodes);
        latency = map_latency(&m, nodes);
        assert_true(llabs(m.plan.latency_us - latency) <= 2);
        assert_true(llabs(m.plan.cost_us - latency) <= 2); /* no penalties here */
        assert_true(llabs(place_cost_of(&m.p, &m.plan, nodes, true) - latency) <= 2);
        assert_true(latency <= best_single(&m) + 2);
        assert_true(place_lower_bound(&m.p, &m.plan) <= latency + 2);
        assert_true(m.plan.worst_us >= m.plan.latency_us);
    }
}

static void test_terms_add_up(void **state)
{
    static struct map m;

    for (uint32_t seed = 1; seed <= 50; seed++) {
        map_init(&m, seed, 12, 2 + seed % 8);
        place_decide(&m.p, &m.plan);
        for (size_t i = 0; i < m.p.n_participants; i++) {
            struct place_terms t, other;

            place_terms(&m.p, &m.plan, i, m.seats[i].node, &t);
            assert_true(t.possible);
            assert_true(llabs(t.rtt_us + t.transport_us + t.loss_us + t.weight_us + t.load_us +
                              t.failures_us + t.mesh_us + t.unmeasured_us + t.others_us + t.nodes_us -
                              t.cost_us) <= 8);
            assert_true(llabs(t.cost_us - m.seats[i].latency_us) <= 8);
            place_terms(&m.p, &m.plan, i, (m.seats[i].node + 1) % m.p.n_nodes, &other);
            assert_true(other.possible);
        }
    }
}

static void test_another_node_never_makes_it_worse(void **state)
{
    static struct map m;

    for (uint32_t seed = 1; seed <= 300; seed++) {
        int64_t before;
        size_t people = 2 + seed % 5, last;

        map_init(&m, seed, 3 + seed % 6, people);
        last = m.p.n_nodes - 1;
        m.nodes[last].state = PLACE_DRAINING;
        place_decide_best(&m.p, &m.plan);
        before = m.plan.cost_us;
        for (size_t i = 0; i < people; i++)
            assert_int_not_equal(m.seats[i].node, last);
        m.nodes[last].state = PLACE_IN_SERVICE;
        place_decide_best(&m.p, &m.plan);
        if (m.plan.cost_us > before)
            fail_msg("seed %u: %lld us with the node, %lld without", seed, (long long)m.plan.cost_us,
                     (long long)before);
    }
}

/* The same map with participants and nodes in reverse order. */
static void reverse(struct map *to, const struct map *from)
{
    size_t nodes = from->p.n_nodes, people = from->p.n_participants;

    *to = *from;
    to->p.nodes = to->nodes;
    to->p.participants = to->people;
    to->p.node_rtt_us = to->between;
    to->plan = (struct place_plan){.candidates = to->candidates, .seats = to->seats, .work = to->work};
    for (size_t n = 0; n < nodes; n++) {
        to->nodes[n] = from->nodes[nodes - 1 - n];
        for (size_t k = 0; k < nodes; k++)
            to->between[n * nodes + k] = from->between[(nodes - 1 - n) * nodes + nodes - 1 - k];
    }
    for (size_t i = 0; i < people; i++) {
        to->people[i] = from->people[people - 1 - i];
        to->people[i].rows = to->rows[i];
        if (to->people[i].present != PLACE_NONE)
            to->people[i].present = nodes - 1 - to->people[i].present;
        for (size_t k = 0; k < nodes; k++) {
            to->rows[i][k] = from->rows[people - 1 - i][nodes - 1 - k];
            to->rows[i][k].node = (uint32_t)(nodes - 1 - to->rows[i][k].node);
        }
    }
}

static void test_order_does_not_matter(void **state)
{
    static struct map a, b;

    for (uint32_t seed = 1; seed <= 200; seed++) {
        map_init(&a, seed, 1 + seed % MAP_NODES, 1 + seed % MAP_PEOPLE);
        for (size_t i = 0; i < a.p.n_participants; i++) {
            if (map_random(&a, 2))
                a.people[i].present = map_random(&a, (uint32_t)a.p.n_nodes);
        }
        for (size_t n = 0; n < a.p.n_nodes; n++)
            a.nodes[n].capacity = map_random(&a, 3) ? 0 : 1 + map_random(&a, 10);
        reverse(&b, &a);
        place_decide(&a.p, &a.plan);
        place_decide(&b.p, &b.plan);
        assert_int_equal(a.plan.outcome, b.plan.outcome);
        assert_int_equal(a.plan.cost_us, b.plan.cost_us);
        for (size_t i = 0; i < a.p.n_participants; i++) {
            size_t there = b.seats[a.p.n_participants - 1 - i].node;

            assert_int_equal(a.seats[i].node, there == PLACE_NONE ? PLACE_NONE : a.p.n_nodes - 1 - there);
        }
    }
}

static void test_several_nodes_only_for_a_real_gain(void **state)
{
    static struct map m;
    int joined = 0, single = 0;

    for (uint32_t seed = 1; seed <= 300; seed++) {
        int64_t one, several;

        map_init(&m, seed, 10, 2 + seed % 8);
        one = best_single(&m);
        place_decide(&m.p, &m.plan);
        several = m.plan.latency_us;
        if (m.plan.n_joined == 1) {
            single++;
            continue;
        }
        joined++;
        assert_int_equal(m.plan.outcome, PLACE_JOINED);
        if (one - several < 5000 - 4 && (one - several) * 100 < one * 10 - 400)
            fail_msg("seed %u: %lld us on several nodes, %lld on one", seed, (long long)several,
                     (long long)one);
    }
    assert_true(joined > 20 && single > 20);
}

static void test_the_worst_off_are_capped_in_stages(void **state)
{
    static struct map m;

    for (uint32_t seed = 1; seed <= 200; seed++) {
        int64_t worst, mean;

        map_init(&m, seed, 12, 3 + seed % 8);
        place_decide_best(&m.p, &m.plan);
        worst = m.plan.worst_us;
        mean = m.plan.latency_us;
        m.p.policy.cap_worst = true;
        place_decide_best(&m.p, &m.plan);
        assert_true(m.plan.cap_stage >= 0 && m.plan.cap_stage <= PLACE_CAP_STAGES);
        if (m.plan.cap_stage < PLACE_CAP_STAGES)
            assert_true(m.plan.worst_us <= (50000 << m.plan.cap_stage) + 2);
        for (int s = 0; s < m.plan.cap_stage; s++)
            assert_true(worst > (50000 << s)); /* it wasn't given up for nothing */
        assert_true(m.plan.latency_us >= mean - 2);
    }
}

/* Three beside node 0, the first far from it: the mean wants node 0, the cap of 100 ms node 1, which is worse for the three. */
static void three_and_one(struct map *m)
{
    map_init(m, 1, 2, 4);
    for (size_t i = 0; i < 4; i++) {
        m->rows[i][0].rtt_us = i == 0 ? 220000 : 2000;
        m->rows[i][1].rtt_us = i == 0 ? 100000 : 90000;
    }
    m->between[1] = m->between[2] = 130000;
}

static void test_the_cap_goes_before_the_mean(void **state)
{
    static struct map m;

    three_and_one(&m);
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.node, 0);
    assert_int_equal(m.plan.worst_us, 111000);
    m.p.policy.cap_worst = true;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.node, 1);
    assert_int_equal(m.plan.worst_us, 95000);
    assert_int_equal(m.plan.cap_stage, 1);
}

/* A fifth whose report speaks of neither node costs as much as the last resort does, wherever it is; that is nobody's latency. */
static void test_a_penalty_does_not_break_the_cap(void **state)
{
    static struct map m;

    three_and_one(&m);
    map_add_person(&m);
    m.people[4].n_rows = 0;
    m.p.policy.cap_worst = true;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.node, 1);
    assert_int_equal(m.seats[4].rtt_us, -1);
    assert_int_equal(m.plan.worst_us, 95000);
    assert_int_equal(m.plan.cap_stage, 1);
}

/* The far one never measured node 1: having no figure there is no way to keep the cap. */
static void test_nobody_is_hidden_from_the_cap(void **state)
{
    static struct map m;

    three_and_one(&m);
    m.people[0].n_rows = 1;
    m.p.policy.cap_worst = true;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 0);
    assert_int_equal(m.seats[0].rtt_us, 220000);
    assert_int_equal(m.plan.cap_stage, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_one_percent_of_brute_force),
        cmocka_unit_test(test_figures_are_those_of_the_plan),
        cmocka_unit_test(test_terms_add_up),
        cmocka_unit_test(test_another_node_never_makes_it_worse),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_several_nodes_only_for_a_real_gain),
        cmocka_unit_test(test_the_worst_off_are_capped_in_stages),
        cmocka_unit_test(test_the_cap_goes_before_the_mean),
        cmocka_unit_test(test_a_penalty_does_not_break_the_cap),
        cmocka_unit_test(test_nobody_is_hidden_from_the_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
