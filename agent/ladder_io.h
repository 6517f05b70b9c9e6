/* The ladder's shell: the race on real sockets, then the connection that won it, kept alive. One thread at a time.
 *
 *   RACING -> UP -> LOST        FAILED: no rung works
 *        \--> FAILED */
#ifndef BERTH_AGENT_LADDER_IO_H
#define BERTH_AGENT_LADDER_IO_H

#include "keepalive.h"
#include "ladder.h"
#include "probe/curl_loop.h"
#include "probe/proxy_hop.h"
#include "probe/sys.h"
#include "sys/tls.h"

enum ladder_io_state { LADDER_IO_RACING, LADDER_IO_UP, LADDER_IO_FAILED, LADDER_IO_LOST };

struct ladder_io_plan {
    const struct ladder_place *places;
    size_t n_places;
    struct ladder_policy policy;
    int64_t keepalive_us;
    /* What this proxy of a place is to be told of us. NULL: nothing. */
    struct proxy_identity (*identity)(void *user, const struct proxy_endpoint *proxy);
    void *user;
};

struct ladder_io;
/* Borrows poller, curl and what `identity` answers; takes its own reference of tls_ctx; copies the plan. 0, or -errno. */
int ladder_io_new(struct ladder_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx, struct curl_loop *curl,
                  const struct ladder_io_plan *plan) __attribute__((warn_unused_result));
/* NULL is fine. */
void ladder_io_destroy(struct ladder_io *io);

/* Does all that is due. To be called when the poller has dispatched, and at ladder_io_deadline. */
enum ladder_io_state ladder_io_step(struct ladder_io *io);
int64_t ladder_io_deadline(const struct ladder_io *io); /* monotonic, or PROBER_NEVER */
/* Asks at once whether the path is still there. */
void ladder_io_hurry(struct ladder_io *io);
/* Of one that is UP: it has answered since, packets to it leave from where they did, and it sees them come from where they did. */
bool ladder_io_stands(const struct ladder_io *io);

const struct ladder *ladder_io_ladder(const struct ladder_io *io);
const struct keepalive *
ladder_io_keepalive(const struct ladder_io *io);       /* of one that is or was UP, else NULL */
const char *ladder_io_why(const struct ladder_io *io); /* it was lost */
/* The authentication that the place's proxy wanted; "" where none did. */
const char *ladder_io_proxy_auth(const struct ladder_io *io, size_t place);
bool ladder_io_intercepted(const struct ladder_io *io, size_t place);

#endif
