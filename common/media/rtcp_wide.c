/* Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1. Invariant: the chunks that are
 * read are followed by every delta that they announce. */
#include "media/rtcp_internal.h"

#include <string.h>

enum {
    CHUNK_RUN_MAX = 0x1FFF,
    CHUNK_ONE_BIT = 14, /* symbols of a chunk */
    CHUNK_TWO_BITS = 7,
    RUN_WORTH = 7, /* a chunk of its own */
    SYMBOL_MISSING = 0,
    SYMBOL_SMALL = 1,
    SYMBOL_LARGE = 2,
    SYMBOL_RESERVED = 3,
    WRITE_MAX = 1024, /* numbers that one feedback of ours covers */
    TICKS_PER_EPOCH = RTCP_WIDE_EPOCH_US / RTCP_WIDE_TICK_US,
};

static unsigned chunk_symbols(uint16_t chunk)
{
    if (!(chunk & 0x8000))
        return chunk & CHUNK_RUN_MAX;
    return chunk & 0x4000 ? CHUNK_TWO_BITS : CHUNK_ONE_BIT;
}

static unsigned chunk_symbol(unsigned chunk, unsigned i)
{
    if (!(chunk & 0x8000))
        return chunk >> 13 & 3;
    return chunk & 0x4000 ? chunk >> (12 - 2 * i) & 3 : chunk >> (13 - i) & 1;
}

/* How long the deltas of a chunk's first n symbols are. A run is told at once: a few bytes name up to 65535 of them. */
static size_t chunk_deltas(uint16_t chunk, size_t n, bool *bad)
{
    size_t len = 0;
    bool run = !(chunk & 0x8000);
    for (unsigned i = 0; i < (run && n > 0 ? 1 : n); i++) {
        unsigned symbol = chunk_symbol(chunk, i);
        *bad |= symbol == SYMBOL_RESERVED;
        len += run ? n * symbol : symbol;
    }
    return len;
}

void rtcp_read_wide(struct wire_rd *rd, struct rtcp *r)
{
    r->kind = RTCP_WIDE;
    r->base = wire_rd_u16(rd);
    r->count = wire_rd_u16(rd);
    uint32_t packed = wire_rd_u32(rd);
    r->reference = (int32_t)(packed >> 8);
    if (r->reference & 0x800000)
        r->reference -= 0x1000000;
    r->feedback = (uint8_t)packed;
    r->body.p = rd->p;
    for (size_t left = r->count; left > 0 && !rd->bad;) {
        uint16_t chunk = wire_rd_u16(rd);
        size_t n = chunk_symbols(chunk) < left ? chunk_symbols(chunk) : left;
        r->deltas.len += chunk_deltas(chunk, n, &rd->bad);
        left -= n;
    }
    r->body.len = (size_t)(rd->p - r->body.p);
    r->deltas = wire_rd_bytes(rd, r->deltas.len);
}

struct rtcp_wide_iter rtcp_wide_iter(const struct rtcp *r)
{
    return (struct rtcp_wide_iter){.chunks = wire_rd_init(r->body.p, r->body.len),
                                   .deltas = wire_rd_init(r->deltas.p, r->deltas.len),
                                   .sequence = r->base,
                                   .left = r->count,
                                   .at_us = (int64_t)r->reference * RTCP_WIDE_EPOCH_US};
}

bool rtcp_wide_next(struct rtcp_wide_iter *it, uint16_t *sequence, bool *received, int64_t *at_us)
{
    if (it->left == 0)
        return false;
    while (it->left_in_chunk == 0) { /* a run may be of none */
        it->chunk = wire_rd_u16(&it->chunks);
        it->left_in_chunk = chunk_symbols(it->chunk);
        if (it->chunks.bad)
            return false;
    }
    unsigned symbol = chunk_symbol(it->chunk, chunk_symbols(it->chunk) - it->left_in_chunk);
    it->left_in_chunk--;
    it->left--;
    *sequence = it->sequence++;
    *received = symbol != SYMBOL_MISSING;
    if (symbol == SYMBOL_SMALL)
        it->at_us += (int64_t)wire_rd_u8(&it->deltas) * RTCP_WIDE_TICK_US;
    else if (symbol == SYMBOL_LARGE)
        it->at_us += (int64_t)(int16_t)wire_rd_u16(&it->deltas) * RTCP_WIDE_TICK_US;
    *at_us = it->at_us;
    return true;
}

