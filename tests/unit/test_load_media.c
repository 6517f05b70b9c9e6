/* link: berth_load_parts */
#include "loadtest/media_packet.h"
#include "loadtest/media_tally.h"

#include "check.h"

#include <errno.h>
#include <string.h>

enum { LEN = 172 };

static const struct media_stamp STAMP = {
    .leg = 7, .kind = MEDIA_AUDIO, .number = 70000, .due_us = 1234567890123};

static void packets_are_read_as_written(void **state)
{
    uint8_t bytes[MEDIA_PACKET_MOST];
    for (size_t len = MEDIA_PACKET_LEAST; len <= MEDIA_PACKET_MOST; len += 19) {
        for (enum media_kind kind = 0; kind < MEDIA_KINDS; kind++) {
            struct media_stamp s = STAMP, got;
            struct rtp r;
            s.kind = kind;
            media_packet_write(bytes, len, &s, 33);
            assert_int_equal(rtp_parse(&r, bytes, len), 0);
            assert_int_equal(r.ssrc, media_packet_ssrc(7, kind));
            rtp_set_sequence(bytes, 5); /* a node may */
            assert_int_equal(media_packet_read(&got, bytes, len), 0);
            assert_int_equal(got.leg, s.leg);
            assert_int_equal(got.kind, s.kind);
            assert_int_equal(got.number, s.number);
            assert_int_equal(got.due_us, s.due_us);
        }
    }
}

static void packets_have_a_level_and_the_text(void **state)
{
    uint8_t bytes[LEN];
    struct rtp r;
    bool voice = false;
    media_packet_write(bytes, LEN, &STAMP, 33);
    assert_int_equal(rtp_parse(&r, bytes, LEN), 0);
    assert_int_equal(rtp_audio_level(&r, bytes, MEDIA_PACKET_LEVEL_EXT, &voice), 33);
    assert_memory_equal(bytes + r.header_len + MEDIA_PACKET_STAMP_LEN, MEDIA_PACKET_TEXT,
                        MEDIA_PACKET_TEXT_LEN);
}

/* Every bit counts but those of what only the sender knows: when it was due, and how manieth it is. */
static void altered_packets_are_none(void **state)
{
    uint8_t bytes[LEN];
    struct media_stamp s;
    const size_t known = RTP_HEADER_LEN + 8 + 8, text = RTP_HEADER_LEN + 8 + MEDIA_PACKET_STAMP_LEN;
    for (size_t bit = 0; bit < LEN * 8; bit++) {
        size_t at = bit / 8;
        if (at >= known && at < text)
            continue;
        media_packet_write(bytes, LEN, &STAMP, 33);
        bytes[at] ^= (uint8_t)(1u << bit % 8);
        struct media_stamp got = {0};
        int err = media_packet_read(&got, bytes, LEN);
        bool sequence = at == 2 || at == 3, level = at == RTP_HEADER_LEN + 5;
        if (sequence || (level && bit % 8 < 7)) /* the level is whatever it says */
            assert_int_equal(err, 0);
        else
            assert_int_equal(err, -EBADMSG);
    }
    media_packet_write(bytes, LEN, &STAMP, 33);
    for (size_t len = 0; len < MEDIA_PACKET_LEAST; len++)
        assert_int_equal(media_packet_read(&s, bytes, len), -EBADMSG);
}

static void ssrcs_differ(void **state)
{
    assert_int_not_equal(media_packet_ssrc(0, MEDIA_AUDIO), 0);
    assert_int_not_equal(media_packet_ssrc(0, MEDIA_VIDEO), media_packet_ssrc(1, MEDIA_AUDIO));
}

/* ---- the tally ---- */

static struct media_tally *make(size_t meetings, size_t participants)
{
    struct media_tally *t;
    assert_int_equal(media_tally_new(&t, (struct media_shape){meetings, participants}), 0);
    return t;
}

static bool hears(struct media_tally *t, size_t by, uint32_t leg, uint64_t number)
{
    const struct media_stamp s = {.leg = leg, .number = number};
    return media_tally_heard(t, by, &s);
}

