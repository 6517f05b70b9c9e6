/* Wall-clock times as text, RFC 3339 UTC with microseconds: "2026-01-02T03:04:05.678901Z". */
#ifndef BERTH_CORE_TIMEFMT_H
#define BERTH_CORE_TIMEFMT_H

#include <stddef.h>
#include <stdint.h>

enum { TIME_TEXT_LEN = 32 };

/* Unix time in microseconds, years 1970 to 9999. */
const char *time_format(int64_t unix_us, char buf[static TIME_TEXT_LEN]);
/* Any RFC 3339 date-time, offsets included, fractions to the microsecond (finer digits are cut). 0, or -EINVAL. */
int time_parse(const char *text, int64_t *unix_us) __attribute__((warn_unused_result));

#endif
