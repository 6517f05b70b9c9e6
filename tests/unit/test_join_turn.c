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

enum { TURNS = 64 };

static struct join_turn turns[TURNS];
static struct join_turn *list;
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
    list = NULL;
    trace[0] = '\0';
    ends_at_once = false;
    return 0;
}

static void take(size_t i, const char *org, const char *meeting)
{
    turns[i] = (struct join_turn){.org = org, .meeting = meeting, .start = started};
    join_turn_take(&list, &turns[i]);
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
    assert_null(list);
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
    assert_null(list);
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
    assert_null(list);
}

static void test_start_may_end_its_own_turn(void **state)
{
    take(0, "a", "m");
    for (size_t i = 1; i < 10; i++)
        take(i, "a", "m");
    ends_at_once = true;
    done(0);
    assert_string_equal(trace, "0 1 2 3 4 5 6 7 8 9 ");
    assert_null(list);
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
        for (struct join_turn *t = list; t != NULL; t = t->next) {
            int m = t->meeting[0] - 'x';

            running[m] += t->running;
            waiting[m] += !t->running;
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
        cmocka_unit_test_setup(test_invariant_holds, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
