/* Lines to fields, fields to events. Invariant: last_id is that of an event only once its callback has taken it. */
#include "core/sse.h"

#include <errno.h>
#include <string.h>

void sse_init(struct sse *s, char *buf, size_t cap)
{
    *s = (struct sse){.buf = buf, .cap = cap};
}

/* The blank line. */
static int dispatch(struct sse *s, sse_event_cb *cb, void *user)
{
    struct sse_event e = {.name = s->name[0] != '\0' ? s->name : "message", .id = s->id, .data = s->buf};
    bool taken = true;

    if (s->has_data) {
        s->buf[s->data_len - 1] = '\0'; /* the last line's own newline */
        taken = cb(user, &e);
    }
    if (taken)
        memcpy(s->last_id, s->id, sizeof(s->last_id));
    s->data_len = 0;
    s->has_data = false;
    s->name[0] = '\0';
    return taken ? 0 : -ECANCELED;
}

static bool is(const char *line, size_t name_len, const char *name)
{
    return name_len == strlen(name) && memcmp(line, name, name_len) == 0;
}

/* `line` stands behind the data, so its value moves down, and the newline has the place of the colon or of "data" itself. */
static void take_field(struct sse *s, const char *line, size_t name_len, const char *value, size_t len)
{
    if (is(line, name_len, "data")) {
        memmove(s->buf + s->data_len, value, len);
        s->data_len += len;
        s->buf[s->data_len++] = '\n';
        s->has_data = true;
    } else if (is(line, name_len, "event") && len <= SSE_NAME_MAX && memchr(value, '\0', len) == NULL) {
        memcpy(s->name, value, len);
        s->name[len] = '\0';
    } else if (is(line, name_len, "id") && len <= SSE_ID_MAX && memchr(value, '\0', len) == NULL) {
        memcpy(s->id, value, len);
        s->id[len] = '\0';
    }
}

static int take_line(struct sse *s, sse_event_cb *cb, void *user)
{
    const char *line = s->buf + s->data_len, *end = line + s->line_len, *colon, *value;
    size_t len = s->line_len;

    /* A byte order mark at the very beginning is none of the first line. */
    if (!s->begun && len >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3;
        len -= 3;
    }
    s->begun = true;
    s->line_len = 0;
    if (len == 0)
        return dispatch(s, cb, user);
    colon = memchr(line, ':', len);
    value = colon != NULL ? colon + 1 : end;
    value += value < end && *value == ' ';
    if (colon != line) /* that is a comment */
        take_field(s, line, colon != NULL ? (size_t)(colon - line) : len, value, (size_t)(end - value));
    return 0;
}

int sse_feed(struct sse *s, const char *bytes, size_t len, sse_event_cb *cb, void *user)
{
    for (size_t at = 0; at < len;) {
        size_t n = 0;
        int r;

        if (s->after_cr && bytes[at] == '\n') { /* the second half of the line's end */
            s->after_cr = false;
            at++;
            continue;
        }
        s->after_cr = false;
        while (at + n < len && bytes[at + n] != '\n' && bytes[at + n] != '\r')
            n++;
        if (n >= s->cap - s->data_len - s->line_len) /* a byte is left for the end */
            return -EMSGSIZE;
        memcpy(s->buf + s->data_len + s->line_len, bytes + at, n);
        s->line_len += n;
        at += n;
        if (at == len)
            return 0;
        s->after_cr = bytes[at++] == '\r';
        r = take_line(s, cb, user);
        if (r != 0)
            return r;
    }
    return 0;
}
