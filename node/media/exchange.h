/* What the threads of a node share of media: the rings between each two of them, their bells, and the count of
 * sessions. The homes come first; behind them is the thread that dials links. Made before the threads and destroyed
 * after them; immutable but for what is atomic. */
#ifndef BERTH_NODE_MEDIA_EXCHANGE_H
#define BERTH_NODE_MEDIA_EXCHANGE_H

#include "ring.h"

#include "sys/log.h"

struct media_exchange_opts {
    size_t threads;    /* NODE_THREADS_MAX at most */
    uint32_t capacity; /* sessions at once; 0: no limit */
    /* A ticket speaks of a plan that the node doesn't have yet: any thread, and not to be waited for. NULL: nobody listens. */
    void (*plan_is_old)(void *ctx);
    void *ctx;
    struct log *log;
};

struct media_exchange;
int media_exchange_new(struct media_exchange **out, const struct media_exchange_opts *opts)
    __attribute__((warn_unused_result));
void media_exchange_destroy(struct media_exchange *x);

const struct media_exchange_opts *media_exchange_opts(const struct media_exchange *x);
/* Homes, and the thread of links, whose number is the homes'. */
size_t media_exchange_parties(const struct media_exchange *x);
/* The ring that `from` writes and `to` reads; NULL where they are the same. */
struct media_ring *media_exchange_ring(const struct media_exchange *x, uint8_t from, uint8_t to);
struct media_bell *media_exchange_bell(const struct media_exchange *x, uint8_t thread);
const uint8_t *media_exchange_nonce_key(const struct media_exchange *x); /* MEDIA_NONCE_KEY_LEN bytes */
_Atomic int64_t *media_exchange_legs(struct media_exchange *x);          /* of all threads */

#endif
