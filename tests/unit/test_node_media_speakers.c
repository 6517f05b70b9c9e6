/* link: berth_media_home */
/* Who is heard: the loudest, nobody for a moment only, and never more than there may be. */
#include "check.h"

#include "node/media/speakers.h"

#include <string.h>

enum { N = 12, MAX = 3, TURN_US = 100000 };

struct room {
    struct speaker speakers[N], *of[N];
    int level[N]; /* -1: none told; -2: nothing sent */
    int64_t now_us;
};

static struct room room_of(int level)
{
    struct room r = {.now_us = 10000000};
    for (size_t i = 0; i < N; i++)
        r.level[i] = level;
    return r;
}

static size_t turn(struct room *r)
{
    size_t heard = 0;
    r->now_us += TURN_US;
    for (size_t i = 0; i < N; i++) {
        r->of[i] = &r->speakers[i];
        if (r->level[i] > -2)
            speaker_sends(&r->speakers[i], r->level[i], r->now_us);
    }
    size_t told = speakers_rank(r->of, N, MAX, r->now_us);
    for (size_t i = 0; i < N; i++)
        heard += r->speakers[i].heard;
    assert_int_equal(heard, told);
    assert_true(heard <= MAX);
    return heard;
}

static void turns(struct room *r, int n)
{
    for (int i = 0; i < n; i++)
        turn(r);
}

static void test_loudest(void **state)
{
    struct room r = room_of(90);
    turns(&r, 25);
    r.level[7] = 20;
    r.level[8] = 25;
    r.level[9] = 30;
    turns(&r, 10);
    assert_true(r.speakers[7].heard && r.speakers[8].heard && r.speakers[9].heard);
}

/* Two who are nearly as loud as each other don't change places; who has just begun to be heard stays for 2 s. */
static void test_hysteresis(void **state)
{
    struct room r = room_of(-2);
    for (size_t i = 0; i < 4; i++)
        r.level[i] = 40;
    turns(&r, 40);
    assert_false(r.speakers[3].heard);
    r.level[3] = 39;
    turns(&r, 60);
    assert_false(r.speakers[3].heard);
    r.level[3] = 20;
    turns(&r, 3);
    assert_true(r.speakers[3].heard);
    size_t out = 0;
    while (out < 4 && r.speakers[out].heard)
        out++;
    r.level[3] = 120; /* one syllable */
    r.level[out] = 10;
    int64_t since_us = r.speakers[3].since_us;
    while (r.now_us - since_us < SPEAKER_STAYS_US - 2 * TURN_US) {
        turn(&r);
        assert_true(r.speakers[3].heard);
    }
    turns(&r, 5);
    assert_false(r.speakers[3].heard);
}

static void test_no_level_is_last(void **state)
{
    struct room r = room_of(-1);
    assert_int_equal(turn(&r), MAX); /* where there is room they are heard */
    r.level[10] = 126;
    turns(&r, 25);
    assert_true(r.speakers[10].heard);
    r.level[0] = r.level[1] = r.level[2] = -2;
    turns(&r, 25);
    assert_false(r.speakers[0].heard || r.speakers[1].heard || r.speakers[2].heard);
    assert_int_equal(turn(&r), MAX);
}

/* After 2 s, whether or not anybody wants the place. */
static void test_the_silent_give_their_places_up(void **state)
{
    struct room r = room_of(-2);
    r.level[0] = r.level[1] = r.level[2] = 10;
    turns(&r, 1);
    r.level[0] = r.level[1] = r.level[2] = -2;
    turns(&r, 19);
    assert_true(r.speakers[0].heard);
    assert_false(speaker_is_away(&r.speakers[0], r.now_us));
    assert_int_equal(turn(&r), 0);
    assert_true(speaker_is_away(&r.speakers[0], r.now_us));
    r.level[5] = -1;
    turn(&r);
    assert_true(r.speakers[5].heard);
}

/* Packets of 120 ms: in every sixth turn or so there is none. */
static void test_a_turn_without_a_packet(void **state)
{
    struct room r = room_of(-2);
    for (size_t i = 0; i < MAX + 1; i++)
        r.level[i] = i == MAX ? 60 : 30;
    turns(&r, 30);
    for (int i = 0; i < 100; i++) {
        r.level[i % MAX] = -2;
        turn(&r);
        r.level[i % MAX] = 30;
        assert_true(r.speakers[i % MAX].heard);
        assert_false(r.speakers[MAX].heard);
    }
}

static void test_fewer_are_wanted(void **state)
{
    struct room r = room_of(50);
    turns(&r, 1);
    assert_int_equal(speakers_rank(r.of, N, 1, r.now_us), 1);
    assert_int_equal(speakers_rank(r.of, N, 0, r.now_us), 0);
}

static void test_any_order(void **state)
{
    struct room r = room_of(-2);
    uint64_t random = 7;
    for (int i = 0; i < 5000; i++) {
        struct speaker before[N];
        memcpy(before, r.speakers, sizeof before);
        r.level[check_random(&random) % N] = (int)(check_random(&random) % 130) - 2;
        turn(&r);
        for (size_t k = 0; k < N; k++) {
            if (before[k].heard && !r.speakers[k].heard)
                assert_true(r.now_us - before[k].since_us >= SPEAKER_STAYS_US ||
                            r.now_us - before[k].sent_us >= SPEAKER_SILENT_US);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loudest),
        cmocka_unit_test(test_hysteresis),
        cmocka_unit_test(test_no_level_is_last),
        cmocka_unit_test(test_the_silent_give_their_places_up),
        cmocka_unit_test(test_fewer_are_wanted),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_a_turn_without_a_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
