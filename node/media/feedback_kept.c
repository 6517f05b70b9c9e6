/* Packets that are kept to be sent again. Invariant: a piece of memory is free, or one source's; a block with a free
 * piece is in the list of its size, one without any used piece is given back, and all blocks together aren't more
 * than the home's bound. */
#include "feedback_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_PIECES = 32,
    LARGE = (RTP_PACKET_MAX + 7) / 8 * 8, /* pieces hold pointers */
};

/* Before each piece's bytes. */
struct piece {
    struct feedback_block *block;
    struct piece *next; /* while it is free */
};
_Static_assert(FEEDBACK_KEPT_SMALL % sizeof(void *) == 0 && LARGE % sizeof(void *) == 0,
               "every piece of a block is aligned as its first is");

struct feedback_block {
    struct feedback_block *next, *before; /* in its list, while a piece is free */
    struct piece *free;
    size_t used;
    bool small;
};

static size_t piece_len(bool small)
{
    return sizeof(struct piece) + (small ? FEEDBACK_KEPT_SMALL : LARGE);
}

static size_t block_len(bool small)
{
    return sizeof(struct feedback_block) + BLOCK_PIECES * piece_len(small);
}

static void block_open(struct feedback_pool *p, struct feedback_block *b)
{
    b->before = NULL;
    b->next = p->open[b->small];
    if (b->next)
        b->next->before = b;
    p->open[b->small] = b;
}

static void block_close(struct feedback_pool *p, struct feedback_block *b)
{
    if (b->next)
        b->next->before = b->before;
    if (b->before)
        b->before->next = b->next;
    else
        p->open[b->small] = b->next;
}

static void piece_free(struct feedback_block *b, struct piece *piece)
{
    piece->block = b;
    piece->next = b->free;
    b->free = piece;
}

static struct feedback_block *pool_grow(struct feedback_pool *p, bool small)
{
    if (p->bytes + block_len(small) > p->bytes_max)
        return NULL;
    struct feedback_block *b = malloc(block_len(small));
    if (!b)
        return NULL;
    *b = (struct feedback_block){.small = small};
    for (size_t i = 0; i < BLOCK_PIECES; i++)
        piece_free(b, (struct piece *)(void *)((uint8_t *)(b + 1) + i * piece_len(small)));
    p->bytes += block_len(small);
    block_open(p, b);
    return b;
}

static void piece_give(struct feedback_pool *p, uint8_t *bytes)
{
    struct piece *piece = (struct piece *)(void *)bytes - 1;
    struct feedback_block *b = piece->block;
    if (!b->free)
        block_open(p, b);
    piece_free(b, piece);
    if (--b->used > 0)
        return;
    block_close(p, b);
    p->bytes -= block_len(b->small);
    free(b);
}

/* A small packet has a large piece where there is no small one, and no memory for more. */
static uint8_t *piece_take(struct feedback_pool *p, bool small)
{
    struct feedback_block *b = p->open[small] ? p->open[small] : pool_grow(p, small);
    if (!b && small)
        b = p->open[false];
    if (!b)
        return NULL;
    struct piece *piece = b->free;
    b->free = piece->next;
    b->used++;
    if (!b->free)
        block_close(p, b);
    return (uint8_t *)(piece + 1);
}

static void give_up(struct feedback_source *s, struct feedback_kept *k)
{
    if (k->bytes)
        piece_give(&s->home->pool, k->bytes);
    k->bytes = NULL;
}

/* Where the home has no memory left a source lives on what it has: its oldest packet in a piece that is large enough. */
static uint8_t *piece_of_own(struct feedback_source *s, uint64_t number, bool small)
{
    for (uint32_t i = 1; i < FEEDBACK_KEPT; i++) {
        struct feedback_kept *k = &s->kept[(number + i) % FEEDBACK_KEPT];
        if (!k->bytes || (!small && ((const struct piece *)(const void *)k->bytes - 1)->block->small))
            continue;
        uint8_t *bytes = k->bytes;
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
    *k = (struct feedback_kept){bytes, number, now_us, (uint16_t)len};
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
