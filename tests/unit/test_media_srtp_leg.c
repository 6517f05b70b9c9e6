/* link: berth_media */
/* SRTP of a hop (RFC 3711, RFC 7714): both suites, two ends against one another. */
#include "check.h"

#include "media/rtp.h"
#include "media/srtp_leg.h"

#include <errno.h>
#include <string.h>

enum { PAYLOAD = 160, PLAIN = RTP_HEADER_LEN + PAYLOAD, SSRC = 0x11223344 };

struct packet {
    _Alignas(4) uint8_t bytes[RTP_PACKET_MAX + SRTP_OVERHEAD];
    size_t len;
};

struct ends {
    enum srtp_suite suite;
    struct srtp_leg *agent, *node;
};

static struct srtp_keys keys(uint8_t seed)
{
    struct srtp_keys k;
    for (size_t i = 0; i < sizeof k.bytes; i++)
        k.bytes[i] = (uint8_t)(seed + 7 * i);
    return k;
}

static void ends_open(struct ends *e, enum srtp_suite suite)
{
    const struct srtp_keys a = keys(1), n = keys(2);
    e->suite = suite;
    assert_int_equal(srtp_leg_new(&e->agent, suite, &a, &n), 0);
    assert_int_equal(srtp_leg_new(&e->node, suite, &n, &a), 0);
}

static void ends_close(struct ends *e)
{
    srtp_leg_destroy(e->agent);
    srtp_leg_destroy(e->node);
}

static size_t tag(const struct ends *e)
{
    return e->suite == SRTP_AES_128_GCM ? 16 : 10;
}

static struct packet plain(uint32_t ssrc, uint16_t sequence)
{
    struct packet p = {.len = PLAIN};
    const struct rtp r = {
        .payload_type = 111, .sequence = sequence, .timestamp = 960u * sequence, .ssrc = ssrc};
    rtp_write(p.bytes, &r);
    for (size_t i = RTP_HEADER_LEN; i < PLAIN; i++)
        p.bytes[i] = (uint8_t)(i * 31 + sequence);
    return p;
}

static struct packet protected_by(struct srtp_leg *l, uint32_t ssrc, uint16_t sequence)
{
    struct packet p = plain(ssrc, sequence);
    assert_int_equal(srtp_leg_protect(l, p.bytes, &p.len), 0);
    return p;
}

static int unprotect(struct srtp_leg *l, const struct packet *p)
{
    struct packet copy = *p;
    return srtp_leg_unprotect(l, copy.bytes, &copy.len);
}

static void assert_opens(struct srtp_leg *l, const struct packet *p, uint16_t sequence)
{
    struct packet copy = *p, want = plain(SSRC, sequence);
    int err = srtp_leg_unprotect(l, copy.bytes, &copy.len);
    if (err < 0)
        fail_msg("sequence %u: %s", sequence, strerror(-err));
    assert_int_equal(copy.len, want.len);
    assert_memory_equal(copy.bytes, want.bytes, want.len);
}

static void both(void (*test)(struct ends *e))
{
    for (int suite = 0; suite < SRTP_SUITES; suite++) {
        struct ends e;
        ends_open(&e, (enum srtp_suite)suite);
        test(&e);
        ends_close(&e);
    }
}

/* ---- */

static void there_and_back(struct ends *e)
{
    struct packet p = protected_by(e->agent, SSRC, 1), q = protected_by(e->node, SSRC, 1);
    const struct packet bare = plain(SSRC, 1);
    assert_int_equal(p.len, PLAIN + tag(e));
    assert_memory_equal(p.bytes, bare.bytes, RTP_HEADER_LEN); /* the header stays in clear */
    assert_memory_not_equal(p.bytes + RTP_HEADER_LEN, bare.bytes + RTP_HEADER_LEN, PAYLOAD);
    assert_memory_not_equal(p.bytes, q.bytes, p.len); /* each direction has its key */
    assert_opens(e->node, &p, 1);
    assert_opens(e->agent, &q, 1);
}

static void test_there_and_back(void **state)
{
    both(there_and_back);
}

static void wrap_in_order(struct ends *e)
{
    for (uint32_t i = 0; i<3 * 65536u + 10; i += i % 65536> 10 && i % 65536 < 65500 ? 1000 : 1) {
        struct packet p = protected_by(e->agent, SSRC, (uint16_t)i);
        assert_opens(e->node, &p, (uint16_t)i);
    }
}

