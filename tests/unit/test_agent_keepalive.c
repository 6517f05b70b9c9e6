/* link: berth_agent_core */
/* The keep-alive in virtual time: its rhythm, what it makes of losses, and when it calls a path lost. */
#include "check.h"

#include "core/stun.h"
#include "path/keepalive.h"

#include <string.h>

enum { MS = 1000, S = 1000 * MS, RTT = 40 * MS };

static const uint8_t seed[PROBER_SEED_LEN] = {7};

/* A path that loses `loss` percent, or everything from `dead_us` on. */
struct path {
    struct keepalive k;
    uint64_t random;
    unsigned loss;
    int64_t dead_us, longest_gap_us, last_sent_us, now_us;
};

static size_t answer(const uint8_t *request, uint8_t out[static STUN_BINDING_ANSWER_MAX])
{
    struct addr source = {.family = ADDR_V4, .port = 4242, .ip = {203, 0, 113, 9}};
    struct stun_binding_opts opts = {0};
    return stun_binding_answer(request, PROBER_MESSAGE_LEN, &source, &opts, out, STUN_BINDING_ANSWER_MAX);
}

static void start(struct path *p, unsigned loss, int64_t dead_us)
{
    struct addr none = {0};
    *p = (struct path){.random = 88172645463325252u + loss, .loss = loss, .dead_us = dead_us};
    keepalive_start(&p->k, seed, (int64_t)KEEPALIVE_MS * MS, &none, 0);
}

/* Until the time, or the path is lost; answers come after RTT, doubled, and never while another is under way. */
static void run(struct path *p, int64_t until_us)
{
    uint8_t request[PROBER_MESSAGE_LEN], out[STUN_BINDING_ANSWER_MAX];
    while (p->now_us < until_us && !keepalive_lost(&p->k, p->now_us)) {
        while (keepalive_next(&p->k, p->now_us, request)) {
            if (p->now_us - p->last_sent_us > p->longest_gap_us)
                p->longest_gap_us = p->now_us - p->last_sent_us;
            p->last_sent_us = p->now_us;
            if (p->now_us >= p->dead_us || check_random(&p->random) % 100 < p->loss)
                continue;
            size_t len = answer(request, out);
            p->now_us += RTT;
            assert_true(keepalive_heard(&p->k, out, len, p->now_us));
            assert_true(keepalive_heard(&p->k, out, len, p->now_us)); /* a double is ours, and counts once */
        }
        int64_t at = keepalive_deadline(&p->k);
        assert_true(at > p->now_us);
        p->now_us = at;
    }
}

static void a_good_path_is_asked_at_the_interval(void **state)
{
    struct path p;
    struct rtt_stats rtt;
    start(&p, 0, INT64_MAX);
    assert_false(keepalive_rtt(&p.k, &rtt));
    run(&p, 3600LL * S);
    assert_in_range(p.k.sent, 719, 720);
    assert_int_equal(p.k.received, p.k.sent);
    assert_int_equal(p.longest_gap_us, 5 * S);
    assert_int_equal(keepalive_missing(&p.k, p.now_us), 0);
    assert_true(keepalive_rtt(&p.k, &rtt));
    assert_true(rtt.min_us == RTT && rtt.median_us == RTT && rtt.p95_us == RTT);
    assert_int_equal(p.k.mapped.port, 4242);
}

/* A pinhole of 30 s sees a packet from inside every 5 s at least, however bad the path. */
static void losses_make_it_ask_sooner_and_do_not_lose_the_path(void **state)
{
    for (unsigned loss = 5; loss <= 30; loss += 5) {
        struct path p;
        start(&p, loss, INT64_MAX);
        run(&p, 3600LL * S);
        assert_true(p.longest_gap_us <= 5 * S);
        int64_t missing = keepalive_missing(&p.k, p.now_us + 2 * S);
        assert_in_range(missing * 100 / p.k.sent, loss > 4 ? loss - 4 : 0, loss + 4);
        assert_true(p.now_us >= 3600LL * S); /* never lost */
    }
}

static void a_dead_path_is_told_in_time(void **state)
{
    for (int64_t dead = 0; dead < 20 * S; dead += 700 * MS) {
        struct path p;
        start(&p, 0, dead);
        run(&p, 3600LL * S);
        assert_true(keepalive_lost(&p.k, p.now_us));
        assert_in_range(p.now_us - dead, KEEPALIVE_LOST_US, KEEPALIVE_LOST_US + 5 * S + RTT);
    }
}

