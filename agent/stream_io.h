/* One connection to a peer, plain TCP or TLS, on the agent's poller: what the probe and the ladder both send their messages over. One thread
 * at a time. */
#ifndef BERTH_AGENT_STREAM_IO_H
#define BERTH_AGENT_STREAM_IO_H

#include "core/transport.h"
#include "sys.h"
#include "sys/tls.h"

/* From the poller's dispatch. After `ended` or `tls_failed` nothing follows. None may close the stream. */
struct stream_io_events {
    void (*connected)(void *user, int64_t now_us);
    void (*secured)(void *user, int64_t now_us); /* TLS: verified */
    void (*bytes)(void *user, const uint8_t *bytes, size_t len, int64_t now_us);
    void (*ended)(void *user, int error, int64_t now_us); /* errno; 0: closed by the peer */
    void (*tls_failed)(void *user, const char *text, int64_t now_us);
};

struct stream_io_target {
    enum transport transport; /* tcp or tls */
    struct addr to;
    const char *tls_name; /* of TLS: whom the peer must prove to be */
};

struct stream_io;
/* Begins to connect; *started_us says when. Borrows poller, `events` and `user`. 0, -EINVAL (no name that can be verified), or -errno. */
int stream_io_open(struct stream_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx,
                   const struct stream_io_target *target, const struct stream_io_events *events, void *user,
                   int64_t *started_us) __attribute__((warn_unused_result));
/* Says goodbye where it can. No event comes after it; NULL is fine. */
void stream_io_close(struct stream_io *s);
/* When connected, and over TLS secured. *sent_us: when it left. 0, or -errno: the stream is over, without an event. */
int stream_io_write(struct stream_io *s, const uint8_t *bytes, size_t len, int64_t *sent_us)
    __attribute__((warn_unused_result));

#endif
