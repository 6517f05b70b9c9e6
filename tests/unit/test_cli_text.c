/* link: berth_cli */
/* What a terminal is not to be told. */
#include "check.h"

#include "agent/cli/text.h"

#include <stdio.h>
#include <string.h>

static void what_moves_cursors_or_turns_lines_is_replaced(void **state)
{
    static const struct {
        const char *text, *clean;
    } cases[] = {
        {"plain \u00e9 \u20ac \U0001F600", "plain \u00e9 \u20ac \U0001F600"},
        {"\x1b[2J\r\n\t\x7f", "?[2J????"},
        {"a\xc2\x80"
         "b\xc2\x9b"
         "31m\xc2\xa0",
         "a??b??31m\u00a0"},
        {"\u202a\u202e\u2066\u2069|\u2029\u202f\u2065\u206a", "????????????|\u2029\u202f\u2065\u206a"},
        {"\x9b"
         "31m",
         "?31m"},                                    /* no UTF-8: C1 of a terminal of bytes */
        {"\xe2\x80", "??"},                          /* cut */
        {"\xc0\x9b\xe0\x80\x9b", "?????"},           /* overlong */
        {"\xed\xa0\x80\xf4\x90\x80\x80", "???????"}, /* a surrogate, too much */
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", cases[i].text);
        text_clean(text);
        assert_string_equal(text, cases[i].clean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_moves_cursors_or_turns_lines_is_replaced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
