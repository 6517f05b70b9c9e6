/* Which thread is the home of what comes from an address: one thread's table of the UDP flows that sessions use. Of a fixed size. */
#ifndef BERTH_NODE_MEDIA_FLOWS_H
#define BERTH_NODE_MEDIA_FLOWS_H

#include "home.h"

enum { MEDIA_FLOWS_MAX = 16384 }; /* of one thread */

struct media_flows;
/* `max`: a power of two, up to MEDIA_FLOWS_MAX. 0, -EINVAL or -ENOMEM. Memory that no flow has needed yet isn't touched. */
int media_flows_new(struct media_flows **out, size_t max) __attribute__((warn_unused_result));
void media_flows_destroy(struct media_flows *f);

/* Peer, port and local address of the path are the key. The flow's home is that one from now on. 0, or -ENOSPC. */
int media_flows_put(struct media_flows *f, const struct media_path *path, uint8_t home)
    __attribute__((warn_unused_result));
/* Forgets it, where its home is still that one. */
void media_flows_remove(struct media_flows *f, const struct media_path *path, uint8_t home);
/* The home, -1: unknown. */
int media_flows_find(const struct media_flows *f, const struct media_path *path);
size_t media_flows_count(const struct media_flows *f);

#endif
