/* Everything that subcommands print. Invariant: results go to out, all else to err; text from elsewhere is printed without
 * control characters. */
#include "cli.h"
#include "core/doc.h"

#include "core/utf8.h"
#include "sys/clock.h"
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGE_MAX = 1024, WIDTH_DEFAULT = 80, INDENT = 2 };

/* Of the text's first `len` bytes, each UTF-8 character counted as one. */
static size_t text_columns(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* How much of the text, whole words, goes on a line that `used` columns of are taken already; one word at least. */
static size_t line_of(const char *text, size_t used, size_t width)
{
    size_t line = 0, columns = 0, end;
    do { /* one word more, while it fits */
        end = line + strspn(text + line, " ");
        end += strcspn(text + end, " ");
        columns = used + text_columns(text, end);
        if (line == 0 || columns <= width)
            line = end;
    } while (columns <= width && text[line] != '\0');
    return line;
}

/* `width` 0: on one line; else wrapped, and further lines are indented. */
static void print_message(FILE *f, const char *before, size_t width, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void print_message(FILE *f, const char *before, size_t width, const char *fmt, va_list ap)
{
    char message[MESSAGE_MAX];
    const char *text = message;
    vsnprintf(message, sizeof(message), fmt, ap);
    utf8_cut(message);
    text_clean(message);
    size_t line = width > 0 ? line_of(text, strlen(before), width) : strlen(text);
    fprintf(f, "%s%.*s\n", before, (int)line, text);
    for (text += line; *(text += strspn(text, " ")) != '\0'; text += line) {
        line = line_of(text, INDENT, width);
        fprintf(f, "%*s%.*s\n", INDENT, "", (int)line, text);
    }
}

static size_t width_of(const struct cli *c)
{
    return c->width > 0 ? c->width : WIDTH_DEFAULT;
}

/* To err, wrapped where that is a terminal; nothing else reads a message's lines together. */
static size_t err_width(const struct cli *c)
{
    return c->progress ? width_of(c) : 0;
}

enum cli_exit cli_fail(const struct cli *c, enum cli_exit code, const char *fmt, ...)
{
    char before[64];
    va_list ap;
    snprintf(before, sizeof(before), "berth%s%s: ", c->command != NULL ? " " : "",
             c->command != NULL ? c->command->name : "");
    va_start(ap, fmt);
    print_message(c->err, before, err_width(c), fmt, ap);
    va_end(ap);
    return code;
}

void cli_advise(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_message(c->err, "  ", err_width(c), fmt, ap);
    va_end(ap);
}

void cli_tell(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    if (c->progress) /* in place of the line that tells of it */
        fputs("\r\033[K", c->err);
    va_start(ap, fmt);
    print_message(c->err, "", err_width(c), fmt, ap);
    va_end(ap);
    fflush(c->err);
}

void cli_say(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_message(c->out, "", 0, fmt, ap);
    va_end(ap);
}

void cli_say_wrapped(const struct cli *c, const char *text)
{
    while (*(text += strspn(text, " ")) != '\0') {
        size_t line = line_of(text, 0, width_of(c));
        cli_say(c, "%.*s", (int)line, text);
        text += line;
    }
}

/* What was written is on its way, or the disk is full, or the reader is gone. */
static enum cli_exit flushed(const struct cli *c)
{
    return fflush(c->out) == 0 && !ferror(c->out) ? CLI_OK : CLI_BUT;
}

enum cli_exit cli_print_json(const struct cli *c, const json_t *j)
{
    if (j == NULL)
        return cli_fail(c, CLI_BUT, "out of memory");
    if (json_dumpf(j, c->out, c->out_terminal ? DOC_INDENT : DOC_COMPACT) != 0)
        return cli_fail(c, CLI_BUT, "the output could not be written");
    fputc('\n', c->out);
    return flushed(c);
}

enum cli_exit cli_print_table(const struct cli *c, struct table *t)
{
    int rc = t != NULL ? table_print(t, c->out, c->width, c->color) : -1;
    table_free(t);
    return rc == 0 ? flushed(c) : cli_fail(c, CLI_BUT, "out of memory");
}

/* "2026-01-02T03:04:05.678901Z" */
static bool is_time(const char *s)
{
    return strlen(s) == 27 && s[10] == 'T' && s[19] == '.' && s[26] == 'Z';
}

static bool is_today(const char *time)
{
    char today[16];
    time_t now = (time_t)(clock_wall_us() / 1000000);
    struct tm tm;
    return gmtime_r(&now, &tm) != NULL && strftime(today, sizeof(today), "%Y-%m-%d", &tm) > 0 &&
           strncmp(time, today, 10) == 0;
}

/* In a table nobody wants the fraction, nor the date where it is today's. */
static const char *time_cell(const char *time, char buf[static 64])
{
    size_t from = is_today(time) ? 11 : 0;
    snprintf(buf, 64, "%.*sZ", (int)(19 - from), time + from);
    return buf;
}

const char *cli_cell(const json_t *object, const char *member, char buf[static 64])
{
    const json_t *v = json_object_get(object, member);
    if (json_is_string(v) && is_time(json_string_value(v)))
        return time_cell(json_string_value(v), buf);
    if (json_is_string(v))
        return json_string_value(v);
    if (json_is_integer(v))
        snprintf(buf, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v))
        snprintf(buf, 64, "%.6g", json_real_value(v));
    else if (json_is_boolean(v))
        return json_is_true(v) ? "yes" : "no";
    else
        return "-";
    return buf;
}

const char *cli_ms(const json_t *object, const char *member, char buf[static 64])
{
    const json_t *v = json_object_get(object, member);
    if (!json_is_number(v))
        return "-";
    snprintf(buf, 64, "%.2f", json_number_value(v) / 1000);
    return buf;
}

void cli_set_figure(json_t *object, const char *member, int64_t figure)
{
    if (figure >= 0)
        json_object_set_new(object, member, json_integer(figure));
}

void cli_set_text(json_t *object, const char *member, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(object, member, json_string(text));
}

static void append(char *out, size_t cap, const char *before, const char *text)
{
    size_t len = strlen(out);
    snprintf(out + len, cap - len, "%s%s", len > 0 ? before : "", text);
}

void cli_code_words(char *code)
{
    for (; *code != '\0'; code++)
        *code = *code == '_' ? ' ' : *code;
}

void cli_rejections(const json_t *candidate, char *out, size_t cap)
{
    json_t *code, *name;
    size_t i, k;
    out[0] = '\0';
    json_array_foreach(json_object_get(candidate, "rejected"), i, code)
    {
        const char *text = json_string_value(code);
        size_t len = strlen(out);
        if (text == NULL)
            continue;
        append(out, cap, "; ", text);
        cli_code_words(out + len);
        json_array_foreach(json_object_get(candidate, text), k, name)
        {
            if (json_is_string(name))
                append(out, cap, k == 0 ? " " : ", ", json_string_value(name));
        }
    }
}
