/* SRTP: bytes that nobody protected never open; what was protected opens once and the same, and not after one byte
 * has changed. The input: how (1 byte: suite, RTP or RTCP), which byte to change (2), with what (1), the packet. */
#include "fuzz.h"
#include "media/rtp.h"
#include "media/srtp_leg.h"

enum { HEAD = 4 };

struct packet {
    _Alignas(4) uint8_t bytes[RTP_PACKET_MAX + SRTP_OVERHEAD];
    size_t len;
};

typedef int leg_function(struct srtp_leg *l, uint8_t *bytes, size_t *len);

/* Calls it on memory of just what it may touch. */
static int call(leg_function *f, struct srtp_leg *l, struct packet *p, size_t room)
{
    uint8_t *exact = malloc(p->len + room ? p->len + room : 1);
    FUZZ_CHECK(exact);
    memcpy(exact, p->bytes, p->len);
    int err = f(l, exact, &p->len);
    if (err == 0)
        memcpy(p->bytes, exact, p->len);
    free(exact);
    return err;
}

static void check(struct srtp_leg *a, struct srtp_leg *b, bool rtcp, const uint8_t *head,
                  const struct packet *in)
{
    leg_function *unprotect = rtcp ? srtp_leg_unprotect_rtcp : srtp_leg_unprotect;
    struct packet p = *in;
    struct rtp r;
    FUZZ_CHECK(call(unprotect, b, &p, 0) < 0);
    p = *in;
    if (p.len + SRTP_OVERHEAD > RTP_PACKET_MAX || (!rtcp && rtp_parse_protected(&r, p.bytes, p.len) < 0) ||
        (rtcp && packet_kind(p.bytes, p.len) != PACKET_RTCP))
        return;
    if (call(rtcp ? srtp_leg_protect_rtcp : srtp_leg_protect, a, &p, SRTP_OVERHEAD) < 0)
        return;
    FUZZ_CHECK(p.len <= in->len + SRTP_OVERHEAD);
    struct packet changed = p;
    changed.bytes[((size_t)head[1] << 8 | head[2]) % p.len] ^= head[3];
    if (head[3] != 0)
        FUZZ_CHECK(call(unprotect, b, &changed, 0) < 0);
    struct packet replay = p;
    FUZZ_CHECK(call(unprotect, b, &p, 0) == 0);
    FUZZ_CHECK(p.len == in->len && memcmp(p.bytes, in->bytes, in->len) == 0);
    FUZZ_CHECK(call(unprotect, b, &replay, 0) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct srtp_keys ours = {{1, 2, 3}}, theirs = {{4, 5, 6}};
    struct srtp_leg *a = NULL, *b = NULL;
    struct packet p = {.len = size - HEAD};
    if (size < HEAD || p.len > sizeof p.bytes)
        return 0;
    memcpy(p.bytes, data + HEAD, p.len);
    enum srtp_suite suite = data[0] & 1 ? SRTP_AES_CM_128_SHA1_80 : SRTP_AES_128_GCM;
    FUZZ_CHECK(srtp_leg_new(&a, suite, &ours, &theirs) == 0 && srtp_leg_new(&b, suite, &theirs, &ours) == 0);
    check(a, b, data[0] & 2, data, &p);
    srtp_leg_destroy(a);
    srtp_leg_destroy(b);
    return 0;
}
