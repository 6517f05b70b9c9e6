/* Checks and answers the request. Invariant: websocket_accept_request is only given a request that was checked. */
#include "websocket_upgrade.h"

#include "core/ws_handshake.h"
#include "serve/http.h"

#include <sodium.h>
#include <string.h>

enum { HTTP_1_1 = 0x101 };

static void add_header(h2o_req_t *req, const char *name, const char *value)
{
    h2o_iovec_t v = h2o_strdup(&req->pool, value, strlen(value));
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, v.base, v.len);
}

/* {NULL, 0}: there is none. */
static h2o_iovec_t find_header(const h2o_req_t *req, const char *name)
{
    ssize_t i = h2o_find_header_by_str(&req->headers, name, strlen(name), -1);
    return i < 0 ? (h2o_iovec_t){NULL, 0} : req->headers.entries[i].value;
}

static bool is_key(h2o_iovec_t text)
{
    unsigned char key[WEBSOCKET_KEY_BYTES];
    size_t len = 0;
    return text.len == WEBSOCKET_KEY_LEN &&
           sodium_base642bin(key, sizeof(key), text.base, text.len, NULL, &len, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           len == WEBSOCKET_KEY_BYTES;
}

static void answer_upgrade_required(h2o_req_t *req, const char *detail)
{
    add_header(req, "upgrade", "websocket");
    add_header(req, "sec-websocket-version", "13");
    http_send_problem(req, 426, "upgrade_required", detail);
}

bool websocket_check_request(h2o_req_t *req)
{
    h2o_iovec_t version = find_header(req, "sec-websocket-version");
    if (!h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET"))) {
        add_header(req, "allow", "GET");
        http_send_problem(req, 405, "method_not_allowed", "only GET");
        return false;
    }
    if (req->version < HTTP_1_1 || !req->upgrade.base ||
        !h2o_lcstris(req->upgrade.base, req->upgrade.len, H2O_STRLIT("websocket"))) {
        answer_upgrade_required(req, "this is a WebSocket: Connection: Upgrade, Upgrade: websocket");
        return false;
    }
    if (!h2o_memis(version.base, version.len, H2O_STRLIT("13"))) {
        answer_upgrade_required(req, "only WebSocket version 13");
        return false;
    }
    if (!is_key(find_header(req, "sec-websocket-key"))) {
        http_send_problem(req, 400, "bad_request", "Sec-WebSocket-Key must be 16 bytes in base64");
        return false;
    }
    if (req->entity.len > 0) {
        http_send_problem(req, 400, "bad_request", "a request to upgrade has no body");
        return false;
    }
    return true;
}

static bool offers_protocol(const h2o_req_t *req)
{
    ssize_t i = -1;
    while ((i = h2o_find_header_by_str(&req->headers, H2O_STRLIT("sec-websocket-protocol"), i)) >= 0) {
        h2o_iovec_t v = req->headers.entries[i].value;
        if (h2o_contains_token(v.base, v.len, H2O_STRLIT(WEBSOCKET_PROTOCOL), ','))
            return true;
    }
    return false;
}

void websocket_accept_request(h2o_req_t *req)
{
    char accept[WEBSOCKET_ACCEPT_LEN + 1];
    websocket_accept(find_header(req, "sec-websocket-key").base, accept);
    req->res.status = 101;
    req->res.reason = "Switching Protocols";
    add_header(req, "upgrade", "websocket");
    add_header(req, "sec-websocket-accept", accept);
    if (offers_protocol(req))
        add_header(req, "sec-websocket-protocol", WEBSOCKET_PROTOCOL);
}
