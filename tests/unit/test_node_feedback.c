/* link: berth_media_home berth_media */
/* A node's RTCP: how sources arrive, what is said of what is sent, round trips, transport-wide feedback. */
#include "feedback_world.h"

/* ---- reception ---- */

static void losses(struct world *w)
{
    flows(w, 65500, 100, 10); /* over the wrap */
    struct rtcp r = due(w, &w->sender, RTCP_RECEIVER_REPORT);
    assert_int_equal(r.kind, RTCP_RECEIVER_REPORT);
    assert_int_equal(r.sender, 100);
    struct rtcp_block b = rtcp_block_at(&r, 0);
    assert_int_equal(b.ssrc, SSRC);
    assert_int_equal(b.lost, 10);
    assert_int_equal(b.fraction_lost, 10 * 256 / 100);
    assert_int_equal(b.highest, 65500 + 99);
    assert_int_equal(b.last_report, 0);
    assert_int_equal(feedback_source_lost(&w->source), 10);
    flows(w, (uint16_t)(65500 + 100), 60, 0);
    r = due(w, &w->sender, RTCP_RECEIVER_REPORT);
    b = rtcp_block_at(&r, 0);
    assert_int_equal(b.lost, 10);
    assert_int_equal(b.fraction_lost, 0);
    assert_int_equal(b.highest, 65500 + 159);
    comes(w, (uint16_t)(65500 + 5), 0); /* a retransmission: one is lost less */
    w->now_us += FEEDBACK_REPORT_US;
    r = due(w, &w->sender, RTCP_RECEIVER_REPORT);
    assert_int_equal(rtcp_block_at(&r, 0).lost, 9);
    w->now_us += FEEDBACK_REPORT_US;
    assert_int_equal(due(w, &w->sender, RTCP_RECEIVER_REPORT).kind, RTCP_OTHER); /* nothing has come since */
}

static void test_losses(void **state)
{
    with_world(losses);
}

static void jitter(struct world *w)
{
    for (unsigned i = 0; i < 1000; i++) {
        w->now_us += i % 2 ? 25 * MS : 15 * MS;
        comes(w, (uint16_t)i, i * TICKS_20MS);
    }
    assert_int_equal(w->source.clock_hz, 48000); /* measured */
    struct rtcp r = due(w, &w->sender, RTCP_RECEIVER_REPORT);
    uint32_t got = rtcp_block_at(&r, 0).jitter; /* each differs from the one before by 5 ms */
    assert_in_range(got, 5 * 48 - 15, 5 * 48 + 1);
    assert_in_range(w->sender.jitter_us, 4 * MS, 6 * MS);
}

static void test_jitter(void **state)
{
    with_world(jitter);
}

static void a_sender_that_begins_anew(struct world *w)
{
    flows(w, 1000, 50, 0);
    comes(w, 30000, 0); /* an accident: nothing is made of it */
    flows(w, 1050, 10, 0);
    assert_int_equal(feedback_source_lost(&w->source), 0);
    assert_int_equal(w->source.highest, 1059);
    flows(w, 20000, 50, 0); /* two in order are none */
    assert_int_equal(w->source.highest, 20049);
    assert_int_equal(w->source.first, 20001);
    assert_int_equal(feedback_source_lost(&w->source), 0);
    feedback_source_from(&w->source, NULL);
    feedback_source_from(&w->source, &w->sender);
    assert_false(w->source.begun);
    flows(w, 7, 1, 0);
    assert_int_equal(w->source.first, 7);
}

static void test_a_sender_that_begins_anew(void **state)
{
    with_world(a_sender_that_begins_anew);
}

/* ---- sender reports, round trips ---- */

static void sender_says(struct world *w, uint64_t ntp, uint32_t timestamp)
{
    uint8_t out[256];
    struct wire_wr wr = writer(out);
    const struct rtcp_sender s = {SSRC, ntp, timestamp, 1, 2};
    assert_true(rtcp_write_sender_report(&wr, &s, NULL, 0) && rtcp_write_cname(&wr, SSRC, "abc"));
    hear_written(w, RECEIVERS, &wr);
}

