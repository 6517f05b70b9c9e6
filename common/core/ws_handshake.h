/* What both sides of Berth's WebSocket must agree on (RFC 6455, section 4). */
#ifndef BERTH_CORE_WS_HANDSHAKE_H
#define BERTH_CORE_WS_HANDSHAKE_H

#define WEBSOCKET_PATH     "/stun"
#define WEBSOCKET_PROTOCOL "berth.stun"

enum {
    WEBSOCKET_KEY_BYTES = 16, /* of a Sec-WebSocket-Key, and in base64: */
    WEBSOCKET_KEY_LEN = 24,
    WEBSOCKET_ACCEPT_LEN = 28,
};

/* The Sec-WebSocket-Accept that answers a key of WEBSOCKET_KEY_LEN characters (RFC 6455 4.2.2). */
void websocket_accept(const char *key, char out[static WEBSOCKET_ACCEPT_LEN + 1]);

#endif
