/* link: berth_core */
/* RFC 3339: what is accepted and what is not, against the C library's calendar. */
#include "check.h"

#include "core/timefmt.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static void test_right_times(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1970-01-01t00:00:00.1z", 100000},
        {"1970-01-01T00:00:00.123456999Z", 123456}, /* cut, not rounded */
        {"2026-01-02T03:04:05.678901Z", 1767323045678901},
        {"2026-01-02T04:34:05.678901+01:30", 1767323045678901},
        {"2026-01-01T22:04:05.678901-05:00", 1767323045678901},
        {"2026-01-02T03:04:05.678901-00:00", 1767323045678901},
        {"2000-02-29T00:00:00Z", 951782400000000},
        {"2016-12-31T23:59:60Z", 1483228800000000}, /* RFC 3339 5.8: a leap second */
        {"1990-12-31T15:59:60-08:00", 662688000000000},
        {"9999-12-31T23:59:59.999999Z", 253402300799999999},
        {"1969-12-31T23:00:00-01:00", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us = -1;
        assert_int_equal(time_parse(cases[i].text, &us), 0);
        assert_true(us == cases[i].us);
    }
}

static void test_wrong_times(void **state)
{
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-01-02",
                                        "2026-01-02T03:04:05",
                                        "2026-01-02 03:04:05Z",
                                        "2026-01-02T03:04Z",
                                        "2026-1-02T03:04:05Z",
                                        "2026-13-02T03:04:05Z",
                                        "2026-00-02T03:04:05Z",
                                        "2026-01-00T03:04:05Z",
                                        "2026-01-32T03:04:05Z",
                                        "2026-04-31T03:04:05Z",
                                        "2026-02-29T03:04:05Z",
                                        "1900-02-29T03:04:05Z",
                                        "2100-02-29T00:00:00Z",
                                        "2026-01-02T24:00:00Z",
                                        "2026-01-02T03:60:05Z",
                                        "2026-01-02T03:04:61Z",
                                        "2026-01-02T03:04:60Z",      /* a leap second at no day's end */
                                        "2016-12-31T23:59:60+01:00", /* nor here: 22:59:60 UTC */
                                        "2026-01-02T03:04:05.Z",
                                        "2026-01-02T03:04:05,5Z",
                                        "2026-01-02T03:04:05+1:00",
                                        "2026-01-02T03:04:05+24:00",
                                        "2026-01-02T03:04:05+01:60",
                                        "2026-01-02T03:04:05+0100",
                                        "2026-01-02T03:04:05Zx",
                                        "2026-01-02T03:04:05ZZ",
                                        " 2026-01-02T03:04:05Z",
                                        "-026-01-02T03:04:05Z",
                                        "12026-01-02T03:04:05Z",
                                        "1969-12-31T23:59:59Z",
                                        "1970-01-01T00:00:00+00:01",
                                        "9999-12-31T23:59:59-00:01",
                                        "0000-01-01T00:00:00Z",
                                        "2026-01-02T03:04:05.-1Z"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t us = 77;
        if (time_parse(wrong[i], &us) != -EINVAL)
            fail_msg("accepted: %s", wrong[i]);
        assert_true(us == 77);
    }
}

static void test_every_day_agrees_with_the_library(void **state)
{
    char text[TIME_TEXT_LEN], want[64];
    for (int64_t day = 0; day < 2932897; day += 13) {
        time_t t = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        int64_t back = -1;
        assert_non_null(gmtime_r(&t, &tm));
        assert_true(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000000Z", &tm) > 0);
        assert_string_equal(time_format((int64_t)t * 1000000, text), want);
        assert_int_equal(time_parse(text, &back), 0);
        assert_true(back == (int64_t)t * 1000000);
    }
}

static void test_month_lengths(void **state)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (unsigned month = 1; month <= 12; month++) {
        for (unsigned day = 28; day <= 32; day++) {
            char text[64];
            int64_t us;
            snprintf(text, sizeof text, "2027-%02u-%02uT00:00:00Z", month, day);
            assert_int_equal(time_parse(text, &us), day <= days[month - 1] ? 0 : -EINVAL);
        }
    }
}

static void test_out_of_range_is_cut(void **state)
{
    char text[TIME_TEXT_LEN];
    assert_string_equal(time_format(INT64_MIN, text), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(time_format(INT64_MAX, text), "9999-12-31T23:59:59.999999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_times),
        cmocka_unit_test(test_wrong_times),
        cmocka_unit_test(test_every_day_agrees_with_the_library),
        cmocka_unit_test(test_month_lengths),
        cmocka_unit_test(test_out_of_range_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
