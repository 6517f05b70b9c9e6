/* link: berth_media_home */
/* Sequence numbers on their way through a node: order, gaps, where a source was left out, retransmissions, and the wrap. */
#include "check.h"

#include "node/media/seqmap.h"

#include <string.h>

static uint64_t take(struct seqmap *m, uint16_t in)
{
    uint64_t out = 0;
    assert_true(seqmap_take(m, in, true, &out));
    return out;
}

static void leave_out(struct seqmap *m, uint16_t from, unsigned n)
{
    uint64_t out;
    for (unsigned i = 0; i < n; i++)
        assert_false(seqmap_take(m, (uint16_t)(from + i), false, &out));
}

static void test_kept(void **state)
{
    struct seqmap m = {0};
    struct seqmap_to t = {0};
    uint64_t number;
    const uint16_t in[] = {5000, 5001, 5005, 5003, 5002, 5004, 5006};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        uint64_t out = take(&m, in[i]);
        assert_true(seqmap_to_index(&t, out, &number));
        assert_int_equal(number, in[i]);
        seqmap_to_sent(&t, out);
    }
}

static void test_begins_in_the_lower_half(void **state)
{
    const uint16_t begins[] = {0, 1, 255, 256, 32767, 32768, 65535};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        struct seqmap m = {0};
        struct seqmap_to t = {0};
        uint64_t first, earlier;
        uint64_t out = take(&m, begins[i]);
        assert_true(seqmap_to_index(&t, out, &first));
        assert_true(first < SEQMAP_BEGINS_BELOW && first >= SEQMAP_EARLIER);
        seqmap_to_sent(&t, out);
        assert_true(seqmap_to_index(&t, out - SEQMAP_EARLIER, &earlier));
        assert_int_equal(earlier, first - SEQMAP_EARLIER);
        assert_false(seqmap_to_index(&t, out - SEQMAP_EARLIER - 1, &earlier));
    }
}

/* Three times round, with each number one more than the one before for the receiver as well. */
static void test_wrap(void **state)
{
    struct seqmap m = {0};
    struct seqmap_to t = {0};
    uint64_t number, before = 0;
    uint64_t out_before = 0;
    for (uint64_t i = 0; i < 3 * 65536 + 10; i++) {
        uint64_t out = take(&m, (uint16_t)(60000 + i));
        assert_true(seqmap_to_index(&t, out, &number));
        seqmap_to_sent(&t, out);
        assert_true(i == 0 || (out == out_before + 1 && number == before + 1));
        before = number;
        out_before = out;
    }
}

static void test_left_out(void **state)
{
    struct seqmap m = {0};
    uint64_t out;
    uint16_t in;
    uint64_t a = take(&m, 100), b = take(&m, 103); /* 101 and 102 are lost */
    assert_int_equal(b, a + 3);
    leave_out(&m, 104, 500);
    assert_int_equal(take(&m, 604), b + 1);         /* no gap */
    assert_int_equal(take(&m, 606), b + 3);         /* a real one */
    assert_int_equal(take(&m, 102), a + 2);         /* what was asked for again comes where it belongs */
    assert_false(seqmap_take(&m, 300, true, &out)); /* what was left out stays so */
    assert_int_equal(take(&m, 605), b + 2);
    assert_true(seqmap_missing(&m, a + 1, &in));
    assert_int_equal(in, 101);
    assert_false(seqmap_missing(&m, a + 2, &in)); /* it has come after all */
    assert_false(seqmap_missing(&m, b + 1, &in));
    assert_false(seqmap_missing(&m, b + 4, &in));
    assert_false(seqmap_missing(&m, a - 1, &in));
    assert_int_equal(take(&m, 608), b + 5);
    assert_true(seqmap_missing(&m, b + 4, &in));
    assert_int_equal(in, 607);
    assert_int_equal(take(&m, 1631), b + 1028);
    assert_false(seqmap_missing(&m, b + 4, &in)); /* nobody knows any more */
}

/* What comes once more is sent on once, also where its number is another packet's: of numbers that lead and come
 * round a rollover counter can be kept that isn't the one here. */
static void test_once(void **state)
{
    struct seqmap m = {0};
    uint64_t out;
    uint64_t a = take(&m, 90);
    assert_int_equal(take(&m, 100), a + 10);
    assert_false(seqmap_take(&m, 60000, true, &out));
    assert_false(seqmap_take(&m, 90, true, &out));
    assert_false(seqmap_take(&m, 100, true, &out));
    assert_int_equal(take(&m, 95), a + 5);
    assert_false(seqmap_take(&m, 95, true, &out));
    leave_out(&m, 94, 1);
    assert_false(seqmap_take(&m, 94, true, &out));
}

