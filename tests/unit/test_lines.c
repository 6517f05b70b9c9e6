/* link: berth_core */
/* Lines that say something, and their numbers, wherever the text ends. */
#include "check.h"

#include "core/lines.h"

#include <string.h>

static void assert_line(struct lines *l, const char *want, unsigned number)
{
    const char *line = NULL;
    size_t len = 0;

    assert_true(lines_next(l, &line, &len));
    assert_int_equal(len, strlen(want));
    assert_memory_equal(line, want, len);
    assert_int_equal(l->number, number);
}

static void assert_end(struct lines *l)
{
    const char *line = NULL;
    size_t len = 7;

    assert_false(lines_next(l, &line, &len));
    assert_null(line);
    assert_int_equal(len, 7);
}

static void what_says_something_is_given(void **state)
{
    static const char text[] = "# first\n\none\n \t two words \t\r\n  # third\n#\n \n\r\nlast";
    struct lines l = lines_of(text, strlen(text));

    assert_line(&l, "one", 3);
    assert_line(&l, "two words", 4);
    assert_line(&l, "last", 9);
    assert_end(&l);
    assert_end(&l);
}

static void nothing_is_looked_at_behind_the_end(void **state)
{
    static const char text[] = "ab c \n";

    for (size_t len = 0; len < sizeof text; len++) {
        char *exact = malloc(len + 1); /* the sanitizer sees one byte too many */
        assert_non_null(exact);
        memcpy(exact + 1, text, len);
        struct lines l = lines_of(exact + 1, len);
        if (len > 0)
            assert_line(&l, len == 1 ? "a" : len < 4 ? "ab" : "ab c", 1);
        assert_end(&l);
        free(exact);
    }
    struct lines none = lines_of("", 0);
    assert_end(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_says_something_is_given),
        cmocka_unit_test(nothing_is_looked_at_behind_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