static void reports_and_round_trips(struct world *w)
{
    const uint64_t second = (uint64_t)1 << 32, ntp = 4000000000u * second;
    uint8_t out[256];
    flows(w, 1, 10, 0);
    assert_int_equal(due(w, &w->receiver[0], RTCP_SENDER_REPORT).kind, RTCP_OTHER); /* no clock to tell */
    sender_says(w, ntp, 5000);
    w->now_us += 2000 * MS;
    sender_says(w, ntp + 2 * second, 5000 + 2 * 48000);
    assert_int_equal(w->source.clock_hz, 48000);
    w->now_us += 500 * MS;
    struct rtcp r = due(w, &w->receiver[0], RTCP_SENDER_REPORT);
    assert_int_equal(r.sender, SSRC);
    assert_true(r.ntp == ntp + 2 * second + second / 2); /* the sender's clock, now */
    assert_int_equal(r.timestamp, 5000 + 2 * 48000 + 24000);
    assert_int_equal(r.packets, 10);
    assert_int_equal(r.octets, 1600);
    r = due(w, &w->receiver[1], RTCP_SDES);
    uint32_t ssrc;
    assert_int_equal(rtcp_cname_at(&r, 0, &ssrc).len, 3);
    assert_int_equal(ssrc, SSRC);

    int64_t sent_us = w->now_us;
    w->now_us += 80 * MS; /* 30 ms there and back, held for 50 */
    struct rtcp_block b = {SSRC, 13, 7, 99, 5, rtcp_ntp_middle(ntp + 2 * second + second / 2), 65536 / 20};
    struct wire_wr wr = writer(out);
    assert_true(rtcp_write_receiver_report(&wr, 9, &b, 1));
    assert_int_equal(w->receiver[0].rtt_us, -1);
    hear_written(w, 0, &wr);
    assert_in_range(w->receiver[0].rtt_us, 29 * MS, 31 * MS);
    assert_int_equal(w->receiver[0].lost_out, 7);
    assert_int_equal(w->to[0].fraction_lost, 13);
    hear_written(w, 0, &wr);
    assert_int_equal(w->receiver[0].lost_out, 7);
    assert_int_equal(w->receiver[1].rtt_us, -1);
    b.last_report++; /* never sent */
    w->receiver[0].rtt_us = -1;
    wr = writer(out);
    assert_true(rtcp_write_receiver_report(&wr, 9, &b, 1));
    hear_written(w, 0, &wr);
    assert_int_equal(w->receiver[0].rtt_us, -1);

    w->now_us = sent_us + FEEDBACK_REPORT_US;
    assert_int_equal(due(w, &w->receiver[0], RTCP_SENDER_REPORT).kind,
                     RTCP_OTHER); /* nothing was sent since */
    flows(w, 11, 1, 0);
    r = due(w, &w->sender, RTCP_RECEIVER_REPORT);
    b = rtcp_block_at(&r, 0);
    assert_int_equal(b.last_report, rtcp_ntp_middle(ntp + 2 * second));
    assert_in_range(b.delay, 65536 * 152 / 100 - 10, 65536 * 152 / 100 + 10);
}

static void test_reports_and_round_trips(void **state)
{
    with_world(reports_and_round_trips);
}

/* ---- transport-wide feedback ---- */

static void comes_numbered(struct world *w, uint16_t sequence, uint16_t number)
{
    uint8_t packet[RTP_HEADER_LEN + 8] = {0};
    struct rtp r = {.sequence = sequence, .timestamp = sequence * 90u, .ssrc = SSRC};
    rtp_write(packet, &r);
    const uint8_t ext[8] = {0xBE, 0xDE, 0, 1, WIDE_EXT << 4 | 1, (uint8_t)(number >> 8), (uint8_t)number, 0};
    packet[0] |= 0x10;
    memcpy(packet + RTP_HEADER_LEN, ext, sizeof ext);
    assert_int_equal(rtp_parse(&r, packet, sizeof packet), 0);
    feedback_rtp_in(&w->source, &r, packet, w->now_us);
}

static size_t check_wide(const struct rtcp *r, uint16_t base, unsigned every, int64_t step_us)
{
    struct rtcp_wide_iter it = rtcp_wide_iter(r);
    uint16_t number;
    bool received;
    int64_t at_us, first_us = 0, n = 0;
    assert_int_equal(r->kind, RTCP_WIDE);
    assert_int_equal(r->base, base);
    for (; rtcp_wide_next(&it, &number, &received, &at_us); n++) {
        if (received != ((uint16_t)(number - 65500) % every != every / 2))
            fail_msg("number %u: received %d", number, received);
        if (n == 0)
            first_us = at_us;
        else if (received)
            assert_in_range(at_us - first_us - n * step_us + 1000, 1000 - 250, 1000 + 250);
    }
    return (size_t)n;
}

