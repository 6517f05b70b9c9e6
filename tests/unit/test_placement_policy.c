/* link: berth_placement berth_core */
/* What makes a node dearer or cheaper than its round trip: mesh, load, room, state, weights, predictions; and what is told of it. */
#include "placement_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Node 0 a mesh node of the org 40 ms away, node 1 a cloud node 10 ms away, one participant. */
static void office(struct world *w)
{
    world_init(w);
    add_node(w, "office")->org = "acme";
    add_node(w, "cloud");
    add_person(w, "x");
    measure(w, 0, 0, TRANSPORT_UDP, 40000);
    measure(w, 0, 1, TRANSPORT_UDP, 10000);
}

static void test_mesh_goes_before_cloud_within_the_threshold(void **state)
{
    struct world w;

    office(&w);
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_NO);
    assert_int_equal(w.plan.latency_us, 20000);
    w.p.policy.mesh_within_us = -1;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_NO);
    w.p.policy.mesh_within_us = 30000;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_FAR);
}

/* The mesh has room again: that is no gain in latency, and nobody is moved without one. */
static void test_nobody_is_moved_for_the_mesh_alone(void **state)
{
    struct world w;

    office(&w);
    w.people[0].present = w.p.present = 1;
    decide(&w);
    assert_int_equal(w.seats[0].node, 1);
    assert_int_equal(w.seats[0].reason, PLACE_WHY_STAYS);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_NOT_MOVED);
    w.rows[0][0].rtt_us = 1000; /* a mesh node that is nearer by more than a move must gain */
    w.rows[0][1].rtt_us = 60000;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    assert_int_equal(w.seats[0].reason, PLACE_WHY_MOVED);
    assert_in_range(w.seats[0].gain_us, 29400, 29500);
    w.rows[0][1].rtt_us = 1000; /* who is on the mesh isn't moved to the cloud within the threshold */
    w.rows[0][0].rtt_us = 60000;
    w.people[0].present = w.p.present = 0;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
}

/* Its cloud node goes: then the mesh comes first again. */
static void test_who_must_move_gets_the_mesh(void **state)
{
    struct world w;

    office(&w);
    add_node(&w, "cloud-2");
    measure(&w, 0, 2, TRANSPORT_UDP, 5000);
    w.people[0].present = w.p.present = 1;
    w.nodes[1].state = PLACE_DRAINING;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    assert_int_equal(w.seats[0].reason, PLACE_WHY_FORCED);
}

/* "old" is on node 0. The last seat of node 1 would gain "any" a little, and is the only one for "one". */
static void test_a_seat_that_is_given_up_goes_to_who_needs_it(void **state)
{
    struct world w;
    int32_t between[] = {0, 1000, 1000, 0};

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b")->capacity = 1;
    w.p.node_rtt_us = between;
    add_person(&w, "any");
    add_person(&w, "old")->present = 0;
    add_person(&w, "one");
    for (size_t i = 0; i < 3; i++) {
        measure(&w, i, 0, TRANSPORT_UDP, i < 2 ? 20000 : -1);
        measure(&w, i, 1, TRANSPORT_UDP, i == 0 ? 15000 : 20000);
    }
    w.p.present = 0;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    assert_int_equal(w.seats[1].node, 0);
    assert_int_equal(w.seats[2].node, 1);
}

