/* link: berth_media */
/* RTCP against bytes of another implementation, every length off, and transport-wide feedback there and back. */
#include "check.h"

#include "media/rtcp.h"
#include "rtcp_vectors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vector {
    const char *name;
    const uint8_t *bytes;
    size_t len;
    enum rtcp_kind kind;
    size_t count;
};
#define VECTOR(name, kind, count)                               \
    {                                                           \
#name, vector_##name, sizeof vector_##name, kind, count \
    }

static const struct vector vectors[] = {
    VECTOR(sr, RTCP_SENDER_REPORT, 1), VECTOR(rr, RTCP_RECEIVER_REPORT, 2), VECTOR(sdes, RTCP_SDES, 2),
    VECTOR(bye, RTCP_BYE, 2),          VECTOR(nack, RTCP_NACK, 3),          VECTOR(pli, RTCP_PLI, 0),
    VECTOR(fir, RTCP_FIR, 1),          VECTOR(remb, RTCP_REMB, 2),
};
enum { VECTORS = sizeof vectors / sizeof *vectors };

/* In memory of exactly that size. */
static bool whole(const uint8_t *p, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, p, len);
    bool is = rtcp_whole(exact, len);
    free(exact);
    return is;
}

static struct rtcp read_one(const uint8_t *p, size_t len)
{
    struct wire_rd rd = wire_rd_init(p, len);
    struct rtcp r;
    assert_int_equal(rtcp_next(&rd, &r), 1);
    assert_int_equal(wire_rd_left(&rd), 0);
    return r;
}

static void test_others_packets_are_read(void **state)
{
    uint32_t ssrc;
    uint16_t sequence, more;
    uint8_t number;
    struct rtcp r = read_one(vector_sr, sizeof vector_sr);
    assert_int_equal(r.sender, 0x11223344);
    assert_true(r.ntp == 0xE0C1A2B3C4D5E6F7);
    assert_int_equal(rtcp_ntp_middle(r.ntp), 0xA2B3C4D5);
    assert_int_equal(r.timestamp, 0x89ABCDEF);
    assert_int_equal(r.packets, 1234567);
    assert_int_equal(r.octets, 987654321);
    struct rtcp_block b = rtcp_block_at(&r, 0);
    assert_int_equal(b.ssrc, 0xAABBCCDD);
    assert_int_equal(b.fraction_lost, 64);
    assert_int_equal(b.lost, -5);
    assert_int_equal(b.highest, 0x1FFFE);
    assert_int_equal(b.jitter, 321);
    assert_int_equal(b.last_report, 0xA2B3C4D5);
    assert_int_equal(b.delay, 65536);
    r = read_one(vector_rr, sizeof vector_rr);
    assert_int_equal(r.sender, 0x55667788);
    assert_int_equal(rtcp_block_at(&r, 0).lost, 8388607);
    assert_int_equal(rtcp_block_at(&r, 1).lost, -8388608);
    assert_int_equal(rtcp_block_at(&r, 1).delay, 0xFFFFFFFF);
    r = read_one(vector_sdes, sizeof vector_sdes);
    struct slice cname = rtcp_cname_at(&r, 0, &ssrc);
    assert_int_equal(ssrc, 0x11223344);
    assert_int_equal(cname.len, 36);
    assert_memory_equal(cname.p, "63f459ea-41fe-4474-9d33-9707c9ee79d1", 36);
    cname = rtcp_cname_at(&r, 1, &ssrc);
    assert_int_equal(ssrc, 0x11223345);
    assert_int_equal(cname.len, 3);
    assert_memory_equal(cname.p, "abc", 3);
    r = read_one(vector_bye, sizeof vector_bye);
    assert_int_equal(rtcp_ssrc_at(&r, 0), 0x11223344);
    assert_int_equal(rtcp_ssrc_at(&r, 1), 5);
    r = read_one(vector_nack, sizeof vector_nack);
    assert_int_equal(r.sender, 0x11223344);
    assert_int_equal(r.media, 0xAABBCCDD);
    rtcp_nack_at(&r, 0, &sequence, &more);
    assert_int_equal(sequence, 10);
    assert_int_equal(more, 0x8018);
    rtcp_nack_at(&r, 2, &sequence, &more);
    assert_int_equal(sequence, 65535);
    assert_int_equal(more, 0);
    r = read_one(vector_pli, sizeof vector_pli);
    assert_int_equal(r.media, 0xAABBCCDD);
    r = read_one(vector_fir, sizeof vector_fir);
    rtcp_fir_at(&r, 0, &ssrc, &number);
    assert_int_equal(ssrc, 0xAABBCCDD);
    assert_int_equal(number, 7);
    r = read_one(vector_remb, sizeof vector_remb);
    assert_true(r.bitrate == 4160000);
    assert_int_equal(rtcp_ssrc_at(&r, 0), 0xAABBCCDD);
    assert_int_equal(rtcp_ssrc_at(&r, 1), 7);
}

