/* link: test_media */
/* RTCP through the engine: it ends and begins at the node. What RTCP itself says is test_node_feedback's. */
#include "check.h"

#include "media/rtcp.h"
#include "node/media/feedback.h"
#include "support/media/sim.h"

#include <string.h>

enum { ME = 0x7777, RTCP_ROOM = 500 };

/* How many packets of that kind about that SSRC the agent has got; *last: the last of them. */
static size_t got(struct sim_agent *a, enum rtcp_kind kind, uint32_t media, struct rtcp *last)
{
    struct wire_rd rd = wire_rd_init(a->rtcp, a->rtcp_len);
    struct rtcp r;
    size_t n = 0;
    while (rtcp_next(&rd, &r) > 0) {
        uint32_t about = kind == RTCP_SENDER_REPORT ? r.sender : r.media;
        if (kind == RTCP_RECEIVER_REPORT && r.kind == kind && r.count > 0)
            about = rtcp_block_at(&r, 0).ssrc;
        if (r.kind != kind || (about != media && kind != RTCP_REMB))
            continue;
        n++;
        *last = r;
    }
    return n;
}

static void forget(struct sim *s)
{
    for (size_t i = 0; i < s->n_agents; i++)
        s->agents[i]->rtcp_len = 0;
}

static void send_nack(struct sim_agent *a, uint32_t media, const uint16_t *sequences, size_t n)
{
    uint8_t bytes[RTCP_ROOM];
    struct wire_wr w = wire_wr_init(bytes, sizeof bytes);
    assert_true(rtcp_write_receiver_report(&w, ME, NULL, 0));
    assert_true(rtcp_write_nack(&w, ME, media, sequences, n));
    sim_send_rtcp(a, bytes, wire_wr_len(&w));
}

static void send_pli(struct sim_agent *a, uint32_t media)
{
    uint8_t bytes[RTCP_ROOM];
    struct wire_wr w = wire_wr_init(bytes, sizeof bytes);
    assert_true(rtcp_write_receiver_report(&w, ME, NULL, 0));
    assert_true(rtcp_write_pli(&w, ME, media));
    sim_send_rtcp(a, bytes, wire_wr_len(&w));
}

static void talk(struct sim *s, struct sim_agent *a, int packets)
{
    for (int i = 0; i < packets; i++) {
        sim_send(a, 100);
        sim_pass(s, 20000);
    }
}

/* What the node got it reports to who sent it, and to nobody else. */
static void test_receiver_reports(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    struct rtcp r;
    a->sequence = 100;
    talk(s, a, 40);
    a->sequence += 10; /* lost on the way to the node */
    talk(s, a, 40);
    assert_true(got(a, RTCP_RECEIVER_REPORT, a->ssrc, &r) >= 1);
    struct rtcp_block block = rtcp_block_at(&r, 0);
    assert_int_equal(block.lost, 10);
    assert_in_range(block.highest, 140, 190);
    assert_int_equal(got(b, RTCP_RECEIVER_REPORT, a->ssrc, &r), 0);
    assert_int_equal(a->broken_in + b->broken_in, 0);
}

/* A sender's report goes on by the sender's clock, and the answer to it tells the round trip of the other hop. */
static void test_sender_reports(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    uint8_t bytes[RTCP_ROOM];
    struct rtcp r;
    struct rtcp_sender sender = {.ssrc = a->ssrc, .ntp = (uint64_t)1000 << 32, .timestamp = 5000};
    talk(s, a, 10);
    struct wire_wr w = wire_wr_init(bytes, sizeof bytes);
    assert_true(rtcp_write_sender_report(&w, &sender, NULL, 0));
    assert_true(rtcp_write_cname(&w, a->ssrc, "ann"));
    sim_send_rtcp(a, bytes, wire_wr_len(&w));
    talk(s, a, 60);
    assert_true(got(b, RTCP_SENDER_REPORT, a->ssrc, &r) >= 1);
    assert_in_range(r.ntp >> 32, 1000, 1003);
    struct wire_rd rd = wire_rd_init(b->rtcp, b->rtcp_len);
    struct rtcp any;
    uint32_t ssrc = 0;
    struct slice name = {NULL, 0};
    while (rtcp_next(&rd, &any) > 0 && ssrc != a->ssrc)
        name = any.kind == RTCP_SDES ? rtcp_cname_at(&any, 0, &ssrc) : name;
    assert_int_equal(name.len, 3);
    assert_memory_equal(name.p, "ann", 3);
    struct rtcp_block block = {.ssrc = a->ssrc, .last_report = rtcp_ntp_middle(r.ntp), .lost = 7};
    s->now_us += 30000;
    w = wire_wr_init(bytes, sizeof bytes);
    assert_true(rtcp_write_receiver_report(&w, ME, &block, 1));
    sim_send_rtcp(b, bytes, wire_wr_len(&w));
    struct media_leg_stats of_b = sim_stats(b);
    assert_true(of_b.rtt_us >= 30000);
    assert_int_equal(of_b.lost_out, 7);
    assert_int_equal(sim_stats(a).rtt_us, -1);
}

