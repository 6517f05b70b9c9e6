/* Texts cut where a character ends, so that what was UTF-8 still is. Pure. */
#ifndef BERTH_CORE_UTF8_H
#define BERTH_CORE_UTF8_H

#include <stddef.h>

/* How many bytes of the text, `max` at most, hold whole characters: for "%.*s". */
int utf8_prefix(const char *text, size_t max);
/* Takes the beginning of a character off the end of a text that was cut. */
void utf8_cut(char *text);

#endif
