/* link: test_media */
/* Whose an SSRC is, in one engine: the first's, for as long as the meeting remembers it; how many there may be, and
 * what becomes of the oldest. */
#include "check.h"

#include "node/media/engine.h"
#include "support/media/sim.h"

#include <stdio.h>
#include <string.h>

static void test_ssrc_collision(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *c = sim_join(s, "m", 3);
    struct media_news news;
    sim_send(a, 100);
    sim_send_as(b, a->ssrc, 1, 100);
    sim_send_as(b, a->ssrc, 2, 100);
    sim_send(b, 100);
    assert_int_equal(c->rtp_in, 2);
    assert_int_equal(sim_stats(b).ssrc_refused, 2);
    assert_int_equal(sim_consent(b, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, 1);
    assert_int_equal(news.refused[0], a->ssrc);
    assert_int_equal(sim_consent(b, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, 0);
    /* Also when its owner has gone. */
    assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
    sim_send_as(b, a->ssrc, 3, 100);
    assert_int_equal(c->rtp_in, 2);
}

/* Who writes another's address on packets doesn't make it give up its SSRC: only what is authentic is refused for its SSRC. */
static void test_ssrc_collision_forged(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    struct media_news news;
    _Alignas(8) uint8_t bytes[RTP_PACKET_MAX + SRTP_OVERHEAD], again[sizeof bytes];
    sim_send(a, 100);
    sim_send(b, 100);
    size_t len = sim_packet(a, bytes, a->ssrc, 7, 100); /* under other keys than b's */
    memcpy(again, bytes, len);
    media_home_packet(s->home, &b->path, bytes, len, s->now_us);
    assert_int_equal(sim_stats(b).ssrc_refused, 0);
    assert_int_equal(sim_stats(b).refused, 1);
    assert_int_equal(sim_consent(b, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, 0);
    size_t heard = b->rtp_in;
    media_home_packet(s->home, &a->path, again, len, s->now_us); /* its owner's own still counts */
    assert_int_equal(b->rtp_in, heard + 1);
}

static void test_too_many_ssrcs(void **state)
{
    struct sim *s = *state;
    enum { UNHEARD = 4, REFUSED = SRTP_LEG_SSRCS + UNHEARD - MEDIA_LEG_SSRCS_MAX };
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *c = sim_join(s, "m", 3);
    struct media_news news;
    for (uint32_t i = 0; i < SRTP_LEG_SSRCS + UNHEARD; i++)
        sim_send_as(a, 0x9000 + i, 1, 100);
    assert_int_equal(b->rtp_in, MEDIA_LEG_SSRCS_MAX);
    assert_int_equal(sim_stats(a).ssrc_refused, REFUSED);
    assert_int_equal(srtp_leg_received(home_leg_of(s->home, &a->session)->srtp), SRTP_LEG_SSRCS);
    assert_int_equal(sim_consent(a, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, MEDIA_REFUSED_MAX);
    assert_int_equal(news.refused[0], 0x9000 + MEDIA_LEG_SSRCS_MAX);
    for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX; i++)
        sim_send_as(a, 0x9000 + i, 2, 100);
    assert_int_equal(b->rtp_in, 2 * MEDIA_LEG_SSRCS_MAX);
    for (uint32_t i = 0; i < UNHEARD; i++)
        sim_send_as(b, 0x8000 + i, 1, 100);
    for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX + UNHEARD;
         i++) /* more than are named to it, all of others */
        sim_send_as(c, i < UNHEARD ? 0x8000 + i : 0x9000 + i - UNHEARD, 1, 100);
    assert_int_equal(sim_stats(c).ssrc_refused, MEDIA_LEG_SSRCS_MAX + UNHEARD);
    assert_int_equal(sim_consent(c, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, MEDIA_REFUSED_MAX);
}

/* One that changes its SSRCs again and again is heard under each, where others of its have been silent for long
 * enough; those are the first to be given up, and nothing that was sent under them counts again: neither a copy, nor
 * anything new. Nor does any receiver see a number twice. */
static void test_ssrcs_change(void **state)
{
    struct sim *s = *state;
    enum { EACH = MEDIA_LEG_SSRCS_MAX, ROUNDS = 12, FIRST = 0x9000, PAYLOAD = 100 };
    _Alignas(8) uint8_t copy[RTP_PACKET_MAX + SRTP_OVERHEAD];
    struct media_news news;
    struct sim_agent *both[2];
    for (size_t i = 0; i < 2; i++) {
        struct ticket t = sim_ticket(s, "m", i == 0 ? "ann" : "bob");
        both[i] = sim_agent(s, &t);
        both[i]->path = (struct media_path){
            .carrier = MEDIA_TCP, .thread = 1, .stream = 77 + i, .peer = both[i]->path.peer};
        assert_int_equal(sim_handshake(both[i]), 0);
        assert_int_equal(sim_consent(both[i], false, NONE, NULL), 0);
    }
    struct sim_agent *a = both[0], *b = both[1];
    const struct leg *l = home_leg_of(s->home, &a->session);
    size_t copy_len = sim_packet(a, copy, FIRST, 0, PAYLOAD);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t n = 1; n <= 2; n++)
            for (uint32_t i = 0; i < EACH; i++)
                sim_send_as(a, FIRST + round * EACH + i, (uint16_t)n, PAYLOAD);
        assert_int_equal(b->rtp_in, (round + 1) * 2 * EACH);
        uint64_t refused = sim_stats(a).ssrc_refused;
        sim_send_as(a, FIRST + (round + 1) * EACH, 0, PAYLOAD); /* one more, too soon */
        assert_int_equal(sim_stats(a).ssrc_refused, refused + 1);
        for (int i = 0; i < 2; i++) {
            sim_pass(s, SOURCE_SILENT_US / 2 + 1);
            assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
            assert_int_equal(sim_consent(b, false, NONE, NULL), 0);
        }
        assert_true(srtp_leg_received(l->srtp) <= SRTP_LEG_SSRCS);
    }
    assert_null(source_find(l->meeting, l, FIRST));
    assert_non_null(source_find(l->meeting, l, FIRST + (ROUNDS - 1) * EACH));
    size_t heard = b->rtp_in;
    media_home_packet(s->home, &a->path, copy, copy_len, s->now_us);
    sim_send_as(a, FIRST, 3, PAYLOAD);
    assert_int_equal(b->rtp_in, heard);
    assert_int_equal(sim_consent(a, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, 1);
    assert_int_equal(news.refused[0], FIRST);
    sim_send_as(a, FIRST + (ROUNDS - 1) * EACH, 3, PAYLOAD); /* who was only silent goes on */
    assert_int_equal(b->rtp_in, heard + 1);
    assert_false(sim_stream(b, FIRST + (ROUNDS - 1) * EACH)->jumped);
    assert_int_equal(b->broken_in, 0);
}

/* Participants come, send and go, more often than a meeting remembers SSRCs: all are heard. What was given up isn't
 * used again, by nobody. */
static void test_ssrcs_given_up(void **state)
{
    struct sim *s = *state;
    enum { ROUNDS = MEETING_SOURCES_MAX / MEDIA_LEG_SSRCS_MAX + 20 };
    struct sim_agent *listener = sim_join(s, "m", 1), *a = NULL;
    size_t heard = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        a = sim_join(s, "m", 2 + round);
        assert_non_null(a);
        for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX; i++)
            sim_send_as(a, 0x10000 + round * MEDIA_LEG_SSRCS_MAX + i, 1, 20);
        sim_pass(s, 1000);
        assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
    }
    assert_int_equal(sim_handshake(a), 0);
    assert_in_range(listener->rtp_in, ROUNDS * MEDIA_LEG_SSRCS_MAX - 10, ROUNDS * MEDIA_LEG_SSRCS_MAX);
    heard = listener->rtp_in;
    sim_send_as(a, 0x10000, 2, 20);
    assert_int_equal(listener->rtp_in, heard);
    sim_send_as(a, 0x10000 + (ROUNDS - 1) * MEDIA_LEG_SSRCS_MAX, 2, 20);
    assert_int_equal(listener->rtp_in, heard + 1);
    assert_int_equal(listener->broken_in, 0);
}

