/* link: berth_core */
/* Cuts at every byte of characters of every length. */
#include "check.h"

#include "core/utf8.h"

#include <string.h>

static const char text[] = "a\u00e9\u20ac\U0001F600z";

static void characters_are_read_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        uint32_t code;
    } cases[] = {
        {"", 1, 0},
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7F},
        {"\x80", 0, 0},
        {"\xbf", 0, 0},
        {"\xc0\x80", 0, 0},
        {"\xc1\xbf", 0, 0},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7FF},
        {"\xc3", 0, 0},
        {"\xc3\x28", 0, 0},
        {"\xe0\x9f\xbf", 0, 0},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xD7FF},
        {"\xed\xa0\x80", 0, 0},
        {"\xed\xbf\xbf", 0, 0},
        {"\xee\x80\x80", 3, 0xE000},
        {"\xef\xbf\xbf", 3, 0xFFFF},
        {"\xe2\x82", 0, 0},
        {"\xf0\x8f\xbf\xbf", 0, 0},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10FFFF},
        {"\xf4\x90\x80\x80", 0, 0},
        {"\xf5\x80\x80\x80", 0, 0},
        {"\xf8\x88\x80\x80\x80", 0, 0},
        {"\xff", 0, 0},
        {"\xf0\x9f\x98", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t code = 0;
        size_t len = utf8_next(cases[i].text, &code);
        if (len != cases[i].len || code != cases[i].code)
            fail_msg("case %zu: %zu bytes, U+%04X", i, len, (unsigned)code);
    }
}

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
        cmocka_unit_test(characters_are_read_and_nothing_else),
        cmocka_unit_test(prefixes_hold_whole_characters),
        cmocka_unit_test(a_cut_text_loses_the_beginning_of_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
