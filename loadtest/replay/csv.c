/* The reader of CSV. Invariant: every field of a row is a NUL-terminated string inside the text; the reader never goes back. */
#include "csv.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void csv_init(struct csv *c, const char *file, char *text, size_t size)
{
    text[size] = '\0';
    *c = (struct csv){.file = file, .at = text + replay_text_start(text, size), .end = text + size};
}

/* A quoted field: its text is moved together over doubled quotes. Answers what follows it, NULL when it doesn't end. */
static char *quoted(char *p, char **field)
{
    char *to = *field = p;
    for (p++; *p != '\0'; p++) {
        if (*p == '"' && *++p != '"') {
            *to = '\0';
            return p;
        }
        *to++ = *p;
    }
    return NULL;
}

static int split(struct csv *c, char *line, struct replay_error *e)
{
    c->n = 0;
    for (char *p = line;; p++) {
        if (c->n == CSV_FIELDS_MAX)
            return replay_fail(e, c->file, c->line, "more than %d columns", CSV_FIELDS_MAX);
        char **field = &c->fields[c->n++], *after;
        if (*p == '"') {
            after = quoted(p, field);
            if (!after || (*after != ',' && *after != '\0'))
                return replay_fail(e, c->file, c->line, "column %zu: a quoted text ends with \" and a comma",
                                   c->n);
        } else {
            *field = p;
            after = p + strcspn(p, ",");
        }
        bool more = *after == ',';
        *after = '\0';
        if (!more)
            return 1;
        p = after;
    }
}

int csv_next(struct csv *c, struct replay_error *e)
{
    while (c->at < c->end) {
        char *line = c->at, *eol = memchr(line, '\n', (size_t)(c->end - line));
        c->at = eol ? eol + 1 : c->end;
        c->line++;
        if (!eol)
            eol = c->end;
        if (memchr(line, '\0', (size_t)(eol - line)))
            return replay_fail(e, c->file, c->line, "a NUL byte: this is no text file");
        if (eol > line && eol[-1] == '\r')
            eol--;
        *eol = '\0';
        if (eol > line)
            return split(c, line, e);
    }
    return 0;
}

int csv_real(const struct csv *c, size_t field, const char *name, double max, double *out,
             struct replay_error *e)
{
    const char *text = c->fields[field];
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    /* strtod takes "nan", "inf", hexadecimal and leading blanks: none of them is a figure here */
    if (end == text || *end != '\0' || errno != 0 || strspn(text, "0123456789.eE+-") != strlen(text))
        return replay_fail(e, c->file, c->line, "%s: '%.40s' is not a number", name, text);
    if (!isfinite(v) || v < 0 || v > max)
        return replay_fail(e, c->file, c->line, "%s: %.40s is not between 0 and %.10g", name, text, max);
    *out = v;
    return 0;
}

int csv_ms(const struct csv *c, size_t field, const char *name, int64_t max_us, int64_t *us,
           struct replay_error *e)
{
    double ms = 0;
    if (csv_real(c, field, name, (double)max_us / 1000, &ms, e) < 0)
        return -EINVAL;
    *us = llround(ms * 1000);
    return 0;
}

int csv_count(const struct csv *c, size_t field, const char *name, int64_t max, int64_t *out,
              struct replay_error *e)
{
    const char *text = c->fields[field];
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    /* strtoll takes leading blanks and signs */
    if (end == text || *end != '\0' || errno != 0 || strspn(text, "0123456789") != strlen(text) || v > max)
        return replay_fail(e, c->file, c->line, "%s: '%.40s' is not a whole number from 0 to %lld", name,
                           text, (long long)max);
    *out = v;
    return 0;
}
