/* link: berth_placement berth_core */
/* The rules of the placement engine, one by one. */
#include "placement_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_ladder(const struct place_seat *s, const char *want)
{
    char got[64] = "";

    for (size_t i = 0; i < s->n_ladder; i++) {
        static const char letters[] = "utsp";
        size_t len = strlen(got);

        got[len] = letters[s->ladder[i]];
        got[len + 1] = '\0';
    }
    assert_string_equal(got, want);
}

static void test_least_mean_wins(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_person(&w, "x");
    add_person(&w, "y");
    measure(&w, 0, 0, TRANSPORT_UDP, 10000);
    measure(&w, 0, 1, TRANSPORT_UDP, 40000);
    measure(&w, 1, 0, TRANSPORT_UDP, 90000);
    measure(&w, 1, 1, TRANSPORT_UDP, 20000);
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_COMMON);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.candidates[0].mean_rtt_us, 50000);
    assert_int_equal(w.candidates[1].mean_rtt_us, 30000);
    assert_int_equal(w.seats[0].rtt_us, 40000);
    assert_int_equal(w.seats[1].rtt_us, 20000);
    assert_true(place_compare(&w.p, &w.plan, 1, 0) < 0);
}

/* UDP blocked: what counts is the figure over TLS, though another node would be nearer over UDP. */
static void test_ranked_by_the_transport_really_used(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_person(&w, "x");
    measure(&w, 0, 0, TRANSPORT_UDP, -1);
    measure(&w, 0, 0, TRANSPORT_TLS, 70000);
    measure(&w, 0, 1, TRANSPORT_UDP, -1);
    measure(&w, 0, 1, TRANSPORT_TCP, -1);
    measure(&w, 0, 1, TRANSPORT_TLS, 50000);
    measure(&w, 0, 1, TRANSPORT_PROXY, 45000);
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.seats[0].rtt_us, 50000);
    assert_ladder(&w.seats[0], "sp");
}

static void test_first_reachable_transport_even_if_slower(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_person(&w, "x");
    measure(&w, 0, 0, TRANSPORT_TLS, 5000);
    measure(&w, 0, 0, TRANSPORT_UDP, 9000);
    decide(&w);
    assert_int_equal(w.seats[0].rtt_us, 9000);
    assert_ladder(&w.seats[0], "us");
}

static void test_node_out_of_reach_for_one_is_rejected(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_person(&w, "x");
    add_person(&w, "y");
    measure(&w, 0, 0, TRANSPORT_UDP, 1000);
    measure(&w, 0, 1, TRANSPORT_UDP, 80000);
    measure(&w, 1, 0, TRANSPORT_UDP, -1);
    measure(&w, 1, 0, TRANSPORT_TCP, -1);
    measure(&w, 1, 1, TRANSPORT_TCP, 80000);
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.candidates[0].rejected, PLACE_UNREACHABLE);
    assert_int_equal(w.candidates[0].n_unreachable, 1);
    assert_int_equal(w.candidates[0].unreachable[0], 1);
    assert_int_equal(w.candidates[0].mean_rtt_us, -1);
    assert_string_equal(place_reject_name(PLACE_UNREACHABLE), "unreachable_for");
}

/* A node that a report doesn't speak of is "don't know", told apart from "can't". */
static void test_unmeasured_is_not_unreachable(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "new");
    add_person(&w, "x");
    measure(&w, 0, 0, TRANSPORT_UDP, 1000);
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    assert_int_equal(w.candidates[1].rejected, PLACE_UNMEASURED);
    assert_int_equal(w.candidates[1].n_unmeasured, 1);
}

static void test_state_of_nodes(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "down")->state = PLACE_QUARANTINED;
    add_node(&w, "drained")->state = PLACE_DRAINING;
    add_node(&w, "theirs")->org = "globex";
    *add_node(&w, "udponly") =
        (struct place_node){.id = "udponly", .cluster = "c", .region = "eu", .transports = U};
    add_node(&w, "far");
    add_person(&w, "x");
    for (size_t n = 0; n < 5; n++)
        measure(&w, 0, n, TRANSPORT_TLS, n == 4 ? 200000 : 1000);
    w.p.policy.transports = S;
    decide(&w);
    assert_int_equal(w.plan.node, 4);
    assert_int_equal(w.candidates[0].rejected, PLACE_UNHEALTHY);
    assert_int_equal(w.candidates[1].rejected, PLACE_DRAINED);
    assert_int_equal(w.candidates[2].rejected, PLACE_OTHER_ORG);
    assert_int_equal(w.candidates[3].rejected, PLACE_NO_TRANSPORT | PLACE_UNREACHABLE);
}

