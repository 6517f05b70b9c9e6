/* Raising events from workers. Invariant: a worker tells of one thing at most once in EVENTS_AGAIN_US, however many
 * requests meet it. */
#include "events.h"

#include "controller.h"
#include "core/hash.h"
#include "sys/clock.h"

#include <string.h>

enum { EVENTS_DEADLINE_US = 2 * 1000 * 1000 };

static const char *const severity_names[EVENT_SEVERITIES] = {"info", "warning", "critical"};

const char *event_severity_name(enum event_severity s)
{
    return (unsigned)s < EVENT_SEVERITIES ? severity_names[s] : "";
}

enum event_severity event_severity_parse(const char *name)
{
    unsigned s = 0;

    while (s < EVENT_SEVERITIES && strcmp(name, severity_names[s]) != 0)
        s++;
    return (enum event_severity)s;
}

/* A kind is one of ours, and has no slash. */
static uint64_t hash_of(const struct event *e)
{
    const char *const parts[] = {e->org, "/", e->kind, "/", e->subject};
    uint64_t hash = HASH64_BEGIN;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        hash = hash64_add(hash, parts[i]);
    return hash;
}

bool events_due(struct events_recent *recent, const struct event *e, int64_t now_us)
{
    uint64_t what = hash_of(e);

    for (size_t i = 0; i < EVENTS_RECENT_MAX; i++) {
        if (recent->at[i].what != what)
            continue;
        if (recent->at[i].at_us != 0 && now_us - recent->at[i].at_us < EVENTS_AGAIN_US)
            return false;
        recent->at[i].at_us = now_us;
        return true;
    }
    recent->at[recent->next].what = what;
    recent->at[recent->next].at_us = now_us;
    recent->next = (recent->next + 1) % EVENTS_RECENT_MAX;
    return true;
}

static const struct db_stmt raise_stmt = {"event_raise", "select event_raise($1, $2, $3, $4, $5)"};

/* It is told again while it lasts. */
static void raised(void *ctx, const struct db_result *result)
{
    (void)ctx;
    (void)result;
}

void events_raise(struct worker *w, const struct event *e)
{
    const struct db_param p[] = {db_text(e->org), db_text(e->kind), db_text(e->subject),
                                 db_text(event_severity_name(e->severity)), db_text(e->detail)};
    int64_t now = clock_mono_us();
    struct db_batch *b;

    if (!events_due(&w->events, e, now) ||
        db_begin(w->db, DB_OPERATOR, NULL, now + EVENTS_DEADLINE_US, &b) != 0)
        return;
    db_add(b, &raise_stmt, p, sizeof(p) / sizeof(p[0]));
    if (db_send(b, raised, NULL) != 0)
        log_event(w->ctl->log, LOG_WARN, "events", "not_told", LOG_S("kind", e->kind),
                  LOG_S("subject", e->subject));
}
