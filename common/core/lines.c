/* Invariant: every line is counted, those that are passed over too. */
#include "core/lines.h"

#include <string.h>

struct lines lines_of(const char *text, size_t len)
{
    return (struct lines){.at = text, .end = text + len};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool lines_next(struct lines *l, const char **line, size_t *len)
{
    while (l->at < l->end) {
        const char *first = l->at, *newline = memchr(first, '\n', (size_t)(l->end - first));
        const char *stop = newline != NULL ? newline : l->end;

        l->at = newline != NULL ? newline + 1 : l->end;
        l->number++;
        while (first < stop && is_blank(*first))
            first++;
        while (first < stop && is_blank(stop[-1]))
            stop--;
        if (first == stop || *first == '#')
            continue;
        *line = first;
        *len = (size_t)(stop - first);
        return true;
    }
    return false;
}
