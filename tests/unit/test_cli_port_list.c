/* link: berth_cli */
/* Ports as the command line gives them. */
#include "check.h"

#include "agent/cli/port_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 8 };

static void lists_are_read(void **state)
{
    static const struct {
        const char *text, *ports;
    } cases[] = {
        {"1", "1 "},
        {"65535", "65535 "},
        {"58024,58523", "58024 58523 "},
        {"60000-60003", "60000 60001 60002 60003 "},
        {"5-5", "5 "},
        {"9,7-8,7,9", "9 7 8 "}, /* each once */
        {"65534-65535", "65534 65535 "},
        {"0005", "5 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t ports[MAX];
        size_t n = 0;
        char text[128] = "";
        assert_int_equal(port_list_parse(ports, &n, MAX, cases[i].text), 0);
        for (size_t k = 0; k < n; k++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%u ", ports[k]);
        assert_string_equal(text, cases[i].ports);
    }
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const bad[] = {"",       "0",   "65536", "99999999999999999999",
                                      "x",      "1,",  ",1",    "1,,2",
                                      "2-1",    "1-",  "-1",    "1-2-3",
                                      "1 2",    "1;2", "+1",    "0x10",
                                      "1-65536"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint16_t ports[MAX];
        size_t n = 0;
        assert_int_equal(port_list_parse(ports, &n, MAX, bad[i]), -EINVAL);
    }
}

static void there_is_a_limit(void **state)
{
    uint16_t ports[MAX];
    size_t n = 0;
    assert_int_equal(port_list_parse(ports, &n, MAX, "1-8"), 0);
    assert_int_equal(port_list_parse(ports, &n, MAX, "1-8"), 0); /* nothing new */
    assert_int_equal(n, MAX);
    assert_int_equal(port_list_parse(ports, &n, MAX, "9"), -E2BIG);
    n = 0;
    assert_int_equal(port_list_parse(ports, &n, MAX, "1-65535"), -E2BIG);
    assert_int_equal(n, MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
