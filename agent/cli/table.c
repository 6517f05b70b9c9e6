/* Prints tables. Invariant: every cell is clean (no control characters) from table_row on, and only the last column ever wraps. */
#include "table.h"

#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP = 2,
    SHRUNK_MIN = 8,
    SPILL_INDENT = 4,
    SPILL_WIDTH = 22, /* what the last column needs, lest most of its cells move to lines of their own */
};

struct row {
    struct row *next;
    bool section;
    char *cells[TABLE_COLUMNS_MAX]; /* a section's text is the first */
    enum table_color colors[TABLE_COLUMNS_MAX];
};

struct table {
    const struct table_column *columns;
    size_t n, indent;
    struct row *first, *last;
    bool no_memory;
};

/* What printing decides before it begins. */
struct layout {
    size_t widths[TABLE_COLUMNS_MAX];
    size_t gap, width;
};

struct table *table_new(const struct table_column *columns, size_t n, size_t indent)
{
    struct table *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->columns = columns;
    t->n = n < TABLE_COLUMNS_MAX ? n : TABLE_COLUMNS_MAX;
    t->indent = indent;
    return t;
}

size_t table_text_width(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static char *clean(const char *s)
{
    char *copy = strdup(s != NULL ? s : "");
    if (copy != NULL)
        text_clean(copy);
    return copy;
}

static void add(struct table *t, const char *const *cells, size_t n, bool section)
{
    struct row *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        t->no_memory = true;
        return;
    }
    r->section = section;
    for (size_t i = 0; i < n; i++) {
        r->cells[i] = clean(cells[i]);
        t->no_memory |= r->cells[i] == NULL;
    }
    if (t->last != NULL)
        t->last->next = r;
    else
        t->first = r;
    t->last = r;
}

void table_row(struct table *t, const char *const *cells)
{
    add(t, cells, t->n, false);
}

void table_section(struct table *t, const char *text)
{
    add(t, &text, 1, true);
}

void table_color(struct table *t, size_t column, enum table_color color)
{
    if (t->last != NULL && column < t->n)
        t->last->colors[column] = color;
}

void table_free(struct table *t)
{
    if (t == NULL)
        return;
    while (t->first != NULL) {
        struct row *r = t->first;
        t->first = r->next;
        for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
            free(r->cells[i]);
        free(r);
    }
    free(t);
}

static size_t total(const struct table *t, const struct layout *l, size_t n)
{
    size_t sum = t->indent + (n > 0 ? l->gap * (n - 1) : 0);
    for (size_t i = 0; i < n; i++)
        sum += l->widths[i];
    return sum;
}

/* Takes one character after the other from the widest column that may shrink. */
static void shrink(const struct table *t, struct layout *l)
{
    while (total(t, l, t->n) > l->width) {
        size_t widest = t->n;
        for (size_t i = 0; i < t->n; i++) {
            if (t->columns[i].shrink && l->widths[i] > SHRUNK_MIN &&
                (widest == t->n || l->widths[i] > l->widths[widest]))
                widest = i;
        }
        if (widest == t->n)
            return;
        l->widths[widest]--;
    }
}

static struct layout lay_out(const struct table *t, size_t width)
{
    struct layout l = {.gap = GAP, .width = width};
    for (size_t i = 0; i < t->n; i++)
        l.widths[i] = table_text_width(t->columns[i].title);
    for (const struct row *r = t->first; r != NULL; r = r->next) {
        for (size_t i = 0; i < t->n && !r->section; i++) {
            size_t w = table_text_width(r->cells[i]);
            l.widths[i] = w > l.widths[i] ? w : l.widths[i];
        }
    }
    struct layout fit = l; /* the last column may be longer than what must fit */
    size_t last = t->n - 1;
    if (!t->columns[last].shrink && fit.widths[last] > SPILL_WIDTH)
        fit.widths[last] = SPILL_WIDTH;
    if (width > 0 && total(t, &fit, t->n) > width) {
        fit.gap = 1;
        shrink(t, &fit);
    }
    fit.widths[last] = t->columns[last].shrink ? fit.widths[last] : l.widths[last];
    return fit;
}

