/* link: test_media */
/* Joined nodes, as the engine sees them: what passes over which links, whose the sources are, and what the plan changes. */
#include "check.h"

#include "media_links.h"

#include <string.h>

static const struct media_plan_meeting no_hub = {"acme", "m", 1, false, N_PEERS, peers},
                                       fewer = {"acme", "m", 2, true, 1, peers};
static const struct media_plan plain_plan = {.n_meetings = 1, .meetings = &no_hub},
                               fewer_plan = {.n_meetings = 1, .meetings = &fewer};

static void test_participants_go_to_all_links(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *links[N_PEERS];
    for (size_t i = 0; i < N_PEERS; i++)
        links[i] = link_to(s, i);
    assert_int_equal(s->legs, 2); /* links take no participant's seat */
    for (int i = 0; i < 10; i++)
        sim_send(a, 100);
    assert_int_equal(of(b, a->ssrc), 10);
    for (size_t i = 0; i < N_PEERS; i++) {
        assert_int_equal(of(links[i], a->ssrc), 10);
        assert_int_equal(links[i]->broken_in, 0);
        assert_true(told(links[i], a->ssrc) == media_owner(TICKET_PARTICIPANT, "p1"));
        links[i]->rtcp_len = 0;
    }
    for (int i = 0; i < 60; i++) {
        sim_pass(s, 20000);
        sim_send(a, 100);
    }
    assert_true(told(links[0], a->ssrc) ==
                media_owner(TICKET_PARTICIPANT, "p1")); /* and it goes on telling */
    assert_int_equal(a->rtp_in, 0);
}

static void test_what_links_bring(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *links[N_PEERS];
    for (size_t i = 0; i < N_PEERS; i++)
        links[i] = link_to(s, i);
    for (size_t from = 0; from < N_PEERS; from++) {
        uint32_t ssrc = 0x5000 + (uint32_t)from;
        tell(links[from], ssrc, "far");
        sim_send_as(links[from], ssrc, 1, 100);
        assert_int_equal(of(a, ssrc), 1);
        for (size_t to = 0; to < N_PEERS; to++) {
            bool passes = from != to && (peers[from].leaf || peers[to].leaf);
            assert_int_equal(of(links[to], ssrc), passes);
            if (passes)
                assert_true(told(links[to], ssrc) == media_owner(TICKET_PARTICIPANT, "far"));
        }
    }
    media_home_set_plan(s->home, &plain_plan); /* no hub any more: nothing from link to link */
    for (size_t from = 0; from < N_PEERS; from++)
        sim_send_as(links[from], 0x5000 + (uint32_t)from, 2, 100);
    assert_int_equal(a->rtp_in, 2 * N_PEERS);
    assert_int_equal(of(links[2], 0x5000), 1);
}

/* Whatever the others take for the hub, nothing crosses more than two links; where a node doesn't say how many, it goes on. */
static void test_no_packet_goes_round(void **state)
{
    struct sim *s = *state;
    static const struct {
        uint8_t hops, next; /* as told; as told on, 255: it isn't sent on */
        bool heard;
    } cases[] = {{0, 0, true}, {1, 2, true}, {2, 255, true}, {3, 255, false}, {255, 255, false}};
    struct sim_agent *a = sim_join(s, "m", 1), *leaf = link_to(s, 2), *other = link_to(s, 0);
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t ssrc = 0x5000 + i;
        uint8_t hops = 255;
        other->rtcp_len = 0;
        tell_over(leaf, ssrc, "far", cases[i].hops);
        sim_send_as(leaf, ssrc, 1, 100);
        assert_int_equal(of(a, ssrc), cases[i].heard);
        assert_int_equal(of(other, ssrc), cases[i].next != 255);
        sim_pass(s, 900000);
        sim_send_as(leaf, ssrc, 2, 100);
        sim_pass(s, 200000);
        assert_int_equal(told_over(other, ssrc, &hops) != 0, cases[i].next != 255);
        assert_int_equal(hops, cases[i].next);
    }
    uint8_t hops = 0;
    sim_send(a, 100);
    assert_true(told_over(other, a->ssrc, &hops) != 0);
    assert_int_equal(hops, 1);
}

