/* Counted references. Invariant: what is held never changes. */
#include "keys.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct media_keys {
    _Atomic size_t held;
    int64_t clock_s;
    struct ticket_keys keys;
};

struct media_keys *media_keys_new(const struct ticket_keys *keys, int64_t clock_s)
{
    struct media_keys *k = malloc(sizeof(*k));
    if (!k)
        return NULL;
    atomic_init(&k->held, 1);
    k->keys = *keys;
    k->clock_s = clock_s;
    return k;
}

struct media_keys *media_keys_hold(struct media_keys *k)
{
    if (k)
        atomic_fetch_add_explicit(&k->held, 1, memory_order_relaxed);
    return k;
}

void media_keys_release(struct media_keys *k)
{
    if (!k || atomic_fetch_sub_explicit(&k->held, 1, memory_order_acq_rel) != 1)
        return;
    sodium_memzero(k, sizeof(*k));
    free(k);
}

const struct ticket_keys *media_keys_of(const struct media_keys *k)
{
    return k ? &k->keys : NULL;
}

int64_t media_keys_clock(const struct media_keys *k)
{
    return k ? k->clock_s : 0;
}

bool media_keys_same(const struct media_keys *k, const struct ticket_keys *keys)
{
    if (!k || k->keys.n != keys->n || strcmp(k->keys.node_org, keys->node_org) != 0 ||
        strcmp(k->keys.node, keys->node) != 0)
        return false;
    return sodium_memcmp(k->keys.key, keys->key, keys->n * sizeof(keys->key[0])) == 0;
}
