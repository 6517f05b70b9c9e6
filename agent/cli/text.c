/* Cleans text in place. Invariant: its length stays, and what is left is UTF-8 that moves no cursor and turns no line. */
#include "text.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The length of the character that begins here, and its code; 0: there is none. RFC 3629: no overlong forms, surrogates, or more than 21 bits. */
static size_t decode(const unsigned char *s, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80             ? 1
               : (s[0] & 0xE0) == 0xC0 ? 2
               : (s[0] & 0xF0) == 0xE0 ? 3
               : (s[0] & 0xF8) == 0xF0 ? 4
                                       : 0;
    *code = n == 1 ? s[0] : n > 0 ? s[0] & (0xFFU >> (n + 1)) : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0; /* also at the end */
        *code = *code << 6 | (s[i] & 0x3F);
    }
    if (n > 1 && (*code < least[n] || (*code >= 0xD800 && *code < 0xE000) || *code > 0x10FFFF))
        return 0;
    return n;
}

static int is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

void text_clean(char *text)
{
    while (*text != '\0') {
        uint32_t code;
        size_t n = decode((const unsigned char *)text, &code), step = n > 0 ? n : 1;
        if (n == 0 || is_harmful(code))
            memset(text, '?', step);
        text += step;
    }
}