/* A link's packets count for sources that it has told of, and for no local participant's. */
static void test_owners(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *n2 = link_to(s, 0);
    sim_send_as(n2, 0x5000, 1, 100);
    assert_int_equal(b->rtp_in, 0);
    sim_send(a, 100);
    tell(n2, a->ssrc, "thief");
    sim_send_as(n2, a->ssrc, 1, 100);
    assert_int_equal(of(b, a->ssrc), 1);
    tell(n2, 0x5000, "far");
    sim_send_as(n2, 0x5000, 2, 100);
    assert_int_equal(of(b, 0x5000), 1);
    sim_send_as(a, 0x5000, 1, 100); /* and no participant takes the other node's */
    assert_int_equal(of(b, 0x5000), 1);
    assert_int_equal(sim_stats(a).ssrc_refused, 1);
}

/* What another has here already is refused, and the other node is told; where it is another node that refuses, its
 * sender here is. */
static void test_collisions(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *n2 = link_to(s, 0), *leaf = link_to(s, 2);
    struct media_news news;
    sim_send(a, 100);
    tell(n2, a->ssrc, "far");
    assert_true(refused(n2, a->ssrc) == media_owner(TICKET_PARTICIPANT, "far"));
    assert_int_equal(refused(leaf, a->ssrc), 0);
    refuse(n2, a->ssrc, "far"); /* that isn't the one here */
    assert_int_equal(sim_consent(a, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, 0);
    refuse(n2, a->ssrc, "p1");
    assert_int_equal(sim_consent(a, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, 1);
    assert_int_equal(news.refused[0], a->ssrc);
    /* What has come over another link: that is told, and nobody who wasn't sent it has a say. */
    tell(leaf, 0x5000, "far");
    sim_send_as(leaf, 0x5000, 1, 100);
    refuse(leaf, 0x5000, "far");
    sim_pass(s, 1100000);
    assert_int_equal(refused(leaf, 0x5000), 0);
    refuse(n2, 0x5000, "far");
    sim_pass(s, 1100000);
    assert_true(refused(leaf, 0x5000) == media_owner(TICKET_PARTICIPANT, "far"));
    leaf->rtcp_len = 0; /* once for each time */
    sim_pass(s, 1100000);
    assert_int_equal(refused(leaf, 0x5000), 0);
}

/* No node has a participant change its SSRC without end. */
static void test_refused_without_end(void **state)
{
    enum { FIRST = 0x9000, EACH = MEDIA_LEG_SSRCS_MAX / 2, ROUNDS = 5 };
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *n2 = link_to(s, 0);
    struct media_news news;
    size_t n = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t ssrc = FIRST + round * EACH; ssrc < FIRST + (round + 1) * EACH; ssrc++) {
            sim_send_as(a, ssrc, 1, 100);
            refuse(n2, ssrc, "p1");
            refuse(n2, ssrc, "p1");
        }
        assert_int_equal(sim_consent(a, false, NONE, &news), 0);
        n += news.n_refused;
        sim_pass(s, SOURCE_SILENT_US + 1);
        assert_int_equal(sim_consent(n2, false, NONE, NULL), 0);
    }
    assert_int_equal(sim_stats(a).ssrc_refused, 0);
    assert_int_equal(n, LEG_REFUSED_AFAR_MAX);
}

