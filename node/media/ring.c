/* Two positions that only grow. Invariant: cells from `read` to `written` are the reader's, all others the writer's;
 * each position is stored by one thread alone. */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { CACHE_LINE = 64, CELLS_MIN = MEDIA_RING_RESERVE };

struct media_ring {
    size_t mask, reserve;
    struct media_cell *cells;
    _Alignas(CACHE_LINE) _Atomic size_t written;
    size_t read_seen; /* the writer's newest look at `read` */
    _Alignas(CACHE_LINE) _Atomic size_t read;
    size_t written_seen;
};

int media_ring_new(struct media_ring **out, size_t cells)
{
    if (cells < CELLS_MIN || (cells & (cells - 1)) != 0)
        return -EINVAL;
    struct media_ring *r = aligned_alloc(CACHE_LINE, sizeof(*r));
    if (!r)
        return -ENOMEM;
    *r = (struct media_ring){.mask = cells - 1, .reserve = cells / MEDIA_RING_RESERVE};
    r->cells = calloc(cells, sizeof(*r->cells));
    if (!r->cells) {
        free(r);
        return -ENOMEM;
    }
    *out = r;
    return 0;
}

void media_ring_destroy(struct media_ring *r)
{
    if (!r)
        return;
    free(r->cells);
    free(r);
}

struct media_cell *media_ring_room(struct media_ring *r, bool packet)
{
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    size_t most = r->mask + 1 - (packet ? r->reserve : 0);
    if (at - r->read_seen >= most) {
        r->read_seen = atomic_load_explicit(&r->read, memory_order_acquire);
        if (at - r->read_seen >= most)
            return NULL;
    }
    return &r->cells[at & r->mask];
}

void media_ring_push(struct media_ring *r)
{
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    atomic_store_explicit(&r->written, at + 1, memory_order_release);
}

struct media_cell *media_ring_peek(struct media_ring *r)
{
    size_t at = atomic_load_explicit(&r->read, memory_order_relaxed);
    if (at == r->written_seen) {
        r->written_seen = atomic_load_explicit(&r->written, memory_order_acquire);
        if (at == r->written_seen)
            return NULL;
    }
    return &r->cells[at & r->mask];
}

void media_ring_pop(struct media_ring *r)
{
    size_t at = atomic_load_explicit(&r->read, memory_order_relaxed);
    atomic_store_explicit(&r->read, at + 1, memory_order_release);
}

int media_bell_open(struct media_bell *b)
{
    *b = (struct media_bell){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    return b->fd < 0 ? -errno : 0;
}

void media_bell_close(struct media_bell *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
}

/* Whoever finds it rung already leaves the wake-up to who rang it: the reader hears before it looks, so it sees what
 * either pushed. */
void media_bell_ring(struct media_bell *b)
{
    uint64_t one = 1;
    if (!atomic_exchange_explicit(&b->rung, true, memory_order_acq_rel))
        (void)!write(b->fd, &one, sizeof(one)); /* only fails where a wake-up is pending */
}

void media_bell_hear(struct media_bell *b)
{
    uint64_t n;
    (void)!read(b->fd, &n, sizeof(n));
    (void)atomic_exchange_explicit(&b->rung, false, memory_order_acq_rel);
}
