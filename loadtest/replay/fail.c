/* Errors of the replay's input. Invariant: the text is one line, whatever the input held. */
#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int replay_fail(struct replay_error *e, const char *file, size_t line, const char *format, ...)
{
    va_list args;
    int n = line > 0 ? snprintf(e->text, sizeof e->text, "%.100s:%zu: ", file, line)
                     : snprintf(e->text, sizeof e->text, "%.100s: ", file);
    if (n < 0)
        n = 0;
    va_start(args, format);
    vsnprintf(e->text + n, sizeof e->text - (size_t)n, format, args);
    va_end(args);
    for (char *p = e->text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    return -EINVAL;
}

size_t replay_text_start(const char *text, size_t size)
{
    return size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}