static void test_wrap_in_order(void **state)
{
    both(wrap_in_order);
}

static void wrap_out_of_order(struct ends *e)
{
    enum { N = 64, FIRST = 65536 - N / 2 };
    struct packet p[N];
    uint64_t seed = 88172645463325252u;
    size_t order[N];
    struct packet first = protected_by(e->agent, SSRC, 40000);
    assert_opens(e->node, &first, 40000);
    for (size_t i = 0; i < N; i++) {
        p[i] = protected_by(e->agent, SSRC, (uint16_t)(FIRST + i));
        order[i] = i;
    }
    for (size_t i = N - 1; i > 0; i--) {
        size_t j = check_random(&seed) % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (size_t i = 0; i < N; i++)
        assert_opens(e->node, &p[order[i]], (uint16_t)(FIRST + order[i]));
    for (size_t i = 0; i < N; i++)
        assert_int_equal(unprotect(e->node, &p[i]), -EALREADY);
}

static void test_wrap_out_of_order(void **state)
{
    both(wrap_out_of_order);
}

static void first_over_the_wrap(struct ends *e)
{
    /* Somebody hears a stream from its middle: the next rollover is right, and what came before it too. */
    struct packet before = protected_by(e->agent, SSRC, 65534), last = protected_by(e->agent, SSRC, 65535);
    struct packet after = protected_by(e->agent, SSRC, 0);
    assert_opens(e->node, &before, 65534);
    assert_opens(e->node, &after, 0);
    assert_opens(e->node, &last, 65535);
}

static void test_first_over_the_wrap(void **state)
{
    both(first_over_the_wrap);
}

static void replays(struct ends *e)
{
    enum { N = SRTP_REPLAY_WINDOW + 8 };
    static struct packet p[N];
    for (size_t i = 0; i < N; i++)
        p[i] = protected_by(e->agent, SSRC, (uint16_t)i);
    for (size_t i = N - 1; i > 8; i -= 2)
        assert_opens(e->node, &p[i], (uint16_t)i);
    for (size_t i = 0; i < N; i++) {
        bool too_old = i + SRTP_REPLAY_WINDOW <= N - 1, seen = i > 8 && (N - 1 - i) % 2 == 0;
        assert_int_equal(unprotect(e->node, &p[i]), too_old || seen ? -EALREADY : 0);
        assert_int_equal(unprotect(e->node, &p[i]), -EALREADY);
    }
}

static void test_replays(void **state)
{
    both(replays);
}

static void tampering(struct ends *e)
{
    const struct packet p = protected_by(e->agent, SSRC, 7);
    for (size_t i = 0; i < p.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct packet changed = p;
            changed.bytes[i] ^= (uint8_t)(1u << bit);
            int err = unprotect(e->node, &changed);
            if (err != -EACCES && err != -EBADMSG)
                fail_msg("byte %zu, bit %u: %d", i, bit, err);
        }
    }
    for (size_t len = 0; len < p.len; len++) {
        struct packet cut = p;
        cut.len = len;
        int err = unprotect(e->node, &cut);
        assert_int_equal(err, len < RTP_HEADER_LEN + tag(e) ? -EBADMSG : -EACCES);
    }
    assert_opens(e->node, &p, 7); /* none of it has moved the window */
}

static void test_tampering(void **state)
{
    both(tampering);
}

static void forged_packets_make_no_streams(struct ends *e)
{
    for (uint32_t i = 0; i < 4 * SRTP_LEG_SSRCS; i++) {
        struct packet p = protected_by(e->node, SSRC + i, 1); /* the wrong key */
        assert_int_equal(unprotect(e->node, &p), -EACCES);
    }
    for (uint32_t i = 0; i < SRTP_LEG_SSRCS; i++) {
        struct packet p = protected_by(e->agent, SSRC - i, 1);
        assert_int_equal(unprotect(e->node, &p), 0);
    }
}

static void test_forged_packets_make_no_streams(void **state)
{
    both(forged_packets_make_no_streams);
}

