/* link: berth_media_home berth_media */
/* A node's RTCP: one sender and two receivers around it, whose packets are read with the codec. */
#include "check.h"

#include "media/rtcp.h"
#include "node/media/feedback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SSRC = 0x11223344, RECEIVERS = 2, PACKET = 172, MS = 1000, WIDE_EXT = 3, TICKS_20MS = 960 };

struct world {
    struct feedback *f;
    struct feedback_leg sender, receiver[RECEIVERS];
    struct feedback_source source;
    struct feedback_to to[RECEIVERS];
    int64_t now_us;
    uint16_t missing[FEEDBACK_MISSING_MAX + 8];
    size_t n_missing;
    size_t speaks; /* the receiver whose RTCP is read; RECEIVERS: the sender */
};

static void world_open(struct world *w)
{
    *w = (struct world){.now_us = 1000 * 1000 * 1000};
    assert_int_equal(feedback_new(&w->f, 0), 0);
    assert_int_equal(feedback_leg_begin(w->f, &w->sender, NULL, 100, WIDE_EXT, false, w->now_us), 0);
    for (size_t i = 0; i < RECEIVERS; i++)
        assert_int_equal(
            feedback_leg_begin(w->f, &w->receiver[i], NULL, (uint32_t)(200 + i), 0, false, w->now_us), 0);
    feedback_source_begin(w->f, &w->source, SSRC);
    feedback_source_from(&w->source, &w->sender);
}

static void world_close(struct world *w)
{
    feedback_source_end(&w->source);
    feedback_leg_end(&w->sender);
    for (size_t i = 0; i < RECEIVERS; i++)
        feedback_leg_end(&w->receiver[i]);
    assert_true(feedback_deadline(w->f) == INT64_MAX);
    feedback_destroy(w->f);
}

/* ---- what the engine gives ---- */

static struct feedback_source *from_leg(void *ctx, uint32_t ssrc)
{
    struct world *w = ctx;
    return w->speaks == RECEIVERS && ssrc == SSRC ? &w->source : NULL;
}

static struct feedback_source *to_leg(void *ctx, uint32_t ssrc, struct feedback_to **to)
{
    struct world *w = ctx;
    if (w->speaks == RECEIVERS || ssrc != SSRC)
        return NULL;
    *to = &w->to[w->speaks];
    return &w->source;
}

static void missing(void *ctx, struct feedback_source *s, struct feedback_to *to, uint16_t number)
{
    struct world *w = ctx;
    assert_ptr_equal(s, &w->source);
    assert_ptr_equal(to, &w->to[w->speaks]);
    assert_true(w->n_missing < FEEDBACK_MISSING_MAX);
    w->missing[w->n_missing++] = number;
}

static const struct feedback_ops ops = {from_leg, to_leg, missing};

static int hear(struct world *w, size_t who, const uint8_t *p, size_t len)
{
    w->speaks = who;
    return feedback_rtcp_in(who == RECEIVERS ? &w->sender : &w->receiver[who], p, len, &ops, w, w->now_us);
}

static void hear_written(struct world *w, size_t who, const struct wire_wr *wr)
{
    assert_int_equal(hear(w, who, wr->start, wire_wr_len(wr)), 0);
}

/* ---- what goes on ---- */

static void comes(struct world *w, uint16_t sequence, uint32_t timestamp)
{
    uint8_t packet[RTP_HEADER_LEN];
    const struct rtp r = {.sequence = sequence, .timestamp = timestamp, .ssrc = SSRC, .payload_len = 160};
    rtp_write(packet, &r);
    feedback_rtp_in(&w->source, &r, packet, w->now_us);
    for (size_t i = 0; i < RECEIVERS; i++)
        feedback_sent(&w->to[i], &r);
}

/* Audio of 20 ms a packet, `every`th of which is lost (0: none). */
static void flows(struct world *w, uint16_t from, size_t n, size_t every)
{
    for (size_t i = 0; i < n; i++, w->now_us += 20 * MS) {
        if (every == 0 || i % every != every / 2)
            comes(w, (uint16_t)(from + i), (uint32_t)(from + i) * TICKS_20MS);
    }
}

static struct wire_wr writer(uint8_t *out)
{
    return wire_wr_init(out, 256);
}

