/* The opening handshake of a WebSocket, RFC 6455 section 4.2, on libh2o's requests. */
#ifndef BERTH_NODE_WEBSOCKET_UPGRADE_H
#define BERTH_NODE_WEBSOCKET_UPGRADE_H

#include <h2o.h>
#include <stdbool.h>

/* A right request to upgrade? Else it is answered: 405, 426 (no upgrade, or another version than 13), or 400. */
bool websocket_check_request(h2o_req_t *req);
/* Sets status and headers of the 101; of the protocols offered, only ours is selected. */
void websocket_accept_request(h2o_req_t *req);

#endif
