/* Which thread is the home of what comes from an address: one thread's table of the UDP flows that sessions use. Of
 * a fixed size. */
#ifndef BERTH_NODE_MEDIA_FLOWS_H
#define BERTH_NODE_MEDIA_FLOWS_H

#include "home.h"

enum { MEDIA_FLOWS_MAX = 16384 /* of one thread */, MEDIA_FLOWS_PARTS = 16 };

struct media_flows;
/* `max`: a power of two, up to MEDIA_FLOWS_MAX. 0, -EINVAL or -ENOMEM. Memory that no flow has needed yet isn't touched. */
int media_flows_new(struct media_flows **out, size_t max) __attribute__((warn_unused_result));
void media_flows_destroy(struct media_flows *f);

/* Peer, port and local address of the path are the key. The flow's home is that one from now on. 0, or -ENOSPC. */
int media_flows_put(struct media_flows *f, const struct media_path *path, uint8_t home, int64_t now_us)
    __attribute__((warn_unused_result));
/* Forgets it, where its home is still that one. */
void media_flows_remove(struct media_flows *f, const struct media_path *path, uint8_t home);
/* Once a second or so: forgets what nobody has put for MEDIA_STALE_US, whose home's last word got lost. It looks at
 * a part of them at a time, at all of them in MEDIA_FLOWS_PARTS calls. */
void media_flows_sweep(struct media_flows *f, int64_t now_us);
/* The home, -1: unknown. */
int media_flows_find(const struct media_flows *f, const struct media_path *path);
size_t media_flows_count(const struct media_flows *f);

#endif
