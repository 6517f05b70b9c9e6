/* link: berth_agent_core */
/* The agent's timetable in virtual time. */
#include "check.h"

#include "agent/schedule.h"

enum { SECOND = 1000000, SEEDS = 500 };

static void watching_begins_at_once(void **state)
{
    struct schedule s;
    schedule_init(&s, 1);
    assert_true(schedule_deadline(&s) == SCHEDULE_NEVER);
    schedule_watch(&s, true, 5 * SECOND);
    assert_int_equal(schedule_deadline(&s), 5 * SECOND);
    assert_false(schedule_probe_due(&s, 5 * SECOND - 1));
    assert_true(schedule_probe_due(&s, 5 * SECOND));
    assert_false(schedule_probe_due(&s, 5 * SECOND));
    schedule_watch(&s, true, 6 * SECOND); /* already */
    assert_true(schedule_deadline(&s) == SCHEDULE_NEVER);
}

static void probes_again_at_a_random_moment_before(void **state)
{
    int64_t least = INT64_MAX, most = 0, after = 6600 * (int64_t)SECOND;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct schedule s;
        schedule_init(&s, seed);
        schedule_watch(&s, true, 0);
        assert_true(schedule_probe_due(&s, 0));
        schedule_probed(&s, after, 0, 0);
        int64_t at = s.probe_at_us;
        assert_in_range(at, after * 3 / 4, after);
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    assert_true(least < after * 77 / 100 && most > after * 98 / 100); /* spread out */
}

static void a_single_probe_is_not_repeated(void **state)
{
    struct schedule s;
    schedule_init(&s, 1);
    schedule_probed(&s, 100, 0, 0);
    assert_true(schedule_fetch_failed(&s, 0, 0) == SCHEDULE_NEVER);
    assert_true(schedule_deadline(&s) == SCHEDULE_NEVER);
}

static void a_changing_network_settles_first(void **state)
{
    struct schedule s;
    schedule_init(&s, 1);
    schedule_network_changed(&s, 0); /* nobody watches */
    assert_true(schedule_deadline(&s) == SCHEDULE_NEVER);
    schedule_watch(&s, true, 0);
    assert_true(schedule_probe_due(&s, 0));
    int64_t now = 100 * (int64_t)SECOND;
    for (int i = 0; i < 5; i++) /* an interface that comes up says so several times */
        schedule_network_changed(&s, now + i * SECOND / 2);
    assert_int_equal(schedule_deadline(&s), now + 2 * SECOND + SCHEDULE_SETTLE_US);
    assert_false(schedule_settled(&s, now + SECOND));
    assert_true(schedule_settled(&s, now + 4 * SECOND));
    assert_false(schedule_settled(&s, now + 4 * SECOND));
    now += 100 * (int64_t)SECOND;
    for (int i = 0; i < 100; i++) /* one that never comes to rest doesn't keep us waiting for ever */
        schedule_network_changed(&s, now + i * SECOND);
    assert_int_equal(schedule_deadline(&s), now + SCHEDULE_SETTLE_MAX_US);
}

static void pauses_grow_with_jitter_to_a_limit(void **state)
{
    int64_t least[12], most[12];
    for (int i = 0; i < 12; i++) {
        least[i] = INT64_MAX;
        most[i] = 0;
    }
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct schedule s;
        schedule_init(&s, seed);
        schedule_watch(&s, true, 0);
        for (int i = 0; i < 12; i++) {
            int64_t pause = schedule_fetch_failed(&s, 0, 1000);
            int64_t full = SCHEDULE_BACKOFF_US;
            for (int k = 0; k < i && full < SCHEDULE_BACKOFF_MAX_US; k++)
                full *= 2;
            full = full < SCHEDULE_BACKOFF_MAX_US ? full : SCHEDULE_BACKOFF_MAX_US;
            assert_in_range(pause, full / 2, full);
            assert_int_equal(schedule_deadline(&s), 1000 + pause);
            least[i] = pause < least[i] ? pause : least[i];
            most[i] = pause > most[i] ? pause : most[i];
        }
        schedule_probed(&s, 100 * (int64_t)SECOND, 0, 0); /* success: the next failure begins anew */
        assert_true(schedule_fetch_failed(&s, 0, 0) <= SCHEDULE_BACKOFF_US);
    }
    for (int i = 0; i < 12; i++)
        assert_true(most[i] - least[i] > least[i] / 2);
}

