/* link: test_media_joined */
/* Several engines joined by links that they have dialled, with the dialler's real end of the handshake: whoever
 * comes, goes, dials or loses a link in whatever order, each receiver gets each packet once. */
#include "check.h"

#include "support/media/joined.h"

static void test_two(void **state)
{
    (void)state;
    for (size_t from = 0; from < 2; from++) {
        struct joined *w = joined_begin(2, 2, 1);
        joined_plan_all(w);
        joined_join(w, 0, 0);
        joined_join(w, 1, 0);
        joined_dial(w, from, 1 - from);
        assert_true(joined_is_up(w, 0, 1));
        joined_talk(w, true);
        joined_pass(w, 20 * 1000 * 1000); /* consent is asked for, and RTCP goes both ways */
        assert_true(joined_is_up(w, 0, 1));
        joined_talk(w, true);
        joined_end(w);
    }
}

/* Whichever comes first, node 0's stays, and nothing is sent twice. */
static void test_both_dial(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        struct joined *w = joined_begin(2, 2, 2);
        joined_plan_all(w);
        joined_join(w, 0, 0);
        joined_join(w, 1, 0);
        joined_dial(w, first, 1 - first);
        joined_talk(w, true);
        joined_dial(w, 1 - first, first);
        joined_pass(w, 2 * JOINED_STEP_US);
        joined_talk(w, true);
        size_t links = 0;
        for (size_t i = 0; i < JOINED_WIRES; i++) {
            if (!w->wires[i].leg)
                continue;
            assert_int_equal(w->wires[i].from, 0);
            links++;
        }
        assert_int_equal(links, 1);
        joined_end(w);
    }
}

static void test_not_planned(void **state)
{
    (void)state;
    struct joined *w = joined_begin(2, 2, 3);
    joined_plan_all(w);
    joined_join(w, 0, 0);
    joined_join(w, 1, 0);
    joined_dial(w, 0, 1);
    joined_talk(w, true);
    w->planned[1] = false;
    joined_use_plan(w, 0); /* here only: the link ends, and the other node is told */
    joined_settle(w);
    assert_false(joined_is_up(w, 0, 1));
    joined_talk(w, true);
    joined_dial(w, 0, 1); /* the other still takes it; the home here doesn't */
    joined_pass(w, JOINED_STEP_US);
    assert_false(joined_is_up(w, 0, 1));
    joined_plan_all(w);
    joined_dial(w, 0, 1);
    assert_false(joined_is_up(w, 0, 1));
    joined_end(w);
}

static void test_a_node_that_starts_again(void **state)
{
    (void)state;
    struct joined *w = joined_begin(2, 2, 4);
    joined_plan_all(w);
    joined_join(w, 0, 0);
    joined_join(w, 1, 0);
    joined_dial(w, 0, 1);
    joined_talk(w, true);
    w->age[1]++; /* and with it its key */
    joined_use_plan(w, 1);
    joined_dial(w, 1, 0); /* refused: node 0 doesn't know of it yet, and asks */
    assert_int_equal(w->nodes[0].sim.old_plans, 1);
    joined_use_plan(w, 0);
    joined_dial_all(w);
    assert_true(joined_is_up(w, 0, 1));
    joined_talk(w, true);
    joined_end(w);
}

/* A link that falls and comes back: whoever hears a source hears no number again. */
static void test_a_link_falls_and_returns(void **state)
{
    (void)state;
    struct joined *w = joined_begin(2, 2, 5);
    joined_plan_all(w);
    joined_join(w, 0, 0);
    joined_join(w, 1, 0);
    joined_dial(w, 0, 1);
    for (int i = 0; i < 20; i++) {
        joined_talk(w, true);
        joined_cut(&w->wires[0]);
        joined_pass(w, JOINED_STEP_US);
        joined_dial_all(w);
        assert_true(joined_is_up(w, 0, 1));
    }
    for (size_t i = 0; i < 2; i++) {
        const struct sim_agent *a = w->nodes[i].people[0];
        assert_false(sim_stream(a, w->nodes[1 - i].people[0]->ssrc)->jumped);
    }
    joined_end(w);
}

/* The ticket by which a link was made expires: the link stays. When the other node has lost the session, a newer
 * ticket makes another one; with the old one it is refused, which has the node ask for tickets, and dial again. */
