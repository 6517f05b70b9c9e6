/* link: berth_media_home berth_media */
/* A node's RTCP: what receivers ask for, and what of it the sender is asked: packets, key frames, rates; many legs and sources. */
#include "feedback_world.h"

/* ---- packets that are missing ---- */

static void nacks_are_read(struct world *w)
{
    const uint16_t lost[] = {65530, 65535, 0, 3, 40};
    uint8_t out[256];
    struct wire_wr wr = writer(out);
    assert_true(rtcp_write_nack(&wr, 200, SSRC, lost, 5) && rtcp_write_nack(&wr, 200, SSRC + 1, lost, 5));
    hear_written(w, 1, &wr);
    assert_int_equal(w->n_missing, 5);
    assert_memory_equal(w->missing, lost, sizeof lost);
    w->n_missing = 0;
    hear_written(w, RECEIVERS, &wr); /* the sender isn't sent its own */
    assert_int_equal(w->n_missing, 0);
    uint8_t many[12 + 4 * 100] = {0x81, 205, 0, 102, 0, 0, 0, 200, 0x11, 0x22, 0x33, 0x44};
    memset(many + 12, 0xFF, sizeof many - 12);
    assert_int_equal(hear(w, 0, many, sizeof many), 0);
    assert_int_equal(w->n_missing, FEEDBACK_MISSING_MAX);
    w->n_missing = 0;
    many[3]++; /* longer than it is */
    assert_int_equal(hear(w, 0, many, sizeof many), -EBADMSG);
    assert_int_equal(w->n_missing, 0);
}

static void test_nacks_are_read(void **state)
{
    with_world(nacks_are_read);
}

static void asked_once_for_all(struct world *w)
{
    uint16_t sequence, more;
    comes(w, 4, 0);
    (void)due(w, &w->sender, RTCP_NACK);
    assert_true(feedback_deadline(w->f) > w->now_us + FEEDBACK_MERGE_US);
    feedback_want(&w->source, 3, w->now_us);
    feedback_want(&w->source, 65535, w->now_us);
    feedback_want(&w->source, 3, w->now_us);
    assert_true(feedback_deadline(w->f) == w->now_us + FEEDBACK_MERGE_US);
    w->now_us += FEEDBACK_MERGE_US;
    assert_ptr_equal(feedback_next(w->f, w->now_us), &w->sender);
    struct rtcp r = due(w, &w->sender, RTCP_NACK);
    assert_int_equal(r.media, SSRC);
    assert_int_equal(r.count, 1);
    rtcp_nack_at(&r, 0, &sequence, &more);
    assert_int_equal(sequence, 65535);
    assert_int_equal(more, 1 << 3);
    for (unsigned i = 1; i < FEEDBACK_ASK_TIMES; i++) {
        feedback_want(&w->source, 3, w->now_us + FEEDBACK_ASK_US - 1);
        assert_int_equal(due(w, &w->sender, RTCP_NACK).kind, RTCP_OTHER); /* it is on its way */
        w->now_us += FEEDBACK_ASK_US;
        feedback_want(&w->source, 3, w->now_us);
        assert_int_equal(due(w, &w->sender, RTCP_NACK).count, 1);
    }
    w->now_us += FEEDBACK_ASK_US;
    feedback_want(&w->source, 3, w->now_us); /* no more of it */
    assert_int_equal(due(w, &w->sender, RTCP_NACK).kind, RTCP_OTHER);
    assert_int_equal(w->sender.given_up, 1);
    for (int i = 0; i < 10; i++) { /* nor later, whoever asks: and it counts once */
        w->now_us += FEEDBACK_KEPT_US;
        feedback_want(&w->source, 3, w->now_us);
        assert_int_equal(due(w, &w->sender, RTCP_NACK).kind, RTCP_OTHER);
    }
    assert_int_equal(w->sender.given_up, 1);
    for (uint32_t n = 5; n < 1000 + 5 + UINT16_MAX; n += 1000)
        comes(w, (uint16_t)n, n);
    feedback_want(&w->source, 3, w->now_us); /* the same number, a cycle later */
    assert_int_equal(due(w, &w->sender, RTCP_NACK).count, 1);
}

