/* The messages of a probe. Invariant: what prober_answer_read accepts is a well-formed answer to a request of the
 * same seed in which nothing is left that must be understood, and a success names the mapped address, an error its
 * code. */
#include "probe/prober_message.h"

#include "core/stun.h"
#include "core/wire.h"

#include <assert.h>
#include <errno.h>

_Static_assert((int)PROBER_MESSAGE_LEN == (int)STUN_HEADER_LEN, "a request is a bare header");

void prober_request_write(const uint8_t seed[static PROBER_SEED_LEN], const struct sample_name *s,
                          uint8_t out[static PROBER_MESSAGE_LEN])
{
    uint8_t txid[STUN_TXID_LEN];
    struct stun_writer w;
    size_t len;
    txid_make(seed, s, txid);
    stun_begin(&w, out, PROBER_MESSAGE_LEN, STUN_REQUEST, STUN_BINDING, txid);
    int err = stun_finish(&w, &len);
    assert(err == 0 && len == PROBER_MESSAGE_LEN);
    (void)err;
}

/* RFC 8489 6.3.3 and 6.3.4: an answer with an attribute that must be understood and isn't, and an error without its code, fail the
 * transaction: the caller discards them, and the sample is lost. */
static bool acceptable(const struct stun_msg *m, struct addr *mapped)
{
    uint16_t unknown[STUN_UNKNOWN_MAX];
    struct stun_attr a;
    struct slice reason;
    int code;
    if (stun_unknown_attrs(m, unknown) > 0)
        return false;
    if (m->cls == STUN_SUCCESS)
        return stun_mapped_address(m, mapped) == 0;
    return m->cls == STUN_ERROR && stun_find(m, STUN_ATTR_ERROR_CODE, &a) &&
           stun_attr_error(&a, &code, &reason) == 0;
}

bool prober_answer_read(const uint8_t seed[static PROBER_SEED_LEN], const uint8_t *bytes, size_t len,
                        struct sample_name *s, struct addr *mapped)
{
    struct stun_msg m;
    if (stun_parse(&m, bytes, len) < 0 || m.method != STUN_BINDING || stun_check_fingerprint(&m) == -EACCES ||
        !txid_read(seed, m.txid, s))
        return false;
    *mapped = (struct addr){0};
    return acceptable(&m, mapped);
}

bool prober_request_read(const uint8_t seed[static PROBER_SEED_LEN], const uint8_t *bytes, size_t len,
                         struct sample_name *s)
{
    struct wire_rd r = wire_rd_init(bytes, len);
    wire_rd_bytes(&r, STUN_HEADER_LEN - STUN_TXID_LEN);
    struct slice txid = wire_rd_bytes(&r, STUN_TXID_LEN);
    return !r.bad && txid_read(seed, txid.p, s);
}

const char *prober_error_text(int error, bool stream)
{
    switch (error) {
    case ECONNREFUSED:
        return stream ? "connection refused" : "port unreachable";
    case ECONNRESET:
    case EPIPE:
        return "connection reset";
    case ENETUNREACH:
        return "network unreachable";
    case EHOSTUNREACH:
        return "host unreachable";
    case EACCES:
    case EPERM:
        return "not permitted";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case 0:
        return "closed by the peer";
    case EPROTO:
        return "TLS broke";
    case ENOMEM:
        return "out of memory";
    case ETIMEDOUT:
        return "timed out";
    default:
        return "the system refused to send";
    }
}

bool prober_own_shortage(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR || error == EMFILE ||
           error == ENFILE;
}
