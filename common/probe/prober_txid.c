/* A keyed hash of the sample's name, and the name masked by a hash of that hash. Invariant: an id that txid_read
 * accepts was made by txid_make with the same seed, but for one chance in 2^64. */
#include "probe/prober_txid.h"

#include "core/wire.h"

#include <sodium.h>

_Static_assert((int)PROBER_SEED_LEN == (int)crypto_shorthash_KEYBYTES, "the seed is the key");
_Static_assert(PROBER_TARGETS_MAX < 1 << 16 && 2 * NODE_ADDRESSES_MAX <= 1 << 8 &&
                   PROBER_SAMPLES_MAX <= 1 << 8,
               "a sample's name fits 32 bits");

static uint64_t keyed_hash(const uint8_t *seed, uint8_t domain, uint64_t v)
{
    uint8_t in[9], out[crypto_shorthash_BYTES];
    struct wire_wr w = wire_wr_init(in, sizeof in);
    wire_wr_u8(&w, domain);
    wire_wr_u64(&w, v);
    crypto_shorthash(out, in, sizeof in, seed);
    struct wire_rd r = wire_rd_init(out, sizeof out);
    return wire_rd_u64(&r);
}

void txid_make(const uint8_t seed[static PROBER_SEED_LEN], const struct sample_name *s,
               uint8_t out[static STUN_TXID_LEN])
{
    uint32_t name = (uint32_t)(s->target << 16 | s->attempt << 8 | s->sample);
    uint64_t tag = keyed_hash(seed, 1, name);
    struct wire_wr w = wire_wr_init(out, STUN_TXID_LEN);
    wire_wr_u64(&w, tag);
    wire_wr_u32(&w, name ^ (uint32_t)keyed_hash(seed, 2, tag));
}

bool txid_read(const uint8_t seed[static PROBER_SEED_LEN], const uint8_t txid[static STUN_TXID_LEN],
               struct sample_name *s)
{
    struct wire_rd r = wire_rd_init(txid, STUN_TXID_LEN);
    uint64_t tag = wire_rd_u64(&r);
    uint32_t name = wire_rd_u32(&r) ^ (uint32_t)keyed_hash(seed, 2, tag);
    *s = (struct sample_name){.target = name >> 16, .attempt = name >> 8 & 0xff, .sample = name & 0xff};
    return tag == keyed_hash(seed, 1, name);
}
