/* link: berth_cli */
/* Test media between two, and what the E-model makes of a path. */
#include "check.h"

#include "agent/cli/quality.h"
#include "agent/cli/test_media.h"

#include <string.h>

enum { START = 1000000, FAR = 777000000 /* how far the two clocks are apart */ };

struct pair {
    struct test_media a, b;
    uint8_t packet[TEST_MEDIA_PACKET];
};

static void begin(struct pair *p, uint16_t sequence)
{
    test_media_init(&p->a, 1, sequence, "ann", START);
    test_media_init(&p->b, 2, 7, "ben", START + FAR);
}

static void make(struct pair *p, int64_t now)
{
    assert_true(test_media_next(&p->a, now, p->packet));
    test_media_sent(&p->a);
}

static void test_the_pace_is_that_of_opus(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 5);
    make(&p, START);
    assert_false(test_media_next(&p.a, START + TEST_MEDIA_FRAME_US - 1, p.packet));
    make(&p, START + TEST_MEDIA_FRAME_US);
    assert_int_equal(p.a.sent, 2);
    /* Held up for a second: no burst. */
    make(&p, START + 1000000);
    assert_false(test_media_next(&p.a, START + 1000000 + TEST_MEDIA_FRAME_US - 1, p.packet));
}

static void test_gaps_are_losses_also_over_the_wrap(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 0x7ffe);
    p.a.sequence = 0xfffe;
    for (int i = 0; i < 10; i++) {
        make(&p, START + i * TEST_MEDIA_FRAME_US);
        if (i != 3 && i != 4)
            assert_true(
                test_media_heard(&p.b, p.packet, sizeof(p.packet), START + FAR + i * TEST_MEDIA_FRAME_US));
    }
    assert_int_equal(p.b.n_sources, 1);
    assert_string_equal(p.b.sources[0].name, "ann");
    assert_int_equal(p.b.sources[0].received, 8);
    assert_int_equal(test_source_lost(&p.b.sources[0]), 2);
    assert_int_equal(p.b.sources[0].jitter_us, 0); /* a constant offset is none */
}

static void test_round_trips_need_no_common_clock(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 5);
    make(&p, START);
    assert_true(test_media_heard(&p.b, p.packet, sizeof(p.packet), START + 30000 + FAR));
    /* ben holds it 10 ms, and the way back takes 50 ms */
    assert_true(test_media_next(&p.b, START + 40000 + FAR, p.packet));
    assert_true(test_media_heard(&p.a, p.packet, sizeof(p.packet), START + 90000));
    assert_int_equal(test_media_sum(&p.a).rtt_us, 80000);
    assert_int_equal(test_media_sum(&p.b).rtt_us, -1);
}

static void test_jitter_follows_the_variation(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 5);
    for (int i = 0; i < 400; i++) {
        make(&p, START + i * TEST_MEDIA_FRAME_US);
        assert_true(test_media_heard(&p.b, p.packet, sizeof(p.packet),
                                     START + FAR + i * TEST_MEDIA_FRAME_US + (i % 2) * 4000));
    }
    assert_in_range(p.b.sources[0].jitter_us, 3900, 4000); /* every difference is 4 ms */
}

static void test_what_is_no_test_media_is_left_alone(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 5);
    make(&p, START);
    for (size_t len = 0; len < RTP_HEADER_LEN + 8 + 48; len++)
        assert_false(test_media_heard(&p.b, p.packet, len, START));
    p.packet[RTP_HEADER_LEN + 8] ^= 1;
    assert_false(test_media_heard(&p.b, p.packet, sizeof(p.packet), START));
    assert_int_equal(p.b.n_sources, 0);
}

static void test_sources_are_bounded(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 5);
    for (uint32_t i = 0; i <= TEST_MEDIA_SOURCES_MAX; i++) {
        test_media_rename(&p.a, 100 + i);
        make(&p, START + i * TEST_MEDIA_FRAME_US);
        assert_int_equal(test_media_heard(&p.b, p.packet, sizeof(p.packet), START),
                         i < TEST_MEDIA_SOURCES_MAX);
    }
    assert_int_equal(p.b.n_sources, TEST_MEDIA_SOURCES_MAX);
}

static void test_names_are_fit_for_a_terminal(void **state)
{
    (void)state;
    struct pair p;
    test_media_init(&p.a, 1, 1, "a\x1b[31mb", START);
    test_media_init(&p.b, 2, 1, "b", START);
    make(&p, START);
    assert_true(test_media_heard(&p.b, p.packet, sizeof(p.packet), START));
    assert_string_equal(p.b.sources[0].name, "a?[31mb");
}

static double r_of(int64_t one_way_ms, double loss)
{
    const struct quality_path p = {.one_way_us = one_way_ms * 1000, .loss = loss};
    return quality_r(&p);
}

/* Figures worked out by hand from the formulas of the header. */
static void test_the_model(void **state)
{
    (void)state;
    assert_true(r_of(0, 0) > 92.7 && r_of(0, 0) < 92.8);       /* 20 ms of frame: 93.2 - 0.48 */
    assert_true(r_of(280, 0) > 72.4 && r_of(280, 0) < 72.6);   /* 300 ms: 93.2 - 7.2 - 13.5 */
    assert_true(r_of(0, 0.05) > 76.9 && r_of(0, 0.05) < 77.0); /* 92.72 - 95 * 5 / 30.1 */
    assert_true(quality_mos(93.2) > 4.40 && quality_mos(93.2) < 4.42);
    assert_true(quality_mos(50) > 2.57 && quality_mos(50) < 2.59);
}

static void test_the_model_stays_in_its_range(void **state)
{
    (void)state;
    assert_true(r_of(100000, 1) == 0);
    assert_true(r_of(-1000, -1) <= 93.2);
    assert_true(quality_mos(0) == 1 && quality_mos(-5) == 1 && quality_mos(200) == 4.5);
    for (int r = 1; r < 10; r++)
        assert_true(quality_mos(r) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_pace_is_that_of_opus),
        cmocka_unit_test(test_gaps_are_losses_also_over_the_wrap),
        cmocka_unit_test(test_round_trips_need_no_common_clock),
        cmocka_unit_test(test_jitter_follows_the_variation),
        cmocka_unit_test(test_what_is_no_test_media_is_left_alone),
        cmocka_unit_test(test_sources_are_bounded),
        cmocka_unit_test(test_names_are_fit_for_a_terminal),
        cmocka_unit_test(test_the_model),
        cmocka_unit_test(test_the_model_stays_in_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