static void wide(struct world *w)
{
    uint16_t number = 65500;
    (void)due(w, &w->sender, RTCP_WIDE);
    for (uint16_t i = 0; i < 100; i++, number++, w->now_us += 1 * MS) {
        if (i % 7 != 3)
            comes_numbered(w, i, number);
    }
    assert_true(feedback_deadline(w->f) <= w->now_us);
    struct rtcp r = due(w, &w->sender, RTCP_WIDE);
    assert_int_equal(r.sender, 100);
    assert_int_equal(r.media, SSRC);
    assert_int_equal(r.feedback, 0);
    assert_int_equal(check_wide(&r, 65500, 7, 1 * MS), 100);
    assert_int_equal(due(w, &w->sender, RTCP_WIDE).kind, RTCP_OTHER);
    comes_numbered(w, 3, 65503); /* late: it has been told of */
    number += 2;                 /* two are missing before the next */
    comes_numbered(w, 102, number);
    assert_int_equal(due(w, &w->sender, RTCP_WIDE).kind, RTCP_OTHER); /* not so soon */
    w->now_us += FEEDBACK_WIDE_US;
    r = due(w, &w->sender, RTCP_WIDE);
    assert_int_equal(r.base, (uint16_t)(65500 + 100));
    assert_int_equal(r.count, 3);
    assert_int_equal(r.feedback, 1);
}

static void test_wide(void **state)
{
    with_world(wide);
}

static void wide_is_bounded(struct world *w)
{
    uint16_t number = 0;
    (void)due(w, &w->sender, RTCP_WIDE);
    comes_numbered(w, 0, number++);
    (void)due(w, &w->sender, RTCP_WIDE);
    for (; number < FEEDBACK_WIDE_MAX / 2; number++)
        comes_numbered(w, number, number);
    w->sender.report_us = INT64_MAX;
    feedback_leg_end(&w->receiver[0]), feedback_leg_end(&w->receiver[1]);
    assert_true(feedback_deadline(w->f) > w->now_us);
    comes_numbered(w, number, number), number++;
    comes_numbered(w, number, number), number++;
    assert_true(feedback_deadline(w->f) <= w->now_us); /* half of it: at once */
    for (; number < 5 * FEEDBACK_WIDE_MAX; number++)   /* and nobody writes */
        comes_numbered(w, number, number);
    size_t told = 0;
    for (struct rtcp r; (r = due(w, &w->sender, RTCP_WIDE)).kind == RTCP_WIDE; told += r.count)
        assert_true(r.count <= FEEDBACK_WIDE_MAX);
    assert_in_range(told, 1, FEEDBACK_WIDE_MAX);
    comes_numbered(w, 9, (uint16_t)(number + 20000)); /* a leap */
    w->now_us += FEEDBACK_WIDE_US;
    assert_int_equal(due(w, &w->sender, RTCP_WIDE).count, 1);
}

static void test_wide_is_bounded(void **state)
{
    with_world(wide_is_bounded);
}

static void what_concerns_nobody_counts_for_nothing(struct world *w)
{
    uint8_t out[256];
    const struct rtcp_block b = {.ssrc = SSRC, .lost = 5};
    struct wire_wr wr = writer(out);
    assert_true(rtcp_write_sender_report(&wr, &(struct rtcp_sender){.ssrc = SSRC, .ntp = 5}, &b, 1) &&
                rtcp_write_cname(&wr, SSRC, "another") && rtcp_write_bye(&wr, (uint32_t[]){SSRC}, 1));
    hear_written(w, 0, &wr); /* a receiver that speaks for the sender */
    assert_false(w->source.has_report);
    assert_string_equal(w->source.cname, "");
    wr = writer(out);
    assert_true(rtcp_write_pli(&wr, 1, SSRC) && rtcp_write_fir(&wr, 1, SSRC, 1) &&
                rtcp_write_remb(&wr, 1, 5, (uint32_t[]){SSRC}, 1));
    hear_written(w, RECEIVERS, &wr); /* the sender about itself */
    assert_false(w->source.wants_picture || w->source.wants_intra || w->source.least_now > 0);
    assert_int_equal(hear(w, 0, out, 0), -EBADMSG);
    assert_int_equal(hear(w, 0, out, wire_wr_len(&wr) - 1), -EBADMSG);
    assert_false(w->source.wants_picture);
    wr = writer(out);
    char longest[FEEDBACK_CNAME_MAX + 2] = {0};
    memset(longest, 'x', FEEDBACK_CNAME_MAX + 1);
    assert_true(rtcp_write_cname(&wr, SSRC, longest) && rtcp_write_cname(&wr, SSRC, ""));
    hear_written(w, RECEIVERS, &wr);
    assert_string_equal(w->source.cname, "");
}

static void test_what_concerns_nobody_counts_for_nothing(void **state)
{
    with_world(what_concerns_nobody_counts_for_nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_a_sender_that_begins_anew),
        cmocka_unit_test(test_reports_and_round_trips),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_wide_is_bounded),
        cmocka_unit_test(test_what_concerns_nobody_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