/* "far" was on n2 and comes here, sending all the time; and goes back. The others hear one source whose numbers go on. */
static void test_moves(void **state)
{
    struct sim *s = *state;
    struct sim_agent *b = sim_join(s, "m", 2), *n2 = link_to(s, 0), *n3 = link_to(s, 1);
    struct ticket t = sim_ticket(s, "m", "far");
    struct sim_agent *far = sim_agent(s, &t);
    far->ssrc = 0x5000;
    tell(n2, far->ssrc, "far");
    for (uint16_t i = 0; i < 50; i++)
        sim_send_as(n2, far->ssrc, i, 100);
    assert_int_equal(sim_handshake(far), 0);
    for (uint16_t i = 0; i < 50; i++) {
        sim_send(far, 100);
        if (i < 5)
            sim_send_as(n2, far->ssrc, (uint16_t)(50 + i), 100); /* what was under way */
        sim_pass(s, 20000);
    }
    assert_int_equal(of(b, far->ssrc), 100);
    assert_int_equal(of(n3, far->ssrc), 50);
    assert_int_equal(sim_consent(far, true, NONE, NULL), 0);
    tell(n3, far->ssrc, "far");
    for (uint16_t i = 0; i < 50; i++)
        sim_send_as(n3, far->ssrc, (uint16_t)(7000 + i), 100);
    assert_int_equal(of(b, far->ssrc), 150);
    assert_false(sim_stream(b, far->ssrc)->jumped);
    assert_int_equal(b->broken_in + n3->broken_in, 0);
}

static void test_plan(void **state)
{
    struct sim *s = *state;
    media_home_set_plan(s->home, NULL);
    struct sim_agent *n2 = link_agent(s, peers[0].who, peers[0].shared);
    assert_int_equal(sim_hello(n2, NONE), 508);
    assert_int_equal(s->old_plans, 1);
    media_home_set_plan(s->home, &hub_plan);
    assert_int_equal(sim_hello(n2, NONE), 0);
    struct sim_agent *stranger = link_agent(s, "cloud/n9", peers[0].shared);
    assert_int_equal(sim_hello(stranger, NONE), 508);
    struct sim_agent *n3 = link_to(s, 1), *a = sim_join(s, "m", 1);
    media_home_set_plan(s->home, &fewer_plan);
    assert_int_equal(s->ended_n, 1);
    assert_int_equal(s->ended[0], MEDIA_END_REMOVED);
    assert_string_equal(s->last_ended, peers[1].who);
    assert_int_equal(sim_consent(n3, false, NONE, NULL), 437);
    assert_int_equal(sim_consent(n2, false, NONE, NULL), 0);
    sim_send(a, 100);
    assert_int_equal(n2->rtp_in, 1);
}

/* The ticket is right; the node is another, or has started again since the plan was told. */
static void test_other_secret(void **state)
{
    struct sim *s = *state;
    struct sim_agent *n2 = link_agent(s, peers[0].who, peers[1].shared);
    assert_int_equal(sim_hello(n2, NONE), 508);
    assert_int_equal(s->old_plans, 1);
    n2->shared = peers[0].shared;
    assert_int_equal(sim_handshake(n2), 0);
    static const struct media_plan_peer again[] = {{.who = "cloud/n2", .shared = {22}}};
    static const struct media_plan_meeting meeting = {"acme", "m", 1, false, 1, again};
    static const struct media_plan plan = {.n_meetings = 1, .meetings = &meeting};
    media_home_set_plan(s->home, &plan); /* its new key has been told: the session was the old one's */
    assert_int_equal(s->ended_n, 1);
    assert_int_equal(sim_consent(n2, false, NONE, NULL), 437);
    assert_int_equal(sim_hello(n2, NONE), 508);
    n2->shared = again[0].shared;
    assert_int_equal(sim_handshake(n2), 0);
    media_home_set_plan(s->home, &hub_plan);
}

static void test_epochs(void **state)
{
    struct sim *s = *state;
    struct ticket t = sim_ticket(s, "m", "x");
    t.epoch = 1; /* as the plan */
    assert_int_equal(sim_hello(sim_agent(s, &t), NONE), 0);
    assert_int_equal(s->old_plans, 0);
    memcpy(t.who, "y", 2);
    t.epoch = 7;
    assert_int_equal(sim_hello(sim_agent(s, &t), NONE), 0);
    assert_int_equal(s->old_plans, 1);
    memcpy(t.who, "z", 2);
    assert_int_equal(sim_hello(sim_agent(s, &t), NONE), 0);
    assert_int_equal(s->old_plans, 1); /* it was asked for already */
}