static void test_asked_once_for_all(void **state)
{
    with_world(asked_once_for_all);
}

/* Whatever receivers ask for, each packet is asked for a few times and no more, and what is given up is counted. */
static void asking_is_bounded(struct world *w)
{
    enum { FAR = 1000, ROUNDS = 50 };
    size_t asked = 0;
    comes(w, 0, 0);
    comes(w, FAR, 0);
    w->now_us += FEEDBACK_REPORT_US;
    (void)due(w, &w->sender, RTCP_NACK);
    for (int round = 0; round < ROUNDS; round++, w->now_us += FEEDBACK_ASK_US) {
        for (uint16_t i = 1; i <= FEEDBACK_ASKED; i++)
            feedback_want(&w->source, (uint16_t)(FAR - i), w->now_us);
        struct rtcp r = due(w, &w->sender, RTCP_NACK);
        for (size_t i = 0; i < r.count; i++) {
            uint16_t sequence, more;
            rtcp_nack_at(&r, i, &sequence, &more);
            assert_in_range(sequence, FAR - FEEDBACK_ASKED, FAR - 1);
            asked += 1 + (size_t)__builtin_popcount(more);
        }
        assert_int_equal(w->source.n_wanted, 0);
        assert_int_equal(due(w, &w->sender, RTCP_NACK).kind, RTCP_OTHER);
    }
    assert_int_equal(asked, FEEDBACK_ASK_TIMES * FEEDBACK_ASKED);
    assert_int_equal(w->sender.given_up, FEEDBACK_ASKED);
    feedback_want(&w->source, FAR - FEEDBACK_ASKED - 1, w->now_us); /* its place is a newer one's */
    assert_int_equal(w->source.n_wanted, 0);
    comes(w, FAR + 2 * FEEDBACK_ASKED + 1, 0); /* newer ones take the places of those that still wait */
    for (uint16_t i = 1; i <= 2 * FEEDBACK_ASKED; i++)
        feedback_want(&w->source, (uint16_t)(FAR + i), w->now_us);
    assert_int_equal(w->source.n_wanted, FEEDBACK_ASKED);
    assert_int_equal(w->sender.given_up, 2 * FEEDBACK_ASKED);
}

/* A long way: it is asked for again after that. */
static void asked_by_round_trip(struct world *w)
{
    w->sender.rtt_us = 3 * FEEDBACK_ASK_US;
    feedback_want(&w->source, 7, w->now_us);
    assert_int_equal(due(w, &w->sender, RTCP_NACK).count, 1);
    w->now_us += 2 * FEEDBACK_ASK_US;
    feedback_want(&w->source, 7, w->now_us);
    assert_int_equal(due(w, &w->sender, RTCP_NACK).kind, RTCP_OTHER);
    feedback_source_from(&w->source, NULL);
    feedback_want(&w->source, 1, w->now_us); /* nobody can be asked */
    assert_int_equal(w->source.n_wanted, 0);
}

static void test_asked_by_round_trip(void **state)
{
    with_world(asked_by_round_trip);
}

static void test_asking_is_bounded(void **state)
{
    with_world(asking_is_bounded);
}

/* ---- key frames ---- */

static void wants_picture(struct world *w, size_t who)
{
    uint8_t out[256];
    struct wire_wr wr = writer(out);
    assert_true(rtcp_write_pli(&wr, 9, SSRC));
    hear_written(w, who, &wr);
}

