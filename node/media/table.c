/* Open addressing with linear probing, of pointers to what is the caller's (flows.c holds what it finds itself).
 * Invariant: from the place that its hash names to where an item is, no slot is free. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>

enum { ROOM_FIRST = 16 };

void media_table_clear(struct media_table *t)
{
    free(t->slots);
    *t = (struct media_table){0};
}

static void put(struct media_table *t, uint64_t hash, void *item)
{
    size_t i = hash & (t->room - 1);
    while (t->slots[i].item)
        i = (i + 1) & (t->room - 1);
    t->slots[i] = (struct media_table_slot){hash, item};
    t->n++;
}

static int grow(struct media_table *t)
{
    struct media_table bigger = {.room = t->room ? 2 * t->room : ROOM_FIRST};
    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < t->room; i++) {
        if (t->slots[i].item)
            put(&bigger, t->slots[i].hash, t->slots[i].item);
    }
    media_table_clear(t);
    *t = bigger;
    return 0;
}

int media_table_put(struct media_table *t, uint64_t hash, void *item)
{
    int err = 2 * (t->n + 1) > t->room ? grow(t) : 0;
    if (err == 0)
        put(t, hash, item);
    return err;
}

/* What follows a freed slot moves up where its own place allows it, so that nothing is cut off. */
static void close_gap(struct media_table *t, size_t gap)
{
    size_t mask = t->room - 1;
    for (size_t i = (gap + 1) & mask; t->slots[i].item; i = (i + 1) & mask) {
        size_t own = t->slots[i].hash & mask;
        if (((i - own) & mask) < ((i - gap) & mask))
            continue;
        t->slots[gap] = t->slots[i];
        gap = i;
    }
    t->slots[gap] = (struct media_table_slot){0};
}

void media_table_drop(struct media_table *t, uint64_t hash, const void *item)
{
    if (t->n == 0)
        return;
    for (size_t i = hash & (t->room - 1); t->slots[i].item; i = (i + 1) & (t->room - 1)) {
        if (t->slots[i].item == item) {
            close_gap(t, i);
            t->n--;
            return;
        }
    }
}

void *media_table_get(const struct media_table *t, uint64_t hash, media_table_is *is, const void *key)
{
    if (t->n == 0)
        return NULL;
    for (size_t i = hash & (t->room - 1); t->slots[i].item; i = (i + 1) & (t->room - 1)) {
        if (t->slots[i].hash == hash && is(t->slots[i].item, key))
            return t->slots[i].item;
    }
    return NULL;
}
