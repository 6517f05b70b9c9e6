/* A byte stream to host:port through an HTTP proxy by CONNECT (RFC 9110 9.3.6). libcurl opens it, with whatever
 * authentication the proxy wants; then the bytes are ours. One thread at a time. */
#ifndef BERTH_PROBE_TUNNEL_H
#define BERTH_PROBE_TUNNEL_H

#include "probe/curl_loop.h"
#include "sys/rest.h"

#include <sys/types.h>

enum { TUNNEL_ERROR_TEXT = 160 };

struct tunnel_request {
    const struct rest_proxy *proxy;
    const char *host; /* a name, or an IP literal (IPv6 without brackets) */
    uint16_t port;
    int64_t timeout_ms;
};

struct tunnel;
/* It is open (`error` NULL), or will not be: `error` says why. It may close the tunnel. Called once, from curl_loop_step. */
typedef void (*tunnel_cb)(void *user, struct tunnel *t, const char *error);

/* 0, -ENOMEM. Everything is copied. */
int tunnel_open(struct tunnel **out, struct curl_loop *loop, const struct tunnel_request *r, tunnel_cb cb,
                void *user) __attribute__((warn_unused_result));
/* NULL is fine. No callback comes after it. */
void tunnel_close(struct tunnel *t);

/* The rest only of an open tunnel. Poll this for readiness; after a read go on until -EAGAIN before polling again. */
int tunnel_fd(const struct tunnel *t);
/* Of one that will not be: the proxy answered, and refused this destination (not us: that is 407). */
bool tunnel_refused(const struct tunnel *t);
const char *tunnel_auth(const struct tunnel *t); /* that the proxy asked for: "none", "basic" ... */
/* >0 bytes, 0 the end (reading), -EAGAIN, -EPIPE. */
ssize_t tunnel_read(struct tunnel *t, uint8_t *buf, size_t cap) __attribute__((warn_unused_result));
ssize_t tunnel_write(struct tunnel *t, const uint8_t *bytes, size_t len) __attribute__((warn_unused_result));

#endif