/* One participant comes again and again with other SSRCs: what it costs is bounded, its own oldest are given up and
 * nobody else's, and who has gone costs no packets for long. */
static void test_one_owners_ssrcs_are_bounded(void **state)
{
    struct sim *s = *state;
    enum { ROUNDS = 10, OURS = 0x20000 };
    struct sim_agent *listener = sim_join(s, "m", 1), *quiet = sim_join(s, "m", 2), *a = sim_join(s, "m", 3);
    const struct meeting *m = s->home->meetings[0];
    sim_send_as(quiet, OURS, 1, 20);
    assert_int_equal(sim_consent(quiet, true, NONE, NULL), 0);
    const struct leg *l = home_leg_of(s->home, &listener->session);
    assert_non_null(source_find(m, l, OURS)->feedback.kept);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX; i++)
            sim_send_as(a, 0x30000 + round * MEDIA_LEG_SSRCS_MAX + i, 1, 20);
        sim_pass(s, 1000);
        assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
        assert_int_equal(sim_handshake(a), 0);
        assert_true(m->n_sources <= 1 + MEETING_OWNER_SOURCES_MAX);
    }
    assert_null(source_find(m, l, 0x30000));
    assert_non_null(source_find(m, l, 0x30000 + ROUNDS * MEDIA_LEG_SSRCS_MAX - 1));
    assert_in_range(listener->rtp_in, ROUNDS * MEDIA_LEG_SSRCS_MAX - 2, 1 + ROUNDS * MEDIA_LEG_SSRCS_MAX);
    sim_pass(s, FEEDBACK_KEPT_US + 2000000);
    assert_null(source_find(m, l, OURS)->feedback.kept);
    assert_int_equal(sim_handshake(quiet), 0);
    sim_send_as(quiet, OURS, 2, 20);
    assert_int_equal(sim_stream(listener, OURS)->n, 2);
    assert_false(sim_stream(listener, OURS)->jumped);
}

