/* Composes one log line. Invariant: TAIL bytes always stay free, so that a line that is cut can still be closed. */
#include "sys/log_text.h"

#include "core/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TAIL = sizeof("\", \"truncated\":true}\n"), ESCAPE_MAX = 16 };

struct log_text log_text_begin(char *buf, size_t cap, enum log_format format)
{
    struct log_text t = {.buf = buf, .cap = cap, .format = format};
    if (format == LOG_JSON)
        t.buf[t.len++] = '{';
    return t;
}

static bool put(struct log_text *t, const char *s, size_t len)
{
    if (t->len + len + TAIL > t->cap) {
        t->cut = true;
        return false;
    }
    memcpy(t->buf + t->len, s, len);
    t->len += len;
    return true;
}

/* Control characters of both ranges, and the Unicode line and paragraph separators, could end a line on some terminal. */
static bool breaks_lines(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp < 0xA0) || cp == 0x2028 || cp == 0x2029;
}

/* One character of a quoted string as it stands in the line; how many bytes of `s` it was. */
static size_t escape(const char *s, char out[static ESCAPE_MAX], size_t *out_len)
{
    uint32_t cp = 0;
    size_t n = utf8_next(s, &cp);
    int len = 0;
    if (n == 0) {
        len = snprintf(out, ESCAPE_MAX, "\\ufffd");
        n = 1;
    } else if (cp == '"' || cp == '\\') {
        len = snprintf(out, ESCAPE_MAX, "\\%c", (char)cp);
    } else if (cp == '\n') {
        len = snprintf(out, ESCAPE_MAX, "\\n");
    } else if (breaks_lines(cp)) {
        len = snprintf(out, ESCAPE_MAX, "\\u%04" PRIx32, cp);
    } else {
        memcpy(out, s, n);
        len = (int)n;
    }
    *out_len = (size_t)len;
    return n;
}

static void put_quoted(struct log_text *t, const char *s)
{
    if (!put(t, "\"", 1))
        return;
    while (*s != '\0') {
        char out[ESCAPE_MAX];
        size_t len;
        size_t n = escape(s, out, &len);
        if (!put(t, out, len))
            break;
        s += n;
    }
    t->buf[t->len++] = '"'; /* from the tail where the value was cut */
}

static bool is_bare(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= 0x20 || c >= 0x7F || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return true;
}

/* Separator, key and what joins it to the value; all of it or nothing. */
static bool put_key(struct log_text *t, const char *key)
{
    if (t->cut)
        return false;
    size_t before = t->len;
    bool first = t->len == (t->format == LOG_JSON ? 1u : 0u);
    bool ok = (first || put(t, t->format == LOG_JSON ? "," : " ", 1)) &&
              (t->format != LOG_JSON || put(t, "\"", 1)) && put(t, key, strlen(key)) &&
              (t->format == LOG_JSON ? put(t, "\":", 2) : put(t, "=", 1)) &&
              t->len + TAIL + ESCAPE_MAX < t->cap;
    if (!ok) {
        t->len = before;
        t->cut = true;
    }
    return ok;
}

void log_text_str(struct log_text *t, const char *key, const char *value)
{
    if (!put_key(t, key))
        return;
    const char *s = value != NULL ? value : "";
    size_t len = strlen(s);
    if (t->format == LOG_LOGFMT && t->len + len + TAIL <= t->cap && is_bare(s))
        put(t, s, len);
    else
        put_quoted(t, s);
}

void log_text_int(struct log_text *t, const char *key, int64_t value)
{
    char text[24];
    size_t before = t->len;
    int len = snprintf(text, sizeof(text), "%" PRId64, value);
    if (put_key(t, key) && !put(t, text, (size_t)len))
        t->len = before;
}

size_t log_text_end(struct log_text *t)
{
    const char *end = t->format == LOG_JSON ? (t->cut ? ",\"truncated\":true}\n" : "}\n")
                                            : (t->cut ? " truncated=true\n" : "\n");
    size_t len = strlen(end);
    memcpy(t->buf + t->len, end, len);
    t->len += len;
    return t->len;
}
