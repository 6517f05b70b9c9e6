/* Events: what operators are to know of. The database keeps one open event for each thing that is wrong (schema/0011_events.sql);
 * here is how workers raise them while they serve requests. GET /v1/events is api_events.c. */
#ifndef BERTH_CONTROLLER_EVENTS_H
#define BERTH_CONTROLLER_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EVENTS_RECENT_MAX = 32,             /* told of lately by one worker */
    EVENTS_AGAIN_US = 10 * 1000 * 1000, /* the same one is told again no sooner */
    EVENT_SUBJECT_MAX = 128,
    EVENT_DETAIL_MAX = 2000,
};

enum event_severity { EVENT_INFO, EVENT_WARNING, EVENT_CRITICAL, EVENT_SEVERITIES };
const char *event_severity_name(enum event_severity s);
/* EVENT_SEVERITIES: no such name. */
enum event_severity event_severity_parse(const char *name);

struct event {
    const char *org, *kind, *subject, *detail; /* org: whose the subject is */
    enum event_severity severity;
};

/* What this worker has raised of late. Starts as zeros; the worker's thread alone. */
struct events_recent {
    size_t next;
    struct {
        uint64_t what;
        int64_t at_us;
    } at[EVENTS_RECENT_MAX];
};
/* Whether to tell it now: false where it was told within EVENTS_AGAIN_US. Pure. */
bool events_due(struct events_recent *recent, const struct event *e, int64_t now_us);

struct worker;
/* Tells the database that it holds, in the background, and not too often. Lost where the database is away. */
void events_raise(struct worker *w, const struct event *e);

#endif