static void key_frames(struct world *w)
{
    w->sender.report_us = INT64_MAX; /* of nothing else */
    feedback_leg_end(&w->receiver[1]);
    w->receiver[0].report_us = INT64_MAX;
    (void)due(w, &w->receiver[0], RTCP_PLI);
    (void)due(w, &w->sender, RTCP_PLI);
    wants_picture(w, 0);
    feedback_want_keyframe(&w->source, w->now_us);
    assert_ptr_equal(feedback_next(w->f, w->now_us), &w->sender);
    struct rtcp r = due(w, &w->sender, RTCP_PLI);
    assert_int_equal(r.sender, 100);
    assert_int_equal(r.media, SSRC);
    assert_null(feedback_next(w->f, w->now_us));
    int64_t first_us = w->now_us;
    w->now_us += 100 * MS;
    wants_picture(w, 0);
    assert_true(feedback_deadline(w->f) == first_us + FEEDBACK_KEYFRAME_US);
    assert_int_equal(due(w, &w->sender, RTCP_PLI).kind, RTCP_OTHER);
    assert_true(feedback_deadline(w->f) == first_us + FEEDBACK_KEYFRAME_US); /* still */
    w->now_us = first_us + FEEDBACK_KEYFRAME_US;
    assert_int_equal(due(w, &w->sender, RTCP_PLI).kind, RTCP_PLI);
    assert_true(feedback_deadline(w->f) == INT64_MAX);

    uint8_t out[256], number, before;
    uint32_t ssrc;
    struct wire_wr wr = writer(out);
    w->now_us += FEEDBACK_KEYFRAME_US;
    assert_true(rtcp_write_fir(&wr, 9, SSRC, 42));
    hear_written(w, 0, &wr);
    r = due(w, &w->sender, RTCP_FIR);
    assert_int_equal(r.count, 1);
    rtcp_fir_at(&r, 0, &ssrc, &before);
    assert_int_equal(ssrc, SSRC);
    w->now_us += FEEDBACK_KEYFRAME_US;
    hear_written(w, 0, &wr); /* the same request once more */
    assert_int_equal(due(w, &w->sender, RTCP_FIR).kind, RTCP_OTHER);
    out[16]++;
    hear_written(w, 0, &wr);
    r = due(w, &w->sender, RTCP_FIR);
    rtcp_fir_at(&r, 0, &ssrc, &number);
    assert_int_equal(number, (uint8_t)(before + 1));
}

static void test_key_frames(void **state)
{
    with_world(key_frames);
}

/* ---- rates ---- */

static void takes(struct world *w, size_t who, uint64_t bitrate)
{
    static const uint32_t ssrcs[] = {SSRC, 1};
    uint8_t out[256];
    struct wire_wr wr = writer(out);
    assert_true(rtcp_write_remb(&wr, 9, bitrate, ssrcs, 2));
    hear_written(w, who, &wr);
}

static void least_rates(struct world *w)
{
    takes(w, 0, 2000000);
    takes(w, 1, 500000);
    takes(w, 0, 1000000);
    w->now_us += FEEDBACK_FIRST_US;
    struct rtcp r = due(w, &w->sender, RTCP_REMB);
    assert_int_equal(r.count, 1);
    assert_int_equal(rtcp_ssrc_at(&r, 0), SSRC);
    assert_true(r.bitrate <= 500000 && r.bitrate > 499000);
    assert_int_equal(due(w, &w->sender, RTCP_REMB).kind, RTCP_OTHER); /* once a second */
    w->now_us += FEEDBACK_REPORT_US;
    takes(w, 0, 1000000);
    assert_true(due(w, &w->sender, RTCP_REMB).bitrate <= 500000); /* as of a second ago */
    w->now_us += FEEDBACK_REPORT_US;
    takes(w, 0, 1000000);
    assert_true(due(w, &w->sender, RTCP_REMB).bitrate >
                999000); /* the slower one has said nothing since, or left */
    w->now_us += 3 * (int64_t)FEEDBACK_REPORT_US;
    assert_int_equal(due(w, &w->sender, RTCP_REMB).kind, RTCP_OTHER);
    takes(w, 0, 0); /* nobody makes the others' nothing */
    w->now_us += FEEDBACK_REPORT_US;
    assert_in_range(due(w, &w->sender, RTCP_REMB).bitrate, FEEDBACK_LEAST_BPS - 10, FEEDBACK_LEAST_BPS);
}

static void test_least_rates(void **state)
{
    with_world(least_rates);
}

/* ---- packets that are kept ---- */

static void keep(struct feedback_source *s, uint64_t number, size_t len, int64_t now_us)
{
    uint8_t packet[RTP_PACKET_MAX];
    memset(packet, (int)(number & 0xFF), sizeof packet);
    feedback_keep(s, number, packet, len, now_us);
}

