/* Rate limits per key in a table of fixed size: the generic cell rate algorithm, one 64-bit word a cell.
 * A key that has used up its burst is refused until its rate has made up for it. Cells are shared by all threads
 * (C11 atomics, no lock); two keys that hash to one cell share its budget, which the caller makes rare by the
 * table's size and random by `seed`. Time is the caller's. */
#ifndef BERTH_CORE_LIMITER_H
#define BERTH_CORE_LIMITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limiter {
    _Atomic int64_t *cells; /* `n_cells` of them, the caller's memory, zeroed */
    size_t n_cells;         /* a power of two */
    int64_t interval_ns;    /* one unit's time: 1e9 / rate, rounded up so that no more than the rate passes */
    int64_t burst;          /* units */
    int64_t burst_ns;       /* interval_ns * burst */
    uint8_t seed[16];       /* SipHash key */
};

struct limit_state {
    bool allowed;
    int64_t left_ns;        /* of the burst; 0: refused */
    int64_t retry_after_us; /* 0 where allowed */
};

/* `rate` units a second (1 to 1e6), `burst` at least 1. */
void limiter_init(struct limiter *l, _Atomic int64_t *cells, size_t n_cells, int64_t rate, int64_t burst,
                  const uint8_t seed[static 16]);
struct limit_state limiter_take(struct limiter *l, const void *key, size_t key_len, int64_t now_us);
/* So many units at once, or none of them; at most 1e6. */
struct limit_state limiter_take_many(struct limiter *l, const void *key, size_t key_len, int64_t units,
                                     int64_t now_us);
/* Units that may still pass at once: a division, which who asks for a packet's sake doesn't need. */
int64_t limiter_remaining(const struct limiter *l, struct limit_state s);

#endif
