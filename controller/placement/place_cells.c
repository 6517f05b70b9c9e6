/* From rows to cells: what a participant would use of every node, over which transport, how far. Invariant: a cell's figure is of the transport that
 * would really be used, and "don't know" is told from "can't". */
#include "placement/place_internal.h"

#include <string.h>

enum { BATCH = 256 }; /* rows that are read at once */
_Static_assert((unsigned)PLACE_RTT_MAX_US < PLACE_CELL_RTT_MAX, "a cell has room for every round trip");
_Static_assert((int)TRANSPORTS_ALL == (int)PLACE_CELL_REST, "and for a bit of every transport");

/* What a row says besides its node and its figure, as one number: it is read at once. */
static inline uint32_t what_of(const struct place_row *row)
{
    uint32_t what;

    memcpy(&what, (const unsigned char *)row + offsetof(struct place_row, transport), sizeof(what));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    what = __builtin_bswap32(what);
#endif
    return what;
}
_Static_assert(offsetof(struct place_row, reachable) == offsetof(struct place_row, transport) + 1 &&
                   offsetof(struct place_row, lost) == offsetof(struct place_row, transport) + 3,
               "a row's bytes stand as what_of reads them");

/* A row as a cell. */
uint32_t place_cell_of(const struct place_row *row, uint32_t capabilities)
{
    uint32_t what = what_of(row), t = what & UINT8_MAX, us = (uint32_t)row->rtt_us;
    uint32_t bit = 1U << (t & 31) & capabilities & -(what >> 8 & 1);

    us = us <= PLACE_RTT_MAX_US ? us : PLACE_RTT_UNKNOWN_US;
    return bit != 0 ? t << PLACE_CELL_TRANSPORT | us << PLACE_CELL_RTT | bit : PLACE_CELL_NONE;
}

/* Some rows, each as its node and its cell. */
struct batch {
    uint32_t node[BATCH], cell[BATCH];
};

/* Every row of every report comes by here, so it does without jumps, several at once. Returns what was lost, ORed. */
PLACE_WIDE static uint32_t read_batch(const struct place_row *restrict rows, size_t n, uint32_t capabilities,
                                      struct batch *restrict b)
{
    uint32_t lost = 0;

    for (size_t k = 0; k < n; k++) {
        uint32_t what = what_of(&rows[k]);

        lost |= what >> 24;
        b->node[k] = (what & UINT8_MAX) < TRANSPORT_COUNT ? rows[k].node : UINT32_MAX;
        b->cell[k] = place_cell_of(&rows[k], capabilities);
    }
    return lost;
}

static inline void put_cell(uint32_t *cell, uint32_t is)
{
    uint32_t was = *cell;

    *cell = (is < was ? is : was) | ((is | was) & PLACE_CELL_REST);
}

static void take_batch(const struct place_work *w, const struct batch *b, size_t n, uint32_t *restrict cell)
{
    uint32_t nodes = (uint32_t)w->nodes;

    for (size_t k = 0; k < n; k++) {
        uint32_t way, is = b->cell[k];

        if (b->node[k] >= nodes)
            continue;
        way = w->way_to[b->node[k]];
        put_cell(&cell[way & PLACE_WAY_RANK], (is & way >> PLACE_WAY_OFFERED) != 0 ? is : PLACE_CELL_NONE);
    }
}

/* The same where nodes stand in their order and all offer the same. */
static void take_plain(const struct place_work *w, const struct batch *b, size_t n, uint32_t *restrict cell)
{
    uint32_t nodes = (uint32_t)w->nodes;

    for (size_t k = 0; k < n; k++) {
        if (b->node[k] < nodes)
            put_cell(&cell[b->node[k]], b->cell[k]);
    }
}

/* The cells of a participant's nodes. Returns whether some row lost more than one probe. */
bool place_cells_read(const struct place_work *w, const struct place_participant *who, uint32_t *cell)
{
    uint32_t lost = 0, capabilities = who->capabilities & (w->plain ? w->offered[0] : TRANSPORTS_ALL);
    struct batch b;

    for (size_t v = 0; v < w->nodes; v++)
        cell[v] = PLACE_CELL_UNTRIED;
    for (size_t k = 0; k < who->n_rows; k += BATCH) {
        size_t n = who->n_rows - k < BATCH ? who->n_rows - k : BATCH;

        lost |= read_batch(who->rows + k, n, capabilities, &b);
        if (w->plain)
            take_plain(w, &b, n, cell);
        else
            take_batch(w, &b, n, cell);
    }
    return lost > 1;
}
