/* UTF-8 (RFC 3629): the next character of a text, and texts cut where one ends, so that what was UTF-8 still is. Pure. */
#ifndef BERTH_CORE_UTF8_H
#define BERTH_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* How many bytes the character at `text` has, and its code; 0: there is none, be it overlong, a surrogate, beyond
 * U+10FFFF or cut off by the text's end. */
size_t utf8_next(const char *text, uint32_t *code);
/* How many bytes of the text, `max` at most, hold whole characters: for "%.*s". */
int utf8_prefix(const char *text, size_t max);
/* Takes the beginning of a character off the end of a text that was cut. */
void utf8_cut(char *text);

#endif