static void streams_are_bounded(struct ends *e)
{
    for (uint32_t i = 0; i < SRTP_LEG_SSRCS + 8; i++) {
        struct packet p = protected_by(e->agent, i * 7919, 1);
        assert_int_equal(unprotect(e->node, &p), i < SRTP_LEG_SSRCS ? 0 : -ENOSPC);
    }
    struct packet known = protected_by(e->agent, 7919, 2);
    assert_int_equal(unprotect(e->node, &known), 0);
    srtp_leg_forget_received(e->node, 7919);
    struct packet another = protected_by(e->agent, 1, 1), more = protected_by(e->agent, 2, 1);
    assert_int_equal(unprotect(e->node, &another), 0);
    assert_int_equal(unprotect(e->node, &more), -ENOSPC);
    srtp_leg_set_limit(e->node, SRTP_LEG_SSRCS_MAX + 1);
    assert_int_equal(unprotect(e->node, &more), 0);
}

static void test_streams_are_bounded(void **state)
{
    both(streams_are_bounded);
}

/* More than one of libsrtp2's sessions holds: none gets into another's way. */
static void many_streams(struct ends *e)
{
    enum { STREAMS = 300, ROUNDS = 4 };
    srtp_leg_set_limit(e->node, STREAMS);
    struct packet last[STREAMS];
    for (uint16_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < STREAMS; i++) {
            last[i] = protected_by(e->agent, i * 0x9E3779B1, (uint16_t)(65534 + round));
            assert_int_equal(unprotect(e->node, &last[i]), 0);
            assert_int_equal(unprotect(e->node, &last[i]), -EALREADY);
        }
    }
    struct packet another = protected_by(e->agent, 5, 1);
    assert_int_equal(unprotect(e->node, &another), -ENOSPC);
    for (uint32_t i = 0; i < STREAMS; i += 2)
        srtp_leg_forget_received(e->node, i * 0x9E3779B1);
    for (uint32_t i = 0; i < STREAMS; i++)
        assert_int_equal(unprotect(e->node, &last[i]),
                         i % 2 ? -EALREADY : -EACCES); /* its rollover counter is 0 again */
    for (uint32_t i = 0; i < STREAMS / 2; i++) {
        struct packet p = protected_by(e->agent, 1000 + i, 1);
        assert_int_equal(unprotect(e->node, &p), 0); /* where the others were */
    }
    assert_int_equal(unprotect(e->node, &another), -ENOSPC);
}

static void test_many_streams(void **state)
{
    both(many_streams);
}

static void test_sending_is_bounded(void **state)
{
    struct ends e;
    ends_open(&e, SRTP_AES_128_GCM);
    for (uint32_t i = 0; i <= SRTP_LEG_SENDS_MAX; i++) {
        struct packet p = plain(i, 1);
        assert_int_equal(srtp_leg_protect(e.agent, p.bytes, &p.len), i < SRTP_LEG_SENDS_MAX ? 0 : -EINVAL);
    }
    struct packet p = plain(0, 2);
    assert_int_equal(srtp_leg_protect(e.agent, p.bytes, &p.len), 0);
    ends_close(&e);
}

static void forgetting(struct ends *e)
{
    struct packet p = protected_by(e->agent, SSRC, 9), other = protected_by(e->agent, SSRC + 1, 9);
    assert_opens(e->node, &p, 9);
    assert_int_equal(unprotect(e->node, &other), 0);
    srtp_leg_forget_received(e->node, SSRC);
    srtp_leg_forget_received(e->node, 77); /* never seen */
    assert_int_equal(unprotect(e->node, &other), -EALREADY);
    assert_opens(e->node, &p, 9); /* its window is gone, as said */
}

static void test_forgetting(void **state)
{
    both(forgetting);
}

static void retransmissions(struct ends *e)
{
    struct packet first[SRTP_REPLAY_WINDOW + 1];
    for (size_t i = 0; i <= SRTP_REPLAY_WINDOW; i++) {
        first[i] = protected_by(e->agent, SSRC, (uint16_t)(65000 + i)); /* over a wrap */
        assert_opens(e->node, &first[i], (uint16_t)(65000 + i));
    }
    for (size_t i = 1; i <= SRTP_REPLAY_WINDOW; i++) {
        struct packet again = protected_by(e->agent, SSRC, (uint16_t)(65000 + i));
        assert_int_equal(again.len, first[i].len);
        assert_memory_equal(again.bytes, first[i].bytes, again.len);
        assert_int_equal(unprotect(e->node, &again), -EALREADY);
    }
    struct packet old = plain(SSRC, 65000);
    assert_int_equal(srtp_leg_protect(e->agent, old.bytes, &old.len), -EINVAL);
    struct packet next = protected_by(e->agent, SSRC, (uint16_t)(65000 + SRTP_REPLAY_WINDOW + 1));
    assert_opens(e->node, &next, (uint16_t)(65000 + SRTP_REPLAY_WINDOW + 1));
}

