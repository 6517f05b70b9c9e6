/* link: berth_load_parts */
/* Joins: meetings of the sizes that were asked for, most of whose people are from one place. */
#include "check.h"

#include "loadtest/joining.h"

#include <string.h>

enum { JOINS = 50000, MEETINGS = 60000, KINDS = 10, AGENTS = 1000 };

static unsigned char joined[MEETINGS];

static void sizes_are_as_published(void **state)
{
    struct joining j;
    size_t home = 0, two = 0, ended = 0;
    (void)state;
    memset(joined, 0, sizeof(joined));
    joining_init(&j, 0, AGENTS, KINDS, 3);
    for (size_t i = 0; i < JOINS; i++) {
        uint64_t meeting;
        size_t agent;
        joining_next(&j, &meeting, &agent);
        assert_true(meeting < j.begun && agent < AGENTS);
        joined[meeting]++;
        home += agent % KINDS == meeting % KINDS;
    }
    for (size_t i = 0; i < JOINING_OPEN; i++)
        joined[j.open[i].meeting] = 0; /* still filling, or the last of its place */
    for (size_t m = 0; m < j.begun; m++) {
        ended += joined[m] > 0;
        two += joined[m] == 2;
        assert_in_range(joined[m], 0, 100);
        assert_int_not_equal(joined[m], 1);
    }
    assert_in_range(two * 100 / ended, 47, 53);  /* half of the meetings */
    assert_in_range(home * 100 / JOINS, 78, 83); /* those of its place, and a tenth of the others by chance */
}

static void or_all_alike(void **state)
{
    struct joining j;
    (void)state;
    memset(joined, 0, sizeof(joined));
    joining_init(&j, 1, AGENTS, 1, 3);
    for (size_t i = 0; i < 1000; i++) {
        uint64_t meeting;
        size_t agent;
        joining_next(&j, &meeting, &agent);
        assert_int_equal(joined[meeting]++, 0);
    }
    assert_int_equal(j.begun, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_are_as_published),
                                       cmocka_unit_test(or_all_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
