/* Invariant: what is no UTF-8 is cut like bytes, and never before four of them; nothing is looked at behind a text's end. */
#include "core/utf8.h"

#include <string.h>

enum { LONGEST = 4 };

static size_t length_by_first(unsigned char c)
{
    return c < 0x80 ? 1 : (c & 0xE0) == 0xC0 ? 2 : (c & 0xF0) == 0xE0 ? 3 : (c & 0xF8) == 0xF0 ? 4 : 1;
}

size_t utf8_next(const char *text, uint32_t *code)
{
    static const uint32_t least[LONGEST + 1] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)text;
    size_t n = length_by_first(u[0]);
    uint32_t c = n == 1 ? u[0] : u[0] & (0x7FU >> n);

    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (u[i] & 0x3FU);
    }
    if ((n == 1 && c >= 0x80) || c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return 0;
    *code = c;
    return n;
}

/* Of the first `len` bytes: without the beginning of a character at their end. */
static size_t whole(const char *text, size_t len)
{
    for (size_t back = 1; back <= LONGEST && back <= len; back++) {
        unsigned char c = (unsigned char)text[len - back];
        if ((c & 0xC0) != 0x80)
            return length_by_first(c) > back ? len - back : len;
    }
    return len;
}

int utf8_prefix(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    return (int)(len <= max ? len : whole(text, max));
}

void utf8_cut(char *text)
{
    text[whole(text, strlen(text))] = '\0';
}