static void test_retransmissions(void **state)
{
    both(retransmissions);
}

static void headers_that_overrun(struct ends *e)
{
    struct packet p = {.len = 80, .bytes = {0x90, 111}}, q;
    p.bytes[12] = 0xBE, p.bytes[13] = 0xDE, p.bytes[15] = 200; /* an extension of 800 bytes */
    q = p;
    assert_int_equal(unprotect(e->node, &q), -EBADMSG);
    assert_int_equal(srtp_leg_protect(e->agent, q.bytes, &q.len), -EINVAL);
    p.bytes[15] = (80 - 16) / 4; /* nothing is left for a tag */
    assert_int_equal(unprotect(e->node, &p), -EBADMSG);
    struct packet csrcs = {.len = 12 + 60 - 1, .bytes = {0x8F, 111}};
    assert_int_equal(unprotect(e->node, &csrcs), -EBADMSG);
    struct packet big = {.len = RTP_PACKET_MAX + 1, .bytes = {0x80, 111}};
    assert_int_equal(unprotect(e->node, &big), -EBADMSG);
    assert_int_equal(srtp_leg_protect(e->agent, big.bytes, &big.len), -EINVAL);
}

static void test_headers_that_overrun(void **state)
{
    both(headers_that_overrun);
}

static void longest_packets_and_extensions(struct ends *e)
{
    struct packet p = plain(SSRC, 3), whole;
    p.bytes[0] |= 0x10; /* an extension of one word, over the payload's first bytes */
    p.bytes[12] = 0xBE, p.bytes[13] = 0xDE, p.bytes[14] = 0, p.bytes[15] = 1;
    p.len = RTP_PACKET_MAX - tag(e);
    whole = p;
    assert_int_equal(srtp_leg_protect(e->agent, p.bytes, &p.len), 0);
    assert_int_equal(p.len, RTP_PACKET_MAX);
    assert_memory_equal(p.bytes, whole.bytes, 20); /* extensions stay in clear */
    assert_int_equal(srtp_leg_unprotect(e->node, p.bytes, &p.len), 0);
    assert_int_equal(p.len, whole.len);
    assert_memory_equal(p.bytes, whole.bytes, whole.len);
    struct packet empty = {.len = RTP_HEADER_LEN, .bytes = {0x80, 111, 0, 4}};
    assert_int_equal(srtp_leg_protect(e->agent, empty.bytes, &empty.len), 0);
    assert_int_equal(srtp_leg_unprotect(e->node, empty.bytes, &empty.len), 0);
    assert_int_equal(empty.len, RTP_HEADER_LEN);
}

static void test_longest_packets_and_extensions(void **state)
{
    both(longest_packets_and_extensions);
}