static bool is_kept(const struct feedback_source *s, uint64_t number, size_t len)
{
    size_t got = 0;
    const uint8_t *p = feedback_kept(s, number, &got);
    if (p)
        assert_true(got == len && p[0] == (uint8_t)number && p[len - 1] == (uint8_t)number);
    return p;
}

static void kept_packets(struct world *w)
{
    const uint64_t first = UINT32_MAX - 300; /* over the end of 32 bits */
    struct feedback_source *s = &w->source;
    size_t len;
    assert_null(feedback_kept(s, first, &len));
    for (uint32_t i = 0; i < 600; i++)
        keep(s, first + i, i % 3 ? PACKET : 1212, w->now_us);
    for (uint32_t i = 0; i < 600; i++)
        assert_true(is_kept(s, first + i, i % 3 ? PACKET : 1212) == (i >= 600 - FEEDBACK_KEPT));
    keep(s, first + 300, PACKET, w->now_us); /* too late */
    assert_false(is_kept(s, first + 300, PACKET));
    assert_true(is_kept(s, first + 300 + FEEDBACK_KEPT, (300 + FEEDBACK_KEPT) % 3 ? PACKET : 1212));
    feedback_keep(s, first + 601, (const uint8_t *)"", RTP_PACKET_MAX + 1, w->now_us); /* no packet */
    assert_false(is_kept(s, first + 601, RTP_PACKET_MAX + 1));
    assert_false(
        is_kept(s, first + 599 + (UINT64_C(1) << 32), (599 % 3) ? PACKET : 1212)); /* another's number */
    assert_false(is_kept(s, (uint32_t)(first + 599), (599 % 3) ? PACKET : 1212));
    feedback_source_from(s, NULL); /* the numbers go on, whoever sends */
    assert_true(is_kept(s, first + 599, (599 % 3) ? PACKET : 1212));
    feedback_source_turn(s, w->now_us + FEEDBACK_KEPT_US);
    assert_true(is_kept(s, first + 599, (599 % 3) ? PACKET : 1212));
    feedback_source_turn(s, w->now_us + FEEDBACK_KEPT_US + 1);
    for (uint32_t i = 0; i < 600; i++)
        assert_null(feedback_kept(s, first + i, &len));
}

static void test_kept_packets(void **state)
{
    with_world(kept_packets);
}

static void test_kept_memory_is_bounded(void **state)
{
    enum { BYTES = 300 * 1000, SOURCES = 8 };
    struct feedback *f;
    struct feedback_source s[SOURCES];
    size_t kept = 0, len, alone = 0;
    assert_int_equal(feedback_new(&f, BYTES), 0);
    for (size_t i = 0; i < SOURCES; i++) {
        feedback_source_begin(f, &s[i], (uint32_t)i);
        for (uint32_t n = 0; n < FEEDBACK_KEPT; n++)
            keep(&s[i], n, 1212, 0);
    }
    for (size_t i = 0; i < SOURCES; i++) {
        for (uint32_t n = 0; n < FEEDBACK_KEPT; n++)
            kept += feedback_kept(&s[i], n, &len) != NULL;
    }
    assert_in_range(kept, 1, BYTES / RTP_PACKET_MAX);
    assert_true(is_kept(&s[0], FEEDBACK_KEPT - 1, 1212)); /* who came first lives on its own memory */
    feedback_source_turn(&s[0], FEEDBACK_KEPT_US + 1);    /* and is silent: then others have it */
    for (uint32_t n = 0; n < FEEDBACK_KEPT; n++)
        keep(&s[1], FEEDBACK_KEPT + n, 1212, 1);
    for (uint32_t n = 0; n < FEEDBACK_KEPT; n++)
        alone += feedback_kept(&s[1], FEEDBACK_KEPT + n, &len) != NULL;
    assert_int_equal(alone, kept);
    for (size_t i = 0; i < SOURCES; i++)
        feedback_source_end(&s[i]);
    feedback_destroy(f);
    feedback_destroy(NULL);
}

