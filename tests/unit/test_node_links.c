/* link: berth_node_lib */
/* Pages of removals, kept sorted and bounded. */
#include "check.h"

#include "node/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int page(struct links *l, const char *removed, const char *more)
{
    char body[1024];
    snprintf(body, sizeof(body),
             "{\"version\":\"7.9\",\"more\":%s,\"all\":false,\"links\":[],\"removed\":[%s]}", more, removed);
    return links_update(l, body, strlen(body));
}

#define ANN(number) "{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"ann\",\"number\":" number "}"
#define BEN(number) "{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"ben\",\"number\":" number "}"

static bool is_out(const struct links *l, const char *who, int64_t number)
{
    struct media_plan_held *held = links_plan(l);
    struct ticket t = {.kind = TICKET_PARTICIPANT, .org = "o", .meeting = "m", .number = number};
    assert_non_null(held);
    strcpy(t.who, who);
    bool out = media_plan_is_removed(media_plan_of(held), &t);
    assert_null(media_plan_meeting(media_plan_of(held), "o", "m"));
    media_plan_release(media_plan_hold(held));
    media_plan_release(held);
    return out;
}

static void test_who_is_removed_is_out_up_to_the_number(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    assert_false(is_out(&l, "ann", 1));
    assert_int_equal(page(&l, BEN("20") "," ANN("10"), "true"), 0);
    assert_true(l.more);
    assert_string_equal(l.version, "7.9");
    assert_true(is_out(&l, "ann", 10));
    assert_false(is_out(&l, "ann", 11)); /* joined again */
    assert_true(is_out(&l, "ben", 20));
    links_clear(&l);
}

static void test_the_greatest_number_stays_whatever_the_order(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    assert_int_equal(page(&l, ANN("30"), "false"), 0);
    assert_int_equal(page(&l, ANN("10") "," ANN("20"), "false"), 0);
    assert_int_equal(l.n_removed, 1);
    assert_true(is_out(&l, "ann", 30));
    assert_false(l.more);
    links_clear(&l);
}

static void test_what_cannot_be_read_changes_nothing(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "{\"removed\":[]}",
                                         "{\"version\":\"\",\"removed\":[]}",
                                         "{\"version\":1,\"removed\":[]}",
                                         "{\"version\":\"1\",\"removed\":{}}"};
    struct links l = {.n_removed = 0};
    assert_int_equal(page(&l, ANN("10"), "false"), 0);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(links_update(&l, bodies[i], strlen(bodies[i])), -EBADMSG);
    assert_int_equal(links_update(&l, NULL, 0), -EBADMSG);
    assert_string_equal(l.version, "7.9");
    /* Entries that make no sense are left out, and the rest taken. */
    assert_int_equal(page(&l, "7,{},{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"x\"}," BEN("5"), "false"),
                     0);
    assert_int_equal(l.n_removed, 2);
    assert_true(is_out(&l, "ben", 5));
    links_clear(&l);
}

static void test_the_newest_stay_where_there_are_too_many(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    for (int i = 0; i < LINKS_REMOVED_MAX + 10; i++) {
        char one[128];
        snprintf(one, sizeof(one), "{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"a%d\",\"number\":%d}", i,
                 i + 1);
        assert_int_equal(page(&l, one, "false"), 0);
    }
    assert_int_equal(l.n_removed, LINKS_REMOVED_MAX);
    assert_false(is_out(&l, "a9", 10));
    assert_true(is_out(&l, "a10", 11));
    links_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_removed_is_out_up_to_the_number),
        cmocka_unit_test(test_the_greatest_number_stays_whatever_the_order),
        cmocka_unit_test(test_what_cannot_be_read_changes_nothing),
        cmocka_unit_test(test_the_newest_stay_where_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
