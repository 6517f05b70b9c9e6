/* link: test_media */
/* Who sends a source, where a participant and links to other nodes say that they do: one at a time is heard, and who
 * goes on sending here keeps its SSRC. */
#include "check.h"

#include "media_links.h"

#include <string.h>

enum { OWN = 100, FORGED = 40, STEP_US = 20 * 1000, SECOND_US = 1000 * 1000, THIEVES_MAX = 2 };

/* Nodes that speak by the name of a participant who is here. */
struct theft {
    struct sim *s;
    struct sim_agent *a, *b, *thieves[THIEVES_MAX];
    uint16_t number;
    size_t n, forged;       /* that were heard: all, and of the thieves */
    struct sim_agent *last; /* whose packet was */
    size_t changes;
};

static struct theft begin(struct sim *s)
{
    struct theft t = {.s = s,
                      .a = sim_join(s, "m", 1),
                      .b = sim_join(s, "m", 2),
                      .thieves = {link_to(s, 0), link_to(s, 1)}};
    for (int i = 0; i < 20; i++)
        sim_send(t.a, OWN);
    t.last = t.a;
    t.n = sim_stream(t.b, t.a->ssrc)->n;
    return t;
}

static void ask_consent(struct sim_agent *a)
{
    uint8_t room[MEDIA_NONCE_MAX];
    struct media_answer answer;
    int code = sim_consent(a, false, NONE, NULL);
    if (code == 438) {
        assert_int_equal(sim_answer(a, &answer), 0);
        memcpy(room, answer.nonce.p, answer.nonce.len);
        code = sim_consent(a, false, (struct slice){room, answer.nonce.len}, NULL);
    }
    assert_int_equal(code, 0);
}

static void keep_alive(const struct theft *t)
{
    ask_consent(t->a);
    ask_consent(t->b);
    for (size_t i = 0; i < THIEVES_MAX; i++)
        ask_consent(t->thieves[i]);
}

/* `by` has sent a packet. */
static void sent(struct theft *t, struct sim_agent *by)
{
    size_t n = sim_stream(t->b, t->a->ssrc)->n;
    if (n == t->n)
        return;
    assert_int_equal(n, t->n + 1);
    t->n = n;
    t->forged += by != t->a;
    t->changes += by != t->last;
    t->last = by;
}

/* For so long the owner sends every `own_us` (0: not at all), and so many thieves every 20 ms. How many forged packets
 * are heard. */
static size_t steal(struct theft *t, int64_t for_us, size_t thieves, int64_t own_us)
{
    t->forged = t->changes = 0;
    for (int64_t us = 0; us < for_us; us += STEP_US) {
        for (size_t i = 0; i < thieves; i++) {
            tell(t->thieves[i], t->a->ssrc, "p1");
            sim_send_as(t->thieves[i], t->a->ssrc, t->number, FORGED);
            sent(t, t->thieves[i]);
        }
        t->number++;
        if (own_us > 0 && us % own_us == 0) {
            sim_send(t->a, OWN);
            sent(t, t->a);
        }
        sim_pass(t->s, STEP_US);
        if (us % SECOND_US == 0)
            keep_alive(t);
    }
    assert_true(t->changes <= 2); /* to a thief, and back */
    return t->forged;
}

static void check_receivers(const struct theft *t)
{
    assert_int_equal(t->b->broken_in, 0);
    assert_false(sim_stream(t->b, t->a->ssrc)->jumped);
    for (size_t i = 0; i < THIEVES_MAX; i++)
        assert_int_equal(t->thieves[i]->broken_in, 0);
}

/* It is silent for a moment, a thief is heard, and it goes on: less than half a second later it is heard again. */
static void be_robbed(struct theft *t, size_t thieves)
{
    enum { CONTEST = SOURCE_CONTEST_US / STEP_US + 1 };
    assert_true(steal(t, SECOND_US, thieves, 0) > 0);
    assert_in_range(steal(t, SECOND_US, thieves, STEP_US), 1, CONTEST);
    assert_ptr_equal(t->last, t->a);
}

/* One node, or two in turn: each time they aren't believed for twice as long as before. */
static void goes_on(struct sim *s, size_t thieves)
{
    struct theft t = begin(s);
    int64_t barred_us = SOURCE_BARRED_US;
    for (int times = 0; times < 3; times++, barred_us *= 2) {
        be_robbed(&t, thieves);
        int64_t rest_us = barred_us - 2 * SECOND_US;
        size_t n = t.n;
        assert_int_equal(steal(&t, rest_us, thieves, STEP_US), 0);
        assert_int_equal(t.n - n, rest_us / STEP_US);
        assert_int_equal(steal(&t, SECOND_US, thieves, 0), 0); /* nor while it is silent for a moment */
        assert_true(sim_stats(t.thieves[0]).ssrc_refused > 0);
        assert_int_equal(steal(&t, SECOND_US, 0, STEP_US), 0);
    }
    check_receivers(&t);
}