static size_t n_kept(const struct feedback_source *s, uint64_t first)
{
    size_t n = 0, len;
    for (uint32_t i = 0; i < FEEDBACK_KEPT; i++)
        n += feedback_kept(s, first + i, &len) != NULL;
    return n;
}

/* Memory that large packets have had is there for small ones afterwards, and the other way round; and where no more
 * may be taken, a small packet has a free piece of the large ones. */
static void test_kept_memory_serves_both_sizes(void **state)
{
    enum { BYTES = 100 * 1000, LARGE_ONES = 64, LARGE_LEN = 1212, SMALL_LEN = 100 };
    struct feedback *f;
    struct feedback_source s, other;
    assert_int_equal(feedback_new(&f, BYTES), 0);
    feedback_source_begin(f, &s, 1);
    feedback_source_begin(f, &other, 2);
    for (uint64_t round = 0; round < 4; round++) {
        bool small = round % 2 == 1;
        uint64_t first = round * FEEDBACK_KEPT;
        int64_t now_us = (int64_t)round * 2 * FEEDBACK_KEPT_US;
        for (uint32_t n = 0; n < FEEDBACK_KEPT; n++)
            keep(&s, first + n, small ? SMALL_LEN : LARGE_LEN, now_us);
        assert_int_equal(n_kept(&s, first), small ? FEEDBACK_KEPT : LARGE_ONES);
        feedback_source_turn(&s, now_us + FEEDBACK_KEPT_US + 1);
        assert_int_equal(n_kept(&s, first), 0);
    }
    for (uint32_t n = 0; n < LARGE_ONES - 1; n++)
        keep(&s, 8 * FEEDBACK_KEPT + n, LARGE_LEN, 0);
    for (uint32_t n = 0; n < 3; n++)
        keep(&other, n, SMALL_LEN, 0);
    assert_int_equal(n_kept(&other, 0), 1);
    assert_true(is_kept(&other, 2, SMALL_LEN));
    assert_int_equal(n_kept(&s, 8 * FEEDBACK_KEPT), LARGE_ONES - 1);
    feedback_source_end(&other);
    feedback_source_end(&s);
    feedback_destroy(f);
}

static void resending_is_limited(struct world *w)
{
    size_t bytes = 0, second = (size_t)FEEDBACK_RESEND_KBPS * 1000 / 8;
    while (feedback_may_resend(&w->receiver[0], 1212, w->now_us))
        bytes += 1212;
    assert_in_range(bytes, second - 1212, second);
    assert_false(feedback_may_resend(&w->receiver[0], 1212, w->now_us));
    assert_true(feedback_may_resend(&w->receiver[1], 1212, w->now_us)); /* each has its own */
    w->now_us += 10 * MS;
    assert_true(feedback_may_resend(&w->receiver[0], 1212, w->now_us));
}

static void test_resending_is_limited(void **state)
{
    with_world(resending_is_limited);
}

/* ---- many ---- */

static void test_legs_come_in_the_order_of_their_times(void **state)
{
    enum { LEGS = 300 };
    static struct feedback_leg legs[LEGS];
    struct feedback *f;
    uint64_t seed = 4711;
    assert_int_equal(feedback_new(&f, 0), 0);
    for (size_t i = 0; i < LEGS; i++)
        assert_int_equal(feedback_leg_begin(f, &legs[i], &legs[i], (uint32_t)i, 0, false,
                                            (int64_t)(check_random(&seed) % 100000)),
                         0);
    for (size_t i = 0; i < LEGS; i += 3)
        feedback_leg_end(&legs[i]);
    int64_t now_us = 0;
    for (size_t turns = 0; turns < 4 * LEGS; turns++) {
        int64_t next_us = INT64_MAX;
        for (size_t i = 0; i < LEGS; i++) {
            if (legs[i].home && legs[i].due_us < next_us)
                next_us = legs[i].due_us;
        }
        assert_true(feedback_deadline(f) == next_us && next_us >= now_us);
        assert_null(feedback_next(f, next_us - 1));
        now_us = next_us;
        struct feedback_leg *l = feedback_next(f, now_us);
        struct feedback_writer w;
        uint8_t out[FEEDBACK_PACKET_MAX];
        assert_non_null(l);
        assert_ptr_equal(l->user, l);
        feedback_begin(&w, l, out, now_us);
        assert_int_equal(feedback_end(&w, false), 0);
    }
    for (size_t i = 0; i < LEGS; i++)
        feedback_leg_end(&legs[i]);
    assert_null(feedback_next(f, INT64_MAX));
    feedback_destroy(f);
}

