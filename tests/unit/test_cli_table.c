/* link: berth_cli */
#include "agent/cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const struct table_column columns[] = {
    {"NODE", TABLE_LEFT, true},
    {"RTT", TABLE_RIGHT, false},
    {"SEEN AS", TABLE_LEFT, false},
};

static char *print(struct table *t, size_t width, bool color)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    assert_int_equal(table_print(t, f, width, color), 0);
    fclose(f);
    return text;
}

static void check(struct table *t, size_t width, const char *expected)
{
    char *text = print(t, width, false);
    assert_string_equal(text, expected);
    free(text);
}

static struct table *sample(const char *node, const char *seen)
{
    struct table *t = table_new(columns, 3, 2);
    assert_non_null(t);
    table_section(t, "eu");
    table_row(t, (const char *[]){node, "1.25", seen});
    table_row(t, (const char *[]){"b", "120", NULL});
    return t;
}

static void columns_align(void **state)
{
    struct table *t = sample("fra-1", "1.2.3.4:5");
    check(t, 0,
          "  NODE    RTT  SEEN AS\n"
          "eu\n"
          "  fra-1  1.25  1.2.3.4:5\n"
          "  b       120\n");
    table_free(t);
}

static void a_table_without_rows_has_its_titles(void **state)
{
    struct table *t = table_new(columns, 3, 0);
    check(t, 80, "NODE  RTT  SEEN AS\n");
    table_free(t);
    table_free(NULL);
}

static void the_last_column_moves_to_its_own_line(void **state)
{
    struct table *t = sample("fra-1", "certificate verify failed: expired");
    check(t, 30,
          "  NODE   RTT SEEN AS\n"
          "eu\n"
          "  fra-1 1.25\n"
          "      certificate verify\n"
          "      failed: expired\n"
          "  b      120\n");
    table_free(t);
}

static void narrow_terminals_cut_what_may_be_cut(void **state)
{
    struct table *t = sample("a-node-with-a-very-long-name", "[2001:db8::1]:1");
    check(t, 32,
          "  NODE       RTT SEEN AS\n"
          "eu\n"
          "  a-node-w~ 1.25 [2001:db8::1]:1\n"
          "  b          120\n");
    table_free(t);
}

/* Appends all but the spaces. */
static void append_packed(char *out, size_t cap, const char *s)
{
    size_t len = strlen(out);
    for (; *s != '\0' && len + 1 < cap; s++) {
        if (*s != ' ')
            out[len++] = *s;
    }
    out[len] = '\0';
}

/* At every width no line is wider, and the last column's text is all there. */
static void nothing_exceeds_the_width(void **state)
{
    static const char seen[] = "words of some lengths and onelongwordthatneverends-onelongwordthatneverends";
    char wanted[sizeof(seen)] = "";
    append_packed(wanted, sizeof(wanted), seen);
    for (size_t width = 24; width < 140; width++) {
        struct table *t = sample("gr\xc3\xbc\xc3\x9f", seen);
        char *text = print(t, width, false), joined[512] = "";
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            assert_true(table_text_width(line) <= width);
            append_packed(joined, sizeof(joined), line);
        }
        assert_non_null(strstr(joined, wanted));
        free(text);
        table_free(t);
    }
}

static void cells_cannot_talk_to_the_terminal(void **state)
{
    struct table *t = table_new(columns, 3, 0);
    table_row(t, (const char *[]){"a\x1b[31m\nb", "\t", "x\xc2\x9by\x7f"});
    char *text = print(t, 0, false);
    assert_non_null(strstr(text, "a?[31m?b"));
    assert_null(strpbrk(text, "\x1b\t\x7f"));
    assert_null(strstr(text, "\xc2\x9b"));
    free(text);
    table_free(t);
}

static void colour_only_where_wanted(void **state)
{
    struct table *t = sample("n", "s");
    table_row(t, (const char *[]){"good", "1", "x"});
    table_color(t, 0, TABLE_GOOD);
    char *plain = print(t, 0, false), *colored = print(t, 0, true);
    assert_null(strchr(plain, '\x1b'));
    assert_non_null(strstr(colored, "\x1b[32mgood\x1b[0m"));
    free(plain);
    free(colored);
    table_free(t);
}

static void width_counts_characters(void **state)
{
    assert_int_equal(table_text_width(""), 0);
    assert_int_equal(table_text_width("abc"), 3);
    assert_int_equal(table_text_width("gr\xc3\xbc\xc3\x9f"), 4);
    assert_int_equal(table_text_width("\xe2\x82\xac"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_align),
        cmocka_unit_test(a_table_without_rows_has_its_titles),
        cmocka_unit_test(the_last_column_moves_to_its_own_line),
        cmocka_unit_test(narrow_terminals_cut_what_may_be_cut),
        cmocka_unit_test(nothing_exceeds_the_width),
        cmocka_unit_test(cells_cannot_talk_to_the_terminal),
        cmocka_unit_test(colour_only_where_wanted),
        cmocka_unit_test(width_counts_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
