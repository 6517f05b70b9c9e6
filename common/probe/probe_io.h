/* The prober's shell: its actions on real sockets, watched by the caller's poller. One thread at a time. */
#ifndef BERTH_PROBE_PROBE_IO_H
#define BERTH_PROBE_PROBE_IO_H

#include "probe/curl_loop.h"
#include "probe/prober.h"
#include "probe/proxy_hop.h"
#include "probe/sys.h"
#include "sys/tls.h"

struct probe_io;

/* The way through proxies. Borrowed. */
struct probe_io_proxy {
    struct curl_loop *curl;
    struct proxy_identity who;
};

/* Borrows poller and plan, takes its own reference of tls_ctx. 0, or -errno. */
int probe_io_new(struct probe_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx,
                 const struct prober_plan *plan) __attribute__((warn_unused_result));
/* Before the first step, where a target has routes. `proxy` is copied. */
void probe_io_use_proxies(struct probe_io *io, const struct probe_io_proxy *proxy);
void probe_io_destroy(struct probe_io *io);

/* Does all that is due. To be called when the poller has dispatched, and at probe_io_deadline. */
void probe_io_step(struct probe_io *io);
int64_t probe_io_deadline(const struct probe_io *io); /* monotonic, or PROBER_NEVER */
/* To read results, and to cancel. */
struct prober *probe_io_prober(struct probe_io *io);

#endif