static void test_a_ticket_that_expires(void **state)
{
    (void)state;
    for (int renewed = 0; renewed < 2; renewed++) {
        struct joined *w = joined_begin(2, 2, 8);
        joined_plan_all(w);
        joined_join(w, 0, 0);
        joined_join(w, 1, 0);
        joined_dial(w, 0, 1);
        joined_talk(w, true);
        for (size_t i = 0; i < 2; i++)
            w->nodes[i].sim.now_s += 3600;
        joined_pass(w, 30 * 1000 * 1000);
        joined_talk(w, true);
        assert_int_equal(w->refusal, 0);
        if (renewed) {
            struct ticket_grant g = joined_grant_of(w, 0);
            media_leg_set_grant(w->wires[0].leg, &g);
        }
        media_home_set_plan(w->nodes[1].sim.home, NULL);
        joined_use_plan(w, 1);
        joined_pass(w, 10 * 1000 * 1000);
        assert_int_equal(w->refusal, renewed ? 0 : 401);
        assert_int_equal(joined_is_up(w, 0, 1), renewed);
        if (!renewed)
            joined_dial(w, 0, 1);
        joined_talk(w, true);
        for (size_t i = 0; i < 2; i++)
            assert_false(sim_stream(w->nodes[i].people[0], w->nodes[1 - i].people[0]->ssrc)->jumped);
        joined_end(w);
    }
}

/* The next consent check's answer says that the SSRC isn't heard: it takes another. */
static void change_ssrc(struct sim_agent *a)
{
    struct media_news news;
    assert_int_equal(sim_consent(a, false, (struct slice){NULL, 0}, &news), 0);
    assert_int_equal(news.n_refused, 1);
    assert_int_equal(news.refused[0], a->ssrc);
    a->ssrc += 0x100;
}

/* Two have begun the same SSRC before their nodes, or the hub between these, knew of both: each learns that it isn't
 * heard everywhere. */
static void collide(size_t nodes, size_t hub)
{
    struct joined *w = joined_begin(nodes, hub, 6);
    joined_plan_all(w);
    struct sim_agent *people[2];
    for (size_t i = 0; i < 2; i++) {
        joined_join(w, nodes - 1 - i, 0);
        people[i] = w->nodes[nodes - 1 - i].people[0];
        people[i]->ssrc = 0x10000;
        sim_send(people[i], 100);
    }
    joined_dial_all(w);
    for (int round = 0; round < 15; round++) {
        joined_talk(w, false);
        joined_pass(w, JOINED_STEP_US);
    }
    change_ssrc(people[0]);
    change_ssrc(people[1]);
    people[1]->ssrc += 0x100;
    joined_talk(w, true);
    joined_end(w);
}

static void test_collisions(void **state)
{
    (void)state;
    collide(2, 2);
    collide(3, 0);
}

static void random_event(struct joined *w)
{
    size_t i = check_random(&w->random) % w->n, seat = check_random(&w->random) % JOINED_PEOPLE;
    switch (check_random(&w->random) % 7) {
    case 0:
    case 1:
        joined_join(w, i, seat);
        break;
    case 2:
        joined_leave(w, i, seat);
        break;
    case 3:
        joined_cut(&w->wires[check_random(&w->random) % 8]);
        break;
    case 4:
        if (i != w->hub)
            w->planned[i] = !w->planned[i];
        break;
    case 5:
        joined_use_plan(w, i); /* one hears of it before the others */
        break;
    default: {
        size_t to = (i + 1 + check_random(&w->random) % (w->n - 1)) % w->n;
        if (joined_are_linked(w, i, to))
            joined_dial(w, i, to);
        break;
    }
    }
    joined_settle(w);
}

static void run_random(size_t n, size_t hub)
{
    enum { RUNS = 15, EVENTS = 60 };
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct joined *w = joined_begin(n, hub, seed);
        joined_plan_all(w);
        for (int e = 0; e < EVENTS; e++) {
            random_event(w);
            joined_talk(w, false);
            if (e % 6 != 5)
                continue;
            joined_plan_all(w);
            joined_dial_all(w);
            joined_talk(w, true);
        }
        joined_end(w);
    }
}

static void test_random_of_three(void **state)
{
    (void)state;
    run_random(3, 3);
}

static void test_random_of_a_hub_and_leaves(void **state)
{
    (void)state;
    run_random(4, 0);
    run_random(4, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_both_dial),
        cmocka_unit_test(test_not_planned),
        cmocka_unit_test(test_a_node_that_starts_again),
        cmocka_unit_test(test_a_link_falls_and_returns),
        cmocka_unit_test(test_a_ticket_that_expires),
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_random_of_three),
        cmocka_unit_test(test_random_of_a_hub_and_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
