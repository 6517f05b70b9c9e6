/* link: test_media */
/* What the media engine sends on: everything to everybody else, under right numbers; and nothing of what mustn't be. */
#include "check.h"

#include "node/media/engine.h"
#include "support/media/sim.h"

#include <stdio.h>
#include <string.h>

static void everybody_hears(struct sim *s, size_t n, size_t packets)
{
    for (size_t i = 0; i < n; i++)
        assert_non_null(sim_join(s, "m", i));
    for (size_t k = 0; k < packets; k++) {
        for (size_t i = 0; i < n; i++)
            sim_send(s->agents[i], 160);
    }
    for (size_t i = 0; i < n; i++) {
        struct sim_agent *a = s->agents[i];
        struct media_leg_stats st = sim_stats(a);
        assert_int_equal(a->rtp_in, (n - 1) * packets);
        assert_int_equal(a->broken_in, 0);
        assert_int_equal(a->n_streams, n - 1);
        assert_int_equal(st.packets_in, packets);
        assert_int_equal(st.packets_out, (n - 1) * packets);
        assert_int_equal(st.lost_in + st.refused + st.over_limit + st.ssrc_refused + st.left_out, 0);
        for (size_t k = 0; k < a->n_streams; k++) {
            assert_int_equal(a->streams[k].n, packets);
            assert_int_equal(a->streams[k].bytes, 160 * packets);
            assert_false(a->streams[k].jumped);
            assert_true(a->streams[k].first < 32768);
        }
    }
    assert_int_equal(s->to_nobody, 0);
}

static void test_two(void **state)
{
    everybody_hears(*state, 2, 300);
}

static void test_ten(void **state)
{
    everybody_hears(*state, 10, 50);
}

/* Where the policy lets all of them be heard. */
static void test_fifty(void **state)
{
    struct sim *s = *state;
    enum { N = 50, PACKETS = 20 };
    for (size_t i = 0; i < N; i++)
        assert_non_null(sim_join_last_n(s, "m", i, N));
    for (size_t k = 0; k < PACKETS; k++) {
        for (size_t i = 0; i < N; i++)
            sim_send(s->agents[i], 160);
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(s->agents[i]->rtp_in, (N - 1) * PACKETS);
        assert_int_equal(s->agents[i]->broken_in, 0);
    }
}

/* Sixty who send, twenty who are heard: the loudest, without gaps for who hears them, and not more packets than that. */
static void test_last_n(void **state)
{
    struct sim *s = *state;
    enum { N = 60, TURNS = 100, LOUD = 5 };
    for (size_t i = 0; i < N; i++) {
        struct sim_agent *a = sim_join(s, "m", i);
        assert_non_null(a);
        a->level = 80;
    }
    for (size_t turn = 0; turn < TURNS; turn++) { /* 10 s */
        if (turn == 30) {
            for (size_t i = 0; i < LOUD; i++)
                s->agents[N - 1 - i]->level = 10;
        }
        for (size_t i = 0; i < N; i++) {
            sim_send(s->agents[i], 60);
            if (turn % 40 == 0)
                assert_int_equal(sim_consent(s->agents[i], false, NONE, NULL), 0);
        }
        sim_pass(s, 100000);
    }
    size_t out = 0;
    for (size_t i = 0; i < N; i++) {
        struct sim_agent *a = s->agents[i];
        assert_in_range(a->rtp_in, (MEDIA_LAST_N - 1) * TURNS, MEDIA_LAST_N * TURNS);
        assert_int_equal(a->broken_in, 0);
        for (size_t k = 0; k < a->n_streams; k++)
            assert_false(a->streams[k].jumped);
        out += a->rtp_in;
    }
    assert_in_range(out, (N - 1) * MEDIA_LAST_N * TURNS - N, (N - 1) * MEDIA_LAST_N * TURNS);
    for (size_t i = 0; i < LOUD; i++)
        assert_true(sim_stream(s->agents[0], s->agents[N - 1 - i]->ssrc)->n > 60);
    assert_null(sim_stream(s->agents[0], s->agents[30]->ssrc));
}

static void test_suites_mixed(void **state)
{
    struct sim *s = *state;
    struct sim_agent *gcm = sim_join(s, "m", 1);
    struct ticket t = sim_ticket(s, "m", "cm");
    struct sim_agent *cm = sim_agent(s, &t);
    cm->hello.suites = 1u << SRTP_AES_CM_128_SHA1_80;
    assert_int_equal(sim_handshake(cm), 0);
    for (int i = 0; i < 10; i++) {
        sim_send(gcm, 1000);
        sim_send(cm, 1000);
    }
    assert_int_equal(cm->rtp_in, 9); /* it was known to be there from its own first packet on */
    assert_int_equal(gcm->rtp_in, 10);
    assert_int_equal(cm->broken_in + gcm->broken_in, 0);
}

