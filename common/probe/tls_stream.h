/* One TLS client connection as bytes in, bytes out: it has no descriptor. ALPN is "stun.nat-discovery" (RFC 7443).
 * The peer must prove to be `host`. One thread at a time. */
#ifndef BERTH_PROBE_TLS_STREAM_H
#define BERTH_PROBE_TLS_STREAM_H

#include "sys/tls.h"

#include <stdint.h>
#include <sys/types.h>

enum { TLS_STREAM_FEED_MAX = 16 * 1024 }; /* bytes a call of tls_stream_feed */

struct tls_stream;

/* Takes its own reference of `ctx`. 0, -EINVAL (host), -ENOMEM. */
int tls_stream_new(struct tls_stream **out, SSL_CTX *ctx, const char *host)
    __attribute__((warn_unused_result));
void tls_stream_destroy(struct tls_stream *t);
/* ALPN is "http/1.1" instead: for an upgrade to WebSocket. Before the handshake begins. */
int tls_stream_offer_http(struct tls_stream *t) __attribute__((warn_unused_result));
/* The peer is verified, but only by the system's store (see tls_client_fall_back), or with a key that is none of `keys` (NULL or
 * empty: any is the node's). */
bool tls_stream_intercepted(const struct tls_stream *t, const struct node_spki *keys);

/* After the handshake, or its failure: who signed a certificate that was refused, or an interceptor's; "" where
 * there is nothing to tell. */
const char *tls_stream_issuer(struct tls_stream *t, const struct node_spki *keys);

/* Takes bytes from the wire; at most TLS_STREAM_FEED_MAX, all of which is read before the next feed. 0, or -ENOMEM. */
int tls_stream_feed(struct tls_stream *t, const uint8_t *bytes, size_t len)
    __attribute__((warn_unused_result));
/* Goes on with the handshake: 1 it is done and the peer verified; 0 it needs bytes; -EPROTO it failed,
 * tls_stream_error says why. */
int tls_stream_handshake(struct tls_stream *t) __attribute__((warn_unused_result));
/* >0 bytes of plain text; 0 none now; -ECONNRESET closed by the peer; -EPROTO broken. */
ssize_t tls_stream_read(struct tls_stream *t, uint8_t *buf, size_t cap) __attribute__((warn_unused_result));
/* 0, or -EPROTO. */
int tls_stream_write(struct tls_stream *t, const uint8_t *bytes, size_t len)
    __attribute__((warn_unused_result));
/* Adds the closing alert to the output. */
void tls_stream_shut(struct tls_stream *t);

/* What is to go to the wire; call tls_stream_sent with how much of it went. */
size_t tls_stream_output(struct tls_stream *t, const uint8_t **bytes);
void tls_stream_sent(struct tls_stream *t, size_t len);

const char *tls_stream_error(const struct tls_stream *t); /* "" where there was none */

#endif
