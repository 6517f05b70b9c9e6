/* link: berth_node_lib */
#include "node/limits.h"

#include "check.h"

#include <stdlib.h>

static struct addr from(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

static unsigned passed_of(struct limits *l, enum limits_of of, const char *text, unsigned tries,
                          int64_t now_us)
{
    struct addr a = from(text);
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++)
        n += limits_allow(l, of, &a, now_us);
    return n;
}

static unsigned passed(struct limits *l, const char *text, unsigned tries, int64_t now_us)
{
    return passed_of(l, LIMITS_DATAGRAMS, text, tries, now_us);
}

static void one_address(void **state)
{
    struct limits l;
    limits_init(&l, *state, 100, 0);
    assert_int_equal(passed(&l, "192.0.2.1:5", 1000, 1000000), 100);
    assert_int_equal(passed(&l, "192.0.2.1:6", 1000, 1000000), 0); /* the port doesn't count */
    assert_int_equal(passed(&l, "192.0.2.2:5", 50, 1000000), 50);
    assert_int_equal(passed(&l, "192.0.2.1:5", 1000, 1500000), 50); /* half a second later */
    assert_int_equal(passed(&l, "[2001:db8::1]:5", 1000, 1500000), 100);
}

static void neighbours(void **state)
{
    struct limits l;
    limits_init(&l, *state, 100, 150);
    assert_int_equal(passed(&l, "198.51.100.1:5", 1000, 1000000), 100);
    assert_int_equal(passed(&l, "198.51.100.2:5", 1000, 1000000), 50);
    assert_int_equal(passed(&l, "198.51.100.3:5", 1000, 1000000), 0);
    assert_int_equal(passed(&l, "198.51.101.3:5", 1000, 1000000), 100);
    assert_int_equal(passed(&l, "[2001:db8:5::1]:5", 1000, 1000000), 100);
    assert_int_equal(passed(&l, "[2001:db8:5:ffff::1]:5", 1000, 1000000), 50); /* the same /48 */
    assert_int_equal(passed(&l, "[2001:db8:6::1]:5", 1000, 1000000), 100);
}

static void off(void **state)
{
    struct limits l;
    limits_init(&l, *state, 0, 10);
    assert_int_equal(passed(&l, "192.0.2.1:5", 100000, 1000000), 100000);
}

/* Forged datagrams take nothing from an address's streams, and those with tickets that nobody sealed nothing from
 * those with good ones. */
static void streams(void **state)
{
    struct limits l;
    limits_init(&l, *state, 100, 150);
    assert_int_equal(passed(&l, "203.0.113.1:5", 1000, 1000000), 100);
    assert_int_equal(passed_of(&l, LIMITS_STREAMS_FAILED, "203.0.113.1:5", 1000, 1000000),
                     100 / LIMITS_FAILED_COST);
    assert_int_equal(passed_of(&l, LIMITS_STREAMS, "203.0.113.1:5", 1000, 1000000), 100);
    assert_int_equal(passed_of(&l, LIMITS_STREAMS, "203.0.113.2:5", 1000, 1000000), 50);
    limits_init(&l, *state, 5, 0); /* fewer than one costs: it is all that there is */
    assert_int_equal(passed_of(&l, LIMITS_STREAMS_FAILED, "203.0.113.9:5", 1000, 1000000), 1);
    assert_int_equal(passed_of(&l, LIMITS_STREAMS_FAILED, "203.0.113.9:5", 1000, 2000000), 1);
}

/* A thousand people behind one address join at once, over streams, each in two requests, whatever one of them does besides. */
static void an_office(void **state)
{
    struct limits l;
    limits_init(&l, *state, 2000, 20000); /* the defaults */
    assert_int_equal(passed(&l, "203.0.113.20:5", 100000, 1000000), 2000);
    assert_int_equal(passed_of(&l, LIMITS_STREAMS_FAILED, "203.0.113.20:5", 100000, 1000000), 200);
    assert_int_equal(passed_of(&l, LIMITS_STREAMS, "203.0.113.20:5", 2000, 1000000), 2000);
}

static int setup(void **state)
{
    *state = limits_table_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_address, setup, teardown),
        cmocka_unit_test_setup_teardown(neighbours, setup, teardown),
        cmocka_unit_test_setup_teardown(off, setup, teardown),
        cmocka_unit_test_setup_teardown(streams, setup, teardown),
        cmocka_unit_test_setup_teardown(an_office, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
