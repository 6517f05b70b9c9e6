/* link: berth_agent_core */
/* Throughput over links of given rates and round trips, in virtual time, with answers as the node makes them. */
#include "check.h"

#include "agent/firewall_throughput.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWERS_MAX = 40000, ANSWER_LEN = 64, START_US = 5000, PACKET_BITS = 1400 * 8 };

/* A link with a queue in each direction, and a node behind it. */
struct link {
    int64_t up_bps, down_bps, rtt_us;
    size_t dies_after; /* so many answers have come; 0: never */
    int64_t up_free_us, down_free_us, now_us;
    size_t n, next;
    struct {
        int64_t at_us;
        size_t len;
        uint8_t bytes[ANSWER_LEN];
    } answers[ANSWERS_MAX];
    size_t most_unanswered, up_bytes, longest_queue_us;
};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* One request reaches the node, and its answer comes back. */
static void carry(struct link *l, const uint8_t *request, size_t len)
{
    struct addr us;
    assert_int_equal(addr_parse(&us, "198.51.100.1:4000"), 0);
    assert_in_range(l->n, 0, ANSWERS_MAX - 1);
    l->up_free_us = later(l->up_free_us, l->now_us) + (int64_t)len * 8 * 1000000 / l->up_bps;
    size_t answer =
        stun_binding_answer(request, len, &us, NULL, l->answers[l->n].bytes, STUN_BINDING_ANSWER_MAX);
    assert_in_range(answer, 1, 2 * len); /* nothing to amplify */
    int64_t queue = l->up_free_us - l->now_us;
    l->longest_queue_us = (size_t)later((int64_t)l->longest_queue_us, queue);
    l->down_free_us =
        later(l->down_free_us, l->up_free_us + l->rtt_us / 2) + (int64_t)answer * 8 * 1000000 / l->down_bps;
    l->answers[l->n].at_us = l->down_free_us + l->rtt_us / 2;
    l->answers[l->n++].len = answer;
}

static void carry_chunk(struct link *l, const uint8_t *chunk, size_t len)
{
    size_t used = 0;
    while (used < len) {
        size_t one = STUN_HEADER_LEN + ((size_t)chunk[used + 2] << 8 | chunk[used + 3]);
        assert_in_range(used + one, 1, len);
        carry(l, chunk + used, one);
        used += one;
    }
    l->up_bytes += len;
}

static void hear(struct link *l, struct throughput *t)
{
    while (l->next < l->n && l->answers[l->next].at_us <= l->now_us &&
           (l->dies_after == 0 || l->next < l->dies_after)) {
        const size_t i = l->next++, half = i % l->answers[i].len; /* in two pieces, cut anywhere */
        assert_int_equal(throughput_take(t, l->answers[i].bytes, half, l->now_us), 0);
        assert_int_equal(throughput_take(t, l->answers[i].bytes + half, l->answers[i].len - half, l->now_us),
                         0);
    }
}

static void run(struct link *l, struct throughput *t)
{
    static const uint8_t prefix[STUN_TXID_LEN - 4] = "prefix12";
    uint8_t chunk[THROUGHPUT_CHUNK_MAX];
    l->now_us = START_US;
    throughput_begin(t, prefix, l->rtt_us, l->now_us);
    while (t->phase != THROUGHPUT_DONE) {
        size_t len;
        while ((len = throughput_next(t, l->now_us, chunk)) > 0)
            carry_chunk(l, chunk, len);
        assert_in_range(t->unanswered, 0, THROUGHPUT_WINDOW_MAX + THROUGHPUT_CHUNK_MAX * 2);
        int64_t next = throughput_deadline(t);
        bool silent = l->next == l->n || (l->dies_after != 0 && l->next >= l->dies_after);
        if (!silent && l->answers[l->next].at_us < next)
            next = l->answers[l->next].at_us;
        if (t->phase == THROUGHPUT_DONE)
            break;
        assert_true(next > l->now_us || !silent);
        l->now_us = later(next, l->now_us);
        hear(l, t);
    }
}

/* Exact, but for one packet in a stretch, up to several times what a call needs; what is more may be shown as less. */
static void assert_figure(int64_t bps, int64_t of)
{
    int64_t exact = 4 * 1500000, least = of < exact ? of : exact;
    int64_t packet = (int64_t)PACKET_BITS * 1000000 / THROUGHPUT_STRETCH_US;
    assert_in_range(bps, least * 3 / 4, of * 21 / 20 + packet);
}

/* The first window, or what the window's rule allows. */
static int64_t longest_queue(int64_t up_bps, int64_t rtt_us)
{
    int64_t first = (int64_t)(THROUGHPUT_WINDOW_FIRST + THROUGHPUT_CHUNK_MAX) * 8 * 1000000 / up_bps;
    int64_t rule = 3 * (rtt_us > THROUGHPUT_QUEUE_US ? rtt_us : (int64_t)THROUGHPUT_QUEUE_US);
    return later(first, rule);
}

