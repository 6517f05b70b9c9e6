/* link: berth_placement berth_core */
/* Seats that are scarce: who has another makes room for who has none; and small things that decide whether one node serves all. */
#include "placement_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NO = -1 };

/* So many seats are left on each of the first nodes; -1: no limit. */
static void begin(struct world *w, size_t n, const int64_t *seats)
{
    static const char *const ids[] = {"n0", "n1", "n2", "n3"};

    world_init(w);
    for (size_t v = 0; v < n; v++)
        add_node(w, ids[v])->capacity = seats[v] == 0 ? 1 : seats[v] < 0 ? 0 : seats[v];
    for (size_t v = 0; v < n; v++)
        w->nodes[v].assigned = seats[v] == 0;
}

static void come(struct world *w, const char *name, const int64_t *ms)
{
    size_t i = w->p.n_participants;

    add_person(w, name);
    for (size_t v = 0; v < w->p.n_nodes; v++)
        measure(w, i, v, TRANSPORT_UDP, ms[v] < 0 ? -1 : ms[v] * 1000);
}

static void all_sit(struct world *w)
{
    for (int best = 0; best < 2; best++) {
        if (best)
            place_decide_best(&w->p, &w->plan);
        else
            decide(w);
        for (size_t i = 0; i < w->p.n_participants; i++)
            assert_int_not_equal(w->seats[i].node, PLACE_NONE);
    }
}

static void test_who_has_another_makes_room(void **state)
{
    struct world w;

    begin(&w, 2, (const int64_t[]){1, -1});
    come(&w, "any", (const int64_t[]){10, 50});
    come(&w, "one", (const int64_t[]){10, NO});
    all_sit(&w);
    begin(&w, 3, (const int64_t[]){-1, -1, 2});
    come(&w, "p0", (const int64_t[]){50, NO, 10});
    come(&w, "p1", (const int64_t[]){NO, 100, 50});
    come(&w, "p2", (const int64_t[]){NO, NO, 100});
    all_sit(&w);
}

/* "c" can sit on n0 only, whose guest can go to n1 only, whose guest can go to n2. */
static void test_room_is_made_in_a_chain(void **state)
{
    struct world w;

    begin(&w, 3, (const int64_t[]){1, 1, 1});
    come(&w, "a", (const int64_t[]){5, 60, NO});
    come(&w, "b", (const int64_t[]){NO, 5, 60});
    come(&w, "c", (const int64_t[]){40, NO, NO});
    all_sit(&w);
    begin(&w, 3, (const int64_t[]){1, 1, 0});
    come(&w, "a", (const int64_t[]){5, 60, NO});
    come(&w, "b", (const int64_t[]){NO, 5, 60});
    come(&w, "c", (const int64_t[]){40, NO, NO});
    decide(&w); /* two seats for three */
    assert_int_equal((w.seats[0].node == PLACE_NONE) + (w.seats[1].node == PLACE_NONE) +
                         (w.seats[2].node == PLACE_NONE),
                     1);
}

/* Nobody who is settled is moved for somebody else. */
static void test_who_is_settled_makes_no_room(void **state)
{
    struct world w;

    begin(&w, 2, (const int64_t[]){1, -1});
    come(&w, "any", (const int64_t[]){10, 50});
    come(&w, "one", (const int64_t[]){10, NO});
    w.people[0].present = w.p.present = 0;
    w.nodes[0].assigned = 1;
    decide(&w);
    assert_int_equal(w.seats[0].node, 0);
    assert_int_equal(w.seats[1].node, PLACE_NONE);
}

/* "a" is sent back from n0, as a further node gains too little; its seat is the only one for "b". */
static void test_a_seat_that_is_given_up_is_given_on(void **state)
{
    struct world w;
    int32_t between[] = {0, 3000, 3000, 0};

    begin(&w, 2, (const int64_t[]){1, -1});
    come(&w, "a", (const int64_t[]){10, 17});
    come(&w, "b", (const int64_t[]){10, NO});
    come(&w, "s", (const int64_t[]){300, 200});
    w.p.node_rtt_us = between;
    w.people[2].present = w.p.present = 1;
    w.nodes[1].assigned = 1;
    all_sit(&w);
}

