/* link: berth_placement berth_core m */
/* Meetings on more nodes than the search looks at, many nodes that nobody measured between, and full nodes in the middle. */
#include "placement_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CROWD_NODES = 200, CROWD = 500 };

/* As a map, but larger; round trips between nodes are asked for, and the questions counted. */
struct crowd {
    double node_at[CROWD_NODES][2];
    char ids[CROWD_NODES][8], names[CROWD][8];
    struct place_node nodes[CROWD_NODES];
    struct place_participant people[CROWD];
    struct place_row rows[CROWD][CROWD_NODES];
    struct place_candidate candidates[CROWD_NODES];
    struct place_seat seats[CROWD];
    void *work;
    struct place_problem p;
    struct place_plan plan;
    struct place_ways ways;
    int measured_pct; /* of the pairs */
    size_t asked;
};

static uint32_t mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352dU;
    x = (x ^ x >> 15) * 0x846ca68bU;
    return x ^ x >> 16;
}

static double unit(uint32_t x)
{
    return mix(x) % 1000000 / 1e6;
}

static int32_t apart(const double a[2], const double b[2])
{
    return 1000 + (int32_t)(150000 * hypot(a[0] - b[0], a[1] - b[1]));
}

static int32_t measured(const void *of, size_t a, size_t b)
{
    struct crowd *c = (struct crowd *)(uintptr_t)of;

    c->asked++;
    return (int)(mix((uint32_t)(a < b ? a * CROWD_NODES + b : b * CROWD_NODES + a)) % 100) < c->measured_pct
               ? apart(c->node_at[a], c->node_at[b])
               : -1;
}

static struct crowd *crowd_new(size_t nodes, int64_t capacity, int measured_pct)
{
    struct crowd *c = calloc(1, sizeof *c);

    assert_non_null(c);
    c->measured_pct = measured_pct;
    c->ways = (struct place_ways){.of = c, .measured = measured};
    c->p = (struct place_problem){.org = "acme",
                                  .n_nodes = nodes,
                                  .nodes = c->nodes,
                                  .participants = c->people,
                                  .ways = &c->ways,
                                  .policy = {.transports = TRANSPORTS_ALL},
                                  .present = PLACE_NONE};
    c->work = malloc(place_work_size(nodes, CROWD));
    assert_non_null(c->work);
    c->plan = (struct place_plan){.candidates = c->candidates, .seats = c->seats, .work = c->work};
    for (size_t n = 0; n < nodes; n++) {
        snprintf(c->ids[n], sizeof c->ids[n], "n%03zu", n);
        c->node_at[n][0] = unit((uint32_t)n);
        c->node_at[n][1] = unit((uint32_t)n + 1000);
        c->nodes[n] = (struct place_node){.id = c->ids[n],
                                          .cluster = c->ids[n],
                                          .region = "eu",
                                          .capacity = capacity,
                                          .transports = TRANSPORTS_ALL};
    }
    return c;
}

static void crowd_free(struct crowd *c)
{
    free(c->work);
    free(c);
}

static void come(struct crowd *c)
{
    size_t i = c->p.n_participants++;
    double at[2] = {unit((uint32_t)i + 5000), unit((uint32_t)i + 9000)};

    for (size_t n = 0; n < c->p.n_nodes; n++)
        c->rows[i][n] = (struct place_row){
            .node = (uint32_t)n, .reachable = true, .samples = 5, .rtt_us = apart(at, c->node_at[n])};
    snprintf(c->names[i], sizeof c->names[i], "p%03zu", i);
    c->people[i] = (struct place_participant){.agent = c->names[i],
                                              .measured = true,
                                              .capabilities = TRANSPORTS_ALL,
                                              .n_rows = c->p.n_nodes,
                                              .rows = c->rows[i],
                                              .present = PLACE_NONE};
}

