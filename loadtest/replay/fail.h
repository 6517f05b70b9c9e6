/* What is wrong with an input file, in one line that names the file and the line in it. */
#ifndef BERTH_LOADTEST_REPLAY_FAIL_H
#define BERTH_LOADTEST_REPLAY_FAIL_H

#include <stddef.h>

struct replay_error {
    char text[400];
};

/* Writes "FILE:LINE: ..." (line 0: "FILE: ..."). Always -EINVAL. */
int replay_fail(struct replay_error *e, const char *file, size_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