static void test_overflow_says_why_and_what_to_do(void **state)
{
    struct world w;

    office(&w);
    w.nodes[0].capacity = w.nodes[0].assigned = 5;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_FULL);
    w.nodes[0].state = PLACE_QUARANTINED;
    decide(&w);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_DOWN);
    w.nodes[0].state = PLACE_IN_SERVICE;
    w.people[0].failed = (const size_t[]){0};
    w.people[0].n_failed = 1;
    w.nodes[0].capacity = 0;
    decide(&w);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_UNREACHABLE);
    w.people[0].n_failed = 0;
    w.rows[0][0].reachable = false;
    decide(&w);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_UNREACHABLE);
    w.rows[0][0].reachable = true;
    w.nodes[0].load = 0.96;
    decide(&w);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_DEARER);
    w.nodes[0].load = 0;
    w.nodes[0].transports = T;
    w.p.policy.transports = U;
    decide(&w);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_NO_TRANSPORT);
    w.nodes[0].transports = w.p.policy.transports = TRANSPORTS_ALL;
    w.rows[0][0] = w.rows[0][1]; /* the report doesn't speak of the mesh node */
    decide(&w);
    assert_int_equal(w.seats[0].overflow, PLACE_OVERFLOW_UNMEASURED);
    assert_null(place_overflow_name(PLACE_OVERFLOW_NO));
    assert_null(place_overflow_remedy(PLACE_OVERFLOW_NO));
    for (int o = 1; o < PLACE_OVERFLOWS; o++) {
        assert_non_null(place_overflow_name((enum place_overflow)o));
        assert_non_null(place_overflow_remedy((enum place_overflow)o));
    }
    assert_null(place_overflow_name((enum place_overflow)PLACE_OVERFLOWS));
}

/* Nodes 0 and 1, the first nearer by so much. */
static void two(struct world *w, int64_t first, int64_t second)
{
    world_init(w);
    add_node(w, "a");
    add_node(w, "b");
    add_person(w, "x");
    measure(w, 0, 0, TRANSPORT_UDP, first);
    measure(w, 0, 1, TRANSPORT_UDP, second);
}

static void test_load_makes_dearer(void **state)
{
    struct world w;

    two(&w, 10000, 30000);
    w.nodes[0].load = 0.79;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.nodes[0].load = 0.94; /* half of the way from 80 % by the square, and more */
    w.rows[0][1].rtt_us = 20000;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.people[0].present = 0; /* whoever is there stays */
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
}

static void test_the_least_loaded_serves_when_all_are_overloaded(void **state)
{
    struct world w;

    two(&w, 10000, 90000);
    w.nodes[0].load = 0.99;
    w.nodes[1].load = 0.3;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_false(w.plan.overloaded);
    w.nodes[1].load = 0.97;
    w.rows[0][1].rtt_us = 10000;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_true(w.plan.overloaded);
    w.people[0].present = 1;
    decide(&w);
    assert_false(w.plan.overloaded); /* nobody came */
}

static void test_a_nearly_full_node_is_dearer(void **state)
{
    struct world w;

    two(&w, 10000, 25000);
    w.nodes[0].capacity = 100;
    w.nodes[0].assigned = 80;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.nodes[0].assigned = 98;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.rows[0][1].rtt_us = 100000;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.nodes[0].assigned = 100;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
}

static void test_room_for_bit_rate_and_expected_size(void **state)
{
    struct world w;

    two(&w, 10000, 25000);
    w.p.policy.bitrate_kbps = 2000;
    w.nodes[0].kbps_left = 1999;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.nodes[0].kbps_left = 2000;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.nodes[0].kbps_left = 0;
    w.nodes[0].capacity = 30;
    w.p.policy.expected_size = 50;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.p.policy.expected_size = 20;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
}

static void test_suspect_and_probation(void **state)
{
    struct world w;

    two(&w, 10000, 60000);
    w.nodes[0].state = PLACE_SUSPECT;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.people[0].present = 0; /* a missed heartbeat moves nobody */
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    w.people[0].present = PLACE_NONE;
    w.nodes[0].state = PLACE_PROBATION;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.rows[0][1].rtt_us = 20000;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
}

static void test_weights(void **state)
{
    struct world w;

    two(&w, 20000, 30000);
    w.nodes[1].weight = 2;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.seats[0].rtt_us, 30000);
    w.nodes[0].weight = 1000; /* 10 at most */
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.nodes[0].weight = 0.001;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
}

