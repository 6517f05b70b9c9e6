/* link: test_media */
/* A meeting's table of sources: who brings many leaves room for others, and spends no more than its share. */
#include "check.h"

#include "media_links.h"

#include <string.h>

enum { FORGED = 0x100000, HONEST = 0x500000, OWN = 0x900000, OWNERS_OF_EACH = 40, SECOND_US = 1000 * 1000 };

struct crowd {
    struct sim *s;
    struct sim_agent *a, *b, *thief, *honest;
    const struct meeting *m;
};

static struct crowd begin(struct sim *s)
{
    struct crowd c = {s, sim_join(s, "m", 1), sim_join(s, "m", 2), link_to(s, 0), link_to(s, 1), NULL};
    c.m = s->home->meetings[0];
    return c;
}

/* The link tells of n sources from that SSRC on, of a participant for each few, and sends a packet of each. */
static void bring(struct sim_agent *link, uint32_t first, size_t n, bool send)
{
    for (uint32_t i = 0; i < n; i++) {
        char who[16];
        snprintf(who, sizeof who, "far%u", (first + i) / OWNERS_OF_EACH);
        tell(link, first + i, who);
        if (send)
            sim_send_as(link, first + i, 1, 20);
    }
}

static size_t of_link(const struct crowd *c, size_t i)
{
    return share_count(c->m, media_owner(TICKET_LINK, peers[i].who));
}

static size_t spent(const struct meeting *m)
{
    size_t n = 0;
    for (size_t i = 0; m->spent && i < MEETING_SPENT_BITS / 8; i++)
        n += (size_t)__builtin_popcount(m->spent[i]);
    return n;
}

/* One node fills the table with what it sends: everybody else's new ones are heard all the same, and go on when it brings more. */
static void test_a_link_leaves_room(void **state)
{
    enum { FAR = 300, MORE = 200 };
    struct crowd c = begin(*state);
    bring(c.thief, FORGED, MEETING_SOURCES_MAX + MORE, true);
    c.thief->rtcp_len = 0;
    bring(c.thief, FORGED - 1, 1, true);
    assert_int_equal(c.m->n_sources, MEETING_SOURCES_MAX);
    assert_int_equal(of_link(&c, 0), MEETING_SOURCES_MAX);
    assert_true(refused(c.thief, FORGED - 1) != 0); /* its own make no room for its own */
    for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX; i++)
        sim_send_as(c.a, OWN + i, 1, 20);
    assert_int_equal(sim_stats(c.a).ssrc_refused, 0);
    bring(c.honest, HONEST, FAR, true);
    assert_int_equal(sim_stats(c.honest).ssrc_refused, 0);
    assert_int_equal(c.m->n_sources, MEETING_SOURCES_MAX);
    assert_int_equal(of_link(&c, 0), MEETING_SOURCES_MAX - FAR - MEDIA_LEG_SSRCS_MAX);
    sim_pass(c.s, 5 * SECOND_US);
    bring(c.thief, FORGED + 2 * MEETING_SOURCES_MAX, MORE, true);
    assert_int_equal(of_link(&c, 1), FAR);
    assert_int_equal(share_count(c.m, media_owner(TICKET_PARTICIPANT, "p1")), MEDIA_LEG_SSRCS_MAX);
    size_t heard = c.b->rtp_in;
    sim_send_as(c.a, OWN, 2, 20);
    sim_send_as(c.honest, HONEST, 2, 20);
    assert_int_equal(c.b->rtp_in, heard + 2);
    assert_int_equal(c.b->broken_in, 0);
}

/* Two that have half of it each leave who comes later less, but something: whoever has more than twice as many makes room. */
static void test_nobody_has_twice_as_many(void **state)
{
    struct crowd c = begin(*state);
    bring(c.thief, FORGED, MEETING_SOURCES_MAX, true);
    bring(c.honest, HONEST, MEETING_SOURCES_MAX, true);
    assert_in_range(of_link(&c, 1), MEETING_SOURCES_MAX / 3 - 1, MEETING_SOURCES_MAX / 3 + 1);
    assert_int_equal(of_link(&c, 0) + of_link(&c, 1), MEETING_SOURCES_MAX);
}

