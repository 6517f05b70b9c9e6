/* PostgreSQL's array formats (documentation, "Array Input and Output Syntax"; array_send). Invariant: reading never goes past the
 * text's NUL, writing goes through the cursor's bounds. */
#include "pgarray.h"

#include <errno.h>
#include <string.h>

struct pgarray pgarray_open(const char *text)
{
    return (struct pgarray){.p = text[0] == '{' ? text + 1 : NULL};
}

static int broken(struct pgarray *a)
{
    a->p = NULL;
    return -EBADMSG;
}

/* The element's text; *quoted tells "NULL" from NULL. Stops behind it. */
static int read_element(struct pgarray *a, char *out, size_t cap, bool *quoted)
{
    size_t n = 0;

    *quoted = *a->p == '"';
    if (*quoted)
        a->p++;
    for (;;) {
        char c = *a->p;
        if (c == '\0' || n + 1 >= cap)
            return broken(a);
        if (*quoted ? c == '"' : (c == ',' || c == '}'))
            break;
        if (c == '\\') {
            c = *++a->p;
            if (c == '\0')
                return broken(a);
        }
        out[n++] = c;
        a->p++;
    }
    a->p += *quoted;
    out[n] = '\0';
    return 0;
}

int pgarray_next(struct pgarray *a, char *out, size_t cap, bool *null)
{
    bool quoted;

    if (a->p == NULL || cap == 0)
        return broken(a);
    if (*a->p == '}')
        return a->p[1] == '\0' ? 0 : broken(a);
    if (read_element(a, out, cap, &quoted) != 0)
        return -EBADMSG;
    *null = !quoted && strcmp(out, "NULL") == 0;
    if (*null)
        out[0] = '\0';
    else if (!quoted && out[0] == '\0')
        return broken(a);
    if (*a->p == ',' && a->p[1] != '}')
        a->p++;
    else if (*a->p != '}')
        return broken(a);
    return 1;
}

/* Up to 18 digits, so that nothing overflows; NULL: no number here. */
static const char *read_int(const char *p, int64_t *out)
{
    bool negative = *p == '-';
    const char *first;
    int64_t v = 0;

    p += negative;
    for (first = p; *p >= '0' && *p <= '9' && p - first < PGARRAY_DIGITS_MAX; p++)
        v = v * 10 + (*p - '0');
    *out = negative ? -v : v;
    return p > first ? p : NULL;
}

int pgarray_int_list(const char *text, int64_t *out, size_t cap)
{
    const char *p = text;
    size_t n = 0;

    if (strcmp(text, "{}") == 0)
        return 0;
    if (*p != '{')
        return -EBADMSG;
    do {
        if (n == cap || (p = read_int(p + 1, &out[n++])) == NULL)
            return -EBADMSG;
    } while (*p == ',');
    return p[0] == '}' && p[1] == '\0' ? (int)n : -EBADMSG;
}

int pgarray_ints(const char *text, int64_t *out, size_t n)
{
    return pgarray_int_list(text, out, n) == (int)n ? 0 : -EBADMSG;
}

size_t pgarray_most(const char *text)
{
    size_t n = 1;

    for (const char *p = text; *p != '\0'; p++)
        n += *p == ',';
    return n;
}

size_t pgarray_int_size(size_t n, size_t width)
{
    return PGARRAY_HEADER + n * (4 + width);
}

void pgarray_begin(struct wire_wr *w, uint32_t oid, size_t n)
{
    wire_wr_u32(w, n > 0 ? 1 : 0); /* dimensions */
    wire_wr_u32(w, 0);             /* no nulls */
    wire_wr_u32(w, oid);
    if (n == 0)
        return;
    wire_wr_u32(w, (uint32_t)n);
    wire_wr_u32(w, 1); /* lower bound */
}

void pgarray_int2s(struct wire_wr *w, const int16_t *v, size_t n)
{
    uint8_t *p;

    pgarray_begin(w, PGARRAY_INT2_OID, n);
    p = wire_wr_room(w, n * 6);
    for (size_t i = 0; p != NULL && i < n; i++, p += 6) {
        const uint8_t element[6] = {0, 0, 0, 2, (uint8_t)((uint16_t)v[i] >> 8), (uint8_t)v[i]};
        memcpy(p, element, sizeof(element));
    }
}

void pgarray_int4s(struct wire_wr *w, const int32_t *v, size_t n)
{
    uint8_t *p;

    pgarray_begin(w, PGARRAY_INT4_OID, n);
    p = wire_wr_room(w, n * 8);
    for (size_t i = 0; p != NULL && i < n; i++, p += 8) {
        uint32_t u = (uint32_t)v[i];
        const uint8_t element[8] = {
            0, 0, 0, 4, (uint8_t)(u >> 24), (uint8_t)(u >> 16), (uint8_t)(u >> 8), (uint8_t)u};
        memcpy(p, element, sizeof(element));
    }
}

void pgarray_text(struct wire_wr *w, const char *s)
{
    size_t len = strlen(s);

    wire_wr_u32(w, (uint32_t)len);
    wire_wr_bytes(w, s, len);
}
