/* What all threads share of the database: immutable snapshots, each built by a thread of its own (watch.h), held by
 * reference count. A reader takes the newest, uses it for one request and releases it; the last holder destroys it. */
#ifndef BERTH_CONTROLLER_SNAPSHOT_H
#define BERTH_CONTROLLER_SNAPSHOT_H

#include "db_sync.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* Immutable but for its counter. */
struct snapshot {
    _Atomic unsigned refs;
    void *data;
    void (*destroy)(void *data);
};

/* The newest snapshot of one kind. */
struct snapshot_slot {
    pthread_mutex_t lock; /* guards `current` alone */
    struct snapshot *current;
    _Atomic int64_t
        checked_us; /* clock_mono_us() when it was last known to be what the database says; 0: never */
    _Atomic int64_t
        asked_us; /* when the database was first asked what it hasn't answered yet; 0: it has answered */
};

void snapshot_slot_init(struct snapshot_slot *s);
void snapshot_slot_destroy(struct snapshot_slot *s);
/* The newest, to be released; NULL before the first. Any thread. */
struct snapshot *snapshot_acquire(struct snapshot_slot *s);
void snapshot_release(struct snapshot *s); /* NULL is fine */
/* Whether it is the database that keeps it from being current: a watch that gets no CPU hasn't asked. */
bool snapshot_waits_for_database(const struct snapshot_slot *s, int64_t now_us);
/* Takes over `data`. -ENOMEM: data is destroyed, the old one stays. */
int snapshot_publish(struct snapshot_slot *s, void *data, void (*destroy)(void *data))
    __attribute__((warn_unused_result));

enum { SNAPSHOT_UNCHANGED = 1 };

struct controller;

/* One kind of snapshot: its watch calls `build` when it connects, when a NOTIFY comes on `channel`, and every
 * `period_us` besides. */
struct snapshot_builder {
    const char *name;    /* for the log */
    const char *channel; /* a plain identifier, or NULL */
    int64_t period_us;
    bool optional; /* requests are answered without it, or by one that is old */
    /* Reads the database (as role operator) and makes new data. 0 with *data, SNAPSHOT_UNCHANGED when `old` (NULL:
     * none yet) is still right, or -errno (the old one stays and grows stale). Its watch's thread alone. */
    int (*build)(struct controller *ctl, struct db_sync *db, const void *old, void **data);
    void (*destroy)(void *data);
    int slot; /* enum controller_snapshot */
};

#endif
