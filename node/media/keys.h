/* The keys that this node opens tickets with: an immutable snapshot that threads share. */
#ifndef BERTH_NODE_MEDIA_KEYS_H
#define BERTH_NODE_MEDIA_KEYS_H

#include "media/ticket.h"

struct media_keys;
/* A copy, held once; NULL: out of memory. `clock_s`: the controllers' Unix time less clock_mono_us(), in seconds:
 * tickets expire by theirs. */
struct media_keys *media_keys_new(const struct ticket_keys *keys, int64_t clock_s);
struct media_keys *media_keys_hold(struct media_keys *k); /* any thread; NULL is fine, and stays NULL */
void media_keys_release(struct media_keys *k);            /* the last one wipes and frees; NULL is fine */
const struct ticket_keys *media_keys_of(const struct media_keys *k); /* NULL of NULL */
int64_t media_keys_clock(const struct media_keys *k);                /* 0 of NULL */
bool media_keys_same(const struct media_keys *k,
                     const struct ticket_keys *keys); /* whatever the clock; NULL: no */

#endif
