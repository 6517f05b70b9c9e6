/* RTCP: what is whole can be gone through to its last part, and transport-wide feedback that is written again says the same. */
#include "fuzz.h"
#include "media/rtcp.h"

enum { WIDE_MAX = 1024 };

static void check_slice(const struct slice *s, const uint8_t *p, size_t len)
{
    FUZZ_CHECK(!s->p || (s->p >= p && s->p + s->len <= p + len));
}

static void check_wide(const struct rtcp *r)
{
    static int64_t at[WIDE_MAX];
    static uint8_t out[8 * WIDE_MAX];
    struct rtcp_wide_iter it = rtcp_wide_iter(r);
    size_t n = 0;
    uint16_t sequence;
    bool received;
    int64_t us;
    for (; rtcp_wide_next(&it, &sequence, &received, &us); n++) {
        FUZZ_CHECK(sequence == (uint16_t)(r->base + n));
        if (n < WIDE_MAX)
            at[n] = received ? us : INT64_MIN;
    }
    FUZZ_CHECK(n == r->count && wire_rd_left(&it.deltas) == 0 && !it.deltas.bad && !it.chunks.bad);
    size_t first = 0;
    while (first < n && first < WIDE_MAX && at[first] == INT64_MIN)
        first++;
    if (n > WIDE_MAX || first == n)
        return;
    struct wire_wr w = wire_wr_init(out, sizeof out);
    size_t covered = rtcp_write_wide(&w, r->sender, r->media, r->feedback, r->base, at, n);
    struct wire_rd rd = wire_rd_init(out, wire_wr_len(&w));
    struct rtcp again;
    FUZZ_CHECK(covered > 0 && rtcp_next(&rd, &again) == 1 && again.count == covered);
    struct rtcp_wide_iter repeat = rtcp_wide_iter(&again);
    int64_t shift = 0;
    for (size_t i = 0; rtcp_wide_next(&repeat, &sequence, &received, &us); i++) {
        FUZZ_CHECK(received == (at[i] != INT64_MIN));
        if (i == first)
            shift = us - at[i]; /* a reference may have wrapped */
        FUZZ_CHECK(!received || us - at[i] == shift);
    }
}

static void check_packet(const struct rtcp *r, const uint8_t *data, size_t size)
{
    uint32_t ssrc;
    uint16_t sequence, more;
    uint8_t number;
    check_slice(&r->body, data, size);
    check_slice(&r->deltas, data, size);
    for (size_t i = 0; i < r->count; i++) {
        if (r->kind == RTCP_SENDER_REPORT || r->kind == RTCP_RECEIVER_REPORT) {
            struct rtcp_block b = rtcp_block_at(r, i);
            FUZZ_CHECK(b.lost >= -8388608 && b.lost <= 8388607);
        } else if (r->kind == RTCP_SDES) {
            struct slice cname = rtcp_cname_at(r, i, &ssrc);
            check_slice(&cname, data, size);
        } else if (r->kind == RTCP_BYE || r->kind == RTCP_REMB) {
            rtcp_ssrc_at(r, i);
        } else if (r->kind == RTCP_NACK) {
            rtcp_nack_at(r, i, &sequence, &more);
        } else if (r->kind == RTCP_FIR) {
            rtcp_fir_at(r, i, &ssrc, &number);
        }
    }
    if (r->kind == RTCP_WIDE)
        check_wide(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_rd rd = wire_rd_init(data, size);
    struct rtcp r;
    int more, n = 0;
    for (; (more = rtcp_next(&rd, &r)) > 0; n++)
        check_packet(&r, data, size);
    FUZZ_CHECK(rtcp_whole(data, size) == (more == 0 && n > 0));
    return 0;
}