static void test_many_sources_take_several_packets(void **state)
{
    enum { SOURCES = 200 };
    static struct feedback_source s[SOURCES];
    static struct feedback_to to[SOURCES];
    struct feedback *f;
    struct feedback_leg link;
    struct feedback_writer w;
    uint8_t out[FEEDBACK_PACKET_MAX], packet[RTP_HEADER_LEN] = {0x80};
    size_t blocks = 0, reports = 0, rates = 0, nacks = 0, packets = 0;
    const struct rtp in = {.sequence = 1, .payload_len = 1};
    int64_t now_us = 0;
    assert_int_equal(feedback_new(&f, 0), 0);
    assert_int_equal(feedback_leg_begin(f, &link, NULL, 5, 0, true, now_us), 0);
    now_us = link.due_us;
    for (size_t i = 0; i < SOURCES; i++) {
        feedback_source_begin(f, &s[i], (uint32_t)(1000 + i));
        feedback_source_from(&s[i], &link);
        feedback_rtp_in(&s[i], &in, packet, now_us);
        feedback_want(&s[i], 9, now_us);
        s[i].least_now = 100000, s[i].least_us = now_us;
        s[i].has_report = true;
        strcpy(s[i].cname, "somebody's name that is rather a long one, of 60 characters");
        to[i] = (struct feedback_to){.packets = 1};
    }
    feedback_begin(&w, &link, out, now_us);
    for (size_t i = 0; i < 2 * SOURCES; i++) {
        bool room = i < SOURCES ? feedback_add_in(&w, &s[i])
                                : feedback_add_out(&w, &s[i - SOURCES], &to[i - SOURCES]);
        bool last = i == 2 * SOURCES - 1;
        if (room && !last)
            continue;
        size_t len = feedback_end(&w, !last);
        struct wire_rd rd = wire_rd_init(out, len);
        struct rtcp r;
        assert_in_range(len, 1, FEEDBACK_PACKET_MAX);
        assert_true(rtcp_whole(out, len));
        packets++;
        while (rtcp_next(&rd, &r) > 0) {
            blocks += r.kind == RTCP_RECEIVER_REPORT ? r.count : 0;
            reports += r.kind == RTCP_SENDER_REPORT;
            rates += r.kind == RTCP_REMB;
            nacks += r.kind == RTCP_NACK;
        }
        if (!last) {
            feedback_begin(&w, &link, out, now_us);
            i--;
        }
    }
    assert_int_equal(blocks, SOURCES);
    assert_int_equal(reports, SOURCES);
    assert_int_equal(rates, SOURCES); /* a link's sources have a rate each */
    assert_int_equal(nacks, SOURCES);
    assert_in_range(packets, 20, 60);
    assert_true(feedback_deadline(f) == now_us + FEEDBACK_REPORT_US);
    for (size_t i = 0; i < SOURCES; i++)
        feedback_source_end(&s[i]);
    feedback_leg_end(&link);
    feedback_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nacks_are_read),
        cmocka_unit_test(test_asked_once_for_all),
        cmocka_unit_test(test_asking_is_bounded),
        cmocka_unit_test(test_asked_by_round_trip),
        cmocka_unit_test(test_key_frames),
        cmocka_unit_test(test_least_rates),
        cmocka_unit_test(test_kept_packets),
        cmocka_unit_test(test_kept_memory_is_bounded),
        cmocka_unit_test(test_kept_memory_serves_both_sizes),
        cmocka_unit_test(test_resending_is_limited),
        cmocka_unit_test(test_legs_come_in_the_order_of_their_times),
        cmocka_unit_test(test_many_sources_take_several_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
