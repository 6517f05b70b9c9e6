/* link: berth_controller_lib */
/* Turns of joins: one at a time per meeting, in order, whoever goes away. */
#include "join_turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TURNS = 64, DEADLINE_US = 1000 };

static struct join_turn turns[TURNS], many[JOIN_TURNS_MAX];
static struct join_turns list;
static char trace[512];
static bool ends_at_once;

static void started(struct join_turn *t)
{
    char note[16];

    snprintf(note, sizeof(note), "%d ", (int)(t - turns));
    strncat(trace, note, sizeof(trace) - strlen(trace) - 1);
    if (ends_at_once)
        join_turn_done(&list, t);
}

static int reset(void **state)
{
    memset(turns, 0, sizeof(turns));
    memset(&list, 0, sizeof(list));
    trace[0] = '\0';
    ends_at_once = false;
    return 0;
}

static void sent_away(struct join_turn *t)
{
    char note[16];

    assert_false(t->listed);
    snprintf(note, sizeof(note), "-%d ", (int)(t - turns));
    strncat(trace, note, sizeof(trace) - strlen(trace) - 1);
}

static void take(size_t i, const char *org, const char *meeting)
{
    turns[i] = (struct join_turn){.org = org,
                                  .meeting = meeting,
                                  .start = started,
                                  .late = sent_away,
                                  .deadline_us = DEADLINE_US + (int)i};
    assert_true(join_turn_take(&list, &turns[i]));
}

static void done(size_t i)
{
    join_turn_done(&list, &turns[i]);
}

static void test_one_at_a_time_in_order(void **state)
{
    take(0, "a", "m");
    take(1, "a", "m");
    take(2, "a", "m");
    assert_string_equal(trace, "0 ");
    done(0);
    assert_string_equal(trace, "0 1 ");
    done(1);
    done(2);
    assert_string_equal(trace, "0 1 2 ");
    assert_int_equal(list.n, 0);
}

static void test_other_meetings_do_not_wait(void **state)
{
    take(0, "a", "m");
    take(1, "b", "m");
    take(2, "a", "n");
    assert_string_equal(trace, "0 1 2 ");
    done(1);
    done(0);
    done(2);
    assert_int_equal(list.n, 0);
}

static void test_who_waits_may_leave(void **state)
{
    take(0, "a", "m");
    take(1, "a", "m");
    take(2, "a", "m");
    done(1);
    assert_string_equal(trace, "0 ");
    done(0);
    assert_string_equal(trace, "0 2 ");
    done(0); /* once more: nothing */
    assert_string_equal(trace, "0 2 ");
    done(2);
    assert_int_equal(list.n, 0);
}

static void test_start_may_end_its_own_turn(void **state)
{
    take(0, "a", "m");
    for (size_t i = 1; i < 10; i++)
        take(i, "a", "m");
    ends_at_once = true;
    done(0);
    assert_string_equal(trace, "0 1 2 3 4 5 6 7 8 9 ");
    assert_int_equal(list.n, 0);
}

static int depth, deepest, n_started;

static void ends_as_it_starts(struct join_turn *t)
{
    n_started++;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    join_turn_done(&list, t);
    depth--;
}

/* As when the database is away: all that wait for a meeting are refused, and the stack is as deep as for one. */
static void test_all_end_as_they_start(void **state)
{
    take(0, "a", "m");
    for (size_t i = 1; i < JOIN_TURNS_MAX; i++) {
        many[i] = (struct join_turn){.org = "a", .meeting = "m", .start = ends_as_it_starts};
        assert_true(join_turn_take(&list, &many[i]));
    }
    depth = deepest = n_started = 0;
    done(0);
    assert_int_equal(n_started, JOIN_TURNS_MAX - 1);
    assert_int_equal(deepest, 1);
    assert_int_equal(list.n, 0);
}

/* One that starts ends the one that is to start next: that one never does. */
static void ends_both(struct join_turn *t)
{
    started(t);
    join_turn_done(&list, t);
    join_turn_done(&list, t + 1);
}

static void test_who_is_due_may_leave(void **state)
{
    for (size_t i = 0; i < 4; i++)
        take(i, "a", "m");
    turns[1].start = ends_both;
    done(0);
    assert_string_equal(trace, "0 1 3 ");
    assert_false(turns[2].listed);
    done(3);
    assert_int_equal(list.n, 0);
}

static void test_who_waits_too_long_is_sent_away(void **state)
{
    for (size_t i = 0; i < 4; i++)
        take(i, "a", "m");
    take(4, "b", "m");
    join_turns_expire(&list, DEADLINE_US + 2);
    assert_string_equal(trace, "0 4 -1 -2 "); /* who runs goes on */
    assert_int_equal(list.n, 3);
    done(0);
    assert_string_equal(trace, "0 4 -1 -2 3 ");
    join_turns_expire(&list, DEADLINE_US + 100);
    assert_string_equal(trace, "0 4 -1 -2 3 ");
}

/* One that is sent away ends its other turn, whose successor starts. */
static void ends_the_next(struct join_turn *t)
{
    sent_away(t);
    join_turn_done(&list, t + 1);
}

