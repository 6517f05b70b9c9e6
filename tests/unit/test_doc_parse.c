/* link: berth_core */
/* Text to JSON: what is refused before anything is built, and errors that never quote their input. */
#include "check.h"

#include "core/doc.h"

#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *text, size_t len, struct doc_error *e)
{
    char *copy = malloc(len ? len : 1); /* no NUL behind it: the sanitizer sees a read too far */
    assert_non_null(copy);
    memcpy(copy, text, len);
    json_t *j = doc_parse(copy, len, e);
    free(copy);
    return j;
}

static void test_right_texts(void **state)
{
    static const char *const right[] = {"{}",
                                        "[]",
                                        " {\"a\":[1,2.5,\"x\",null,true]} \n",
                                        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", /* 16 deep */
                                        "[\"[[[[[[[[[[[[[[[[[[[[\\\"[[[\"]",
                                        "{\"\xc3\xa9\":\"\\u00e9\"}"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct doc_error e;
        json_t *j = parse(right[i], strlen(right[i]), &e);
        assert_non_null(j);
        json_decref(j);
    }
}

static void test_text_with_a_member_more(void **state)
{
    json_t *none = json_object(), *some = json_pack("{s:i, s:f}", "a", 1, "b", 0.05);
    char *one = doc_text_with(none, "x", "[1,2]"), *three = doc_text_with(some, "x", "{}");

    (void)state;
    assert_string_equal(one, "{\"x\":[1,2]}");
    assert_string_equal(three, "{\"a\":1,\"b\":0.05,\"x\":{}}");
    assert_null(doc_text_with(NULL, "x", "[]"));
    assert_null(doc_text_with(some, "x", NULL));
    free(one);
    free(three);
    json_decref(none);
    json_decref(some);
}

static void test_wrong_texts(void **state)
{
    static const char *const wrong[] = {"",
                                        " ",
                                        "{",
                                        "{}}",
                                        "{} x",
                                        "[1,]",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\":{\"b\":1,\"b\":1}}",
                                        "7",
                                        "\"x\"",
                                        "null",
                                        "[\"\xff\"]",
                                        "[\"\xc0\xaf\"]",
                                        "[\"\xed\xa0\x80\"]",
                                        "[\"\\ud800\"]",
                                        "[\"\\u0000\"]",
                                        "[1e999]",
                                        "[99999999999999999999]",
                                        "[01]",
                                        "[NaN]",
                                        "{'a':1}",
                                        "\xef\xbb\xbf{}",
                                        "[\"a\nb\"]",
                                        "]",
                                        "\xff\xfe",
                                        "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]" /* 17 deep */};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct doc_error e = {.code = "x"};
        assert_null(parse(wrong[i], strlen(wrong[i]), &e));
        assert_string_equal(e.code, "bad_json");
        assert_string_equal(e.pointer, "");
        assert_true(e.detail[0] != '\0');
        for (const char *c = e.detail; *c; c++)
            assert_true(*c >= ' ' && *c <= '~');
    }
    struct doc_error e;
    assert_null(parse("{}\0", 3, &e));
    assert_null(parse("[\"a\0b\"]", 7, &e));
}

static void test_depth_bombs(void **state)
{
    enum { LEN = 1 << 20 };
    char *bomb = malloc(LEN);
    struct doc_error e;
    assert_non_null(bomb);
    memset(bomb, '[', LEN);
    assert_null(doc_parse(bomb, LEN, &e));
    assert_non_null(strstr(e.detail, "16"));
    for (size_t i = 0; i + 5 < LEN; i += 5)
        memcpy(bomb + i, "{\"a\":", 5);
    assert_null(doc_parse(bomb, LEN, &e));
    assert_non_null(strstr(e.detail, "16"));
    memset(bomb, '"', LEN); /* strings without end */
    assert_null(doc_parse(bomb, LEN, &e));
    memset(bomb, '\\', LEN);
    bomb[0] = '"';
    assert_null(doc_parse(bomb, LEN, &e));
    free(bomb);
}

static void test_names(void **state)
{
    static const char *const wrong[] = {"", "UDP", "udp ", "quic", "unknown"};
    for (unsigned t = 0; t < TRANSPORT_COUNT; t++) {
        enum transport back;
        assert_int_equal(transport_parse(transport_name((enum transport)t), &back), 0);
        assert_int_equal(back, t);
    }
    for (size_t i = 0; i < 5; i++) {
        enum transport t;
        assert_true(transport_parse(wrong[i], &t) < 0);
    }
    for (unsigned s = 0; s < PROBE_STATUS_COUNT; s++)
        assert_string_not_equal(probe_status_name((enum probe_status)s), "unknown");
    assert_string_equal(probe_status_name(PROBE_STATUS_COUNT), "unknown");
}

static void test_long_errors_are_cut(void **state)
{
    char text[1000];
    struct doc_error e;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(doc_fail(&e, text, text, "%s", text) < 0);
    assert_int_equal(strlen(e.pointer), sizeof e.pointer - 1);
    assert_int_equal(strlen(e.code), sizeof e.code - 1);
    assert_int_equal(strlen(e.detail), sizeof e.detail - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_texts), cmocka_unit_test(test_text_with_a_member_more),
        cmocka_unit_test(test_wrong_texts), cmocka_unit_test(test_depth_bombs),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_long_errors_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
