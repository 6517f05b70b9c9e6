/* Host names to addresses without making the agent wait: threads of its own ask the system. */
#ifndef BERTH_AGENT_RESOLVER_H
#define BERTH_AGENT_RESOLVER_H

#include "core/addr.h"
#include "probe/sys.h"

enum { RESOLVED_MAX = 4 }; /* addresses a host */

struct resolved {
    size_t n; /* 0: the name has no address, or none is known yet */
    struct addr at[RESOLVED_MAX];
};

struct resolver;
/* Begins; `hosts` are copied; addresses among them are known at once. `done` is called once, when all lookups have
 * ended, from the poller's dispatch. 0, or -errno. */
int resolver_new(struct resolver **out, struct sys_poller *poller, const char *const *hosts, size_t n,
                 void (*done)(void *user), void *user) __attribute__((warn_unused_result));
/* What host `i` has, at any time; valid for the resolver's life. */
const struct resolved *resolver_get(const struct resolver *r, size_t i);
/* Does not wait for the system: a lookup under way is left to end by itself. */
void resolver_destroy(struct resolver *r);

#endif
