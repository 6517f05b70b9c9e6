/* link: berth_controller_lib */
/* What a worker tells again, and what it doesn't. */
#include "events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct event about(const char *subject)
{
    return (struct event){.org = "cloud", .kind = "overloaded", .subject = subject, .detail = "x"};
}

static void test_the_same_is_told_again_after_a_while(void **state)
{
    struct events_recent r = {0};
    struct event a = about("a"), b = about("b"), other = a;

    (void)state;
    other.kind = "no_node";
    assert_true(events_due(&r, &a, 1));
    assert_false(events_due(&r, &a, EVENTS_AGAIN_US));
    assert_true(events_due(&r, &b, 2));
    assert_true(events_due(&r, &other, 2));
    assert_true(events_due(&r, &a, EVENTS_AGAIN_US + 1));
    assert_false(events_due(&r, &a, EVENTS_AGAIN_US + 2));
}

static void test_more_than_are_remembered(void **state)
{
    struct events_recent r = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < 3 * EVENTS_RECENT_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        struct event e = about(name);
        assert_true(events_due(&r, &e, 1 + i));
        assert_false(events_due(&r, &e, 2 + i));
    }
}

static void test_severities(void **state)
{
    (void)state;
    for (unsigned s = 0; s < EVENT_SEVERITIES; s++)
        assert_int_equal(event_severity_parse(event_severity_name((enum event_severity)s)), s);
    assert_int_equal(event_severity_parse("bad"), EVENT_SEVERITIES);
    assert_int_equal(event_severity_parse(""), EVENT_SEVERITIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_is_told_again_after_a_while),
        cmocka_unit_test(test_more_than_are_remembered),
        cmocka_unit_test(test_severities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