/* What a receiver missed comes again under its number and once; for a receiver that calls the packets otherwise, too. */
static void test_nack_answered(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *c = NULL;
    struct rtcp r;
    a->sequence = 40000;
    talk(s, a, 5);
    c = sim_join(s, "m", 3);
    talk(s, a, 5);
    s->full = true;
    talk(s, a, 2);
    s->full = false;
    talk(s, a, 5);
    assert_int_equal(b->rtp_in, 15);
    assert_int_equal(c->rtp_in, 10);
    const struct sim_stream *of_b = sim_stream(b, a->ssrc), *of_c = sim_stream(c, a->ssrc);
    uint16_t missed[2] = {(uint16_t)(of_b->first + 10), (uint16_t)(of_b->first + 11)};
    send_nack(b, a->ssrc, missed, 2);
    assert_int_equal(b->rtp_in, 17);
    assert_int_equal(of_b->last, missed[1]);
    missed[0] = (uint16_t)(of_c->first + 6);
    send_nack(c, a->ssrc, missed, 1);
    assert_int_equal(c->rtp_in, 11);
    assert_int_equal(of_c->last, missed[0]);
    assert_int_equal(b->broken_in + c->broken_in, 0);
    sim_pass(s, 100000);
    assert_int_equal(got(a, RTCP_NACK, a->ssrc, &r), 0); /* its sender isn't asked */
}

/* What the node hasn't got itself its sender is asked for, once for all receivers and under the sender's own number;
 * and it goes to all. */
static void test_nack_passed_on(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2), *c = sim_join(s, "m", 3);
    struct rtcp r;
    uint16_t sequence, more;
    a->sequence = 50000;
    talk(s, a, 5);
    a->sequence++;
    talk(s, a, 5);
    uint16_t missed = (uint16_t)(sim_stream(b, a->ssrc)->first + 5);
    forget(s);
    send_nack(b, a->ssrc, &missed, 1);
    send_nack(c, a->ssrc, &missed, 1);
    sim_pass(s, 20000);
    assert_int_equal(got(a, RTCP_NACK, a->ssrc, &r), 1);
    assert_int_equal(r.count, 1);
    rtcp_nack_at(&r, 0, &sequence, &more);
    assert_int_equal(sequence, 50005);
    assert_int_equal(more, 0);
    sim_send_as(a, a->ssrc, sequence, 100);
    assert_int_equal(b->rtp_in, 11);
    assert_int_equal(c->rtp_in, 11);
    assert_int_equal(sim_stream(c, a->ssrc)->last, missed);
    /* Nobody is asked for what nobody can have sent, or for what isn't the receiver's. */
    forget(s);
    missed = (uint16_t)(sim_stream(b, a->ssrc)->first + 5000);
    send_nack(b, a->ssrc, &missed, 1);
    send_nack(b, 0x12345, &missed, 1);
    send_nack(a, a->ssrc, &missed, 1);
    sim_pass(s, 20000);
    assert_int_equal(got(a, RTCP_NACK, a->ssrc, &r), 0);
}

/* What is older than the packets that are kept nobody is asked for any more, and it isn't sent again: a receiver
 * can't make a sender repeat all that it has ever sent. */
