/* What the replay's input files have in common: what is wrong with one, in one line that names the file and the line
 * in it, and where it begins. */
#ifndef BERTH_LOADTEST_REPLAY_FAIL_H
#define BERTH_LOADTEST_REPLAY_FAIL_H

#include <stddef.h>

struct replay_error {
    char text[400];
};

/* Writes "FILE:LINE: ..." (line 0: "FILE: ..."). Always -EINVAL. */
int replay_fail(struct replay_error *e, const char *file, size_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Where a file's text begins: behind the byte order mark that some spreadsheets and editors put there. */
size_t replay_text_start(const char *text, size_t size);

#endif