static void test_a_node_that_failed_is_not_offered_again(void **state)
{
    static const size_t failed[] = {0};
    struct world w;

    two(&w, 10000, 90000);
    w.people[0].present = 0;
    w.people[0].failed = failed;
    w.people[0].n_failed = 1;
    decide(&w);
    assert_int_equal(w.seats[0].node, 1);
    assert_int_equal(w.seats[0].reason, PLACE_WHY_FORCED);
    assert_int_equal(w.candidates[0].rejected, PLACE_FAILED);
}

/* x was measured, y is predicted, against x's wish: the more sure, the more it counts. */
static void test_a_prediction_counts_by_its_confidence(void **state)
{
    struct world w;

    two(&w, 10000, 30000);
    w.p.node_rtt_us = (const int32_t[]){0, 500000, 500000, 0};
    add_person(&w, "y");
    measure(&w, 1, 0, TRANSPORT_UDP, 60000);
    measure(&w, 1, 1, TRANSPORT_UDP, 10000);
    w.people[1].measured = false;
    w.people[1].confidence_pct = 90;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.people[1].confidence_pct = 20;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.people[1].confidence_pct = 0; /* no prediction at all */
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    assert_int_equal(w.seats[1].reason, PLACE_WHY_COMPANY);
}

/* a is full; x's prediction speaks of b, not of c, which is all but full: what c's load costs counts for it all the same, and whole. */
static void test_a_prediction_leaves_load_as_it_is(void **state)
{
    struct world w;

    world_init(&w);
    for (size_t v = 0; v < 3; v++)
        add_node(&w, (const char *[]){"a", "b", "c"}[v]);
    w.nodes[0].capacity = w.nodes[0].assigned = 1;
    w.nodes[2].load = 0.97;
    add_person(&w, "x");
    measure(&w, 0, 0, TRANSPORT_UDP, 20000);
    measure(&w, 0, 1, TRANSPORT_UDP, 60000);
    w.people[0].measured = false;
    w.people[0].confidence_pct = 50;
    decide(&w);
    assert_int_equal(w.seats[0].node, 1);
    measure(&w, 0, 2, TRANSPORT_UDP, 10000); /* were it spoken of, and by one who is hardly sure */
    w.people[0].confidence_pct = 1;
    decide(&w);
    assert_int_equal(w.seats[0].node, 1);
}

/* What did not work for others is dearer for newcomers, and whoever is there stays. */
static void test_failures_make_a_node_dearer(void **state)
{
    struct place_terms t;
    struct world w;

    two(&w, 10000, 18000);
    w.nodes[0].failures = 2;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.failures_us, 5000);
    w.nodes[0].failures = 1000; /* it has an end */
    decide(&w);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.failures_us, 25000);
    w.people[0].present = 0;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.failures_us, 0);
}

/* A newcomer gives way where it has another node; whoever is there pays nothing and stays. */
static void test_a_seat_that_others_need_more_is_dearer(void **state)
{
    struct place_terms t;
    struct world w;

    two(&w, 10000, 18000);
    w.nodes[0].seat_us = 9000;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.load_us, 4500);
    w.people[0].present = 0;
    w.nodes[0].seat_us = 100000;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.load_us, 0);
    w.people[0].present = PLACE_NONE;
    w.nodes[0].seat_us = -5; /* no seat is cheaper for it, and none dearer than the most */
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.nodes[0].seat_us = INT32_MAX;
    decide(&w);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.load_us, 50000);
}

/* Over TCP a node must be 20 ms nearer to be taken before one that UDP reaches. */
static void test_a_stream_carries_a_penalty(void **state)
{
    struct place_terms t;
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_person(&w, "x");
    measure(&w, 0, 0, TRANSPORT_TCP, 10000);
    measure(&w, 0, 1, TRANSPORT_UDP, 29000);
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.rtt_us, 5000);
    assert_int_equal(t.transport_us, 10000);
    assert_int_equal(t.cost_us, 15000);
    w.rows[0][1].rtt_us = 31000;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
}