/* A receiver report without blocks, and the SSRC of who sends it. */
static struct packet report(uint32_t ssrc)
{
    struct packet p = {.len = 8, .bytes = {0x80, 201, 0, 1}};
    for (size_t i = 0; i < 4; i++)
        p.bytes[4 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    return p;
}

static void rtcp(struct ends *e)
{
    struct packet p = report(SSRC), q, want = p;
    assert_int_equal(srtp_leg_protect_rtcp(e->agent, p.bytes, &p.len), 0);
    assert_int_equal(p.len, want.len + tag(e) + 4);
    for (size_t i = 0; i < p.len; i++) {
        q = p;
        q.bytes[i] ^= 0x80;
        int err = srtp_leg_unprotect_rtcp(e->node, q.bytes, &q.len);
        if (err != -EACCES && err != -EBADMSG)
            fail_msg("byte %zu: %d", i, err);
    }
    for (size_t len = 0; len < p.len; len++) {
        q = p;
        q.len = len;
        int err = srtp_leg_unprotect_rtcp(e->node, q.bytes, &q.len);
        assert_true(err == -EACCES || err == -EBADMSG);
    }
    q = p;
    assert_int_equal(srtp_leg_unprotect_rtcp(e->node, q.bytes, &q.len), 0);
    assert_int_equal(q.len, want.len);
    assert_memory_equal(q.bytes, want.bytes, want.len);
    assert_int_equal(srtp_leg_unprotect_rtcp(e->node, p.bytes, &p.len), -EALREADY);

    p = report(SSRC);
    assert_int_equal(srtp_leg_protect_rtcp(e->agent, p.bytes, &p.len), 0); /* the same text, another index */
    assert_memory_not_equal(p.bytes, q.bytes, p.len);
    assert_int_equal(srtp_leg_unprotect_rtcp(e->node, p.bytes, &p.len), 0);
    struct packet small = {.len = 4, .bytes = {0x80, 201}};
    assert_int_equal(srtp_leg_protect_rtcp(e->agent, small.bytes, &small.len), -EINVAL);
}

static void test_rtcp(void **state)
{
    both(rtcp);
}

static void test_suites_dont_mix(void **state)
{
    struct ends gcm, cm;
    ends_open(&gcm, SRTP_AES_128_GCM);
    ends_open(&cm, SRTP_AES_CM_128_SHA1_80);
    struct packet a = protected_by(gcm.agent, SSRC, 1), b = protected_by(cm.agent, SSRC, 1);
    assert_int_equal(unprotect(cm.node, &a), -EACCES);
    assert_int_equal(unprotect(gcm.node, &b), -EACCES);
    ends_close(&gcm);
    ends_close(&cm);
    srtp_leg_destroy(NULL);
}

/* By libsrtp2 with its own ciphers (pylibsrtp 0.8): master key and salt 1, 2, 3 ..., one packet before the wrap with
 * an audio level, one after it, and a receiver report with a NACK. */
static const struct {
    enum srtp_suite suite;
    bool rtcp;
    size_t len;
    uint8_t bytes[64];
} anothers[] = {
    {SRTP_AES_128_GCM, false, 48, {0x90, 0xe0, 0xff, 0xff, 0x01, 0x02, 0x03, 0x04, 0xde, 0xca, 0xfb, 0xad,
                                   0xbe, 0xde, 0x00, 0x01, 0x10, 0xff, 0x00, 0x00, 0xea, 0xce, 0xb9, 0xb5,
                                   0xc8, 0x76, 0x75, 0x94, 0x45, 0x10, 0xda, 0xe5, 0x3d, 0x0f, 0x2c, 0xfd,
                                   0xcb, 0xd7, 0x9b, 0x8b, 0x52, 0x00, 0x3c, 0x88, 0x98, 0x57, 0x34, 0x7e}},
    {SRTP_AES_128_GCM, false, 42, {0x80, 0x6f, 0x00, 0x00, 0x01, 0x02, 0x06, 0xc4, 0xde, 0xca, 0xfb,
                                   0xad, 0x99, 0xab, 0x76, 0x59, 0xc8, 0xab, 0xd1, 0x8e, 0x79, 0x5c,
                                   0xae, 0x8f, 0xad, 0xed, 0xc1, 0x25, 0x46, 0x2f, 0x8d, 0x97, 0x47,
                                   0xf0, 0x77, 0xe3, 0xd2, 0xc8, 0x60, 0x23, 0xee, 0x3a}},
    {SRTP_AES_128_GCM, true, 44, {0x80, 0xc9, 0x00, 0x01, 0xde, 0xca, 0xfb, 0xad, 0x5c, 0xce, 0xdb,
                                  0x40, 0x74, 0x22, 0x03, 0xad, 0xde, 0x23, 0xf4, 0x3a, 0xac, 0xbf,
                                  0xb7, 0xc9, 0xe4, 0xa9, 0x61, 0xb4, 0xed, 0x50, 0x39, 0x9d, 0xb1,
                                  0xcd, 0xe2, 0x04, 0x19, 0xaf, 0xf1, 0x94, 0x80, 0x00, 0x00, 0x01}},
    {SRTP_AES_CM_128_SHA1_80, false, 42, {0x90, 0xe0, 0xff, 0xff, 0x01, 0x02, 0x03, 0x04, 0xde, 0xca, 0xfb,
                                          0xad, 0xbe, 0xde, 0x00, 0x01, 0x10, 0xff, 0x00, 0x00, 0x05, 0x9b,
                                          0x63, 0xbe, 0x87, 0x0a, 0xbe, 0x3b, 0x90, 0x4b, 0x5c, 0x4b, 0x8d,
                                          0xd3, 0x58, 0x50, 0x65, 0x6f, 0x3f, 0x3a, 0xbc, 0x9f}},
    {SRTP_AES_CM_128_SHA1_80, false, 36, {0x80, 0x6f, 0x00, 0x00, 0x01, 0x02, 0x06, 0xc4, 0xde,
                                          0xca, 0xfb, 0xad, 0x47, 0x15, 0x44, 0x22, 0xf4, 0x79,
                                          0x69, 0x22, 0x2b, 0xaf, 0xf9, 0x35, 0xcf, 0xd4, 0x73,
                                          0x1b, 0xd0, 0x40, 0x18, 0xec, 0xb1, 0x52, 0xac, 0x5f}},
    {SRTP_AES_CM_128_SHA1_80, true, 38, {0x80, 0xc9, 0x00, 0x01, 0xde, 0xca, 0xfb, 0xad, 0x35, 0x53,
                                         0xe8, 0x37, 0xe4, 0x83, 0xb6, 0x5c, 0x8e, 0x31, 0x17, 0x39,
                                         0xc8, 0x5b, 0x12, 0x7a, 0x80, 0x00, 0x00, 0x01, 0x77, 0x79,
                                         0x48, 0x7a, 0x71, 0xa1, 0x56, 0xff, 0x75, 0x86}},
};

static void test_anothers_packets(void **state)
{
    static const char *const texts[] = {"what is said", "after the wrap"};
    static const uint8_t report[] = {0x80, 0xc9, 0,    1,    0xde, 0xca, 0xfb, 0xad, 0x81, 0xcd, 0, 3,
                                     0xde, 0xca, 0xfb, 0xad, 0x11, 0x22, 0x33, 0x44, 0,    10,   0, 0};
    struct srtp_keys theirs;
    for (size_t i = 0; i < sizeof theirs.bytes; i++)
        theirs.bytes[i] = (uint8_t)(i + 1);
    const struct srtp_keys ours = keys(9);
    for (size_t i = 0; i < sizeof anothers / sizeof *anothers; i += 3) {
        struct srtp_leg *hears, *says;
        assert_int_equal(srtp_leg_new(&hears, anothers[i].suite, &ours, &theirs), 0);
        assert_int_equal(srtp_leg_new(&says, anothers[i].suite, &theirs, &ours), 0);
        for (size_t j = i; j < i + 3; j++) {
            struct packet p = {.len = anothers[j].len};
            memcpy(p.bytes, anothers[j].bytes, p.len);
            assert_int_equal(
                (anothers[j].rtcp ? srtp_leg_unprotect_rtcp : srtp_leg_unprotect)(hears, p.bytes, &p.len), 0);
            if (anothers[j].rtcp) {
                assert_int_equal(p.len, sizeof report);
                assert_memory_equal(p.bytes, report, sizeof report);
            } else {
                size_t said = strlen(texts[j - i]);
                assert_memory_equal(p.bytes + p.len - said, texts[j - i], said);
            }
            assert_int_equal(
                (anothers[j].rtcp ? srtp_leg_protect_rtcp : srtp_leg_protect)(says, p.bytes, &p.len), 0);
            assert_int_equal(p.len, anothers[j].len);
            assert_memory_equal(p.bytes, anothers[j].bytes, p.len);
        }
        srtp_leg_destroy(hears);
        srtp_leg_destroy(says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_wrap_in_order),
        cmocka_unit_test(test_wrap_out_of_order),
        cmocka_unit_test(test_first_over_the_wrap),
        cmocka_unit_test(test_replays),
        cmocka_unit_test(test_tampering),
        cmocka_unit_test(test_forged_packets_make_no_streams),
        cmocka_unit_test(test_streams_are_bounded),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_sending_is_bounded),
        cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_retransmissions),
        cmocka_unit_test(test_headers_that_overrun),
        cmocka_unit_test(test_longest_packets_and_extensions),
        cmocka_unit_test(test_rtcp),
        cmocka_unit_test(test_suites_dont_mix),
        cmocka_unit_test(test_anothers_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
