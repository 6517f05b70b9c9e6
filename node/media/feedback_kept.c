/* Packets that are kept to be sent again. Invariant: a piece of memory is free, or one source's, and all blocks together aren't more than the
 * home's bound. */
#include "feedback_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_PIECES = 32,
    LARGE = (RTP_PACKET_MAX + 7) / 8 * 8, /* pieces hold a pointer while they are free */
};
_Static_assert(FEEDBACK_KEPT_SMALL % sizeof(struct feedback_piece) == 0 &&
                   LARGE % sizeof(struct feedback_piece) == 0,
               "every piece of a block is aligned as its first is");

static size_t piece_len(bool small)
{
    return small ? FEEDBACK_KEPT_SMALL : LARGE;
}

static void piece_give(struct feedback_pool *p, void *bytes, bool small)
{
    struct feedback_piece *piece = bytes;
    struct feedback_piece **list = small ? &p->small : &p->large;
    piece->next = *list;
    *list = piece;
}

static bool pool_grow(struct feedback_pool *p, bool small)
{
    size_t len = piece_len(small), bytes = sizeof(struct feedback_block) + BLOCK_PIECES * len;
    if (p->bytes + bytes > p->bytes_max)
        return false;
    struct feedback_block *block = malloc(bytes);
    if (!block)
        return false;
    block->next = p->blocks;
    p->blocks = block;
    p->bytes += bytes;
    for (size_t i = 0; i < BLOCK_PIECES; i++)
        piece_give(p, (uint8_t *)(block + 1) + i * len, small);
    return true;
}

static void *piece_take(struct feedback_pool *p, bool small)
{
    struct feedback_piece **list = small ? &p->small : &p->large;
    if (!*list && !pool_grow(p, small))
        return NULL;
    struct feedback_piece *piece = *list;
    *list = piece->next;
    return piece;
}

static void give_up(struct feedback_source *s, struct feedback_kept *k)
{
    if (k->bytes)
        piece_give(&s->home->pool, k->bytes, k->small);
    k->bytes = NULL;
}

/* Where the home has no memory left a source lives on what it has: its oldest packet of that size. */
static void *piece_of_own(struct feedback_source *s, uint64_t number, bool small)
{
    for (uint32_t i = 1; i < FEEDBACK_KEPT; i++) {
        struct feedback_kept *k = &s->kept[(number + i) % FEEDBACK_KEPT];
        if (!k->bytes || k->small != small)
            continue;
        void *bytes = k->bytes;
        k->bytes = NULL;
        return bytes;
    }
    return NULL;
}

void feedback_keep(struct feedback_source *s, uint64_t number, const uint8_t *packet, size_t len,
                   int64_t now_us)
{
    if (len > RTP_PACKET_MAX)
        return;
    if (!s->kept)
        s->kept = calloc(FEEDBACK_KEPT, sizeof *s->kept); /* once while it has a sender */
    if (!s->kept)
        return;
    struct feedback_kept *k = &s->kept[number % FEEDBACK_KEPT];
    if (k->bytes && number <= k->number)
        return; /* it has come so late that a newer one is in its place */
    give_up(s, k);
    bool small = len <= FEEDBACK_KEPT_SMALL;
    uint8_t *bytes = piece_take(&s->home->pool, small);
    if (!bytes)
        bytes = piece_of_own(s, number, small);
    if (!bytes)
        return;
    memcpy(bytes, packet, len);
    *k = (struct feedback_kept){bytes, number, now_us, (uint16_t)len, small};
}

const uint8_t *feedback_kept(const struct feedback_source *s, uint64_t number, size_t *len)
{
    if (!s->kept)
        return NULL;
    const struct feedback_kept *k = &s->kept[number % FEEDBACK_KEPT];
    if (!k->bytes || k->number != number)
        return NULL;
    *len = k->len;
    return k->bytes;
}

void feedback_source_turn(struct feedback_source *s, int64_t now_us)
{
    bool any = false;
    for (size_t i = 0; s->kept && i < FEEDBACK_KEPT; i++) {
        if (s->kept[i].bytes && now_us - s->kept[i].us > FEEDBACK_KEPT_US)
            give_up(s, &s->kept[i]);
        any = any || s->kept[i].bytes;
    }
    if (any || s->sender)
        return;
    free(s->kept); /* nobody sends it any more */
    s->kept = NULL;
}

void feedback_source_end(struct feedback_source *s)
{
    for (size_t i = 0; s->kept && i < FEEDBACK_KEPT; i++)
        give_up(s, &s->kept[i]);
    free(s->kept);
    *s = (struct feedback_source){0};
}
