/* Log lines: composed on the stack, written by one write(2), limited per (component, event) by a small table.
 * Invariant: a line ends in its only newline, and no value can add a field or a line of its own (log_text.c escapes). */
#include "sys/log.h"

#include "core/timefmt.h"
#include "sys/clock.h"
#include "sys/log_text.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 32, NAME_MAX_LEN = 48, WINDOW_US = 1000000 };

/* What one (component, event) has written in the window that began at start_us. A slot with no event is free. */
struct slot {
    char component[NAME_MAX_LEN], event[NAME_MAX_LEN];
    int64_t start_us;
    int64_t written, suppressed;
};

struct log {
    int fd;
    enum log_level least;
    enum log_format format;
    pthread_mutex_t lock; /* of the slots; nothing is written under it */
    struct slot slots[SLOTS];
    _Atomic size_t used; /* slots that aren't free */
};

/* Windows that ended with lines kept back: collected under the lock, told after it. */
struct ended {
    size_t n;
    struct slot at[SLOTS];
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"logfmt", "json"};

struct log *log_new(int fd, enum log_level least, enum log_format format)
{
    struct log *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->fd = fd;
    l->least = least;
    l->format = format;
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

bool log_enabled(const struct log *l, enum log_level level)
{
    return l != NULL && level >= l->least;
}

static void write_line(struct log *l, enum log_level level, const char *component, const char *event,
                       const struct log_field *fields, size_t n)
{
    char line[LOG_LINE_MAX];
    char when[TIME_TEXT_LEN];
    struct log_text t = log_text_begin(line, sizeof(line), l->format);
    log_text_str(&t, "time", time_format(clock_wall_us(), when));
    log_text_str(&t, "level", level_names[level]);
    log_text_str(&t, "component", component);
    log_text_str(&t, "event", event);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].type == LOG_TYPE_INT)
            log_text_int(&t, fields[i].key, fields[i].num);
        else
            log_text_str(&t, fields[i].key, fields[i].str);
    }
    size_t len = log_text_end(&t);
    while (write(l->fd, line, len) < 0 && errno == EINTR)
        ;
}

static void tell(struct log *l, const struct ended *e)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct slot *s = &e->at[i];
        const struct log_field fields[] = {LOG_S("of_component", s->component), LOG_S("of_event", s->event),
                                           LOG_I("lines", s->suppressed)};
        write_line(l, LOG_WARN, "log", "suppressed", fields, sizeof(fields) / sizeof(fields[0]));
    }
}

static void end_window(struct log *l, struct slot *s, struct ended *e)
{
    if (s->suppressed > 0)
        e->at[e->n++] = *s;
    s->event[0] = '\0';
    atomic_fetch_sub_explicit(&l->used, 1, memory_order_relaxed);
}

static void sweep(struct log *l, int64_t started_before, struct ended *e)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (l->slots[i].event[0] != '\0' && l->slots[i].start_us <= started_before)
            end_window(l, &l->slots[i], e);
}

static bool slot_is(const struct slot *s, const char *component, const char *event)
{
    return strncmp(s->event, event, NAME_MAX_LEN - 1) == 0 &&
           strncmp(s->component, component, NAME_MAX_LEN - 1) == 0;
}

static void copy_name(char to[static NAME_MAX_LEN], const char *from)
{
    size_t len = strnlen(from, NAME_MAX_LEN - 1);
    memcpy(to, from, len);
    to[len] = '\0';
}

/* The pair's slot; else a free one; else the oldest, which ends early. */
static struct slot *slot_for(struct log *l, const char *component, const char *event, int64_t now,
                             struct ended *e)
{
    struct slot *unused = NULL, *oldest = &l->slots[0];
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &l->slots[i];
        if (s->event[0] == '\0')
            unused = unused != NULL ? unused : s;
        else if (slot_is(s, component, event))
            return s;
        if (s->start_us < oldest->start_us)
            oldest = s;
    }
    struct slot *s = unused != NULL ? unused : oldest;
    if (unused == NULL)
        end_window(l, s, e);
    *s = (struct slot){.start_us = now};
    copy_name(s->component, component);
    copy_name(s->event, event);
    atomic_fetch_add_explicit(&l->used, 1, memory_order_relaxed);
    return s;
}

static bool take_turn(struct slot *s)
{
    bool may = s->written < LOG_BURST;
    if (may)
        s->written++;
    else
        s->suppressed++;
    return may;
}

static bool may_write(struct log *l, enum log_level level, const char *component, const char *event)
{
    bool limited = level >= LOG_WARN && event[0] != '\0', may = true;
    if (!limited && atomic_load_explicit(&l->used, memory_order_relaxed) == 0)
        return true;
    struct ended e;
    e.n = 0;
    pthread_mutex_lock(&l->lock);
    int64_t now = clock_mono_us();
    sweep(l, now - WINDOW_US, &e);
    if (limited)
        may = take_turn(slot_for(l, component, event, now, &e));
    pthread_mutex_unlock(&l->lock);
    tell(l, &e);
    return may;
}

void log_fields(struct log *l, enum log_level level, const char *component, const char *event,
                const struct log_field *fields, size_t n)
{
    if (log_enabled(l, level) && may_write(l, level, component, event))
        write_line(l, level, component, event, fields, n);
}

static void end_windows(struct log *l, int64_t started_before)
{
    struct ended e;
    e.n = 0;
    pthread_mutex_lock(&l->lock);
    sweep(l, started_before, &e);
    pthread_mutex_unlock(&l->lock);
    tell(l, &e);
}

void log_flush(struct log *l)
{
    if (l != NULL && atomic_load_explicit(&l->used, memory_order_relaxed) > 0)
        end_windows(l, clock_mono_us() - WINDOW_US);
}

void log_destroy(struct log *l)
{
    if (l == NULL)
        return;
    end_windows(l, INT64_MAX);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int log_level_parse(const char *s, enum log_level *out)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(s, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

int log_format_parse(const char *s, enum log_format *out)
{
    for (size_t i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++) {
        if (strcmp(s, format_names[i]) == 0) {
            *out = (enum log_format)i;
            return 0;
        }
    }
    return -EINVAL;
}