static void test_policy_regions_and_private(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "cloud-eu");
    add_node(&w, "mesh-eu")->org = "acme";
    add_node(&w, "mesh-us");
    w.nodes[2].org = "acme";
    w.nodes[2].region = "us";
    add_person(&w, "x");
    for (size_t n = 0; n < 3; n++)
        measure(&w, 0, n, TRANSPORT_UDP, 1000 * (int64_t)(n + 1));
    w.allow[0] = "eu";
    w.p.policy.n_allow = 1;
    w.p.policy.private_only = true;
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.candidates[0].rejected, PLACE_NOT_PRIVATE);
    assert_int_equal(w.candidates[2].rejected, PLACE_REGION);
    w.deny[0] = "eu";
    w.p.policy.n_deny = 1;
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_NO_REGION);
    assert_int_equal(w.seats[0].node, PLACE_NONE);
    w.p.policy.n_deny = 0;
    w.nodes[1].state = PLACE_QUARANTINED;
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_NO_NODE);
}

static void test_no_nodes_at_all(void **state)
{
    struct world w;

    world_init(&w);
    add_person(&w, "x");
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_NO_NODE);
    assert_int_equal(w.seats[0].node, PLACE_NONE);
}

static void test_capacity_counts_those_who_would_move(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "near")->capacity = 3;
    add_node(&w, "far");
    w.nodes[0].assigned = 2;
    for (size_t i = 0; i < 2; i++) {
        add_person(&w, i ? "y" : "x");
        measure(&w, i, 0, TRANSPORT_UDP, 1000);
        measure(&w, i, 1, TRANSPORT_UDP, 90000);
    }
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.candidates[0].rejected, PLACE_FULL);
    w.people[0].present = 0; /* one of the two is there already: a single seat is wanted */
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.people[1].present = 0; /* nobody moves: even an overfull node keeps them */
    w.nodes[0].assigned = 5;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
}

static void test_no_report_goes_where_the_others_are(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_person(&w, "x");
    add_person(&w, "silent")->capabilities = T | S;
    measure(&w, 0, 0, TRANSPORT_UDP, 30000);
    measure(&w, 0, 1, TRANSPORT_UDP, 20000);
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.candidates[1].mean_rtt_us, 20000);
    assert_int_equal(w.seats[1].node, 1);
    assert_int_equal(w.seats[1].rtt_us, -1);
    assert_ladder(&w.seats[1], "ts");
    w.nodes[1].transports = U; /* nothing that the silent one could use */
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    assert_int_equal(w.candidates[1].rejected, PLACE_UNREACHABLE);
}

static void test_nobody_has_a_report(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "mesh")->org = "acme";
    add_node(&w, "busy")->load = 0.9;
    add_node(&w, "idle")->load = 0.1;
    add_person(&w, "x");
    decide(&w);
    assert_int_equal(w.plan.node, 2);
    assert_ladder(&w.seats[0], "utsp");
    w.p.present = w.people[0].present = 1; /* a change of load moves nobody */
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.p.policy.private_only = true;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
}

static void test_ties(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "b");
    add_node(&w, "a");
    add_node(&w, "c")->load = 0.5;
    add_person(&w, "x");
    for (size_t n = 0; n < 3; n++)
        measure(&w, 0, n, TRANSPORT_UDP, 1000);
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    w.nodes[1].load = 0.2;
    decide(&w);
    assert_int_equal(w.plan.node, 0);
    w.p.present = 2;
    decide(&w);
    assert_int_equal(w.plan.node, 2);
}

static void test_capabilities_are_respected(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_person(&w, "x")->capabilities = U | T;
    measure(&w, 0, 0, TRANSPORT_TLS, 1000);
    measure(&w, 0, 0, TRANSPORT_PROXY, 1000);
    measure(&w, 0, 1, TRANSPORT_TCP, 60000);
    measure(&w, 0, 1, TRANSPORT_TLS, 2000);
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.candidates[0].rejected, PLACE_UNREACHABLE);
    assert_ladder(&w.seats[0], "t");
}

static void test_no_common_node(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_node(&w, "c");
    add_person(&w, "old")->present = 0;
    add_person(&w, "new");
    measure(&w, 0, 0, TRANSPORT_UDP, 5000);
    measure(&w, 1, 0, TRANSPORT_UDP, -1);
    measure(&w, 1, 1, TRANSPORT_TCP, 9000);
    measure(&w, 1, 2, TRANSPORT_TCP, 7000);
    w.p.present = 0;
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_NO_COMMON);
    assert_int_equal(w.seats[0].node, 0);
    assert_int_equal(w.seats[1].node, 2);
    assert_ladder(&w.seats[1], "t");
    w.nodes[2].capacity = w.nodes[2].assigned = 1;
    decide(&w);
    assert_int_equal(w.seats[1].node, 1);
    w.nodes[1].state = PLACE_DRAINING;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    assert_int_equal(w.seats[1].node, PLACE_NONE);
}

