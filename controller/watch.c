/* One blocking connection as the operator role: LISTEN, and a look every period besides. Invariant: a slot's
 * checked_us is the time before the query that confirmed its content, so "younger than 4 s" can be trusted whatever
 * the query took. */
#include "watch.h"

#include "control.h"
#include "migrate.h"
#include "sys/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

enum { WATCH_RETRY_MS = 250, WATCH_EAGER_MS = 20 };

struct watch {
    struct controller *ctl;
    const struct snapshot_builder *builder;
    pthread_t thread;
    int stop_fd;
    struct db_sync db;
    int64_t due_us;
    bool told; /* that it can't be built: once, until it can */
};

static void failed(struct watch *w)
{
    if (!w->told && !w->db.stopped)
        log_event(w->ctl->log, LOG_WARN, "control", "snapshot_failed", LOG_S("kind", w->builder->name),
                  LOG_S("error", w->db.error));
    w->told = true;
}

static void build(struct watch *w)
{
    struct snapshot_slot *slot = &w->ctl->slots[w->builder->slot];
    struct snapshot *old = snapshot_acquire(slot);
    int64_t started = clock_mono_us();
    void *data = NULL;
    int r = w->builder->build(w->ctl, &w->db, old != NULL ? old->data : NULL, &data);

    snapshot_release(old);
    if (r == 0)
        r = snapshot_publish(slot, data, w->builder->destroy);
    w->due_us = clock_mono_us() + w->builder->period_us;
    if (r != 0 && r != SNAPSHOT_UNCHANGED) {
        failed(w);
        return;
    }
    atomic_store(&slot->checked_us, started);
    atomic_store(&slot->asked_us, 0);
    w->told = false;
}

/* Until it is due, or there is news. */
static void wait_until_due(struct watch *w)
{
    struct db_notice n;
    int64_t now;

    while (w->db.conn != NULL && (now = clock_mono_us()) < w->due_us)
        if (db_sync_notify(&w->db, w->due_us - now, &n) == 1)
            w->due_us = 0;
}

static bool connect_up(struct watch *w)
{
    char sql[128];
    int r = db_sync_connect_operator(&w->db, w->ctl->options->database);

    if (r == 0 && w->builder->channel != NULL) {
        snprintf(sql, sizeof(sql), "listen %s", w->builder->channel);
        r = db_sync_script(&w->db, sql);
    }
    if (r == 0)
        return true;
    failed(w);
    db_sync_close(&w->db);
    return false;
}

/* The control thread says so, and looks again every second. */
static bool may_build(const struct watch *w)
{
    return atomic_load(&w->ctl->schema_version) >= schema_version_needed() && atomic_load(&w->ctl->keys_fit);
}

static void pause_or_stop(struct watch *w, int ms)
{
    struct pollfd p = {.fd = w->stop_fd, .events = POLLIN};

    if (poll(&p, 1, ms) > 0)
        w->db.stopped = true;
}

/* Since when there is no answer: also while it can't be asked. */
static void note_asked(struct watch *w)
{
    struct snapshot_slot *slot = &w->ctl->slots[w->builder->slot];

    if (atomic_load(&slot->asked_us) == 0)
        atomic_store(&slot->asked_us, clock_mono_us());
}

static void *watch_main(void *arg)
{
    struct watch *w = arg;

    while (!w->db.stopped) {
        note_asked(w);
        if (!may_build(w)) {
            pause_or_stop(w, WATCH_EAGER_MS);
        } else if (w->db.conn != NULL || connect_up(w)) {
            build(w);
            wait_until_due(w);
        } else if (!w->db.stopped) {
            pause_or_stop(w, WATCH_RETRY_MS);
        }
    }
    db_sync_close(&w->db);
    return NULL;
}

int watch_start(struct watch **out, struct controller *ctl, const struct snapshot_builder *builder,
                int stop_fd)
{
    struct watch *w = calloc(1, sizeof(*w));
    int r;

    if (w == NULL)
        return -ENOMEM;
    w->ctl = ctl;
    w->builder = builder;
    w->stop_fd = stop_fd;
    db_sync_init(&w->db, stop_fd, CONTROL_TIMEOUT_US);
    r = pthread_create(&w->thread, NULL, watch_main, w);
    if (r != 0) {
        free(w);
        return -r;
    }
    *out = w;
    return 0;
}

void watch_join(struct watch *w)
{
    if (w == NULL)
        return;
    pthread_join(w->thread, NULL);
    free(w);
}