static void test_meetings_apart(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *c = sim_join(s, "other", 3);
    c->ssrc = a->ssrc; /* an SSRC is of its meeting */
    sim_send(a, 100);
    sim_send(c, 100);
    assert_int_equal(b->rtp_in, 1);
    assert_int_equal(c->rtp_in, 0);
    assert_int_equal(a->rtp_in, 0);
}

/* Through the wrap of 2^16, for who was there from the beginning and for who comes right before it. */
static void test_wrap(void **state)
{
    struct sim *s = *state;
    enum { PACKETS = 65536 + 40000 };
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *c = NULL;
    a->sequence = 30000;
    for (uint32_t i = 0; i < PACKETS; i++) {
        if (i == 65530 - 30000)
            c = sim_join(s, "m", 3);
        if (i % 2000 == 0) { /* as time goes by: its limit lets it */
            sim_pass(s, 1000000);
            sim_consent(a, false, NONE, NULL);
            sim_consent(b, false, NONE, NULL);
            if (c)
                sim_consent(c, false, NONE, NULL);
        }
        sim_send(a, 20);
    }
    assert_int_equal(b->rtp_in, PACKETS);
    assert_int_equal(c->rtp_in, PACKETS - (65530 - 30000));
    assert_int_equal(b->broken_in + c->broken_in, 0);
    assert_false(sim_stream(b, a->ssrc)->jumped);
    assert_false(sim_stream(c, a->ssrc)->jumped);
    assert_int_equal(sim_stream(b, a->ssrc)->first, 30000);
    assert_true(sim_stream(c, a->ssrc)->first < 32768);
}

/* Numbers that lead and come round, so that for the sender's keys a packet is a new one that for the order of
 * numbers has been: no receiver gets an index a second time, which it would tell as a packet that it can't read. */
static void test_no_index_twice(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    const uint16_t in[] = {90, 100, 60000, 90, 100, 101};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
        sim_send_as(a, a->ssrc, in[i], 100 + i);
    assert_int_equal(sim_stats(a).packets_in, 6);
    assert_int_equal(b->broken_in, 0);
    assert_int_equal(b->rtp_in, 3);
    assert_int_equal(sim_stats(b).packets_out, 3);
}

/* A participant comes back with its SSRC and other numbers: for the others it goes on. */
static void test_comes_again(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    a->sequence = 1000;
    for (int i = 0; i < 100; i++)
        sim_send(a, 100);
    assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
    assert_int_equal(sim_handshake(a), 0);
    a->sequence = 40; /* the numbers' begin is the agent's own affair */
    for (int i = 0; i < 100; i++)
        sim_send(a, 100);
    assert_int_equal(b->rtp_in, 200);
    assert_int_equal(b->broken_in, 0);
    assert_false(sim_stream(b, a->ssrc)->jumped);
    /* The same without leaving, and from another address. */
    a->path.peer.port++;
    assert_int_equal(sim_handshake(a), 0);
    a->sequence = 60000;
    sim_send(a, 100);
    assert_int_equal(b->rtp_in, 201);
    assert_false(sim_stream(b, a->ssrc)->jumped);
}

/* A slot that somebody else had before: the new one's numbers are its own. */
static void test_slot_again(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    a->sequence = 32000;
    for (int i = 0; i < 2000; i++)
        sim_send(a, 20);
    assert_int_equal(sim_consent(b, true, NONE, NULL), 0);
    struct sim_agent *c = sim_join(s, "m", 3);
    sim_send(a, 20);
    assert_int_equal(c->rtp_in, 1);
    assert_true(sim_stream(c, a->ssrc)->first < 32768);
}

