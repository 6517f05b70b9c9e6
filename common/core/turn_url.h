/* URLs of STUN and TURN servers (RFC 7064, RFC 7065), as far as a WebRTC client's `iceServers` takes them. Pure; any thread. */
#ifndef BERTH_CORE_TURN_URL_H
#define BERTH_CORE_TURN_URL_H

#include <stdbool.h>

enum { TURN_URLS_MAX = 8 /* beside one node */, TURN_URL_MAX = 256 /* characters */ };

/* One of turn:, turns:, stun: and stuns:, and something after it. */
bool turn_url_valid(const char *text);

#endif