static bool write_vector(struct wire_wr *w, size_t i)
{
    static const uint16_t lost[] = {10, 14, 15, 26, 27, 40, 65535};
    static const uint32_t ssrcs[] = {0xAABBCCDD, 7}, gone[] = {0x11223344, 5};
    struct rtcp r = read_one(vectors[i].bytes, vectors[i].len);
    struct rtcp_block blocks[2];
    struct rtcp_sender sender = {r.sender, r.ntp, r.timestamp, r.packets, r.octets};
    for (size_t j = 0; vectors[i].kind <= RTCP_RECEIVER_REPORT && j < r.count; j++)
        blocks[j] = rtcp_block_at(&r, j);
    switch (vectors[i].kind) {
    case RTCP_SENDER_REPORT:
        return rtcp_write_sender_report(w, &sender, blocks, r.count);
    case RTCP_RECEIVER_REPORT:
        return rtcp_write_receiver_report(w, r.sender, blocks, r.count);
    case RTCP_BYE:
        return rtcp_write_bye(w, gone, 2);
    case RTCP_NACK:
        return rtcp_write_nack(w, 0x11223344, 0xAABBCCDD, lost, sizeof lost / sizeof *lost);
    case RTCP_PLI:
        return rtcp_write_pli(w, 0x11223344, 0xAABBCCDD);
    case RTCP_FIR:
        return rtcp_write_fir(w, 0x11223344, 0xAABBCCDD, 7);
    case RTCP_REMB:
        return rtcp_write_remb(w, 0x11223344, 4160000, ssrcs, 2);
    default:
        return rtcp_write_cname(w, 0x11223344, "63f459ea-41fe-4474-9d33-9707c9ee79d1");
    }
}

static void test_the_same_is_written(void **state)
{
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t out[128];
        struct wire_wr w = wire_wr_init(out, sizeof out);
        assert_true(write_vector(&w, i));
        if (vectors[i].kind == RTCP_SDES) { /* ours has one chunk */
            assert_memory_equal(out + 4, vector_sdes + 4, 4 + 2 + 36);
            assert_true(rtcp_whole(out, wire_wr_len(&w)));
            continue;
        }
        if (wire_wr_len(&w) != vectors[i].len || memcmp(out, vectors[i].bytes, vectors[i].len) != 0)
            fail_msg("%s is written otherwise", vectors[i].name);
    }
}

static void test_no_room_leaves_nothing(void **state)
{
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t out[128];
        for (size_t cap = 0; cap <= sizeof out; cap++) {
            struct wire_wr w = wire_wr_init(out, cap);
            assert_true(write_vector(&w, i) == (cap >= (i == 2 ? 48 : vectors[i].len)));
            if (w.p == w.start)
                assert_true(cap < 4 || rtcp_write_receiver_report(&w, 1, NULL, 0) == (cap >= 8));
        }
    }
}

static void test_prefixes_and_lengths(void **state)
{
    for (size_t i = 0; i < VECTORS; i++) {
        const struct vector *v = &vectors[i];
        uint8_t changed[256];
        struct rtcp r = read_one(v->bytes, v->len);
        assert_int_equal(r.kind, v->kind);
        assert_int_equal(r.count, v->count);
        assert_true(whole(v->bytes, v->len));
        for (size_t len = 0; len < v->len; len++)
            assert_false(whole(v->bytes, len));
        for (unsigned words = 0; words < 64; words++) { /* a length that says otherwise */
            memcpy(changed, v->bytes, v->len);
            changed[3] = (uint8_t)words;
            if (4 * words + 4 > v->len)
                assert_false(whole(changed, v->len));
        }
        memcpy(changed, v->bytes, v->len);
        changed[0] |= 0x1F; /* more blocks, chunks or SSRCs than there are */
        if (v->kind <= RTCP_BYE)
            assert_false(whole(changed, v->len));
        for (unsigned version = 0; version < 4; version++) {
            changed[0] = (uint8_t)((v->bytes[0] & 0x3F) | version << 6);
            assert_true(whole(changed, v->len) == (version == 2));
        }
    }
}