/* Replayed, altered, cut, of nobody: nothing comes of it, and the figures say so. */
static void test_bad_packets(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    _Alignas(8) uint8_t good[RTP_PACKET_MAX + SRTP_OVERHEAD], bytes[RTP_PACKET_MAX + SRTP_OVERHEAD];
    size_t len = sim_packet(a, good, a->ssrc, 1, 60), bad = 0;
    for (size_t i = 0; i < len; i++, bad++) {
        memcpy(bytes, good, len);
        bytes[i] ^= 0x40;
        media_home_packet(s->home, &a->path, bytes, len, s->now_us);
    }
    for (size_t cut = 0; cut < len; cut++, bad++) {
        memcpy(bytes, good, len);
        media_home_packet(s->home, &a->path, bytes, cut, s->now_us);
    }
    memcpy(bytes, good, len);
    media_home_packet(s->home, &b->path, bytes, len, s->now_us); /* somebody else's */
    assert_int_equal(b->rtp_in + a->rtp_in, 0);
    memcpy(bytes, good, len);
    media_home_packet(s->home, &a->path, bytes, len, s->now_us);
    memcpy(bytes, good, len);
    media_home_packet(s->home, &a->path, bytes, len, s->now_us);
    assert_int_equal(b->rtp_in, 1);
    struct media_leg_stats st = sim_stats(a);
    assert_int_equal(st.packets_in, 1);
    assert_int_equal(st.refused + st.ssrc_refused, bad + 1);
    struct media_path nobody = a->path;
    nobody.peer.port = 1;
    media_home_packet(s->home, &nobody, good, len, s->now_us);
}

/* One that has the keys, and says in its header what isn't so. */
static size_t lie(struct sim_agent *a, uint8_t *out, uint16_t sequence, uint8_t first, const uint8_t *behind,
                  size_t len)
{
    const struct rtp r = {.payload_type = 111, .sequence = sequence, .timestamp = 1, .ssrc = a->ssrc};
    rtp_write(out, &r);
    out[0] = first;
    memcpy(out + RTP_HEADER_LEN, behind, len);
    len += RTP_HEADER_LEN;
    return srtp_leg_protect(a->srtp, out, &len) == 0 ? len : 0;
}

/* Extensions of who is admitted, that overrun: what the packet hasn't room for makes no packet, what an element
 * claims beyond its extension says nothing, and goes on as it came. Nobody else notices either. */
static void test_extensions_that_overrun(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    static const struct {
        uint8_t first;
        bool heard;
        uint8_t behind[12];
    } cases[] = {
        {0x90, true, {0xBE, 0xDE, 0, 1, 0x1F, 0x80}},    /* an element of 16 bytes in 4 */
        {0x90, true, {0xBE, 0xDE, 0, 2, 0x10, 1, 0xF0}}, /* one that ends the list, and all is extension */
        {0x90, true, {0x10, 0x00, 0, 1, 1, 0xFF, 1, 2}}, /* the form of two bytes: 255 in 2 */
        {0x90, true, {0xBE, 0xDE, 0, 0, 9}},             /* none, and a payload */
        {0x90, false, {0xBE, 0xDE, 0, 3}},               /* longer than the packet by a word, */
        {0x90, false, {0xBE, 0xDE, 0xFF, 0xFF}},         /* and by all that can be said */
        {0x9F, false, {0}},                              /* 15 CSRCs that aren't there */
        {0x5F, false, {0}},                              /* another version: no RTP at all */
    };
    size_t heard = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _Alignas(8) uint8_t out[RTP_PACKET_MAX + SRTP_OVERHEAD];
        size_t len =
            lie(a, out, (uint16_t)(100 + i), cases[i].first, cases[i].behind, sizeof cases[i].behind);
        if (len == 0) /* no SRTP of ours makes such a packet; then it comes with nonsense where the tag is */
            len = RTP_HEADER_LEN + sizeof cases[i].behind + SRTP_OVERHEAD / 2;
        media_home_packet(s->home, &a->path, out, len, s->now_us);
        heard += cases[i].heard;
        assert_int_equal(b->rtp_in, heard);
    }
    assert_int_equal(b->broken_in, 0);
    struct media_leg_stats st = sim_stats(a);
    assert_int_equal(st.packets_in, heard);
    assert_true(st.refused >= 3);
    sim_send_as(b, b->ssrc, 1, 60);
    assert_int_equal(a->rtp_in, 1);
}

/* Ten times its limit for a while: what is above it is dropped, others are heard, and after 10 s it is sent away. */
static void test_flood(void **state)
{
    struct sim *s = *state;
    struct ticket t = sim_ticket(s, "m", "flood");
    t.kbps = 100;
    struct sim_agent *a = sim_agent(s, &t), *b = sim_join(s, "m", 2), *c = sim_join(s, "m", 3);
    assert_int_equal(sim_handshake(a), 0);
    for (int second = 0; second < 4; second++) {
        for (int i = 0; i < 125; i++) { /* 1 Mbit/s */
            sim_send(a, 972);
            sim_pass(s, 8000);
        }
    }
    struct media_leg_stats st = sim_stats(a);
    assert_int_equal(st.packets_in + st.over_limit, 500);
    assert_in_range(st.bytes_in, 5 * 12500 - 2000, 5 * 12500 + 2000);
    assert_int_equal(b->rtp_in, st.packets_in);
    assert_in_range(st.kbps_in, 80, 120);
    sim_send(c, 100);
    assert_int_equal(b->rtp_in, st.packets_in + 1);
    assert_int_equal(s->ended_n, 0);
    for (int i = 0; i < 12 * 250 && s->ended_n == 0; i++) {
        sim_send(a, 972);
        sim_send(a, 972);
        sim_pass(s, 8000);
        if (i % 500 == 0) {
            sim_consent(a, false, NONE, NULL);
            sim_consent(b, false, NONE, NULL);
            sim_consent(c, false, NONE, NULL);
        }
    }
    assert_int_equal(s->ended_n, 1);
    assert_int_equal(s->ended[0], MEDIA_END_OVER_LIMIT);
    assert_string_equal(s->last_ended, "flood");
}

