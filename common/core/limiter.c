/* The generic cell rate algorithm. A cell holds the theoretical arrival time (TAT): when the key's budget will be whole
 * again, in nanoseconds, as a unit at a high rate is less than two microseconds. Invariant: TAT never lies further ahead
 * of now than the burst, and refusing writes nothing. */
#include "core/limiter.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(crypto_shorthash_KEYBYTES == 16, "a limiter's seed is a SipHash key");
static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a hash picks a cell");

void limiter_init(struct limiter *l, _Atomic int64_t *cells, size_t n_cells, int64_t rate, int64_t burst,
                  const uint8_t seed[static 16])
{
    assert(n_cells > 0 && (n_cells & (n_cells - 1)) == 0);
    assert(rate >= 1 && rate <= 1000000 && burst >= 1);
    l->cells = cells;
    l->n_cells = n_cells;
    l->interval_ns = (1000000000 + rate - 1) / rate;
    l->burst = burst;
    l->burst_ns = l->interval_ns * burst;
    memcpy(l->seed, seed, sizeof l->seed);
}

static _Atomic int64_t *cell_of(struct limiter *l, const void *key, size_t key_len)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, key, key_len, l->seed);
    return &l->cells[hash & (l->n_cells - 1)];
}

struct limit_state limiter_take_many(struct limiter *l, const void *key, size_t key_len, int64_t units,
                                     int64_t now_us)
{
    const int64_t now_ns = now_us * 1000;
    _Atomic int64_t *cell = cell_of(l, key, key_len);
    int64_t old = atomic_load_explicit(cell, memory_order_relaxed), next;
    do {
        next = (old > now_ns ? old : now_ns) + units * l->interval_ns;
        if (next - now_ns > l->burst_ns)
            return (struct limit_state){.retry_after_us = (next - now_ns - l->burst_ns + 999) / 1000};
    } while (
        !atomic_compare_exchange_weak_explicit(cell, &old, next, memory_order_relaxed, memory_order_relaxed));
    return (struct limit_state){.allowed = true, .left_ns = l->burst_ns - (next - now_ns)};
}

struct limit_state limiter_take(struct limiter *l, const void *key, size_t key_len, int64_t now_us)
{
    return limiter_take_many(l, key, key_len, 1, now_us);
}

int64_t limiter_remaining(const struct limiter *l, struct limit_state s)
{
    return s.left_ns / l->interval_ns;
}
