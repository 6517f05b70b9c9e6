/* GET /stun becomes a WebSocket whose binary messages carry the same frames as a TCP stream, for networks that let nothing but HTTP
 * through. What a connection may hold is bounded as a stream's is: while a write waits for the peer nothing more is read. */
#ifndef BERTH_NODE_WEBSOCKET_H
#define BERTH_NODE_WEBSOCKET_H

#include "stream.h"

/* Registers the path; the handler is the host's. */
h2o_handler_t *websocket_register(h2o_hostconf_t *host);
/* Tells the handler whose the upgrades of that context are. After h2o_context_init, before the first request. */
void websocket_attach(h2o_handler_t *handler, h2o_context_t *http, struct stream_group *g);

/* Says goodbye (1001) to each and takes no new ones. */
void websocket_drain_all(struct stream_group *g);
/* Closes each at once. */
void websocket_end_all(struct stream_group *g);

#endif