/* Who comes later than it can be told whether it has come before isn't sent on. */
static void test_too_late(void **state)
{
    struct seqmap m = {0};
    uint64_t out;
    uint64_t a = take(&m, 1000);
    assert_int_equal(take(&m, 1002), a + 2);
    assert_int_equal(take(&m, 1010 + SEQMAP_TAKEN), a + 10 + SEQMAP_TAKEN);
    assert_false(seqmap_take(&m, 1010, true, &out));
    assert_int_equal(take(&m, 1011), a + 11);
    assert_false(seqmap_take(&m, 1011, true, &out));
    assert_int_equal(take(&m, 1010 + SEQMAP_TAKEN + 1), a + 11 + SEQMAP_TAKEN);
    for (unsigned i = 1012; i < 1010 + SEQMAP_TAKEN; i++)
        assert_int_equal(take(&m, (uint16_t)i), a + i - 1000);
    assert_int_equal(take(&m, 1010 + 2 * SEQMAP_TAKEN),
                     a + 10 + 2 * SEQMAP_TAKEN); /* the next round of bits */
    for (unsigned i = 1012 + SEQMAP_TAKEN; i < 1010 + 2 * SEQMAP_TAKEN; i++)
        assert_int_equal(take(&m, (uint16_t)i), a + i - 1000);
}

/* More times than are remembered: what is older than those gets no number, never another's. */
static void test_forgotten_parts(void **state)
{
    struct seqmap m = {0};
    uint64_t out, last = 0;
    for (uint16_t i = 0; i < 2 * SEQMAP_PARTS; i++) {
        uint64_t now = take(&m, (uint16_t)(100 * i + 1));
        assert_true(last == 0 || now == last + 1);
        last = take(&m, (uint16_t)(100 * i + 3));
        assert_int_equal(last, now + 2);
        leave_out(&m, (uint16_t)(100 * i + 4), 10);
    }
    assert_false(seqmap_take(&m, 2, true, &out));
    assert_false(seqmap_take(&m, 302, true, &out));
    assert_int_equal(take(&m, 602), last - 4);
}

static void test_comes_again(void **state)
{
    struct seqmap m = {0};
    uint64_t out = take(&m, 40000);
    seqmap_restart(&m);
    assert_int_equal(take(&m, 7), out + 1);
    assert_int_equal(take(&m, 8), out + 2);
    seqmap_restart(&m);
    leave_out(&m, 500, 3);
    assert_int_equal(take(&m, 503), out + 3);
}

/* A receiver that has missed a long run is told of no gap, and nothing of the run comes to it later. */
static void test_long_miss(void **state)
{
    struct seqmap_to t = {0};
    uint64_t first, number;
    assert_true(seqmap_to_index(&t, 100000, &first));
    seqmap_to_sent(&t, 100000);
    assert_true(seqmap_to_index(&t, 100000 + SEQMAP_JUMP_MAX, &number));
    assert_int_equal(number, first + SEQMAP_JUMP_MAX);
    assert_true(seqmap_to_index(&t, 200000, &number));
    assert_int_equal(number, first + 1);
    seqmap_to_sent(&t, 200000);
    assert_false(seqmap_to_index(&t, 199999, &number));
    assert_false(seqmap_to_index(&t, 100000, &number));
    uint64_t out;
    assert_true(seqmap_to_back(&t, (uint16_t)(first + 1), &out));
    assert_int_equal(out, 200000);
    assert_false(seqmap_to_back(&t, (uint16_t)(first + 2), &out));
    assert_false(seqmap_to_back(&t, (uint16_t)first, &out));
}

/* Any order of packets, of times when it is left out and of new beginnings, with numbers that lead and come round:
 * no number is given twice. */
static void test_never_twice(void **state)
{
    enum { SEEN = 1 << 16, STEPS = 200000 };
    static uint64_t is[SEEN];
    struct seqmap m = {0};
    uint64_t random = 42;
    uint64_t newest = 1u << 20, session = 0, taken = 0;
    bool heard = true;
    memset(is, 0, sizeof is);
    for (int i = 0; i < STEPS; i++) {
        uint64_t r = check_random(&random);
        heard = r % 100 == 0 ? !heard : heard;
        if (r % 5003 == 0) {
            seqmap_restart(&m);
            session++;
            newest += (uint64_t)(r >> 40) % 30000 + 70000;
        }
        newest += r % 997 == 0 ? (uint64_t)(r >> 20) % 60000 : 0;
        uint64_t packet = r % 7 == 0 && m.begun ? newest - (uint64_t)(r >> 20) % 1500 : ++newest;
        uint64_t out;
        if (!seqmap_take(&m, (uint16_t)packet, heard, &out))
            continue;
        assert_true(is[out % SEEN] != out);
        is[out % SEEN] = out;
        taken++;
    }
    assert_true(session > 10 && taken > STEPS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_begins_in_the_lower_half),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_forgotten_parts),
        cmocka_unit_test(test_comes_again),
        cmocka_unit_test(test_long_miss),
        cmocka_unit_test(test_never_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
