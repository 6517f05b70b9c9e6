/* Which addresses a node tells the controller: bound ones with wildcards made concrete, and what --advertise puts in
 * their place. Pure. */
#ifndef BERTH_NODE_ADDRESSES_H
#define BERTH_NODE_ADDRESSES_H

#include "core/doc.h"
#include "sys/config.h"

enum { ADDRESSES_ERROR = 200 };

/* `bound` with each wildcard replaced by the machine's addresses of that family (`ips`, ports ignored). What exceeds
 * NODE_ADDRESSES_MAX per transport is left out. */
void addresses_expand(struct node_addresses *out, const struct node_addresses *bound, const struct addr *ips,
                      size_t n_ips);

/* What is handed out instead. Each spec is IP (every bound port of every transport), IP:PORT (the transports bound to that port),
 * TRANSPORT=IP or TRANSPORT=IP:PORT. A transport that no spec speaks of keeps `expanded`. 0, or -EINVAL with err. */
int addresses_advertise(struct node_addresses *out, const struct node_addresses *bound,
                        const struct node_addresses *expanded, const struct config_list *specs,
                        char err[static ADDRESSES_ERROR]) __attribute__((warn_unused_result));

/* Is any of them a wildcard, so that addresses_expand had to choose? */
bool addresses_have_wildcard(const struct node_addresses *a);
/* "udp 192.0.2.1:5004 tcp 192.0.2.1:5004", ending in "..." where there is no room. Returns `out`. */
enum { ADDRESSES_TEXT = 512 };
const char *addresses_text(const struct node_addresses *a, char out[static ADDRESSES_TEXT]);

/* The machine's addresses that others may reach, without loopback and link-local; loopback where there are no others. How many. */
size_t addresses_of_machine(struct addr *out, size_t cap);

#endif
