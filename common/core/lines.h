/* The lines of a text that say something: without the blanks around them, and without empty ones and comments (#). Pure. */
#ifndef BERTH_CORE_LINES_H
#define BERTH_CORE_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct lines {
    const char *at, *end;
    unsigned number; /* of the line that lines_next has just given, from 1 */
};

/* The text stays the caller's, and what is given points into it. */
struct lines lines_of(const char *text, size_t len);
/* False: that was the last. */
bool lines_next(struct lines *l, const char **line, size_t *len);

#endif