/* Everybody has a seat, nobody was forced off a node in service, and what was moved was moved by the rules. */
static void decide_and_settle(struct crowd *c)
{
    size_t n = c->p.n_participants;

    place_decide(&c->p, &c->plan);
    for (size_t i = 0; i < n; i++) {
        const struct place_seat *s = &c->seats[i];
        struct place_participant *who = &c->people[i];

        if (s->node == PLACE_NONE)
            fail_msg("%zu participants: %s has no seat, though seats are free", n, who->agent);
        if (s->reason == PLACE_WHY_FORCED)
            fail_msg("%zu participants: %s is forced off a node in service", n, who->agent);
        if (s->node != who->present && who->present != PLACE_NONE && who->moved_ago_us > 0)
            fail_msg("%zu participants: %s is moved twice in a minute", n, who->agent);
    }
    for (size_t i = 0; i < n; i++) {
        struct place_participant *who = &c->people[i];

        if (who->present == c->seats[i].node)
            continue;
        if (who->present != PLACE_NONE) {
            c->nodes[who->present].assigned--;
            who->moved_ago_us = 1;
        }
        who->present = c->seats[i].node;
        c->nodes[who->present].assigned++;
    }
    for (size_t v = 0; v < c->p.n_nodes; v++)
        assert_true(c->nodes[v].capacity == 0 || c->nodes[v].assigned <= c->nodes[v].capacity);
}

static void fill_up(size_t nodes, int64_t capacity, size_t people, size_t at_once)
{
    struct crowd *c = crowd_new(nodes, capacity, 100);

    while (c->p.n_participants < people) {
        for (size_t k = 0; k < at_once; k++)
            come(c);
        decide_and_settle(c);
        assert_true(c->plan.latency_us > 0 && c->plan.latency_us <= c->plan.worst_us);
    }
    crowd_free(c);
}

/* 500 people fill 50 nodes of ten. */
static void test_nobody_is_refused_while_seats_are_free(void **state)
{
    fill_up(50, 10, CROWD, 20);
    fill_up(100, 3, 240, 12);
}

/* More nodes than there are columns: most of those who are there are on nodes that the search doesn't see. */
static void test_a_seat_each_on_more_nodes_than_are_looked_at(void **state)
{
    fill_up(150, 1, 150, 10);
    fill_up(CROWD_NODES, 1, 130, 130);
}

static void test_one_by_one(void **state)
{
    fill_up(100, 2, 100, 1);
}

/* Who is on a node that the search doesn't see has the terms of that node, and its round trip to the others'. */
static void test_terms_of_nodes_that_are_not_looked_at(void **state)
{
    struct crowd *c = crowd_new(120, 1, 50);
    struct place_terms *t = calloc(120, sizeof *t);

    for (int i = 0; i < 100; i++)
        come(c);
    decide_and_settle(c);
    assert_int_equal(c->plan.n_joined, 100);
    for (size_t i = 0; i < 100; i += 7) {
        place_terms_all(&c->p, &c->plan, i, t);
        assert_true(t[c->seats[i].node].possible);
        assert_true(llabs(t[c->seats[i].node].rtt_us - c->seats[i].rtt_us / 2) <= 1);
        assert_true(t[c->seats[i].node].nodes_us > 0);
    }
    free(t);
    crowd_free(c);
}

/* Figures are of the nodes that people are on, also where the search doesn't see these. */
static void test_figures_of_nodes_that_are_not_looked_at(void **state)
{
    struct crowd *c = crowd_new(120, 1, 100);
    size_t n = 100;

    for (size_t i = 0; i < n; i++)
        come(c);
    decide_and_settle(c);
    place_decide(&c->p, &c->plan); /* and once more where all are seated */
    for (size_t i = 0; i < n; i++) {
        const struct place_seat *a = &c->seats[i];
        int64_t twice = 0;

        for (size_t j = 0; j < n; j++) {
            const struct place_seat *b = &c->seats[j];

            if (j != i)
                twice += a->rtt_us + b->rtt_us + apart(c->node_at[a->node], c->node_at[b->node]);
        }
        assert_true(llabs(a->latency_us - twice / 2 / (int64_t)(n - 1)) <= 1);
    }
    crowd_free(c);
}

/* What pairs of nodes are asked about: those of the short list once, and for terms every other node once against it. */
static void test_pairs_are_asked_about_once(void **state)
{
    enum { COLS = 24 };
    struct crowd *c = crowd_new(CROWD_NODES, 0, 40);
    struct place_terms *t = calloc(CROWD_NODES, sizeof *t);

    for (int i = 0; i < 20; i++)
        come(c);
    place_decide(&c->p, &c->plan);
    assert_true(c->plan.n_joined > 3);
    assert_in_range(c->asked, 1, COLS * (COLS + 1) / 2);
    c->asked = 0;
    for (size_t i = 0; i < 20; i++)
        place_terms_all(&c->p, &c->plan, i, t);
    assert_in_range(c->asked, 1, CROWD_NODES * COLS);
    free(t);
    crowd_free(c);
}

