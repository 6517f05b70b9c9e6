/* Paths: when two are the same, and where the tables keep them; the words for ends. Invariant: equal paths have equal hashes. */
#include "engine.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(HASH_KEY_LEN == crypto_shorthash_KEYBYTES && sizeof(uint64_t) == crypto_shorthash_BYTES,
              "a hash is SipHash's");

/* A datagram's thread is the kernel's choice, and no part of where it came from; a stream is its thread's and its number. */
bool media_path_eq(const struct media_path *a, const struct media_path *b)
{
    if (a->carrier != b->carrier)
        return false;
    if (a->carrier != MEDIA_UDP)
        return a->thread == b->thread && a->stream == b->stream;
    return a->port == b->port && addr_eq(&a->peer, &b->peer) && addr_eq(&a->local, &b->local);
}

uint64_t media_hash(const struct media_home *h, const void *bytes, size_t len)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, bytes, len, h->hash_key);
    return hash;
}

uint64_t media_path_hash(const struct media_home *h, const struct media_path *p)
{
    uint8_t bytes[48] = {p->carrier};
    struct wire_wr w = wire_wr_init(bytes + 1, sizeof bytes - 1);
    if (p->carrier != MEDIA_UDP) {
        wire_wr_u8(&w, p->thread);
        wire_wr_u64(&w, p->stream);
    } else {
        wire_wr_u16(&w, p->port);
        wire_wr_u16(&w, p->peer.port);
        wire_wr_bytes(&w, p->peer.ip, p->peer.family == ADDR_V4 ? 4 : sizeof p->peer.ip);
        wire_wr_bytes(&w, p->local.ip, p->local.family == ADDR_V4 ? 4 : sizeof p->local.ip);
    }
    return media_hash(h, bytes, 1 + wire_wr_len(&w));
}

const char *media_end_reason_name(enum media_end_reason r)
{
    static const char *const names[MEDIA_END_REASONS] = {
        [MEDIA_END_LEFT] = "left",
        [MEDIA_END_REMOVED] = "removed",
        [MEDIA_END_REPLACED] = "replaced",
        [MEDIA_END_CONSENT_LOST] = "consent_lost",
        [MEDIA_END_HANGING] = "hanging",
        [MEDIA_END_DRAINED] = "drained",
        [MEDIA_END_OVER_LIMIT] = "over_limit",
        [MEDIA_END_CLOSED] = "closed",
        [MEDIA_END_NODE_STOPPED] = "node_stopped",
    };
    return r < MEDIA_END_REASONS ? names[r] : "unknown";
}