/* Nodes that don't know each other: participants bound the way between them. */
static void test_ways_between_nodes_are_estimated(void **state)
{
    struct place_terms t;
    struct world w;

    two(&w, 10000, 90000);
    add_person(&w, "y");
    measure(&w, 1, 0, TRANSPORT_UDP, 80000);
    measure(&w, 1, 1, TRANSPORT_UDP, 20000);
    decide(&w);
    place_terms(&w.p, &w.plan, 0, 1 - w.seats[1].node, &t);
    assert_int_equal(t.nodes_us, (80000 + (100000 - 80000) * 3 / 4) / 2); /* from 80 to 100 ms */
    w.p.node_rtt_us = (const int32_t[]){0, -1, 30000, 0};
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_JOINED);
    assert_int_equal(w.plan.latency_us, (10000 + 20000 + 30000) / 2);
}

/* A world's ways as somebody tells them who is asked: triangles over three nodes, by row. */
struct asked {
    const int32_t *measured, *guessed;
};

static int32_t ask_measured(const void *of, size_t a, size_t b)
{
    return ((const struct asked *)of)->measured[a * 3 + b];
}

static int32_t ask_guessed(const void *of, size_t a, size_t b)
{
    return ((const struct asked *)of)->guessed[a * 3 + b];
}

/* What was measured counts, else what third nodes say, else the place; without a place, 200 ms. */
static void test_ways_are_asked_for(void **state)
{
    static const int32_t near[] = {0, 20000, -1, 20000, 0, -1, -1, -1, 0},
                         third[] = {0, -1, 40000, -1, 0, 60000, 40000, 60000, 0},
                         none[9] = {-1, -1, -1, -1, -1, -1, -1, -1, -1},
                         places[] = {0, 70000, -1, 70000, 0, -1, -1, -1, 0};
    struct asked asked = {near, places};
    struct place_ways ways = {&asked, ask_measured, ask_guessed};
    struct place_terms t;
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_node(&w, "c");
    add_person(&w, "x");
    add_person(&w, "y");
    measure(&w, 0, 0, TRANSPORT_UDP, 10000); /* nobody has measured both a and b */
    measure(&w, 1, 1, TRANSPORT_UDP, 10000);
    w.p.ways = &ways;
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_NO_COMMON);
    assert_int_equal(w.plan.latency_us, (10000 + 10000 + 20000) / 2);
    asked.measured = third;
    decide(&w);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.nodes_us, (20000 + (100000 - 20000) * 3 / 4) / 2);
    asked.measured = none;
    decide(&w);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.nodes_us, 35000);
    ways.guessed = NULL;
    decide(&w);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.nodes_us, 100000);
}

static void test_names(void **state)
{
    for (int r = 0; r < PLACE_REASONS; r++)
        assert_string_not_equal(place_reason_name((enum place_reason)r), "unknown");
    assert_string_equal(place_reason_name((enum place_reason)PLACE_REASONS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh_goes_before_cloud_within_the_threshold),
        cmocka_unit_test(test_nobody_is_moved_for_the_mesh_alone),
        cmocka_unit_test(test_who_must_move_gets_the_mesh),
        cmocka_unit_test(test_a_seat_that_is_given_up_goes_to_who_needs_it),
        cmocka_unit_test(test_overflow_says_why_and_what_to_do),
        cmocka_unit_test(test_load_makes_dearer),
        cmocka_unit_test(test_the_least_loaded_serves_when_all_are_overloaded),
        cmocka_unit_test(test_a_nearly_full_node_is_dearer),
        cmocka_unit_test(test_room_for_bit_rate_and_expected_size),
        cmocka_unit_test(test_suspect_and_probation),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_a_node_that_failed_is_not_offered_again),
        cmocka_unit_test(test_a_prediction_counts_by_its_confidence),
        cmocka_unit_test(test_a_prediction_leaves_load_as_it_is),
        cmocka_unit_test(test_failures_make_a_node_dearer),
        cmocka_unit_test(test_a_seat_that_others_need_more_is_dearer),
        cmocka_unit_test(test_a_stream_carries_a_penalty),
        cmocka_unit_test(test_ways_between_nodes_are_estimated),
        cmocka_unit_test(test_ways_are_asked_for),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