static void figures_are_those_of_the_link(void **state)
{
    static const struct {
        int64_t up_bps, down_bps, rtt_us;
    } links[] = {
        {1500000, 8000000, 20000},    {1500000, 1500000, 300000}, {10000000, 50000000, 100000},
        {100000, 2000000, 40000},     {300000, 300000, 500000},   {40000000, 5000000, 5000},
        {1000000000, 2000000, 30000}, {500000, 100000, 50000},
    };
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        struct throughput t;
        struct link *l = calloc(1, sizeof *l);
        *l = (struct link){
            .up_bps = links[i].up_bps, .down_bps = links[i].down_bps, .rtt_us = links[i].rtt_us};
        run(l, &t);
        int64_t up = throughput_bps(&t.up, t.rtt_us), down = throughput_bps(&t.down, t.rtt_us);
        /* Small requests carry at most 1.6 times their size down. */
        int64_t wide = links[i].up_bps * 8 / 5;
        assert_figure(up, links[i].up_bps);
        assert_figure(down, links[i].down_bps < wide ? links[i].down_bps : wide);
        assert_in_range(l->longest_queue_us, 0, longest_queue(links[i].up_bps, links[i].rtt_us));
        assert_true(l->now_us - START_US <= THROUGHPUT_TOTAL_US);
        free(l);
    }
}

/* However fast the link: no more than the limits is sent, and it is soon over. */
static void what_is_sent_is_bounded(void **state)
{
    struct throughput t;
    struct link *l = calloc(1, sizeof *l);
    *l = (struct link){.up_bps = 100000000000, .down_bps = 100000000000, .rtt_us = 100};
    run(l, &t);
    assert_in_range(l->up_bytes, THROUGHPUT_UP_MAX,
                    THROUGHPUT_UP_MAX + THROUGHPUT_DOWN_MAX + 2 * THROUGHPUT_CHUNK_MAX);
    assert_in_range(t.sent_bytes + t.received_bytes, 0, 2 * 1024 * 1024);
    assert_int_equal(t.sent_bytes, l->up_bytes);
    assert_in_range(l->now_us - START_US, 0, THROUGHPUT_WAY_US);
    free(l);
}

/* A node that falls silent: what came before counts, and the time is bounded. */
static void a_silence_ends_in_time(void **state)
{
    for (size_t after = 1; after < 3000; after = after * 3 + 1) {
        struct throughput t;
        struct link *l = calloc(1, sizeof *l);
        *l = (struct link){.up_bps = 2000000, .down_bps = 2000000, .rtt_us = 30000, .dies_after = after};
        run(l, &t);
        assert_int_equal(l->now_us - START_US, THROUGHPUT_TOTAL_US);
        assert_int_equal(t.answered, after);
        assert_int_equal(throughput_bps(&t.up, t.rtt_us) < 0, after < 8);
        assert_int_equal(throughput_bps(&t.down, t.rtt_us) < 0, after < 300);
        free(l);
    }
}

static void only_its_own_answers_count_in_their_order(void **state)
{
    static const uint8_t prefix[STUN_TXID_LEN - 4] = "prefix12", other[STUN_TXID_LEN - 4] = "prefix13";
    struct addr us;
    uint8_t chunk[THROUGHPUT_CHUNK_MAX], answer[STUN_BINDING_ANSWER_MAX];
    assert_int_equal(addr_parse(&us, "198.51.100.1:4000"), 0);
    for (int wrong = 0; wrong < 4; wrong++) {
        struct throughput t;
        throughput_begin(&t, wrong == 1 ? other : prefix, 10000, START_US);
        assert_in_range(throughput_next(&t, START_US, chunk), 2 * 1400, THROUGHPUT_CHUNK_MAX);
        throughput_begin(&t, prefix, 10000, START_US);
        uint8_t again[THROUGHPUT_CHUNK_MAX];
        assert_int_not_equal(throughput_next(&t, START_US, again), 0);
        const uint8_t *asked = wrong == 2 ? chunk + 1400 : chunk; /* the second before the first */
        size_t len = stun_binding_answer(asked, 1400, &us, NULL, answer, sizeof answer);
        assert_int_not_equal(len, 0);
        if (wrong == 3)
            answer[0] = 0xff;
        assert_int_equal(throughput_take(&t, answer, len, START_US + 10000), wrong == 0 ? 0 : -EBADMSG);
        assert_int_equal(t.phase, wrong == 0 ? THROUGHPUT_UP : THROUGHPUT_DONE);
        if (wrong == 0) /* the same again */
            assert_int_equal(throughput_take(&t, answer, len, START_US + 10000), -EBADMSG);
        assert_int_equal(throughput_next(&t, START_US, again), 0);
    }
}

/* Its stream takes nothing more, so that nothing more is asked for; answers come or don't. */
static void it_ends_in_its_time_though_nothing_can_be_sent(void **state)
{
    static const uint8_t prefix[STUN_TXID_LEN - 4] = "prefix12";
    uint8_t chunk[THROUGHPUT_CHUNK_MAX];
    struct throughput *t = calloc(1, sizeof *t);
    throughput_begin(t, prefix, 20000, START_US);
    assert_true(throughput_next(t, START_US, chunk) > 0);
    assert_false(throughput_over(t, START_US));
    assert_false(throughput_over(t, START_US + THROUGHPUT_TOTAL_US - 1));
    assert_true(throughput_over(t, START_US + THROUGHPUT_TOTAL_US));
    assert_int_equal(t->phase, THROUGHPUT_DONE);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_link),
        cmocka_unit_test(what_is_sent_is_bounded),
        cmocka_unit_test(a_silence_ends_in_time),
        cmocka_unit_test(only_its_own_answers_count_in_their_order),
        cmocka_unit_test(it_ends_in_its_time_though_nothing_can_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
