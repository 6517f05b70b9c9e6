/* link: berth_agent_core */
/* The sender's memory: no number goes out with two texts, and which streams are video. */
#include "check.h"

#include "path/sending.h"

#include <errno.h>
#include <string.h>

static const uint8_t key[SENDING_KEY_LEN] = {1};
static int64_t now_us;

static int take(struct sending *s, uint32_t ssrc, uint16_t sequence, uint8_t text, size_t len, bool *video)
{
    uint8_t bytes[1200];
    struct rtp r = {.payload_type = 111, .sequence = sequence, .ssrc = ssrc};
    memset(bytes, text, sizeof bytes);
    rtp_write(bytes, &r);
    assert_int_equal(rtp_parse(&r, bytes, len), 0);
    return sending_take(s, bytes, len, &r, now_us, video);
}

static int send_text(struct sending *s, uint16_t sequence, uint8_t text)
{
    bool video;
    return take(s, 7, sequence, text, 100, &video);
}

static void a_number_goes_out_with_one_text(void **state)
{
    struct sending s = {0};
    sending_begin(&s, key, 0);
    for (unsigned i = 0; i < 200000; i++) /* around the numbers thrice */
        assert_int_equal(send_text(&s, (uint16_t)i, (uint8_t)(i % 251)), 0);
    uint16_t newest = (uint16_t)199999;
    for (unsigned back = 0; back < 4000; back++) {
        unsigned i = 199999 - back;
        uint16_t sequence = (uint16_t)(newest - back);
        assert_int_equal(send_text(&s, sequence, (uint8_t)(i % 251)),
                         back < SRTP_REPLAY_WINDOW ? 0 : -EINVAL);
        assert_int_equal(send_text(&s, sequence, 252), -EINVAL);
    }
    sending_begin(&s, key, 0); /* other keys: all is new */
    assert_int_equal(send_text(&s, newest, 252), 0);
    sending_clear(&s);
}

static void late_packets_and_jumps_are_sent(void **state)
{
    struct sending s = {0};
    sending_begin(&s, key, 0);
    for (uint16_t i = 0; i < 3000; i++)
        assert_int_equal(send_text(&s, i, 1), 0);
    assert_int_equal(send_text(&s, 9000, 1), 0);
    assert_int_equal(send_text(&s, 8999, 2), 0); /* late, and never sent before */
    assert_int_equal(send_text(&s, 8999, 3), -EINVAL);
    assert_int_equal(send_text(&s, 8000, 2), 0);
    assert_int_equal(send_text(&s, 7976, 2), -EINVAL); /* SRTP_REPLAY_WINDOW behind */
    sending_clear(&s);
}

static void so_many_streams_and_no_more(void **state)
{
    struct sending s = {0};
    bool video;
    sending_begin(&s, key, 0);
    for (uint32_t i = 0; i < SENDING_SOURCES_MAX; i++)
        assert_int_equal(take(&s, i, 1, 1, 100, &video), 0);
    assert_int_equal(take(&s, 99, 1, 1, 100, &video), -ENOSPC);
    assert_int_equal(take(&s, 0, 2, 1, 100, &video), 0);
    sending_clear(&s);
}

/* A stream that is silent makes room for another, and then nothing goes out under its SSRC any more: its numbers aren't known. */
static void a_silent_stream_makes_room(void **state)
{
    struct sending s = {0};
    bool video;
    uint32_t next = 0;
    sending_begin(&s, key, 0);
    for (; next < SENDING_SOURCES_MAX; next++, now_us++)
        assert_int_equal(take(&s, next, 1, 1, 100, &video), 0);
    int64_t first_us = now_us - SENDING_SOURCES_MAX;
    now_us = first_us + SENDING_SILENT_US - 1;
    assert_int_equal(take(&s, next, 1, 1, 100, &video), -ENOSPC);
    now_us++;
    assert_int_equal(take(&s, next, 1, 1, 100, &video), 0);
    assert_int_equal(take(&s, 0, 1, 1, 100, &video), -EINVAL); /* the same, or another: nobody knows */
    assert_int_equal(take(&s, 0, 2, 2, 100, &video), -EINVAL);
    assert_int_equal(take(&s, next, 1, 2, 100, &video), -EINVAL); /* the new one's are its own */
    assert_int_equal(take(&s, next, 2, 2, 100, &video), 0);
    for (size_t spent = 1; spent < SENDING_SPENT_MAX; spent++) {
        now_us += SENDING_SILENT_US;
        assert_int_equal(take(&s, ++next, 1, 1, 100, &video), 0);
    }
    now_us += SENDING_SILENT_US;
    assert_int_equal(take(&s, next + 1, 1, 1, 100, &video), -ENOSPC); /* no more can be known as spent */
    for (uint32_t i = 0; i < SENDING_SPENT_MAX; i++)
        assert_int_equal(take(&s, i, 3, 1, 100, &video), -EINVAL);
    assert_int_equal(take(&s, next, 2, 1, 100, &video), 0);
    sending_begin(&s, key, 0); /* other keys: all is new */
    assert_int_equal(take(&s, 0, 1, 2, 100, &video), 0);
    sending_clear(&s);
}

static void long_packets_without_a_level_are_video(void **state)
{
    struct sending s = {0};
    bool video, voiced;
    uint8_t bytes[1200] = {0};
    sending_begin(&s, key, 3);
    assert_int_equal(take(&s, 7, 1, 1, SENDING_VIDEO_BYTES, &video), 0);
    assert_false(video);
    assert_int_equal(take(&s, 7, 2, 1, SENDING_VIDEO_BYTES + 1, &video), 0);
    assert_true(video);
    assert_int_equal(take(&s, 7, 3, 1, 100, &video), 0);
    assert_true(video); /* the end of a frame is short */
    struct rtp r = {.payload_type = 111, .sequence = 1, .ssrc = 8};
    size_t head = rtp_write_level(bytes, &r, 3, true, 20);
    assert_int_equal(rtp_parse(&r, bytes, head + 1000), 0);
    assert_int_equal(sending_take(&s, bytes, head + 1000, &r, 0, &voiced), 0);
    assert_false(voiced);
    sending_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_goes_out_with_one_text),
        cmocka_unit_test(late_packets_and_jumps_are_sent),
        cmocka_unit_test(so_many_streams_and_no_more),
        cmocka_unit_test(a_silent_stream_makes_room),
        cmocka_unit_test(long_packets_without_a_level_are_video),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