static void test_who_is_sent_away_may_end_another_turn(void **state)
{
    take(0, "a", "");
    join_turns_step(&list);
    take(1, "a", "");
    turns[1].late = ends_the_next;
    take(2, "a", "m");
    take(3, "a", "m");
    turns[3].deadline_us = turns[2].deadline_us = INT64_MAX;
    take(4, "a", "");
    turns[4].late = ends_the_next;
    take(5, "a", ""); /* the same list, and the next in it */
    join_turns_expire(&list, DEADLINE_US + 10);
    assert_string_equal(trace, "0 2 -1 3 -4 ");
    assert_int_equal(list.n, 2);
}

/* What weighs much starts one at a step, and the orgs take turns however many one of them has asked for. */
static void test_what_weighs_much_is_paced(void **state)
{
    ends_at_once = true;
    for (size_t i = 0; i < 4; i++)
        take(i, "a", "");
    take(4, "b", "");
    take(5, "a", "m"); /* a common one waits for nothing */
    assert_string_equal(trace, "5 ");
    assert_true(join_turns_due(&list));
    join_turns_step(&list);
    assert_string_equal(trace, "5 0 ");
    join_turns_step(&list);
    assert_string_equal(trace, "5 0 4 ");
    while (join_turns_due(&list))
        join_turns_step(&list);
    assert_string_equal(trace, "5 0 4 1 2 3 ");
    join_turns_step(&list);
    assert_int_equal(list.n, 0);
}

/* One that goes on after its start (it asks the database) holds up its own org's alone. */
static void test_what_weighs_much_is_one_of_an_org(void **state)
{
    take(0, "a", "");
    take(1, "a", "");
    take(2, "b", "");
    for (int i = 0; i < 5; i++)
        join_turns_step(&list);
    assert_string_equal(trace, "0 2 ");
    done(0);
    assert_true(join_turns_due(&list));
    join_turns_step(&list);
    assert_string_equal(trace, "0 2 1 ");
    done(1);
    done(2);
    assert_int_equal(list.n, 0);
}

static void test_what_is_due_may_leave_or_be_late(void **state)
{
    for (size_t i = 0; i < 4; i++)
        take(i, "a", "");
    done(0); /* due, and its request has ended */
    join_turns_expire(&list, DEADLINE_US + 2);
    assert_string_equal(trace, "-1 -2 ");
    join_turns_step(&list);
    assert_string_equal(trace, "-1 -2 3 ");
    take(4, "a", "");
    join_turns_close(&list);
    assert_false(join_turns_due(&list));
    join_turns_step(&list);
    done(3);
    done(4);
    assert_string_equal(trace, "-1 -2 3 ");
}

static void test_turns_are_bounded(void **state)
{
    struct join_turn more = {.org = "a", .meeting = "n", .start = started};

    ends_at_once = false;
    for (size_t i = 0; i < JOIN_TURNS_MAX; i++) {
        many[i] = (struct join_turn){.org = "a", .meeting = "m", .start = started, .late = sent_away};
        assert_true(join_turn_take(&list, &many[i]));
    }
    assert_false(join_turn_take(&list, &more));
    assert_false(more.listed);
    join_turn_done(&list, &many[JOIN_TURNS_MAX - 1]);
    assert_true(join_turn_take(&list, &more));
}

static void test_the_worker_ends(void **state)
{
    take(0, "a", "m");
    take(1, "a", "m");
    take(2, "a", "n");
    join_turns_close(&list);
    done(0); /* as a request that ends after its database has */
    done(1);
    assert_string_equal(trace, "0 2 ");
    turns[3] = turns[2];
    assert_false(join_turn_take(&list, &turns[3]));
}

/* Random takes and ends: at most one of a meeting runs, and one does wherever one waits. */
static void test_invariant_holds(void **state)
{
    static const char *const meetings[] = {"x", "y", "z"};
    uint32_t s = 7;

    for (int step = 0; step < 20000; step++) {
        int running[3] = {0}, waiting[3] = {0};
        size_t i;

        s = s * 1664525u + 1013904223u;
        i = (s >> 8) % TURNS;
        if (turns[i].listed)
            done(i);
        else
            take(i, "o", meetings[(s >> 20) % 3]);
        trace[0] = '\0';
        for (size_t k = 0; k < TURNS; k++) {
            int m = turns[k].listed ? turns[k].meeting[0] - 'x' : 0;

            running[m] += turns[k].listed && turns[k].running;
            waiting[m] += turns[k].listed && !turns[k].running;
        }
        for (int m = 0; m < 3; m++) {
            assert_true(running[m] <= 1);
            assert_true(waiting[m] == 0 || running[m] == 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_at_a_time_in_order, reset),
        cmocka_unit_test_setup(test_other_meetings_do_not_wait, reset),
        cmocka_unit_test_setup(test_who_waits_may_leave, reset),
        cmocka_unit_test_setup(test_start_may_end_its_own_turn, reset),
        cmocka_unit_test_setup(test_all_end_as_they_start, reset),
        cmocka_unit_test_setup(test_who_is_due_may_leave, reset),
        cmocka_unit_test_setup(test_who_waits_too_long_is_sent_away, reset),
        cmocka_unit_test_setup(test_who_is_sent_away_may_end_another_turn, reset),
        cmocka_unit_test_setup(test_what_weighs_much_is_paced, reset),
        cmocka_unit_test_setup(test_what_weighs_much_is_one_of_an_org, reset),
        cmocka_unit_test_setup(test_what_is_due_may_leave_or_be_late, reset),
        cmocka_unit_test_setup(test_turns_are_bounded, reset),
        cmocka_unit_test_setup(test_the_worker_ends, reset),
        cmocka_unit_test_setup(test_invariant_holds, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
