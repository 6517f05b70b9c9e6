/* How sequence numbers are mapped. Invariant: what is sent on rises with what comes, and no number is given twice:
 * what comes is told by its 16 bits alone here, so what looks like one that has come gets none, whatever is in it. */
#include "seqmap.h"

#include <string.h>

enum { IN_BEGINS = 1 << 16 }; /* room for packets that are older than the first */

/* a - b. */
static int64_t ahead(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

static uint64_t unwrap(uint64_t newest, uint16_t number)
{
    uint16_t on = (uint16_t)(number - (uint16_t)newest);
    return on < 1u << 15 ? newest + on : newest - ((1u << 16) - on);
}

void seqmap_restart(struct seqmap *m)
{
    m->begun = m->open = false;
    m->n_parts = 0;
}

/* A run begins with this packet: it is the next that is sent on. The very first keeps its number. */
static void open_part(struct seqmap *m, uint64_t in)
{
    if (!m->sent)
        m->out_max = in - 1;
    m->sent = true;
    size_t keep = m->n_parts < SEQMAP_PARTS ? m->n_parts : SEQMAP_PARTS - 1;
    memmove(m->part + 1, m->part, keep * sizeof *m->part);
    m->n_parts = keep + 1;
    m->part[0] = (struct seqmap_part){in, in, in - (m->out_max + 1)};
    m->open = true;
}

static bool find(const struct seqmap *m, uint64_t in, uint64_t *out)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        if (ahead(in, m->part[i].first) >= 0 && ahead(m->part[i].last, in) >= 0) {
            *out = in - m->part[i].shift;
            return true;
        }
    }
    return false;
}

static uint64_t *taken_word(struct seqmap *m, uint64_t in, uint64_t *bit)
{
    *bit = UINT64_C(1) << in % 64;
    return &m->taken[in % SEQMAP_TAKEN / 64];
}

/* It is the newest now; those between it and the one before may come yet. */
static void lead(struct seqmap *m, uint64_t in)
{
    uint64_t bit;
    if (!m->begun || ahead(in, m->in_max) >= SEQMAP_TAKEN) {
        memset(m->taken, 0, sizeof m->taken);
    } else {
        for (uint64_t between = m->in_max + 1; ahead(in, between) >= 0; between++)
            *taken_word(m, between, &bit) &= ~bit;
    }
    m->begun = true;
    m->in_max = in;
}

/* False: it has come before, or so long ago that nobody knows. */
static bool comes_first(struct seqmap *m, uint64_t in)
{
    uint64_t bit, *word = taken_word(m, in, &bit);
    if (ahead(m->in_max, in) >= SEQMAP_TAKEN || (*word & bit))
        return false;
    *word |= bit;
    return true;
}

bool seqmap_take(struct seqmap *m, uint16_t in16, bool heard, uint64_t *out)
{
    bool first = !m->begun;
    uint64_t in = first ? IN_BEGINS + (uint64_t)in16 : unwrap(m->in_max, in16);
    bool newest = first || ahead(in, m->in_max) > 0;
    if (newest)
        lead(m, in);
    bool once = comes_first(m, in);
    if (!heard) {
        m->open = false;
        return false;
    }
    if (!newest)
        return once && find(m, in, out);
    if (!m->open)
        open_part(m, in);
    m->part[0].last = in;
    *out = m->out_max = in - m->part[0].shift;
    return true;
}

static bool has_come(const struct seqmap *m, uint64_t in)
{
    return ahead(m->in_max, in) >= SEQMAP_TAKEN || m->taken[in % SEQMAP_TAKEN / 64] >> in % 64 & 1;
}

bool seqmap_missing(const struct seqmap *m, uint64_t out, uint16_t *in)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        uint64_t number = out + m->part[i].shift;
        if (ahead(number, m->part[i].first) < 0 || ahead(m->part[i].last, number) < 0)
            continue;
        *in = (uint16_t)number;
        return !has_come(m, number);
    }
    return false;
}

static void begin(struct seqmap_to *t, uint64_t out)
{
    uint64_t number = out % SEQMAP_BEGINS_BELOW;
    t->shift = out - (number < SEQMAP_EARLIER ? number + SEQMAP_EARLIER : number);
    t->first = out - SEQMAP_EARLIER;
    t->last = out;
}

bool seqmap_to_index(struct seqmap_to *t, uint64_t out, uint64_t *index)
{
    if (!t->begun) {
        begin(t, out);
    } else if (ahead(out, t->last) > SEQMAP_JUMP_MAX) {
        t->shift += out - t->last - 1;
        t->first = t->last = out;
    }
    if (ahead(out, t->first) < 0)
        return false;
    *index = out - t->shift;
    return true;
}

void seqmap_to_sent(struct seqmap_to *t, uint64_t out)
{
    t->begun = true;
    if (ahead(out, t->last) > 0)
        t->last = out;
}

bool seqmap_to_back(const struct seqmap_to *t, uint16_t number, uint64_t *out)
{
    if (!t->begun)
        return false;
    uint64_t found = unwrap(t->last - t->shift, number) + t->shift;
    if (ahead(found, t->first) < 0 || ahead(t->last, found) < 0)
        return false;
    *out = found;
    return true;
}
