/* Transaction ids of samples: 96 bits that look random, need no table, and nobody without the seed can guess. Pure. */
#ifndef BERTH_PROBE_PROBER_TXID_H
#define BERTH_PROBE_PROBER_TXID_H

#include "probe/prober.h"

#include "core/stun.h"

struct sample_name {
    size_t target, attempt, sample;
};

void txid_make(const uint8_t seed[static PROBER_SEED_LEN], const struct sample_name *s,
               uint8_t out[static STUN_TXID_LEN]);
/* Did txid_make make it with this seed, and for which sample? */
bool txid_read(const uint8_t seed[static PROBER_SEED_LEN], const uint8_t txid[static STUN_TXID_LEN],
               struct sample_name *s) __attribute__((warn_unused_result));

#endif