/* Where the character after `n` others begins. */
static size_t bytes_of(const char *s, size_t n)
{
    size_t at = 0;
    for (; s[at] != '\0'; at++) {
        if (((unsigned char)s[at] & 0xC0) != 0x80 && n-- == 0)
            break;
    }
    return at;
}

static void print_padding(FILE *f, size_t n)
{
    fprintf(f, "%*s", (int)n, "");
}

static const char *color_code(enum table_color c)
{
    static const char *const codes[] = {"", "\x1b[32m", "\x1b[31m", "\x1b[2m"};
    return codes[c];
}

static void print_cell(FILE *f, const char *text, size_t width, enum table_align align, bool last,
                       enum table_color color)
{
    size_t w = table_text_width(text);
    bool cut = w > width;
    size_t shown = cut ? width - 1 : w, pad = cut ? 0 : width - w;
    if (align == TABLE_RIGHT)
        print_padding(f, pad);
    fprintf(f, "%s%.*s%s%s", color_code(color), (int)bytes_of(text, shown), text, cut ? "~" : "",
            color != TABLE_PLAIN ? "\x1b[0m" : "");
    if (align == TABLE_LEFT && !last)
        print_padding(f, pad);
}

/* On lines of its own, broken at spaces, and inside a word only where it fills a line by itself. */
static void print_wrapped(FILE *f, const char *text, size_t indent, size_t width)
{
    size_t room = width > indent + SHRUNK_MIN ? width - indent : SHRUNK_MIN;
    while (*text != '\0') {
        size_t len = bytes_of(text, room), end = len;
        if (text[len] != '\0') {
            while (end > 0 && text[end] != ' ')
                end--;
            len = end > 0 ? end : len;
        }
        print_padding(f, indent);
        fprintf(f, "%.*s\n", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
}

static bool is_empty_from(const struct table *t, char *const *cells, size_t i)
{
    for (; i < t->n; i++) {
        if (cells[i][0] != '\0')
            return false;
    }
    return true;
}

static void print_row(const struct table *t, FILE *f, const struct layout *l, char *const *cells,
                      const enum table_color *colors)
{
    size_t last = t->n - 1;
    bool spill =
        l->width > 0 && !t->columns[last].shrink &&
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): every row has a cell for every column */
        total(t, l, last) + l->gap + table_text_width(cells[last]) > l->width && last > 0;
    size_t n = spill ? last : t->n;
    print_padding(f, t->indent);
    for (size_t i = 0; i < n && !is_empty_from(t, cells, i); i++) {
        bool ends_line = i + 1 == n || is_empty_from(t, cells, i + 1);
        if (i > 0)
            print_padding(f, l->gap);
        bool open_ended = i == last && !t->columns[i].shrink;
        size_t width = open_ended ? table_text_width(cells[i]) : l->widths[i];
        if (open_ended && t->columns[i].align == TABLE_RIGHT && width < l->widths[i])
            width = l->widths[i];
        print_cell(f, cells[i], width, t->columns[i].align, ends_line,
                   colors != NULL ? colors[i] : TABLE_PLAIN);
    }
    fputc('\n', f);
    if (spill)
        print_wrapped(f, cells[last], t->indent + SPILL_INDENT, l->width);
}

int table_print(const struct table *t, FILE *f, size_t width, bool color)
{
    if (t->no_memory)
        return -ENOMEM;
    struct layout l = lay_out(t, width);
    char *titles[TABLE_COLUMNS_MAX];
    for (size_t i = 0; i < t->n; i++) {
        titles[i] = strdup(t->columns[i].title);
        if (titles[i] == NULL) {
            while (i > 0)
                free(titles[--i]);
            return -ENOMEM;
        }
    }
    print_row(t, f, &l, titles, NULL);
    for (const struct row *r = t->first; r != NULL; r = r->next) {
        if (r->section)
            print_wrapped(f, r->cells[0], 0, width > 0 ? width : SIZE_MAX);
        else
            print_row(t, f, &l, r->cells, color ? r->colors : NULL);
    }
    for (size_t i = 0; i < t->n; i++)
        free(titles[i]);
    return 0;
}
