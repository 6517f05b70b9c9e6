/* RFC 3339 times. Invariant: what time_parse accepts, time_format can write: years 1970 to 9999 in UTC. */
#include "core/timefmt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

enum { DAY_S = 86400, SECOND_US = 1000000 };
static const int64_t last_us = 253402300800LL * SECOND_US - 1; /* 9999-12-31T23:59:59.999999Z */

/* Days since 1970-01-01 of a Gregorian date, counted in years that begin in March so that the leap day is a year's last. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;
    return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = days / 146097, in_era = days % 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int64_t from_march = (5 * in_year + 2) / 153;
    *day = (int)(in_year - (153 * from_march + 2) / 5 + 1);
    *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (int)(era * 400 + y + (*month <= 2));
}

static char *put_digits(char *to, int64_t v, size_t n, char after)
{
    for (size_t i = n; i-- > 0; v /= 10)
        to[i] = (char)('0' + v % 10);
    to[n] = after;
    return to + n + 1;
}

const char *time_format(int64_t unix_us, char buf[static TIME_TEXT_LEN])
{
    int year, month, day;
    if (unix_us < 0)
        unix_us = 0;
    if (unix_us > last_us)
        unix_us = last_us;
    int64_t s = unix_us / SECOND_US, in_day = s % DAY_S;
    date_from_days(s / DAY_S, &year, &month, &day);
    char *to = put_digits(put_digits(put_digits(buf, year, 4, '-'), month, 2, '-'), day, 2, 'T');
    to = put_digits(put_digits(to, in_day / 3600, 2, ':'), in_day / 60 % 60, 2, ':');
    to = put_digits(put_digits(to, in_day % 60, 2, '.'), unix_us % SECOND_US, 6, 'Z');
    *to = '\0';
    return buf;
}

/* Exactly `digits` decimal digits, -1 where they are not there. */
static int64_t take_number(const char **s, int digits)
{
    int64_t v = 0;
    for (int i = 0; i < digits; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return -1;
        v = v * 10 + (**s - '0');
    }
    return v;
}

static bool take_char(const char **s, char want)
{
    char c = **s >= 'a' && **s <= 'z' ? (char)(**s - 'a' + 'A') : **s;
    if (c != want)
        return false;
    (*s)++;
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "2026-01-02" to days since 1970. */
static int take_date(const char **s, int64_t *days)
{
    int64_t year = take_number(s, 4);
    if (year < 0 || !take_char(s, '-'))
        return -EINVAL;
    int64_t month = take_number(s, 2);
    if (month < 1 || month > 12 || !take_char(s, '-'))
        return -EINVAL;
    int64_t day = take_number(s, 2);
    if (day < 1 || day > days_in_month(year, month))
        return -EINVAL;
    *days = days_from_date(year, month, day);
    return 0;
}

/* "03:04:05.678901" to microseconds of the day; a second may be 60. */
static int take_clock(const char **s, int64_t *us, bool *leap_second)
{
    int64_t hour = take_number(s, 2);
    if (hour < 0 || hour > 23 || !take_char(s, ':'))
        return -EINVAL;
    int64_t minute = take_number(s, 2);
    if (minute < 0 || minute > 59 || !take_char(s, ':'))
        return -EINVAL;
    int64_t second = take_number(s, 2);
    if (second < 0 || second > 60)
        return -EINVAL;
    int64_t fraction = 0;
    if (take_char(s, '.')) {
        if (**s < '0' || **s > '9')
            return -EINVAL;
        for (int64_t unit = SECOND_US / 10; **s >= '0' && **s <= '9'; unit /= 10)
            fraction += (*(*s)++ - '0') * unit;
    }
    *leap_second = second == 60;
    *us = ((hour * 60 + minute) * 60 + second) * SECOND_US + fraction;
    return 0;
}

/* "Z" or "+01:30" to seconds east of UTC. */
static int take_offset(const char **s, int64_t *seconds)
{
    *seconds = 0;
    if (take_char(s, 'Z'))
        return 0;
    bool west = take_char(s, '-');
    if (!west && !take_char(s, '+'))
        return -EINVAL;
    int64_t hours = take_number(s, 2);
    if (hours < 0 || hours > 23 || !take_char(s, ':'))
        return -EINVAL;
    int64_t minutes = take_number(s, 2);
    if (minutes < 0 || minutes > 59)
        return -EINVAL;
    *seconds = (hours * 60 + minutes) * (west ? -60 : 60);
    return 0;
}

int time_parse(const char *text, int64_t *unix_us)
{
    int64_t days, clock_us, offset_s;
    bool leap_second;
    if (take_date(&text, &days) < 0 || !take_char(&text, 'T'))
        return -EINVAL;
    if (take_clock(&text, &clock_us, &leap_second) < 0 || take_offset(&text, &offset_s) < 0 || *text != '\0')
        return -EINVAL;
    int64_t us = (days * DAY_S - offset_s) * SECOND_US + clock_us;
    if (us < 0 || us > last_us)
        return -EINVAL;
    /* A leap second ends a UTC day, and Unix time gives it the next day's first second. */
    if (leap_second && us / SECOND_US % DAY_S != 0)
        return -EINVAL;
    *unix_us = us;
    return 0;
}
