/* The client's side of a WebSocket (RFC 6455) as bytes in, bytes out: it has no descriptor. Binary messages carry a
 * byte stream, the same frames as without WebSocket. One thread at a time. */
#ifndef BERTH_PROBE_WEBSOCKET_H
#define BERTH_PROBE_WEBSOCKET_H

#include "core/ws_handshake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    WEBSOCKET_HEAD_MAX = 4096,    /* of the answer to the upgrade */
    WEBSOCKET_MESSAGE_MAX = 8192, /* that the peer may send: a node's media come so many at a time */
    WEBSOCKET_OUT_MAX = 16384,    /* unsent bytes, pongs with them */
    WEBSOCKET_IN_MAX = 16384,     /* unread payload */
    WEBSOCKET_ERROR_TEXT = 96,
};

struct websocket;

/* The output then holds the request to upgrade. `host` with its port where it isn't the default. 0, -EINVAL (host), -ENOMEM. */
int websocket_new(struct websocket **out, const char *host) __attribute__((warn_unused_result));
void websocket_destroy(struct websocket *w);

/* Takes bytes from the peer; more output may be there afterwards. 0; -EPROTO: it is broken, or no WebSocket at all;
 * -ECONNRESET: the peer closed it; -ENOMEM. websocket_error says why. */
int websocket_feed(struct websocket *w, const uint8_t *bytes, size_t len) __attribute__((warn_unused_result));
bool websocket_ready(const struct websocket *w); /* the peer has upgraded */
/* Payload of the messages so far; 0: none. */
size_t websocket_read(struct websocket *w, uint8_t *buf, size_t cap);
/* Adds one binary message to the output. Only when ready. 0, -ENOBUFS, -ENOMEM. */
int websocket_write(struct websocket *w, const uint8_t *bytes, size_t len)
    __attribute__((warn_unused_result));

/* What is to go to the peer; call websocket_sent with how much of it went. */
size_t websocket_output(const struct websocket *w, const uint8_t **bytes);
void websocket_sent(struct websocket *w, size_t len);
const char *websocket_error(const struct websocket *w); /* "" where there was none */

#endif