static void retry_after_is_honoured(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct schedule s;
        schedule_init(&s, seed);
        schedule_watch(&s, true, 0);
        int64_t pause = schedule_fetch_failed(&s, 30 * (int64_t)SECOND, 0);
        assert_in_range(pause, 30 * (int64_t)SECOND, 31 * (int64_t)SECOND);
        schedule_keep(&s, 7200 * (int64_t)SECOND, 0);
        pause = schedule_delivery_failed(&s, 45 * (int64_t)SECOND, 0);
        assert_in_range(pause, 45 * (int64_t)SECOND, 46 * (int64_t)SECOND);
    }
}

static void a_report_is_tried_while_it_is_valid(void **state)
{
    struct schedule s;
    int64_t now = 0, valid = 7200 * (int64_t)SECOND, pause;
    unsigned tries = 0;
    schedule_init(&s, 3);
    schedule_keep(&s, valid, now);
    do {
        assert_true(schedule_delivery_due(&s, now));
        tries++;
        pause = schedule_delivery_failed(&s, 0, now);
        if (pause != SCHEDULE_NEVER)
            now += pause;
    } while (pause != SCHEDULE_NEVER);
    assert_true(now < valid);
    assert_true(now > valid - SCHEDULE_BACKOFF_MAX_US); /* until the end ... */
    assert_in_range(tries, 24, 70);                     /* ... without pestering */
    assert_true(schedule_deadline(&s) == SCHEDULE_NEVER);
}

/* The monotonic clock stands still in a laptop's sleep, the wall clock goes on, and the report grows old. */
static void a_machine_that_slept_probes_when_it_wakes(void **state)
{
    struct schedule s;
    int64_t wall = 1767323045 * (int64_t)SECOND, now = 0;
    schedule_init(&s, 1);
    schedule_watch(&s, true, now);
    schedule_wall(&s, now, wall); /* before the first probe there is nothing to be late with */
    assert_true(schedule_probe_due(&s, now));
    schedule_probed(&s, 6600 * (int64_t)SECOND, now, wall);
    for (int i = 0; i < 10; i++) { /* awake: the clock is asked now and then, and finds nothing */
        now = schedule_deadline(&s);
        assert_int_equal(now, (i + 1) * (int64_t)SCHEDULE_WALL_CHECK_US);
        schedule_wall(&s, now, wall + now);
        assert_false(schedule_probe_due(&s, now));
    }
    schedule_wall(&s, now + 1, wall - 999 * (int64_t)SECOND); /* set back: no reason either */
    assert_false(schedule_probe_due(&s, now + 1));
    now += SCHEDULE_WALL_CHECK_US;
    schedule_wall(&s, now, wall + 6601 * (int64_t)SECOND); /* it slept */
    assert_true(schedule_probe_due(&s, now));
    schedule_wall(&s, now, wall + 6602 * (int64_t)SECOND);
    assert_false(schedule_probe_due(&s, now)); /* once */
}

static void ending_the_watch_keeps_the_report(void **state)
{
    struct schedule s;
    schedule_init(&s, 1);
    schedule_watch(&s, true, 0);
    schedule_network_changed(&s, 0);
    schedule_keep(&s, 7200 * (int64_t)SECOND, 0);
    int64_t pause = schedule_delivery_failed(&s, 0, 0);
    schedule_watch(&s, false, 0);
    assert_int_equal(schedule_deadline(&s), pause);
    schedule_deliver_now(&s, 10);
    assert_true(schedule_delivery_due(&s, 10));
    schedule_delivered(&s);
    schedule_deliver_now(&s, 20); /* nothing is kept */
    assert_true(schedule_deadline(&s) == SCHEDULE_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watching_begins_at_once),
        cmocka_unit_test(probes_again_at_a_random_moment_before),
        cmocka_unit_test(a_single_probe_is_not_repeated),
        cmocka_unit_test(a_changing_network_settles_first),
        cmocka_unit_test(pauses_grow_with_jitter_to_a_limit),
        cmocka_unit_test(retry_after_is_honoured),
        cmocka_unit_test(a_report_is_tried_while_it_is_valid),
        cmocka_unit_test(a_machine_that_slept_probes_when_it_wakes),
        cmocka_unit_test(ending_the_watch_keeps_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