/* Who speaks all the time loses no half second of it to who has had its one. */
static void test_who_is_never_silent(void **state)
{
    enum { CONTEST = SOURCE_CONTEST_US / STEP_US + 1 };
    struct theft t = begin(*state);
    assert_in_range(steal(&t, 3 * SOURCE_BARRED_US, 1, STEP_US), 1, CONTEST);
    check_receivers(&t);
}

static void test_who_goes_on_keeps_its_ssrc(void **state)
{
    goes_on(*state, 1);
}

static void test_nodes_that_take_turns(void **state)
{
    goes_on(*state, 2);
}

/* A picture a second is going on, too. */
static void test_who_sends_seldom(void **state)
{
    struct theft t = begin(*state);
    assert_in_range(steal(&t, 5 * SECOND_US, 1, SECOND_US), 1, 2 * SECOND_US / STEP_US);
    check_receivers(&t);
}

/* It has moved, and what was under way comes late, all at once: it stays with who sends it now. */
static void test_what_was_under_way(void **state)
{
    struct theft t = begin(*state);
    assert_int_equal(steal(&t, SECOND_US, 1, 0), SECOND_US / STEP_US);
    for (int i = 0; i < 50; i++) {
        sim_send(t.a, OWN);
        sim_pass(t.s, 1000);
    }
    assert_int_equal(steal(&t, SECOND_US, 1, 0), SECOND_US / STEP_US);
    check_receivers(&t);
}

/* It moves to the other node and back at once, and to that again: nobody is barred for that. */
static void test_there_and_back(void **state)
{
    struct theft t = begin(*state);
    assert_int_equal(steal(&t, 5 * STEP_US, 1, 0), 5);
    assert_int_equal(steal(&t, SECOND_US, 0, STEP_US), 0);
    assert_ptr_equal(t.last, t.a);
    assert_int_equal(steal(&t, SOURCE_TAKEOVER_US, 0, 0), 0);
    assert_int_equal(steal(&t, SECOND_US, 1, 0), SECOND_US / STEP_US);
    assert_int_equal(steal(&t, SECOND_US, 0, STEP_US),
                     0); /* but once alone: else the beginning of whatever it says could be cut off */
    assert_ptr_equal(t.last, t.a);
    assert_int_equal(steal(&t, SECOND_US, 1, 0), 0);
    check_receivers(&t);
}

/* Who has been silent for long may be elsewhere; and the node that was barred has gone on counting. */
static void test_a_bar_ends_with_silence(void **state)
{
    enum { JUMP = 8000 };
    struct theft t = begin(*state);
    be_robbed(&t, 1);
    steal(&t, SOURCE_BARRED_US, 0, STEP_US);
    be_robbed(&t, 1);                              /* for 20 s now */
    for (int i = 0; i < 20; i++, t.number += JUMP) /* past 2^16, twice */
        assert_int_equal(steal(&t, STEP_US, 1, STEP_US), 0);
    assert_int_equal(steal(&t, SOURCE_SILENT_US, 1, 0), 0);
    assert_int_equal(steal(&t, SECOND_US, 1, 0), SECOND_US / STEP_US);
    assert_int_equal(sim_stats(t.thieves[0]).refused, 0);
    check_receivers(&t);
}

/* Nor is a session that has ended here in the way of where it goes on. */
static void test_a_bar_ends_with_its_session(void **state)
{
    struct theft t = begin(*state);
    be_robbed(&t, 1);
    assert_int_equal(sim_consent(t.a, true, NONE, NULL), 0);
    tell(t.thieves[0], t.a->ssrc, "p1");
    sim_send_as(t.thieves[0], t.a->ssrc, t.number, FORGED);
    assert_int_equal(sim_stream(t.b, t.a->ssrc)->n, t.n + 1);
    check_receivers(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_goes_on_keeps_its_ssrc, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nodes_that_take_turns, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_who_is_never_silent, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_who_sends_seldom, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_what_was_under_way, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_there_and_back, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_a_bar_ends_with_silence, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_a_bar_ends_with_its_session, links_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
