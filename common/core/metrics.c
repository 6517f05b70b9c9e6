/* Prometheus text. Invariant: only whole lines are ever in the buffer, which always ends with a NUL. */
#include "core/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void metrics_init(struct metrics_text *m, char *buf, size_t cap)
{
    *m = (struct metrics_text){.buf = buf, .cap = cap, .truncated = cap == 0};
    if (cap > 0)
        buf[0] = '\0';
}

__attribute__((format(printf, 2, 3))) static void put_line(struct metrics_text *m, const char *fmt, ...)
{
    if (m->truncated)
        return;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(m->buf + m->len, m->cap - m->len, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= m->cap - m->len) {
        m->buf[m->len] = '\0';
        m->truncated = true;
        return;
    }
    m->len += (size_t)len;
}

void metrics_family(struct metrics_text *m, const char *name, enum metric_type type, const char *help)
{
    put_line(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
             type == METRIC_COUNTER ? "counter"
             : type == METRIC_GAUGE ? "gauge"
                                    : "histogram");
}

static void format_value(double v, char out[static 32])
{
    if (isnan(v))
        snprintf(out, 32, "NaN");
    else if (isinf(v))
        snprintf(out, 32, v > 0 ? "+Inf" : "-Inf");
    else if (v == floor(v) && fabs(v) < 9007199254740992.0) /* 2^53: whole numbers are exact below it */
        snprintf(out, 32, "%.0f", v);
    else
        snprintf(out, 32, "%.9g", v);
}

void metrics_sample(struct metrics_text *m, const char *name, const char *labels, double value)
{
    char text[32];
    format_value(value, text);
    if (labels[0] == '\0')
        put_line(m, "%s %s\n", name, text);
    else
        put_line(m, "%s{%s} %s\n", name, labels, text);
}

void metrics_escape(const char *value, char *out, size_t cap)
{
    size_t n = 0;
    if (cap == 0)
        return;
    for (; *value; value++) {
        bool escaped = *value == '\\' || *value == '"' || *value == '\n';
        if (n + (escaped ? 2 : 1) >= cap)
            break;
        if (escaped)
            out[n++] = '\\';
        out[n++] = *value == '\n' ? 'n' : *value;
    }
    out[n] = '\0';
}