/* Who is sent RTCP under a name that a source has, too, is sent it under numbers that go on when that source is given up. */
static void test_nodes_own_ssrc_is_kept(void **state)
{
    struct sim *s = *state;
    enum { ROUNDS = MEETING_OWNER_SOURCES_MAX / MEDIA_LEG_SSRCS_MAX + 1, NAME = 0x20000 };
    struct sim_agent *listener = sim_join(s, "m", 1), *a = sim_join(s, "m", 2);
    sim_send_as(a, NAME, 1, 20);
    home_leg_of(s->home, &listener->session)->feedback.ssrc = NAME; /* as if it had been drawn */
    sim_send(listener, 20);                                         /* which is reported on */
    sim_pass(s, 3000000);
    assert_true(listener->rtcp_in > 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
        assert_int_equal(sim_handshake(a), 0);
        for (uint32_t i = 0; i < MEDIA_LEG_SSRCS_MAX; i++)
            sim_send_as(a, 0x30000 + round * MEDIA_LEG_SSRCS_MAX + i, 1, 20);
        sim_pass(s, 1000);
    }
    size_t before = listener->rtcp_in, heard = listener->rtp_in;
    sim_send_as(a, NAME, 2, 20);
    assert_int_equal(listener->rtp_in, heard); /* it was given up */
    sim_send(listener, 20);
    sim_pass(s, 3000000);
    assert_true(listener->rtcp_in > before);
    assert_int_equal(listener->broken_in, 0);
}

/* Nobody sends under what the node calls itself to one of the meeting. */
static void test_nodes_own_ssrc_is_refused(void **state)
{
    struct sim *s = *state;
    struct media_news news;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    uint32_t own = home_leg_of(s->home, &b->session)->feedback.ssrc;
    sim_send_as(a, own, 1, 20);
    assert_int_equal(b->rtp_in, 0);
    assert_int_equal(sim_consent(a, false, NONE, &news), 0);
    assert_int_equal(news.n_refused, 1);
    assert_int_equal(news.refused[0], own);
    sim_send(a, 20);
    assert_int_equal(b->rtp_in, 1);
}

/* All that a meeting holds is in use: who comes has room for half as many as who has most, and beyond that is
 * refused, and told so; who has most loses one of these, and others go on. */
static void test_all_ssrcs_in_use(void **state)
{
    struct sim *s = *state;
    enum {
        N = MEETING_SOURCES_MAX / MEDIA_LEG_SSRCS_MAX,
        LEFT = MEDIA_LEG_SSRCS_MAX / SHARE_LARGE_TIMES + 1
    };
    struct media_news news;
    for (size_t i = 0; i <= N; i++) {
        char who[8];
        snprintf(who, sizeof who, "p%zu", i);
        struct ticket t = sim_ticket(s, "m", who);
        t.last_n = 1;
        struct sim_agent *a = sim_agent(s, &t);
        assert_int_equal(sim_handshake(a), 0);
        for (uint32_t k = 0; k < MEDIA_LEG_SSRCS_MAX; k++)
            sim_send_as(a, 0x10000 + (uint32_t)i * MEDIA_LEG_SSRCS_MAX + k, 1, 20);
        assert_int_equal(sim_stats(a).ssrc_refused, i < N ? 0 : LEFT);
    }
    assert_int_equal(sim_consent(s->agents[N], false, NONE, &news), 0);
    assert_int_equal(news.n_refused, LEFT);
    size_t before = s->agents[1]->rtp_in, lost = 0;
    sim_send_as(s->agents[0], 0x10000, 2, 20); /* the one that had been silent longest */
    assert_int_equal(s->agents[1]->rtp_in, before);
    assert_int_equal(sim_consent(s->agents[0], false, NONE, &news), 0);
    assert_int_equal(news.refused[0], 0x10000);
    sim_send_as(s->agents[0], 0x10001, 2, 20);
    assert_int_equal(s->agents[1]->rtp_in, before + 1);
    for (uint32_t i = 0; i < N * MEDIA_LEG_SSRCS_MAX; i++)
        lost += !source_find(s->home->meetings[0], home_leg_of(s->home, &s->agents[N]->session), 0x10000 + i);
    assert_int_equal(lost, MEDIA_LEG_SSRCS_MAX - LEFT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ssrc_collision, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_ssrc_collision_forged, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_ssrcs, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_ssrcs_change, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_ssrcs_given_up, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_one_owners_ssrcs_are_bounded, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nodes_own_ssrc_is_kept, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nodes_own_ssrc_is_refused, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_all_ssrcs_in_use, sim_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