/* Far below its limit in bytes: what is above the limit in packets is dropped, and who goes on with ten times that is sent away. */
static void test_flood_of_small_packets(void **state)
{
    struct sim *s = *state;
    enum { PACKETS = 10000 };
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    for (int i = 0; i < PACKETS; i++) {
        sim_send(a, 1);
        if (i % 10 == 9)
            sim_pass(s, 1000);
    }
    struct media_leg_stats st = sim_stats(a);
    assert_int_equal(st.packets_in + st.over_limit, PACKETS);
    assert_in_range(st.packets_in, 2 * MEDIA_PACKETS_MIN - 100, 2 * MEDIA_PACKETS_MIN + 100);
    assert_int_equal(b->rtp_in, st.packets_in);
    struct leg *l = home_leg_at(s->home, &a->path);
    for (int i = 0; i < 12 && s->ended_n == 0; i++) {
        sim_consent(a, false, NONE, NULL);
        sim_consent(b, false, NONE, NULL);
        l->offered_packets += (uint64_t)(HOME_OVER_TIMES + 1) * MEDIA_PACKETS_MIN; /* as so many would */
        sim_pass(s, 1000000);
    }
    assert_int_equal(s->ended_n, 1);
    assert_int_equal(s->ended[0], MEDIA_END_OVER_LIMIT);
}

static void test_receiver_without_room(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    for (int i = 0; i < 30; i++) {
        s->full = i >= 10 && i < 20;
        sim_send(a, 100);
    }
    assert_int_equal(b->rtp_in, 20);
    assert_int_equal(sim_stats(b).left_out, 10);
    assert_true(sim_stream(b, a->ssrc)->jumped); /* to the receiver it is loss */
    assert_int_equal((uint16_t)(sim_stream(b, a->ssrc)->last - sim_stream(b, a->ssrc)->first), 29);
}

/* The longest that goes on with any suite is sent on; one byte more isn't, so that no receiver gets what is too long for it. */
static void test_longest_packets(void **state)
{
    struct sim *s = *state;
    enum { MOST = RTP_PACKET_MAX - SRTP_OVERHEAD - RTP_HEADER_LEN };
    struct ticket t = sim_ticket(s, "m", "short");
    struct sim_agent *a = sim_agent(s, &t);
    a->hello.suites = 1u << SRTP_AES_CM_128_SHA1_80; /* adds less than the others' */
    assert_int_equal(sim_handshake(a), 0);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    struct sim_agent *b = sim_join(s, "m", 2);
    sim_send(a, MOST);
    assert_int_equal(sim_stream(b, a->ssrc)->bytes, MOST);
    for (size_t more = 1; RTP_HEADER_LEN + MOST + more + 10 <= RTP_PACKET_MAX; more++) {
        sim_send(a, MOST + more);
        assert_int_equal(b->rtp_in, 1);
        assert_int_equal(sim_stats(a).refused, more);
    }
    assert_int_equal(b->broken_in, 0);
    sim_send(a, MOST);
    assert_int_equal(b->rtp_in, 2);
}

static void test_losses_counted(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    const uint16_t in[] = {65530, 65531, 65534, 2, 65532, 3};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
        sim_send_as(a, 5, in[i], 100);
    assert_int_equal(sim_stats(a).lost_in, 2 + 3 - 1);
    assert_int_equal(b->rtp_in, 6);
    assert_int_equal(b->broken_in, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_ten, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_fifty, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_last_n, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_suites_mixed, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_meetings_apart, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_wrap, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_no_index_twice, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_comes_again, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_slot_again, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_bad_packets, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_extensions_that_overrun, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_flood, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_flood_of_small_packets, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_receiver_without_room, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_longest_packets, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_losses_counted, sim_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
