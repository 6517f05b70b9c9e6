/* The map of an emulated internet: which hosts there are, which namespace and addresses each has, and the path from
 * each to each. Read from text, one statement a line:
 *
 *     # a comment
 *     seed 7                                  the network's chance; the same seed, the same losses
 *     queue 16384                             packets under way at most
 *     default 10000                           the path of every pair not named: DELAY_US [JITTER_US [LOSS]] [k=v ...]
 *     host paris /proc/123/ns/net 203.0.113.1 2001:db8:1::/64
 *     pair paris tokyo 120000 500 0.01 duplicate=0.001 reorder=0.01     both ways
 *     path tokyo paris 125000                 one way
 *
 * Hosts that name the same namespace share its device. Delays are one way. Pure: no socket, no clock. */
#ifndef BERTH_LAB_NETMAP_H
#define BERTH_LAB_NETMAP_H

#include "path.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NETMAP_HOSTS_MAX = 512,
    NETMAP_PORTS_MAX = 128, /* namespaces */
    NETMAP_ADDRESSES_MAX = 2048,
    NETMAP_NAME_LEN = 64,
    NETMAP_NS_LEN = 128,
    NETMAP_ERROR_LEN = 160,
    NETMAP_QUEUE_DEFAULT = 16384,
    NETMAP_QUEUE_MAX = 1 << 18,
};

struct netmap_host {
    char name[NETMAP_NAME_LEN];
    size_t port; /* index of its namespace */
};

struct netmap;

/* NULL on a mistake or for want of memory; then error says why, with the line. */
struct netmap *netmap_parse(const char *text, char error[static NETMAP_ERROR_LEN]);
void netmap_free(struct netmap *m);

size_t netmap_queue(const struct netmap *m);
uint64_t netmap_seed(const struct netmap *m);
size_t netmap_ports(const struct netmap *m);
const char *netmap_port_ns(const struct netmap *m, size_t port);

/* Where a packet that came from `port` goes: sets *to to the port and *path to its path. Both addresses are taken
 * from the packet. 0; -EBADMSG: not an IP packet; -EACCES: the source isn't an address of that port; -EHOSTUNREACH:
 * nobody has the destination. */
int netmap_route(struct netmap *m, size_t port, const uint8_t *packet, size_t len, size_t *to,
                 struct path **path) __attribute__((warn_unused_result));

#endif