static void test_compounds(void **state)
{
    uint8_t all[1024];
    size_t len = 0, n = 0;
    struct rtcp r;
    for (size_t i = 0; i < VECTORS; i++) {
        memcpy(all + len, vectors[i].bytes, vectors[i].len);
        len += vectors[i].len;
    }
    struct wire_rd rd = wire_rd_init(all, len);
    int more;
    for (; (more = rtcp_next(&rd, &r)) > 0; n++)
        assert_int_equal(r.kind, vectors[n].kind);
    assert_int_equal(more, 0);
    assert_int_equal(n, VECTORS);
    /* Kinds that aren't read are passed over: APP, XR, and feedback of other formats. */
    static const uint8_t others[] = {
        0x80, 204, 0, 2, 0, 0, 0, 1, 'n',  'a', 'm', 'e', 0x80, 207, 0, 1, 0, 0, 0, 1, 0x8B, 205, 0,   2,
        0,    0,   0, 1, 0, 0, 0, 2, 0x8F, 206, 0,   3,   0,    0,   0, 1, 0, 0, 0, 2, 'A',  'F', 'B', '!'};
    rd = wire_rd_init(others, sizeof others);
    for (n = 0; rtcp_next(&rd, &r) > 0; n++)
        assert_int_equal(r.kind, RTCP_OTHER);
    assert_int_equal(n, 4);
    assert_false(rd.bad);
}

static void test_padding(void **state)
{
    static const struct {
        uint8_t padding;
        bool right;
    } rows[] = {{0, false}, {1, false}, {3, false}, {4, true}, {8, false}, {12, false}, {255, false}};
    uint8_t p[16];
    memcpy(p, vector_pli, sizeof vector_pli);
    memset(p + 12, 0, 4);
    p[0] |= 0x20;
    p[3] = 3;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        p[15] = rows[i].padding;
        assert_true(whole(p, sizeof p) == rows[i].right); /* 8 and 12 would cut SSRCs away */
    }
    uint8_t two[16 + 12];
    p[15] = 4;
    memcpy(two, p, 16);
    memcpy(two + 16, vector_pli, 12);
    assert_false(whole(two, sizeof two)); /* only the last is padded */
    assert_false(whole((const uint8_t[]){0xA0, 204, 0, 0}, 4));
}

static void test_rembs_at_the_edges(void **state)
{
    static const uint64_t rates[] = {0, 1, 0x3FFFF, 0x40000, 1ull << 40, UINT64_MAX};
    uint8_t out[64];
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct wire_wr w = wire_wr_init(out, sizeof out);
        assert_true(rtcp_write_remb(&w, 1, rates[i], NULL, 0));
        struct rtcp r = read_one(out, wire_wr_len(&w));
        assert_true(r.bitrate <= rates[i] && r.bitrate >= rates[i] - (rates[i] >> 17));
    }
    out[17] = 0xFF; /* exponent 63 */
    assert_true(read_one(out, 20).bitrate == UINT64_MAX);
    out[16] = 200; /* more SSRCs than there are */
    assert_false(whole(out, 20));
}

static void test_sdes_that_lies(void **state)
{
    static const uint8_t unended[] = {0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, 'a', 'b'};
    static const uint8_t overrun[] = {0x81, 202, 0, 2, 0, 0, 0, 1, 1, 3, 'a', 0};
    static const uint8_t no_items[] = {0x81, 202, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0};
    static const uint8_t empty[] = {0x80, 202, 0, 0};
    uint32_t ssrc;
    assert_false(whole(unended, sizeof unended));
    assert_false(whole(overrun, sizeof overrun));
    assert_true(whole(empty, sizeof empty));
    struct rtcp r = read_one(no_items, sizeof no_items);
    assert_null(rtcp_cname_at(&r, 0, &ssrc).p);
    assert_int_equal(ssrc, 1);
}