/* What is due to that leg now, in one packet. */
static size_t written(struct world *w, struct feedback_leg *l, uint8_t *out)
{
    struct feedback_writer fw;
    feedback_begin(&fw, l, out, w->now_us);
    if (l == &w->sender)
        assert_true(feedback_add_in(&fw, &w->source));
    for (size_t i = 0; i < RECEIVERS; i++) {
        if (l == &w->receiver[i])
            assert_true(feedback_add_out(&fw, &w->source, &w->to[i]));
    }
    size_t len = feedback_end(&fw, false);
    if (len > 0) {
        struct wire_rd rd = wire_rd_init(out, len);
        struct rtcp r;
        assert_int_equal(rtcp_next(&rd, &r), 1);
        assert_true(r.kind == RTCP_SENDER_REPORT || r.kind == RTCP_RECEIVER_REPORT);
        assert_true(rtcp_whole(out, len));
    }
    return len;
}

/* The first packet of a kind in what is due; RTCP_OTHER: none. */
static struct rtcp due(struct world *w, struct feedback_leg *l, enum rtcp_kind kind)
{
    static uint8_t out[FEEDBACK_PACKET_MAX];
    size_t len = written(w, l, out);
    struct wire_rd rd = wire_rd_init(out, len);
    struct rtcp r;
    while (rtcp_next(&rd, &r) > 0) {
        if (r.kind == kind && (kind != RTCP_RECEIVER_REPORT || r.count > 0))
            return r;
    }
    return (struct rtcp){0};
}

static void with_world(void (*test)(struct world *w))
{
    struct world w;
    world_open(&w);
    test(&w);
    world_close(&w);
}

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
    w->now_us += FEEDBACK_KEPT_US + 1; /* the same number, a cycle later */
    feedback_want(&w->source, 3, w->now_us);
    assert_int_equal(due(w, &w->sender, RTCP_NACK).count, 1);
}

static void test_asked_once_for_all(void **state)
{
    with_world(asked_once_for_all);
}

static void asking_is_bounded(struct world *w)
{
    for (uint16_t i = 0; i < 3 * FEEDBACK_ASKED; i++)
        feedback_want(&w->source, (uint16_t)(20 * i), w->now_us);
    struct rtcp r = due(w, &w->sender, RTCP_NACK);
    uint16_t sequence, more;
    assert_int_equal(r.count, FEEDBACK_ASKED); /* the newest */
    rtcp_nack_at(&r, 0, &sequence, &more);
    assert_int_equal(sequence, 20 * 2 * FEEDBACK_ASKED);
    assert_int_equal(due(w, &w->sender, RTCP_NACK).kind, RTCP_OTHER);
    w->sender.rtt_us = 3 * FEEDBACK_ASK_US; /* a long way: asked again after that */
    w->now_us += 2 * FEEDBACK_ASK_US;
    feedback_want(&w->source, sequence, w->now_us);
    assert_int_equal(due(w, &w->sender, RTCP_NACK).kind, RTCP_OTHER);
    feedback_source_from(&w->source, NULL);
    feedback_want(&w->source, 1, w->now_us); /* nobody can be asked */
    assert_int_equal(w->source.n_wanted, 0);
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

static void keep(struct feedback_source *s, uint32_t number, size_t len, int64_t now_us)
{
    uint8_t packet[RTP_PACKET_MAX];
    memset(packet, (int)(number & 0xFF), sizeof packet);
    feedback_keep(s, number, packet, len, now_us);
}

static bool is_kept(const struct feedback_source *s, uint32_t number, size_t len)
{
    size_t got = 0;
    const uint8_t *p = feedback_kept(s, number, &got);
    if (p)
        assert_true(got == len && p[0] == (uint8_t)number && p[len - 1] == (uint8_t)number);
    return p;
}

static void kept_packets(struct world *w)
{
    const uint32_t first = UINT32_MAX - 300; /* over the end of 32 bits */
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
        cmocka_unit_test(test_nacks_are_read),
        cmocka_unit_test(test_asked_once_for_all),
        cmocka_unit_test(test_asking_is_bounded),
        cmocka_unit_test(test_key_frames),
        cmocka_unit_test(test_least_rates),
        cmocka_unit_test(test_kept_packets),
        cmocka_unit_test(test_kept_memory_is_bounded),
        cmocka_unit_test(test_resending_is_limited),
        cmocka_unit_test(test_legs_come_in_the_order_of_their_times),
        cmocka_unit_test(test_many_sources_take_several_packets),
        cmocka_unit_test(test_what_concerns_nobody_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