static void test_nack_too_old(void **state)
{
    enum { AGO = 3000, AT_ONCE = 64 };
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    struct rtcp r;
    uint16_t asked[AT_ONCE];
    a->sequence = 1000;
    talk(s, a, 2);
    a->sequence += AGO; /* what was never sent */
    talk(s, a, 1);
    uint16_t newest = sim_stream(b, a->ssrc)->last;
    size_t had = b->rtp_in;
    forget(s);
    for (uint16_t ago = FEEDBACK_KEPT; ago + AT_ONCE < AGO; ago = (uint16_t)(ago + AT_ONCE)) {
        for (uint16_t i = 0; i < AT_ONCE; i++)
            asked[i] = (uint16_t)(newest - ago - i);
        send_nack(b, a->ssrc, asked, AT_ONCE);
        sim_pass(s, FEEDBACK_MERGE_US);
    }
    sim_pass(s, 20000);
    assert_int_equal(got(a, RTCP_NACK, a->ssrc, &r), 0);
    asked[0] = (uint16_t)(newest - AGO - 1); /* the second, of which there may be a copy */
    send_nack(b, a->ssrc, asked, 1);
    assert_int_equal(b->rtp_in, had);
    asked[0] = (uint16_t)(newest - FEEDBACK_KEPT + 1);
    send_nack(b, a->ssrc, asked, 1);
    sim_pass(s, 20000);
    assert_int_equal(got(a, RTCP_NACK, a->ssrc, &r), 1);
    assert_int_equal(r.count, 1);
}

static void test_keyframes_merged(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1);
    struct rtcp r;
    for (size_t i = 2; i < 8; i++)
        assert_non_null(sim_join(s, "m", i));
    talk(s, a, 2);
    forget(s);
    for (int turn = 0; turn < 4; turn++) { /* 400 ms */
        for (size_t i = 1; i < s->n_agents; i++)
            send_pli(s->agents[i], a->ssrc);
        sim_pass(s, 100000);
    }
    assert_int_equal(got(a, RTCP_PLI, a->ssrc, &r), 1);
    sim_pass(s, 200000);
    assert_int_equal(got(a, RTCP_PLI, a->ssrc, &r), 2);
}

static void test_least_rate(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1);
    struct rtcp r;
    for (size_t i = 2; i < 5; i++)
        assert_non_null(sim_join(s, "m", i));
    for (int turn = 0; turn < 4; turn++) {
        for (size_t i = 1; i < s->n_agents; i++) {
            uint8_t bytes[RTCP_ROOM];
            struct wire_wr w = wire_wr_init(bytes, sizeof bytes);
            assert_true(rtcp_write_receiver_report(&w, ME, NULL, 0));
            assert_true(rtcp_write_remb(&w, ME, i * 256000, &a->ssrc, 1));
            sim_send_rtcp(s->agents[i], bytes, wire_wr_len(&w));
        }
        forget(s);
        talk(s, a, 25);
    }
    talk(s, a, 25);
    assert_true(got(a, RTCP_REMB, a->ssrc, &r) >= 1);
    assert_int_equal(r.bitrate, 256000);
}

/* Who is heard again is asked for a picture. */
static void test_keyframe_when_heard(void **state)
{
    struct sim *s = *state;
    struct rtcp r;
    struct sim_agent *late = NULL;
    for (size_t i = 0; i < 4; i++) {
        char who[2] = {(char)('a' + i), 0};
        struct ticket t = sim_ticket(s, "m", who);
        t.last_n = 3;
        late = sim_agent(s, &t);
        assert_int_equal(sim_handshake(late), 0);
        late->level = 90;
    }
    for (int turn = 0; turn < 100; turn++) {
        for (size_t i = 0; i < 4; i++) {
            struct sim_agent *a = s->agents[i];
            uint8_t quiet = a->level;
            sim_send(a, 60);
            a->level = 255;
            sim_send_as(a, 0x9000 + a->ssrc, (uint16_t)turn, 900);
            a->level = quiet;
        }
        if (turn == 40) {
            assert_null(sim_stream(s->agents[0], 0x9000 + late->ssrc));
            forget(s);
            late->level = 5;
        }
        sim_pass(s, 50000);
    }
    assert_non_null(sim_stream(s->agents[0], 0x9000 + late->ssrc));
    assert_int_equal(got(late, RTCP_PLI, 0x9000 + late->ssrc, &r), 1);
}

/* Nor has it to wait for a turn where somebody's place has become free. */
static void test_keyframe_in_a_free_place(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a[3];
    struct rtcp r;
    for (size_t i = 0; i < 3; i++) {
        a[i] = sim_join_last_n(s, "m", i, 1);
        assert_non_null(a[i]);
    }
    for (size_t i = 0; i < 2; i++)
        sim_send(a[i], 900);
    assert_null(sim_stream(a[2], a[1]->ssrc));
    assert_int_equal(sim_consent(a[0], true, NONE, NULL), 0);
    sim_send(a[1], 900);
    assert_int_equal(sim_stream(a[2], a[1]->ssrc)->n, 1);
    sim_pass(s, 10000);
    assert_int_equal(got(a[1], RTCP_PLI, a[1]->ssrc, &r), 1);
}