/* What was only told of costs no SSRC; and of those that are sent a link spends few. */
static void test_what_a_link_spends(void **state)
{
    enum { ROUNDS = 5, A_SECOND = SECOND_US / SHARE_LINK_NEW_US };
    struct crowd c = begin(*state);
    bring(c.thief, FORGED, 2 * MEETING_SOURCES_MAX, false);
    for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX; i++)
        sim_send_as(c.a, OWN + i, 1, 20);
    assert_int_equal(sim_stats(c.a).ssrc_refused, 0);
    assert_int_equal(spent(c.m), 0);
    for (uint32_t round = 2; round < 2 + ROUNDS; round++) {
        sim_pass(c.s, 2 * SECOND_US);
        assert_int_equal(sim_consent(c.thief, false, NONE, NULL), 0);
        bring(c.thief, FORGED + round * MEETING_SOURCES_MAX, MEETING_SOURCES_MAX / 2, true);
    }
    assert_true(spent(c.m) <= ROUNDS * 2 * A_SECOND);
    assert_true(c.m->n_sources <= MEETING_SOURCES_MAX);
}

/* Who comes again and again is refused for a while beyond a burst, and others aren't. */
static void test_what_a_participant_spends(void **state)
{
    enum { ROUNDS = SHARE_NEW_BURST / MEDIA_LEG_SSRCS_MAX };
    struct crowd c = begin(*state);
    for (uint32_t round = 0; round <= ROUNDS; round++) {
        for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX; i++)
            sim_send_as(c.a, OWN + round * MEDIA_LEG_SSRCS_MAX + i, 1, 20);
        assert_int_equal(sim_stats(c.a).ssrc_refused, round < ROUNDS ? 0 : MEDIA_LEG_SSRCS_MAX);
        assert_int_equal(sim_consent(c.a, true, NONE, NULL), 0);
        assert_int_equal(sim_handshake(c.a), 0);
    }
    assert_int_equal(spent(c.m), SHARE_NEW_BURST - MEETING_OWNER_SOURCES_MAX);
    sim_send_as(c.b, HONEST, 1, 20);
    assert_int_equal(sim_stats(c.b).ssrc_refused, 0);
    sim_pass(c.s, SHARE_NEW_US);
    sim_send_as(c.a, OWN - 1, 1, 20);
    assert_int_equal(sim_stats(c.a).ssrc_refused, 0);
}

/* What a participant says BYE for makes room for another of its own at once; nobody says it for another. */
static void test_bye(void **state)
{
    enum { N = MEDIA_LEG_SSRCS_MAX };
    struct crowd c = begin(*state);
    uint8_t bytes[100];
    uint32_t ssrcs[] = {OWN, OWN + 1};
    struct wire_wr w = wire_wr_init(bytes, sizeof bytes);
    assert_true(rtcp_write_receiver_report(&w, 1, NULL, 0));
    assert_true(rtcp_write_bye(&w, ssrcs, 2));
    for (uint32_t i = 0; i < N; i++)
        sim_send_as(c.a, OWN + i, 1, 20);
    sim_send_rtcp(c.b, bytes, wire_wr_len(&w));
    sim_send_rtcp(c.thief, bytes, wire_wr_len(&w));
    sim_send_as(c.a, OWN + N, 1, 20);
    assert_int_equal(sim_stats(c.a).ssrc_refused, 1);
    sim_send_rtcp(c.a, bytes, wire_wr_len(&w));
    sim_send_as(c.a, OWN + N, 2, 20);
    sim_send_as(c.a, OWN, 2, 20); /* it goes on after all */
    assert_int_equal(sim_stats(c.a).ssrc_refused, 1);
    sim_send_as(c.a, OWN + 1, 2, 20); /* for this one there is no room any more */
    assert_int_equal(sim_stats(c.a).ssrc_refused, 2);
    assert_int_equal(c.b->rtp_in, N + 2);
    assert_int_equal(c.b->broken_in, 0);
    assert_false(sim_stream(c.b, OWN)->jumped);
    sim_pass(c.s, 2 * SECOND_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_link_leaves_room, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nobody_has_twice_as_many, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_what_a_link_spends, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_bye, links_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_what_a_participant_spends, links_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
