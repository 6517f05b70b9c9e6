/* link: berth_core */
/* Cuts at every byte of characters of every length. */
#include "check.h"

#include "core/utf8.h"

#include <string.h>

static const char text[] = "a\u00e9\u20ac\U0001F600z";

static void prefixes_hold_whole_characters(void **state)
{
    static const int want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
    for (size_t max = 0; max < sizeof want / sizeof want[0]; max++)
        assert_int_equal(utf8_prefix(text, max), want[max]);
    assert_int_equal(utf8_prefix("", 0), 0);
    assert_int_equal(utf8_prefix("\x80\x80\x80\x80\x80\x80", 5), 5); /* no UTF-8 */
    assert_int_equal(utf8_prefix("\xff\xff", 1), 1);
}

static void a_cut_text_loses_the_beginning_of_a_character(void **state)
{
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t len = 0; len < sizeof want / sizeof want[0]; len++) {
        char cut[16] = "";
        memcpy(cut, text, len);
        utf8_cut(cut);
        assert_int_equal(strlen(cut), want[len]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_hold_whole_characters),
        cmocka_unit_test(a_cut_text_loses_the_beginning_of_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
