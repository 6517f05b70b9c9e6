/* The server's answer to one message. Invariant: whatever comes in, at most one small answer goes out, written from the
 * request's bytes and its source alone. */
#include "core/stun.h"

#include <errno.h>
#include <string.h>

size_t stun_binding_answer(const uint8_t *req, size_t len, const struct addr *source,
                           const struct stun_binding_opts *opts, uint8_t *out, size_t cap)
{
    struct stun_msg m;
    uint16_t unknown[STUN_UNKNOWN_MAX];
    size_t n_unknown = 0, answer_len = 0;
    bool fingerprint = false;
    if (stun_parse(&m, req, len) < 0 || m.cls != STUN_REQUEST)
        return 0;
    if (m.len > STUN_HEADER_LEN) { /* most requests are a bare header */
        int checked = stun_check_fingerprint(&m);
        fingerprint = checked == 0;
        if (!fingerprint && checked != -ENOENT)
            return 0;
        n_unknown = stun_unknown_attrs(&m, unknown);
    }
    bool refused = m.method != STUN_BINDING || n_unknown > 0;
    struct stun_writer b;
    stun_begin(&b, out, cap, refused ? STUN_ERROR : STUN_SUCCESS, m.method, m.txid);
    if (m.method != STUN_BINDING) {
        stun_put_error(&b, 400, NULL);
    } else if (n_unknown > 0) {
        stun_put_error(&b, 420, NULL);
        stun_put_unknown(&b, unknown, n_unknown);
    } else {
        stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, source);
    }
    if (opts && opts->software)
        stun_put(&b, STUN_ATTR_SOFTWARE, opts->software, strlen(opts->software));
    if (fingerprint)
        stun_put_fingerprint(&b);
    return stun_finish(&b, &answer_len) == 0 ? answer_len : 0;
}
