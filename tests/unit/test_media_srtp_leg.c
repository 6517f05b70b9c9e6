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
    srtp_leg_forget(e->node, 7919);
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

static void forgetting(struct ends *e)
{
    struct packet p = protected_by(e->agent, SSRC, 9), other = protected_by(e->agent, SSRC + 1, 9);
    assert_opens(e->node, &p, 9);
    assert_int_equal(unprotect(e->node, &other), 0);
    srtp_leg_forget(e->node, SSRC);
    srtp_leg_forget(e->node, 77); /* never seen */
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
        cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_retransmissions),
        cmocka_unit_test(test_headers_that_overrun),
        cmocka_unit_test(test_longest_packets_and_extensions),
        cmocka_unit_test(test_rtcp),
        cmocka_unit_test(test_suites_dont_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
