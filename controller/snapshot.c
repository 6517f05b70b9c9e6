/* Reference-counted snapshots. Invariant: the slot holds one reference to its current snapshot, every reader one of its own. */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>

enum { ANSWER_US = 1000 * 1000 }; /* a database that is well has answered by then */

void snapshot_slot_init(struct snapshot_slot *s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->current = NULL;
    atomic_init(&s->checked_us, 0);
    atomic_init(&s->asked_us, 0);
}

void snapshot_slot_destroy(struct snapshot_slot *s)
{
    snapshot_release(s->current);
    s->current = NULL;
    pthread_mutex_destroy(&s->lock);
}

bool snapshot_waits_for_database(const struct snapshot_slot *s, int64_t now_us)
{
    int64_t asked = atomic_load(&s->asked_us);

    return atomic_load(&s->checked_us) == 0 || (asked != 0 && now_us - asked >= ANSWER_US);
}

struct snapshot *snapshot_acquire(struct snapshot_slot *s)
{
    struct snapshot *current;

    pthread_mutex_lock(&s->lock);
    current = s->current;
    if (current != NULL)
        atomic_fetch_add_explicit(&current->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
    return current;
}

void snapshot_release(struct snapshot *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    s->destroy(s->data);
    free(s);
}

int snapshot_publish(struct snapshot_slot *s, void *data, void (*destroy)(void *data))
{
    struct snapshot *fresh = malloc(sizeof(*fresh)), *old;

    if (fresh == NULL) {
        destroy(data);
        return -ENOMEM;
    }
    atomic_init(&fresh->refs, 1);
    fresh->data = data;
    fresh->destroy = destroy;
    pthread_mutex_lock(&s->lock);
    old = s->current;
    s->current = fresh;
    pthread_mutex_unlock(&s->lock);
    snapshot_release(old);
    return 0;
}
