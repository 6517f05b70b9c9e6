/* One connection to a peer, plain TCP or TLS, TLS through an HTTP proxy, WebSocket inside TLS, on the caller's
 * poller: what the probe and the ladder both send their messages over. One thread at a time. */
#ifndef BERTH_PROBE_STREAM_IO_H
#define BERTH_PROBE_STREAM_IO_H

#include "core/doc.h"
#include "probe/curl_loop.h"
#include "probe/sys.h"
#include "sys/rest.h"
#include "sys/tls.h"

/* From the poller's dispatch. After `ended` or a failure nothing follows. None may close the stream. */
struct stream_io_events {
    void (*connected)(void *user, int64_t now_us);
    void (*secured)(void *user, int64_t now_us); /* TLS: verified */
    void (*bytes)(void *user, const uint8_t *bytes, size_t len, int64_t now_us);
    void (*ended)(void *user, int error, int64_t now_us); /* errno; 0: closed by the peer */
    void (*tls_failed)(void *user, const char *text, int64_t now_us);
    void (*upgraded)(void *user, int64_t now_us); /* WebSocket */
    /* WebSocket: the peer won't upgrade, or it doesn't hold to the protocol afterwards, which is an end. */
    void (*websocket_failed)(void *user, const char *text, int64_t now_us);
    /* Through a proxy: the authentication that it wanted (static text; just before `connected`); or it would not connect
     * (`refused`: it said so of this destination), which is an end. */
    void (*proxy_passed)(void *user, const char *auth);
    void (*proxy_failed)(void *user, bool refused, const char *text, int64_t now_us);
    void (*intercepted)(
        void *user); /* just before `secured`: another than the node's own CA vouches for the peer */
    /* Just before `secured` or `tls_failed`: who signed the certificate of one who is not trusted, or of an interceptor. NULL: not
     * wanted. */
    void (*issuer)(void *user, const char *name);
};

struct stream_io_target {
    enum transport transport; /* tcp, tls or proxy */
    struct addr to;
    const char *tls_name;         /* of TLS: whom the peer must prove to be */
    const struct node_spki *keys; /* what the node says its certificate holds; NULL: not said. Borrowed */
    enum framing framing;         /* FRAMING_WEBSOCKET: not over tcp */
    /* proxy: */
    const struct rest_proxy *proxy;
    const char *connect_host; /* whom to ask the proxy for; NULL: the IP */
    struct curl_loop *curl;
    int64_t timeout_ms;
};

/* Unsent bytes that a stream keeps, TLS's own and WebSocket's pongs with them: one that would have to keep
 * more is over. */
enum { STREAM_IO_LEFT_MAX = 16 * 1024 };

struct stream_io;
/* Begins to connect; *started_us says when. Borrows poller, `events` and `user`. 0, -EINVAL (no name that can be
 * verified), or -errno. */
int stream_io_open(struct stream_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx,
                   const struct stream_io_target *target, const struct stream_io_events *events, void *user,
                   int64_t *started_us) __attribute__((warn_unused_result));
/* Says goodbye where it can. No event comes after it; NULL is fine. */
void stream_io_close(struct stream_io *s);
/* When connected, over TLS secured, by WebSocket upgraded. *sent_us: when it left. 0, or -errno: the stream is over,
 * without an event. */
int stream_io_write(struct stream_io *s, const uint8_t *bytes, size_t len, int64_t *sent_us)
    __attribute__((warn_unused_result));
/* The DSCP of what it sends from now on; through a proxy, on the way there. */
void stream_io_mark(struct stream_io *s, int dscp);
/* What was written and the kernel has not yet taken. Who writes much waits until it is 0. */
size_t stream_io_backlog(const struct stream_io *s);

#endif
