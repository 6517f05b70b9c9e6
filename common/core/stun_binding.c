/* The server's answer to one message. Invariant: whatever comes in, at most one small answer goes out, written from the
 * request's bytes and its source alone. */
#include "core/stun.h"

#include <errno.h>
#include <string.h>

enum { STUN_ATTR_HEADER_LEN = 4, STUN_FINGERPRINT_LEN = 8 };

/* Drops what the options say is understood here. */
static size_t drop_understood(const struct stun_binding_opts *opts, uint16_t *types, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if ((types[i] == STUN_ATTR_CHANGE_REQUEST && opts->change_request) ||
            (types[i] == STUN_ATTR_RESPONSE_PORT && opts->response_port))
            continue;
        types[kept++] = types[i];
    }
    return kept;
}

/* PADDING up to `pad_to` bytes of the whole answer, of which `tail` are still to come. */
static void put_padding(struct stun_writer *b, size_t pad_to, size_t tail)
{
    static const uint8_t zeros[STUN_MESSAGE_MAX];
    size_t taken = wire_wr_len(&b->w) + tail + STUN_ATTR_HEADER_LEN;
    if (!b->w.bad && pad_to > taken)
        stun_put(b, STUN_ATTR_PADDING, zeros, (pad_to - taken) & ~(size_t)3);
}

static void put_success(struct stun_writer *b, const struct addr *source,
                        const struct stun_binding_opts *opts, size_t tail)
{
    stun_put_xor_addr(b, STUN_ATTR_XOR_MAPPED_ADDRESS, source);
    if (opts && opts->origin)
        stun_put_addr(b, STUN_ATTR_RESPONSE_ORIGIN, opts->origin);
    if (opts && opts->other)
        stun_put_addr(b, STUN_ATTR_OTHER_ADDRESS, opts->other);
    if (opts && opts->pad_to > 0)
        put_padding(b, opts->pad_to < STUN_MESSAGE_MAX ? opts->pad_to : STUN_MESSAGE_MAX, tail);
}

size_t stun_binding_answer(const uint8_t *req, size_t len, const struct addr *source,
                           const struct stun_binding_opts *opts, uint8_t *out, size_t cap)
{
    struct stun_msg m;
    uint16_t unknown[STUN_UNKNOWN_MAX];
    size_t n_unknown = 0, answer_len = 0;
    bool fingerprint = false;
    if (stun_parse(&m, req, len) < 0 || m.cls != STUN_REQUEST || m.method != STUN_BINDING)
        return 0;
    if (m.len > STUN_HEADER_LEN) { /* most requests are a bare header */
        int checked = stun_check_fingerprint(&m);
        fingerprint = checked == 0;
        if (!fingerprint && checked != -ENOENT)
            return 0;
        n_unknown = stun_unknown_attrs(&m, unknown);
        if (opts && n_unknown > 0)
            n_unknown = drop_understood(opts, unknown, n_unknown);
    }
    bool wrong = opts && opts->refuse && n_unknown == 0;
    struct stun_writer b;
    stun_begin(&b, out, cap, wrong || n_unknown > 0 ? STUN_ERROR : STUN_SUCCESS, m.method, m.txid);
    if (wrong) {
        stun_put_error(&b, 400, NULL);
    } else if (n_unknown > 0) {
        stun_put_error(&b, 420, NULL);
        stun_put_unknown(&b, unknown, n_unknown);
    } else {
        put_success(&b, source, opts, fingerprint ? STUN_FINGERPRINT_LEN : 0);
    }
    if (opts && opts->software)
        stun_put(&b, STUN_ATTR_SOFTWARE, opts->software, strlen(opts->software));
    if (fingerprint)
        stun_put_fingerprint(&b);
    return stun_finish(&b, &answer_len) == 0 ? answer_len : 0;
}
