/* Cleans text in place. Invariant: its length stays, and what is left is UTF-8 that moves no cursor and turns no line. */
#include "text.h"

#include "core/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

void text_clean(char *text)
{
    while (*text != '\0') {
        uint32_t code;
        size_t n = utf8_next(text, &code), step = n > 0 ? n : 1;
        if (n == 0 || is_harmful(code))
            memset(text, '?', step);
        text += step;
    }
}