static void test_transport_wide(void **state)
{
    struct sim *s = *state;
    struct ticket t = sim_ticket(s, "m", "wide");
    struct sim_agent *a = sim_agent(s, &t);
    struct rtcp r;
    _Alignas(8) uint8_t packet[200];
    a->hello.transport_wide_ext = 3;
    assert_int_equal(sim_handshake(a), 0);
    for (uint16_t i = 0; i < 20; i++) {
        struct rtp h = {.payload_type = 96, .sequence = i, .ssrc = a->ssrc};
        const uint8_t extension[8] = {0xBE, 0xDE, 0, 1, 3 << 4 | 1, 0, (uint8_t)i, 0};
        rtp_write(packet, &h);
        packet[0] |= 0x10;
        memcpy(packet + RTP_HEADER_LEN, extension, sizeof extension);
        size_t len = RTP_HEADER_LEN + sizeof extension + 50;
        memset(packet + RTP_HEADER_LEN + sizeof extension, 1, 50);
        assert_int_equal(srtp_leg_protect(a->srtp, packet, &len), 0);
        media_home_packet(s->home, &a->path, packet, len, s->now_us);
        sim_pass(s, 20000);
    }
    assert_true(got(a, RTCP_WIDE, a->ssrc, &r) >= 2);
}

/* RTCP counts as what is sent: above the limit nothing comes of it, and who goes on so is sent away. */
static void test_flood_of_rtcp(void **state)
{
    enum { PLI = 20 };
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1);
    struct ticket t = sim_ticket(s, "m", "flood");
    uint8_t bytes[RTCP_ROOM];
    struct rtcp r;
    t.kbps = 20;
    struct sim_agent *b = sim_agent(s, &t);
    assert_int_equal(sim_handshake(b), 0);
    assert_int_equal(sim_consent(b, false, (struct slice){NULL, 0}, NULL), 0);
    talk(s, a, 2);
    forget(s);
    struct wire_wr w = wire_wr_init(bytes, sizeof bytes);
    for (int i = 0; i < PLI; i++)
        assert_true(rtcp_write_receiver_report(&w, ME, NULL, 0) && rtcp_write_pli(&w, ME, 0x4242));
    for (int i = 0; i < 50; i++)
        sim_send_rtcp(b, bytes, wire_wr_len(&w));
    assert_in_range(sim_stats(b).over_limit, 35, 49);
    send_pli(b, a->ssrc); /* a small one may still be within it */
    for (int i = 0; i < 50; i++)
        send_pli(b, a->ssrc);
    uint64_t over = sim_stats(b).over_limit;
    forget(s);
    send_pli(b, a->ssrc);
    assert_int_equal(sim_stats(b).over_limit, over + 1);
    sim_pass(s, 2000000);
    assert_true(got(a, RTCP_PLI, a->ssrc, &r) <= 1); /* of those that were within it */
    for (int i = 0; i < 12 * 100 && s->ended_n == 0; i++) {
        sim_send_rtcp(b, bytes, wire_wr_len(&w));
        sim_pass(s, 10000);
        if (i % 300 == 0)
            sim_consent(b, false, (struct slice){NULL, 0}, NULL);
    }
    assert_int_equal(s->ended_n, 1);
    assert_int_equal(s->ended[0], MEDIA_END_OVER_LIMIT);
}

static void test_bad_rtcp(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1);
    _Alignas(8) uint8_t bytes[100] = {0x80, 201, 0, 1, 0, 0, 0, 1};
    sim_send_rtcp(a, bytes, 8);
    assert_int_equal(sim_stats(a).refused, 0);
    bytes[3] = 9; /* it says that it is longer than it is */
    sim_send_rtcp(a, bytes, 8);
    assert_int_equal(sim_stats(a).refused, 1);
    media_home_packet(s->home, &a->path, bytes, 40, s->now_us);
    assert_int_equal(sim_stats(a).refused, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_receiver_reports, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_sender_reports, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nack_answered, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nack_passed_on, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nack_too_old, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_keyframes_merged, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_least_rate, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_keyframe_when_heard, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_keyframe_in_a_free_place, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_transport_wide, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_flood_of_rtcp, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_bad_rtcp, sim_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