/* The six nodes of least sum. */
static void fill_the_middle(struct map *m)
{
    for (int k = 0; k < 6; k++) {
        size_t best = PLACE_NONE;
        int64_t least = INT64_MAX;

        for (size_t n = 0; n < m->p.n_nodes; n++) {
            int64_t sum = 0;

            for (size_t i = 0; i < m->p.n_participants; i++)
                sum += m->rows[i][n].rtt_us;
            if (m->nodes[n].capacity == 0 && sum < least) {
                least = sum;
                best = n;
            }
        }
        m->nodes[best].capacity = m->nodes[best].assigned = 7;
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
        cost = m->nodes[n].capacity == 0 ? map_latency(m, nodes) : INT64_MAX;
        least = cost < least ? cost : least;
    }
    return least;
}

/* A full node in the middle is no single node to compare with: the best that has room is. */
static void test_full_nodes_in_the_middle(void **state)
{
    static struct map m;

    for (uint32_t seed = 1; seed <= 1500; seed++) {
        int64_t one, cost;

        map_init(&m, seed, 40, 2 + seed % 7);
        fill_the_middle(&m);
        one = best_single(&m);
        place_decide(&m.p, &m.plan);
        cost = m.plan.latency_us;
        if (cost > one + 2)
            fail_msg("seed %u: %lld us, on one node %lld", seed, (long long)cost, (long long)one);
        if (m.plan.n_joined > 1 && one - cost < 5000 - 4 && (one - cost) * 100 < one * 10 - 400)
            fail_msg("seed %u: %zu nodes for %lld us instead of %lld", seed, m.plan.n_joined, (long long)cost,
                     (long long)one);
    }
}

/* Nodes 0 and 1, each beside one of two people, don't reach each other. */
static void test_nodes_that_do_not_reach_each_other(void **state)
{
    static struct map m;
    struct place_terms t;

    map_init(&m, 1, 3, 2);
    for (size_t i = 0; i < 2; i++) {
        for (size_t n = 0; n < 3; n++)
            m.rows[i][n].rtt_us = n == i ? 5000 : 300000;
    }
    m.between[0 * 3 + 1] = m.between[1 * 3 + 0] = 20000;
    m.nodes[2].state = PLACE_DRAINING;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.n_joined, 2);
    m.between[0 * 3 + 1] = PLACE_NO_WAY; /* the other direction's figure is a way */
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.n_joined, 2);
    m.between[1 * 3 + 0] = PLACE_NO_WAY;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.n_joined, 1);
    m.between[1 * 3 + 0] = -1; /* it has not told: the failure holds */
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.n_joined, 1);
    place_terms(&m.p, &m.plan, 1 - m.seats[0].node, 1 - m.seats[0].node, &t);
    assert_true(t.possible);
    assert_int_equal(t.rejected, PLACE_NO_LINK);
    m.nodes[2].state = PLACE_IN_SERVICE; /* a third that reaches both joins them */
    for (size_t n = 0; n < 2; n++)
        m.between[2 * 3 + n] = m.between[n * 3 + 2] = 15000;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.plan.n_joined, 2);
    place_terms(&m.p, &m.plan, 0, 0, &t);
    assert_int_equal(t.nodes_us, 15000); /* half of both ways */
    assert_int_equal(t.rejected, 0);
    for (size_t i = 0; i < 2; i++) /* each reaches one node alone: apart is better than no seat */
        m.rows[i][1 - i].reachable = m.rows[i][2].reachable = false;
    m.nodes[2].state = PLACE_DRAINING;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 0);
    assert_int_equal(m.seats[1].node, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_refused_while_seats_are_free),
        cmocka_unit_test(test_a_seat_each_on_more_nodes_than_are_looked_at),
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_terms_of_nodes_that_are_not_looked_at),
        cmocka_unit_test(test_figures_of_nodes_that_are_not_looked_at),
        cmocka_unit_test(test_pairs_are_asked_about_once),
        cmocka_unit_test(test_full_nodes_in_the_middle),
        cmocka_unit_test(test_nodes_that_do_not_reach_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
