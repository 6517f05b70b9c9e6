/* One log line as text: logfmt or JSON, bounded, every value escaped. Private to log.c; pure. */
#ifndef BERTH_SYS_LOG_TEXT_H
#define BERTH_SYS_LOG_TEXT_H

#include "sys/log.h"

struct log_text {
    char *buf;
    size_t len, cap;
    enum log_format format;
    bool cut; /* a field did not fit: nothing more is written but "truncated=true" */
};

/* `cap` is at least 128. */
struct log_text log_text_begin(char *buf, size_t cap, enum log_format format);
/* A NULL value is written as an empty one. */
void log_text_str(struct log_text *t, const char *key, const char *value);
void log_text_int(struct log_text *t, const char *key, int64_t value);
/* Ends the line with its newline; returns its length. */
size_t log_text_end(struct log_text *t);

#endif
