/* link: berth_agent_core */
/* What calls measured until it is told: what counts of a path's figures, and what makes room. */
#include "check.h"

#include "agent/call_stretches.h"

#include <stdio.h>
#include <string.h>

static struct media_leg_figures figures(int64_t answered, int64_t received, int64_t lost)
{
    return (struct media_leg_figures){.answered = answered,
                                      .packets_received = received,
                                      .packets_lost = lost,
                                      .rtt_us = answered > 0 ? 21000 : -1,
                                      .rtt = {20000, 21000, 30000},
                                      .jitter_us = 900};
}

static void what_is_more_than_at_the_mark_is_told(void **state)
{
    struct call_stretch_mark m;
    struct call_stretch c;
    struct media_leg_figures f = figures(3, 100, 5);
    call_stretch_begin(&m, &f, 1000000);
    call_stretch_init(&c);
    f = figures(10, 600, 9);
    assert_true(call_stretch_cut(&c, &m, &f, 31500000));
    assert_true(c.seconds == 30 && c.checks == 7 && c.received == 500 && c.lost == 4);
    assert_true(c.rtt_min_us == 20000 && c.rtt_median_us == 21000 && c.rtt_p95_us == 30000);
    assert_int_equal(c.jitter_us, 900);
    assert_false(call_stretch_cut(&c, &m, &f, 41500000)); /* nothing since */
    f = figures(11, 700, 2);                              /* what was missing has come */
    assert_true(call_stretch_cut(&c, &m, &f, 42500000));
    assert_true(c.seconds == 1 && c.checks == 1 && c.received == 100 && c.lost == 0);
}

static void without_a_round_trip_there_is_nothing_to_tell(void **state)
{
    struct call_stretch_mark m = {0};
    struct call_stretch c;
    struct media_leg_figures f = figures(0, 600, 9);
    call_stretch_init(&c);
    assert_false(call_stretch_cut(&c, &m, &f, 5000000));
    f = figures(4, 600, 9);
    f.rtt.p95_us = (int64_t)RTT_MAX_US + 1; /* a machine that slept: the controller would refuse all of it */
    assert_false(call_stretch_cut(&c, &m, &f, 6000000));
    f = figures(5, 600, 9);
    f.jitter_us = (int64_t)RTT_MAX_US + 1;
    assert_true(call_stretch_cut(&c, &m, &f, 7000000));
    assert_true(c.jitter_us == NOT_MEASURED && c.checks == 1);
}

static struct call_stretch named(size_t i)
{
    struct call_stretch c;
    call_stretch_init(&c);
    snprintf(c.node, sizeof c.node, "n%zu", i);
    return c;
}

static void the_oldest_makes_room(void **state)
{
    static struct call_stretches s, more;
    for (size_t i = 0; i < REPORT_CALLS_MAX + 3; i++) {
        struct call_stretch c = named(i);
        call_stretches_add(&s, &c);
    }
    assert_int_equal(s.n, REPORT_CALLS_MAX);
    assert_string_equal(s.at[0].node, "n3");
    call_stretches_drop(&s, 2);
    assert_string_equal(s.at[0].node, "n5");
    struct call_stretch c = named(99);
    call_stretches_add(&more, &c);
    call_stretches_move(&more, &s);
    assert_true(s.n == 0 && more.n == REPORT_CALLS_MAX - 1);
    assert_string_equal(more.at[1].node, "n5");
    call_stretches_drop(&more, 1000);
    assert_int_equal(more.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_more_than_at_the_mark_is_told),
        cmocka_unit_test(without_a_round_trip_there_is_nothing_to_tell),
        cmocka_unit_test(the_oldest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
