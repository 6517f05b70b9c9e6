/* A hash table of pointers for the engine: what is looked up once per packet. It grows when something is put in, and
 * never when something is looked up. The caller hashes, with a key that nobody else knows where others choose what
 * is hashed. */
#ifndef BERTH_NODE_MEDIA_TABLE_H
#define BERTH_NODE_MEDIA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct media_table {
    struct media_table_slot {
        uint64_t hash;
        void *item; /* NULL: free */
    } * slots;
    size_t room, n; /* room: 0, or a power of two; at most half of it is used */
};

typedef bool media_table_is(const void *item, const void *key);

void media_table_clear(struct media_table *t);
/* 0, or -ENOMEM. The item isn't in it yet. */
int media_table_put(struct media_table *t, uint64_t hash, void *item) __attribute__((warn_unused_result));
/* Takes it out where it is in it. */
void media_table_drop(struct media_table *t, uint64_t hash, const void *item);
/* The item of that hash which is `key`, or NULL. */
void *media_table_get(const struct media_table *t, uint64_t hash, media_table_is *is, const void *key);

#endif