/* Who was removed has no session any more and gets none by the tickets of before; a newer one is another matter. */
static void test_removed(void **state)
{
    struct sim *s = *state;
    static const struct media_plan_removed gone = {"acme", "m", "p1", 5};
    static const struct media_plan plan = {
        .n_meetings = 1, .meetings = &as_hub, .n_removed = 1, .removed = &gone};
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    media_home_set_plan(s->home, &plan);
    assert_int_equal(s->ended_n, 1);
    assert_string_equal(s->last_ended, "p1");
    assert_int_equal(sim_consent(a, false, NONE, NULL), 437);
    assert_int_equal(sim_hello(a, NONE), 401);
    struct ticket t = sim_ticket(s, "m", "p1");
    t.number = 6;
    assert_int_equal(sim_hello(sim_agent(s, &t), NONE), 0);
    assert_int_equal(sim_consent(b, false, NONE, NULL), 0);
}

/* Loud ones over a link take places of the last N here. */
static void test_last_n_over_links(void **state)
{
    struct sim *s = *state;
    struct sim_agent *locals[3], *n2;
    for (size_t i = 0; i < 3; i++) {
        locals[i] = sim_join_last_n(s, "m", i, 2);
        assert_non_null(locals[i]);
        locals[i]->level = (uint8_t)(70 + 10 * i);
    }
    n2 = link_to(s, 0);
    n2->level = 10;
    tell(n2, 0x5000, "far");
    for (int turn = 0; turn < 100; turn++) {
        for (size_t i = 0; i < 3; i++)
            sim_send(locals[i], 60);
        sim_send_as(n2, 0x5000, (uint16_t)turn, 60);
        sim_pass(s, 50000);
    }
    assert_int_equal(of(locals[0], 0x5000), 100);
    assert_true(of(n2, locals[0]->ssrc) > 95);
    assert_in_range(of(n2, locals[1]->ssrc), 20, 60);
    assert_int_equal(of(n2, locals[2]->ssrc), 0);
}

/* A link that ends gives back the places that it had among the last N: who is here is heard at once. */
static void test_places_of_a_link_that_ends(void **state)
{
    struct sim *s = *state;
    struct sim_agent *locals[2], *n2;
    for (size_t i = 0; i < 2; i++) {
        locals[i] = sim_join_last_n(s, "m", i, 2);
        assert_non_null(locals[i]);
    }
    n2 = link_to(s, 0);
    n2->level = 10;
    for (uint32_t far = 0x5000; far < 0x5002; far++)
        tell(n2, far, far == 0x5000 ? "far" : "farther");
    for (uint16_t turn = 0; turn < 20; turn++) {
        for (uint32_t far = 0x5000; far < 0x5002; far++)
            sim_send_as(n2, far, turn, 60);
        sim_pass(s, 50000);
    }
    sim_send(locals[0], 60);
    assert_int_equal(of(locals[1], locals[0]->ssrc), 0); /* both places are taken */
    assert_int_equal(sim_consent(n2, true, NONE, NULL), 0);
    for (int i = 0; i < 10; i++) {
        sim_send(locals[0], 60);
        sim_send(locals[1], 60);
    }
    assert_int_equal(of(locals[1], locals[0]->ssrc), 10);
    assert_int_equal(of(locals[0], locals[1]->ssrc), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_participants_go_to_all_links, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_what_links_bring, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_no_packet_goes_round, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_owners, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_collisions, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_refused_without_end, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_moves, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_plan, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_other_secret, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_epochs, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_removed, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_last_n_over_links, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_places_of_a_link_that_ends, links_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
