/* Log lines as logfmt or JSON on one descriptor: time, level, component, event, then key=value. Nothing secret is ever passed in.
 * A struct log may be used by any thread; each line is one write(2) of at most LOG_LINE_MAX bytes, cut with "truncated=true".
 * Warnings and errors of one (component, event) beyond LOG_BURST a second are counted and told once a second as suppressed. */
#ifndef BERTH_SYS_LOG_H
#define BERTH_SYS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_LINE_MAX = 2048, LOG_BURST = 20 };
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log;

enum log_type { LOG_TYPE_STR, LOG_TYPE_INT };
struct log_field {
    const char *key;
    enum log_type type;
    const char *str;
    int64_t num;
};
#define LOG_S(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_STR, .str = (v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_INT, .num = (int64_t)(v)})

/* `fd` stays the caller's. NULL: out of memory. */
struct log *log_new(int fd, enum log_level least, enum log_format format);
void log_destroy(struct log *l);
/* Tells what was kept back in seconds that are over; lines do so too, so that this is for when none may come. */
void log_flush(struct log *l);
bool log_enabled(const struct log *l, enum log_level level);
void log_fields(struct log *l, enum log_level level, const char *component, const char *event,
                const struct log_field *fields, size_t n);
/* log_event(l, LOG_WARN, "db", "connect_failed", LOG_S("host", h), LOG_I("port", p)); at least one field. A NULL log is silence. */
#define log_event(l, level, component, event, ...)                                          \
    log_fields((l), (level), (component), (event), (const struct log_field[]){__VA_ARGS__}, \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

int log_level_parse(const char *s, enum log_level *out) __attribute__((warn_unused_result));
int log_format_parse(const char *s, enum log_format *out) __attribute__((warn_unused_result));

#endif