/* A better figure for the worst-off is no reason to leave somebody without a seat. */
static void test_the_cap_unseats_nobody(void **state)
{
    struct world w;
    int32_t between[] = {0, 32000, 32000, 0};

    begin(&w, 2, (const int64_t[]){2, 2});
    w.nodes[0].assigned = w.nodes[1].assigned = 1;
    w.nodes[0].load = 0.97;
    w.p.node_rtt_us = between;
    come(&w, "p0", (const int64_t[]){NO, 78});
    come(&w, "p1", (const int64_t[]){57, 175});
    add_person(&w, "p2");
    w.people[0].measured = false;
    w.people[0].confidence_pct = 98;
    w.people[0].present = 0;
    w.p.present = 1;
    w.p.policy.cap_worst = true;
    all_sit(&w);
}

/* Three are on n0; the newest report of one lost its single probe to it, or says nothing of it. It serves all still. */
static void test_one_lost_probe_leaves_the_common_node(void **state)
{
    struct world w;

    for (int silent = 0; silent < 2; silent++) {
        begin(&w, 2, (const int64_t[]){-1, -1});
        for (size_t i = 0; i < 3; i++) {
            static const char *const names[] = {"a", "b", "c"};

            come(&w, names[i], (const int64_t[]){10, 60});
            w.people[i].present = 0;
        }
        w.p.present = 0;
        w.rows[2][0] = (struct place_row){.node = silent ? 1 : 0, .samples = 1, .lost = 1, .rtt_us = -1};
        decide(&w);
        assert_int_equal(w.plan.outcome, PLACE_COMMON);
        assert_int_equal(w.plan.node, 0);
        assert_int_equal(w.candidates[0].rejected, 0);
    }
}

/* Nothing was lost where nothing was sent: what failed for somebody lately is told so. */
static void test_a_failure_is_no_lost_probe(void **state)
{
    struct world w;

    begin(&w, 2, (const int64_t[]){-1, -1});
    come(&w, "a", (const int64_t[]){10, 15});
    w.people[0].present = w.p.present = 0;
    w.rows[0][0].samples = 1;
    w.rows[0][0].reachable = false;
    decide(&w);
    assert_int_equal(w.seats[0].node, 1);
    assert_int_equal(w.seats[0].reason, PLACE_WHY_FORCED);
}

/* Every rung is tried, as it may be wrong; the figure is TLS's, and told so. */
static void test_a_prediction_is_of_one_transport(void **state)
{
    struct place_terms t;
    struct world w;

    begin(&w, 1, (const int64_t[]){-1});
    add_person(&w, "new");
    measure(&w, 0, 0, TRANSPORT_UDP, -1);
    measure(&w, 0, 0, TRANSPORT_TLS, 40000);
    w.people[0].measured = false;
    w.people[0].confidence_pct = 90;
    decide(&w);
    assert_int_equal(w.seats[0].rtt_us, 40000);
    assert_int_equal(w.seats[0].n_ladder, TRANSPORT_COUNT);
    assert_int_equal(w.seats[0].ladder[0], TRANSPORT_UDP);
    assert_int_equal(w.seats[0].via, TRANSPORT_TLS);
    place_terms(&w.p, &w.plan, 0, 0, &t);
    assert_int_equal(t.via, TRANSPORT_TLS);
}

/* The greatest preference there can be, and the only other node is the last resort: a seat is better than none. */
static void test_a_preference_costs_nobody_the_seat(void **state)
{
    struct world w;

    begin(&w, 2, (const int64_t[]){1, -1});
    w.nodes[0].org = "acme";
    come(&w, "a", (const int64_t[]){2, 30});
    come(&w, "b", (const int64_t[]){2, 30});
    w.people[1].n_rows = 1; /* its report speaks of the mesh node alone */
    w.p.policy.mesh_within_us = 60000000;
    all_sit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_has_another_makes_room),
        cmocka_unit_test(test_room_is_made_in_a_chain),
        cmocka_unit_test(test_who_is_settled_makes_no_room),
        cmocka_unit_test(test_a_seat_that_is_given_up_is_given_on),
        cmocka_unit_test(test_the_cap_unseats_nobody),
        cmocka_unit_test(test_one_lost_probe_leaves_the_common_node),
        cmocka_unit_test(test_a_failure_is_no_lost_probe),
        cmocka_unit_test(test_a_prediction_is_of_one_transport),
        cmocka_unit_test(test_a_preference_costs_nobody_the_seat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