/* Reports that are older than every node: what nobody knows is tried, all of them on the same one. */
static void test_only_nodes_that_nobody_measured(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "old")->state = PLACE_QUARANTINED;
    add_node(&w, "new-a")->load = 0.5;
    add_node(&w, "new-b");
    add_person(&w, "x");
    add_person(&w, "y")->capabilities = T | S;
    measure(&w, 0, 0, TRANSPORT_UDP, 5000);
    measure(&w, 1, 0, TRANSPORT_UDP, 5000);
    decide(&w);
    assert_int_equal(w.plan.outcome, PLACE_COMMON);
    assert_int_equal(w.seats[0].node, 2);
    assert_int_equal(w.seats[0].rtt_us, -1);
    assert_ladder(&w.seats[0], "utsp");
    assert_int_equal(w.seats[1].node, 2);
    assert_ladder(&w.seats[1], "ts");
    w.people[0].present = 1; /* company counts more than load */
    decide(&w);
    assert_int_equal(w.seats[0].node, 1);
    assert_int_equal(w.seats[1].node, 1);
    measure(&w, 1, 2, TRANSPORT_TCP, 90000); /* what was measured comes first */
    decide(&w);
    assert_int_equal(w.seats[1].node, 2);
    measure(&w, 0, 1, TRANSPORT_UDP, -1); /* known to fail: not stayed on, not tried */
    decide(&w);
    assert_int_equal(w.seats[0].node, 2);
}

static void test_reachable_without_figure(void **state)
{
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    add_node(&w, "b");
    add_person(&w, "x");
    w.people[0].measured = true;
    w.people[0].n_rows = 2;
    w.rows[0][0] = (struct place_row){.node = 0, .transport = TRANSPORT_UDP, .reachable = true, .rtt_us = -1};
    w.rows[0][1] =
        (struct place_row){.node = 1, .transport = TRANSPORT_UDP, .reachable = true, .rtt_us = 300000};
    decide(&w);
    assert_int_equal(w.plan.node, 1);
    assert_int_equal(w.candidates[0].mean_rtt_us, PLACE_RTT_UNKNOWN_US);
}

static void test_names_a_few_of_many(void **state)
{
    enum { MANY = 40 };
    static char names[MANY][8];
    static struct place_participant people[MANY];
    static struct place_row row = {.node = 0, .transport = TRANSPORT_UDP};
    static struct place_seat seats[MANY];
    _Alignas(16) static unsigned char work[4 * WORK];
    struct world w;

    world_init(&w);
    add_node(&w, "a");
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "p%02zu", (i * 17 + 5) % MANY);
        people[i] = (struct place_participant){.agent = names[i],
                                               .measured = true,
                                               .capabilities = TRANSPORTS_ALL,
                                               .n_rows = 1,
                                               .rows = &row,
                                               .present = PLACE_NONE};
    }
    w.p.participants = people;
    w.p.n_participants = MANY;
    w.plan.seats = seats;
    w.plan.work = work;
    assert_true(place_work_size(1, MANY) <= sizeof work);
    decide(&w);
    assert_int_equal(w.candidates[0].n_unreachable, MANY);
    for (size_t k = 0; k < PLACE_NAMED; k++) {
        assert_int_equal(atoi(people[w.candidates[0].unreachable[k]].agent + 1), (int)k);
    }
    assert_int_equal(w.plan.outcome, PLACE_NO_NODE);
}

static void test_every_rejection_has_a_name(void **state)
{
    for (unsigned i = 0; i < PLACE_REJECTS; i++) {
        assert_string_not_equal(place_reject_name((enum place_reject)(1u << i)), "unknown");
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(place_reject_name((enum place_reject)(1u << i)),
                                    place_reject_name((enum place_reject)(1u << k)));
    }
    assert_string_equal(place_reject_name((enum place_reject)0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_mean_wins),
        cmocka_unit_test(test_ranked_by_the_transport_really_used),
        cmocka_unit_test(test_first_reachable_transport_even_if_slower),
        cmocka_unit_test(test_node_out_of_reach_for_one_is_rejected),
        cmocka_unit_test(test_unmeasured_is_not_unreachable),
        cmocka_unit_test(test_state_of_nodes),
        cmocka_unit_test(test_policy_regions_and_private),
        cmocka_unit_test(test_no_nodes_at_all),
        cmocka_unit_test(test_capacity_counts_those_who_would_move),
        cmocka_unit_test(test_no_report_goes_where_the_others_are),
        cmocka_unit_test(test_nobody_has_a_report),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_capabilities_are_respected),
        cmocka_unit_test(test_no_common_node),
        cmocka_unit_test(test_only_nodes_that_nobody_measured),
        cmocka_unit_test(test_reachable_without_figure),
        cmocka_unit_test(test_names_a_few_of_many),
        cmocka_unit_test(test_every_rejection_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
