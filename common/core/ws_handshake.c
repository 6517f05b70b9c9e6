/* The proof that a peer speaks WebSocket. Invariant: of a key no more than WEBSOCKET_KEY_LEN characters are read. */
#include "core/ws_handshake.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>

void websocket_accept(const char *key, char out[static WEBSOCKET_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    char text[WEBSOCKET_KEY_LEN + sizeof guid];
    unsigned char digest[SHA_DIGEST_LENGTH];
    int len = snprintf(text, sizeof text, "%.*s%s", WEBSOCKET_KEY_LEN, key, guid);
    SHA1((const unsigned char *)text, (size_t)len, digest);
    sodium_bin2base64(out, WEBSOCKET_ACCEPT_LEN + 1, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
}