/* ---- writing ---- */

struct arrivals {
    size_t n;
    uint8_t symbol[WRITE_MAX];
    int16_t delta[WRITE_MAX];
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* As many as fit one feedback whose deltas begin at `ticks`. */
static void take_arrivals(struct arrivals *a, int64_t ticks, const int64_t *at_us, size_t n)
{
    for (a->n = 0; a->n < n && a->n < WRITE_MAX; a->n++) {
        size_t i = a->n;
        a->symbol[i] = SYMBOL_MISSING;
        if (at_us[i] == INT64_MIN)
            continue;
        int64_t at = floor_div(at_us[i], RTCP_WIDE_TICK_US), delta = at - ticks;
        if (delta < INT16_MIN || delta > INT16_MAX)
            return;
        a->symbol[i] = delta >= 0 && delta <= UINT8_MAX ? SYMBOL_SMALL : SYMBOL_LARGE;
        a->delta[i] = (int16_t)delta;
        ticks = at;
    }
}

/* One chunk from `at` on; how many symbols are in it. */
static size_t write_chunk(struct wire_wr *w, const struct arrivals *a, size_t at)
{
    size_t left = a->n - at, run = 1, small = 0;
    while (run < left && run < CHUNK_RUN_MAX && a->symbol[at + run] == a->symbol[at])
        run++;
    while (small < left && small < CHUNK_ONE_BIT && a->symbol[at + small] != SYMBOL_LARGE)
        small++;
    bool one_bit = small == left || small == CHUNK_ONE_BIT;
    if (run == left || run >= CHUNK_ONE_BIT || (run >= RUN_WORTH && !one_bit)) {
        wire_wr_u16(w, (uint16_t)((unsigned)a->symbol[at] << 13 | run));
        return run;
    }
    size_t room = one_bit ? CHUNK_ONE_BIT : CHUNK_TWO_BITS, bits = one_bit ? 1 : 2;
    unsigned chunk = one_bit ? 2 : 3;
    for (size_t i = 0; i < room; i++)
        chunk = chunk << bits | (i < left ? a->symbol[at + i] : SYMBOL_MISSING);
    wire_wr_u16(w, (uint16_t)chunk);
    return left < room ? left : room;
}

size_t rtcp_write_wide(struct wire_wr *w, uint32_t sender, uint32_t media, uint8_t feedback, uint16_t base,
                       const int64_t *at_us, size_t n)
{
    struct arrivals a;
    size_t first = 0;
    while (first < n && at_us[first] == INT64_MIN)
        first++;
    if (first == n)
        return 0;
    int64_t reference = floor_div(at_us[first], RTCP_WIDE_EPOCH_US);
    take_arrivals(&a, reference * TICKS_PER_EPOCH, at_us, n);
    struct rtcp_mark mark = rtcp_begin(w, RTCP_FORMAT_WIDE, RTCP_TYPE_RTPFB);
    wire_wr_u32(w, sender);
    wire_wr_u32(w, media);
    wire_wr_u16(w, base);
    wire_wr_u16(w, (uint16_t)a.n);
    wire_wr_u32(w, (uint32_t)reference << 8 | feedback);
    for (size_t i = 0; i < a.n;)
        i += write_chunk(w, &a, i);
    for (size_t i = 0; i < a.n; i++) {
        if (a.symbol[i] == SYMBOL_SMALL)
            wire_wr_u8(w, (uint8_t)a.delta[i]);
        else if (a.symbol[i] == SYMBOL_LARGE)
            wire_wr_u16(w, (uint16_t)a.delta[i]);
    }
    while (!w->bad && (w->p - mark.p) % 4 != 0)
        wire_wr_u8(w, 0);
    return rtcp_end(w, mark) ? a.n : 0;
}