/* ---- transport-wide feedback ---- */

static void assert_wide(const uint8_t *p, size_t len, uint16_t base, const int64_t *at_us, size_t n)
{
    struct rtcp r = read_one(p, len);
    assert_int_equal(r.kind, RTCP_WIDE);
    assert_int_equal(r.base, base);
    assert_int_equal(r.count, n);
    struct rtcp_wide_iter it = rtcp_wide_iter(&r);
    uint16_t sequence;
    bool received;
    int64_t at, modulus = ((int64_t)1 << 24) * RTCP_WIDE_EPOCH_US;
    for (size_t i = 0; i < n; i++) {
        assert_true(rtcp_wide_next(&it, &sequence, &received, &at));
        assert_int_equal(sequence, (uint16_t)(base + i));
        assert_true(received == (at_us[i] != INT64_MIN));
        if (received)
            assert_int_equal(((at_us[i] - at) % modulus + modulus) % modulus / RTCP_WIDE_TICK_US, 0);
    }
    assert_false(rtcp_wide_next(&it, &sequence, &received, &at));
    assert_int_equal(wire_rd_left(&it.deltas), 0);
}

static void test_wide_bytes(void **state)
{
    /* By the draft's figures: a run of 3 small ones; then 1 bit each; reference 5, so 320 ms. */
    static const uint8_t want[] = {0x8F, 205, 0, 6, 0, 0,    0,    1,    0, 0, 0,  2,  0xFF, 0xFE,
                                   0,    7,   0, 0, 5, 0x2A, 0xB9, 0x80, 4, 8, 12, 16, 20,   0};
    const int64_t at[] = {321000, 323000, 326000, INT64_MIN, INT64_MIN, 330000, 335000};
    uint8_t out[64];
    struct wire_wr w = wire_wr_init(out, sizeof out);
    assert_int_equal(rtcp_write_wide(&w, 1, 2, 0x2A, 0xFFFE, at, 7), 7);
    assert_int_equal(wire_wr_len(&w), sizeof want);
    assert_memory_equal(out, want, sizeof want);
    assert_wide(out, sizeof want, 0xFFFE, at, 7);
    for (size_t len = 0; len < sizeof want; len++)
        assert_false(whole(want, len));
}

static void test_wide_random(void **state)
{
    enum { N = 700 };
    static int64_t at[N];
    static uint8_t out[4096];
    uint64_t seed = 20260101;
    for (int round = 0; round < 300; round++) {
        size_t n = 1 + check_random(&seed) % N;
        int64_t now = (int64_t)(check_random(&seed) % ((uint64_t)1 << 50));
        unsigned loss = (unsigned)(check_random(&seed) % 100), step = 1u << check_random(&seed) % 17;
        for (size_t i = 0; i < n; i++) {
            now += (int64_t)(check_random(&seed) % (2 * step)) - step / 4;
            at[i] = i + 1 < n && check_random(&seed) % 100 < loss ? INT64_MIN : now;
        }
        struct wire_wr w = wire_wr_init(out, sizeof out);
        size_t covered = rtcp_write_wide(&w, 1, 2, 3, (uint16_t)(65000 + round), at, n);
        assert_true(covered > 0 && covered <= n);
        assert_wide(out, wire_wr_len(&w), (uint16_t)(65000 + round), at, covered);
    }
}

static void test_wide_too_far_apart(void **state)
{
    const int64_t at[] = {0, 8000000, 8000000 + 32767 * 250, 8000000 + 32767 * 250 + 32768 * 250};
    const int64_t back[] = {64000 * 1000, 64000 * 1000 - 32768 * 250, 0};
    uint8_t out[64];
    struct wire_wr w = wire_wr_init(out, sizeof out);
    assert_int_equal(rtcp_write_wide(&w, 1, 2, 3, 0, at, 4), 3);
    assert_wide(out, wire_wr_len(&w), 0, at, 3);
    w = wire_wr_init(out, sizeof out);
    assert_int_equal(rtcp_write_wide(&w, 1, 2, 3, 0, back, 3), 2);
    assert_wide(out, wire_wr_len(&w), 0, back, 2);
    assert_int_equal(rtcp_write_wide(&w, 1, 2, 3, 0, (const int64_t[]){INT64_MIN}, 1), 0);
    assert_int_equal(rtcp_write_wide(&w, 1, 2, 3, 0, at, 0), 0);
    w = wire_wr_init(out, 23);
    assert_int_equal(rtcp_write_wide(&w, 1, 2, 3, 0, at, 4), 0);
    assert_int_equal(wire_wr_len(&w), 0);
}

