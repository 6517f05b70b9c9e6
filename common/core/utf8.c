/* Edges of UTF-8 characters. Invariant: what is no UTF-8 is cut like bytes, and never before four of them. */
#include "core/utf8.h"

#include <string.h>

enum { LONGEST = 4 };

static size_t length_by_first(unsigned char c)
{
    return c < 0x80 ? 1 : (c & 0xE0) == 0xC0 ? 2 : (c & 0xF0) == 0xE0 ? 3 : (c & 0xF8) == 0xF0 ? 4 : 1;
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