/* Answers that come after as much as KEEPALIVE_LOST_US, when as many requests are under way as can be. */
static void a_long_path_is_not_lost_however_often_it_is_asked(void **state)
{
    enum { LONGEST = 2 * KEEPALIVE_FLIGHT };
    static struct {
        int64_t at_us;
        uint8_t bytes[STUN_BINDING_ANSWER_MAX];
        size_t len;
    } way[LONGEST]; /* a ring */
    for (int64_t rtt = 900 * MS; rtt < KEEPALIVE_LOST_US; rtt += 700 * MS) {
        struct keepalive k;
        struct addr none = {0};
        uint8_t request[PROBER_MESSAGE_LEN];
        size_t head = 0, tail = 0, most = 0;
        keepalive_start(&k, seed, (int64_t)KEEPALIVE_LEAST_MS * MS, &none, 0);
        for (int64_t now = 0; now < 60 * S; now += 10 * MS) {
            for (; head < tail && way[head % LONGEST].at_us <= now; head++)
                assert_true(keepalive_heard(&k, way[head % LONGEST].bytes, way[head % LONGEST].len, now));
            if (keepalive_next(&k, now, request)) {
                assert_true(tail - head < LONGEST);
                way[tail % LONGEST].at_us = now + rtt;
                way[tail % LONGEST].len = answer(request, way[tail % LONGEST].bytes);
                most = ++tail - head > most ? tail - head : most;
            }
            assert_false(keepalive_lost(&k, now));
        }
        assert_int_equal(k.received, head); /* each counts */
        assert_in_range(most, rtt / (KEEPALIVE_LEAST_MS * MS) - 1, KEEPALIVE_FLIGHT);
    }
}

static void hurrying_has_a_limit(void **state)
{
    struct path p;
    uint8_t request[PROBER_MESSAGE_LEN];
    start(&p, 0, INT64_MAX);
    for (int64_t now = 0; now < 1 * S; now += MS) {
        keepalive_hurry(&p.k, now);
        (void)keepalive_next(&p.k, now, request);
    }
    assert_int_equal(p.k.sent, 1000 / KEEPALIVE_LEAST_MS);
}

static void it_asks_at_once_when_told_to(void **state)
{
    struct path p;
    uint8_t request[PROBER_MESSAGE_LEN];
    start(&p, 0, INT64_MAX);
    assert_false(keepalive_next(&p.k, 1 * S, request));
    keepalive_hurry(&p.k, 1 * S);
    assert_int_equal(keepalive_deadline(&p.k), 1 * S);
    uint8_t before[PROBER_MESSAGE_LEN], out[STUN_BINDING_ANSWER_MAX];
    assert_false(keepalive_stands(&p.k));
    assert_true(keepalive_next(&p.k, 1 * S, before));
    assert_false(keepalive_next(&p.k, 1 * S, request));
    keepalive_hurry(&p.k, 2 * S);
    assert_true(keepalive_next(&p.k, 2 * S, request));
    assert_true(keepalive_heard(&p.k, out, answer(before, out), 2 * S + RTT)); /* to the one before */
    assert_false(keepalive_stands(&p.k));
    assert_true(keepalive_heard(&p.k, out, answer(request, out), 2 * S + RTT));
    assert_true(keepalive_stands(&p.k));
}

static void what_is_not_an_answer_is_left_to_others(void **state)
{
    struct path p, other;
    uint8_t request[PROBER_MESSAGE_LEN], out[STUN_BINDING_ANSWER_MAX];
    static const uint8_t media[32] = {0x80};
    start(&p, 0, INT64_MAX);
    start(&other, 0, INT64_MAX);
    other.k.seed[0] ^= 1;
    assert_true(keepalive_next(&p.k, 5 * S, request));
    assert_false(keepalive_heard(&p.k, media, sizeof media, 5 * S));
    assert_false(keepalive_heard(&p.k, request, sizeof request, 5 * S));
    size_t len = answer(request, out);
    assert_false(keepalive_heard(&other.k, out, len, 5 * S));
    assert_int_equal(p.k.received, 0);
    assert_true(keepalive_heard(&p.k, out, len, 6 * S));
    assert_int_equal(p.k.last_rtt_us, 1 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_path_is_asked_at_the_interval),
        cmocka_unit_test(losses_make_it_ask_sooner_and_do_not_lose_the_path),
        cmocka_unit_test(a_dead_path_is_told_in_time),
        cmocka_unit_test(a_long_path_is_not_lost_however_often_it_is_asked),
        cmocka_unit_test(hurrying_has_a_limit),
        cmocka_unit_test(it_asks_at_once_when_told_to),
        cmocka_unit_test(what_is_not_an_answer_is_left_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