static void test_wide_that_lies(void **state)
{
    uint8_t p[] = {0x8F, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 5, 0, 0x20, 3, 0, 0};
    p[22] = 1; /* a run of 3 small ones takes three deltas, and there are two bytes */
    assert_false(whole(p, sizeof p));
    p[15] = 2; /* of two numbers it takes two, however long the run is */
    assert_true(whole(p, sizeof p));
    p[20] = 0x60; /* the reserved symbol */
    assert_false(whole(p, sizeof p));
    p[20] = 0x00, p[21] = 0; /* runs of none: and then there is no chunk left */
    p[22] = 0x00, p[23] = 0;
    assert_false(whole(p, sizeof p));
    p[20] = 0xE0; /* two bits: one large, for which the bytes are there */
    p[15] = 1;
    assert_true(whole(p, sizeof p));
    p[20] = 0xF0; /* reserved */
    assert_false(whole(p, sizeof p));
    p[14] = 0xFF, p[15] = 0xFF, p[20] = 0x1F,
    p[21] = 0xFF; /* 65535 numbers in 9 chunks, of which there are two */
    assert_false(whole(p, sizeof p));
}

/* A packet of few bytes about 65535 numbers, in runs and with a last one that says more than is left: each chunk
 * counts as a whole. */
static void test_wide_long_runs(void **state)
{
    enum { RUNS = 9, HEADER = 20, SMALL = 65535 - 8 * 8191 };
    uint8_t p[HEADER + 2 * RUNS + SMALL + 3] = {0x8F, 205, 0, 0, 0,    0,    0, 1, 0, 0,
                                                0,    2,   0, 7, 0xFF, 0xFF, 0, 0, 5, 0};
    size_t len = (HEADER + 2 * RUNS + SMALL) / 4 * 4;
    uint16_t sequence = 0;
    bool received = false;
    int64_t at_us = 0;
    struct rtcp r;
    for (size_t i = 0; i < RUNS; i++) { /* 8191 that are missing, and at last as many that have come */
        p[HEADER + 2 * i] = i + 1 < RUNS ? 0x1F : 0x3F;
        p[HEADER + 2 * i + 1] = 0xFF;
    }
    len += (HEADER + 2 * RUNS + SMALL) % 4 != 0 ? 4 : 0;
    p[3] = (uint8_t)(len / 4 - 1);
    struct wire_rd rd = wire_rd_init(p, len);
    assert_int_equal(rtcp_next(&rd, &r), 1);
    assert_int_equal(r.body.len, 2 * RUNS);
    assert_int_equal(r.deltas.len, SMALL);
    struct rtcp_wide_iter it = rtcp_wide_iter(&r);
    size_t n = 0, missing = 0;
    for (; rtcp_wide_next(&it, &sequence, &received, &at_us); n++)
        missing += !received;
    assert_int_equal(n, 65535);
    assert_int_equal(missing, 8 * 8191);
    p[HEADER] = 0x7F; /* a run of reserved symbols */
    assert_false(whole(p, len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_packets_are_read),
        cmocka_unit_test(test_the_same_is_written),
        cmocka_unit_test(test_no_room_leaves_nothing),
        cmocka_unit_test(test_prefixes_and_lengths),
        cmocka_unit_test(test_compounds),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_rembs_at_the_edges),
        cmocka_unit_test(test_sdes_that_lies),
        cmocka_unit_test(test_wide_bytes),
        cmocka_unit_test(test_wide_random),
        cmocka_unit_test(test_wide_too_far_apart),
        cmocka_unit_test(test_wide_that_lies),
        cmocka_unit_test(test_wide_long_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
