/* A hash table with open addressing, half full at most. Not table.c's: that holds pointers to what others own and
 * grows, while a flow is nothing but its cell, which is found by its address with no second look in memory, swept in
 * place, and never more than were made room for at start, in pages that nobody has touched. Invariant: between a
 * flow's first cell and the one that it is in, none is empty. */
#include "flows.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct cell {
    struct addr peer, local;
    uint16_t port;
    uint8_t home;
    bool used;
    int64_t put_us;
};

struct media_flows {
    size_t n, max, mask;
    size_t swept;                            /* the part that is next */
    uint8_t seed[crypto_shorthash_KEYBYTES]; /* nobody can choose addresses that meet in one cell */
    struct cell *cells;
};

int media_flows_new(struct media_flows **out, size_t max)
{
    if (max == 0 || max > MEDIA_FLOWS_MAX || (max & (max - 1)) != 0)
        return -EINVAL;
    struct media_flows *f = calloc(1, sizeof(*f));
    struct cell *cells = calloc(2 * max, sizeof(*cells));
    if (!f || !cells) {
        free(f);
        free(cells);
        return -ENOMEM;
    }
    f->cells = cells;
    f->max = max;
    f->mask = 2 * max - 1;
    randombytes_buf(f->seed, sizeof(f->seed));
    *out = f;
    return 0;
}

void media_flows_destroy(struct media_flows *f)
{
    if (!f)
        return;
    free(f->cells);
    free(f);
}

static size_t first_cell(const struct media_flows *f, const struct addr *peer, const struct addr *local,
                         uint16_t port)
{
    uint8_t key[2 * sizeof(peer->ip) + 2 * sizeof(uint16_t)];
    uint64_t hash;
    memcpy(key, peer->ip, sizeof(peer->ip));
    memcpy(key + sizeof(peer->ip), local->ip, sizeof(local->ip));
    memcpy(key + 2 * sizeof(peer->ip), &peer->port, sizeof(uint16_t));
    memcpy(key + 2 * sizeof(peer->ip) + sizeof(uint16_t), &port, sizeof(uint16_t));
    crypto_shorthash((unsigned char *)&hash, key, sizeof(key), f->seed);
    return hash & f->mask;
}

/* The flow's cell, or the empty one where it would go. */
static struct cell *look(const struct media_flows *f, const struct media_path *path)
{
    size_t i = first_cell(f, &path->peer, &path->local, path->port);
    for (;; i = (i + 1) & f->mask) {
        struct cell *c = &f->cells[i];
        if (!c->used ||
            (c->port == path->port && addr_eq(&c->peer, &path->peer) && addr_eq(&c->local, &path->local)))
            return c;
    }
}

int media_flows_put(struct media_flows *f, const struct media_path *path, uint8_t home, int64_t now_us)
{
    struct cell *c = look(f, path);
    if (!c->used && f->n == f->max)
        return -ENOSPC;
    f->n += !c->used;
    *c = (struct cell){path->peer, path->local, path->port, home, true, now_us};
    return 0;
}

/* Moves those behind it up, so that none is cut off from its first cell. */
static void close_gap(struct media_flows *f, size_t gap)
{
    for (size_t i = (gap + 1) & f->mask; f->cells[i].used; i = (i + 1) & f->mask) {
        const struct cell *c = &f->cells[i];
        size_t first = first_cell(f, &c->peer, &c->local, c->port);
        if (((i - first) & f->mask) < ((i - gap) & f->mask))
            continue; /* it begins behind the gap */
        f->cells[gap] = *c;
        gap = i;
    }
    f->cells[gap].used = false;
}

void media_flows_remove(struct media_flows *f, const struct media_path *path, uint8_t home)
{
    struct cell *c = look(f, path);
    if (!c->used || c->home != home)
        return;
    close_gap(f, (size_t)(c - f->cells));
    f->n--;
}

void media_flows_sweep(struct media_flows *f, int64_t now_us)
{
    const size_t cells = f->mask + 1, part = (cells + MEDIA_FLOWS_PARTS - 1) / MEDIA_FLOWS_PARTS;
    const size_t begin = f->swept * part;
    for (size_t i = begin; i < begin + part && i < cells; i++) {
        while (f->cells[i].used && now_us - f->cells[i].put_us >= MEDIA_STALE_US) { /* another may move up */
            close_gap(f, i);
            f->n--;
        }
    }
    f->swept = (f->swept + 1) % MEDIA_FLOWS_PARTS;
}

int media_flows_find(const struct media_flows *f, const struct media_path *path)
{
    const struct cell *c = look(f, path);
    return c->used ? c->home : -1;
}

size_t media_flows_count(const struct media_flows *f)
{
    return f->n;
}