static void all_is_heard(void **state)
{
    struct media_tally *t = make(2, 3);
    struct media_tally_figures f;
    for (uint64_t i = 0; i < 10; i++) {
        for (uint32_t leg = 0; leg < 6; leg++) {
            assert_int_equal(media_tally_next(t, leg, MEDIA_AUDIO), i);
            assert_int_equal(media_tally_sent(t, leg, MEDIA_AUDIO), i);
            for (size_t by = leg / 3 * 3; by < leg / 3 * 3 + 3; by++)
                assert_int_equal(hears(t, by, leg, i), by != leg); /* nobody hears itself */
        }
    }
    media_tally_figures(t, &f);
    assert_int_equal(f.sent, 60);
    assert_int_equal(f.expected, 120);
    assert_int_equal(f.heard, 120);
    assert_int_equal(f.missing, 0);
    assert_int_equal(f.disordered, 0);
    assert_int_equal(f.repeated, 0);
    assert_int_equal(f.foreign, 60);
    media_tally_destroy(t);
}

static void what_is_wrong_is_told_apart(void **state)
{
    struct media_tally *t = make(2, 2);
    struct media_tally_figures f;
    for (int i = 0; i < 4; i++)
        (void)media_tally_sent(t, 0, MEDIA_AUDIO);
    assert_false(hears(t, 2, 0, 0));  /* another meeting */
    assert_false(hears(t, 1, 0, 4));  /* not sent yet */
    assert_false(hears(t, 1, 99, 0)); /* nobody */
    assert_true(hears(t, 1, 0, 2));
    assert_true(hears(t, 1, 0, 1)); /* late */
    media_tally_figures(t, &f);
    assert_int_equal(f.foreign, 3);
    assert_int_equal(f.disordered, 1);
    assert_int_equal(f.heard, 2);
    assert_int_equal(f.missing, 2);
    for (int i = 0; i < 4; i++)
        assert_true(hears(t, 1, 0, 3));
    media_tally_figures(t, &f);
    assert_int_equal(f.expected, 4);
    assert_int_equal(f.heard, 4);
    assert_int_equal(f.repeated, 2);
    media_tally_destroy(t);
    media_tally_destroy(NULL);
}

static void it_begins_anew(void **state)
{
    struct media_tally *t = make(1, 3);
    struct media_tally_figures f;
    size_t by, from;
    for (uint32_t leg = 0; leg < 2; leg++)
        (void)media_tally_sent(t, leg, MEDIA_AUDIO);
    assert_true(hears(t, 0, 1, 0));
    assert_true(hears(t, 1, 0, 0));
    assert_true(hears(t, 2, 0, 0));
    assert_true(media_tally_silence(t, 2, MEDIA_AUDIO, &by, &from));
    assert_int_equal(by, 2);
    assert_int_equal(from, 1);
    assert_true(hears(t, 2, 1, 0));
    assert_false(media_tally_silence(t, 2, MEDIA_AUDIO, &by, &from));
    assert_true(media_tally_silence(t, 3, MEDIA_AUDIO, &by, &from));
    assert_true(media_tally_silence(t, 2, MEDIA_VIDEO, &by, &from));
    media_tally_begin(t);
    assert_false(hears(t, 2, 1, 0)); /* of before, and neither foreign nor heard */
    assert_int_equal(media_tally_sent(t, 0, MEDIA_AUDIO), 1);
    assert_true(hears(t, 2, 0, 1));
    media_tally_figures(t, &f);
    assert_int_equal(f.sent, 1);
    assert_int_equal(f.expected, 2);
    assert_int_equal(f.heard, 1);
    assert_int_equal(f.missing, 1);
    assert_int_equal(f.foreign, 0);
    media_tally_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_read_as_written),
        cmocka_unit_test(packets_have_a_level_and_the_text),
        cmocka_unit_test(altered_packets_are_none),
        cmocka_unit_test(ssrcs_differ),
        cmocka_unit_test(all_is_heard),
        cmocka_unit_test(what_is_wrong_is_told_apart),
        cmocka_unit_test(it_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
