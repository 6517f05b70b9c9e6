/* The cost of a plan and of changes to it. Invariant: `cost` is what place_draft_count would find, after any sequence of moves. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    FILL_NEAR_PCT = 80,
    FILL_FULL_US = 20000
}; /* from 80 % of the capacity a seat's price rises by the square */

int64_t place_fill_price(const struct place_col *c, int64_t in)
{
    int64_t over;

    if (c->capacity <= 0 || in <= 0)
        return 0;
    over = (c->assigned + in) * 100 - c->capacity * FILL_NEAR_PCT;
    if (over <= 0)
        return 0;
    over = over * 1000 / (c->capacity * (100 - FILL_NEAR_PCT));
    return over > 1000 ? FILL_FULL_US : FILL_FULL_US * over * over / 1000000;
}

int64_t place_fill_sum(const struct place_col *c, int64_t from, int64_t to)
{
    int64_t sum = 0, free = c->capacity * FILL_NEAR_PCT / 100 - c->assigned; /* so many cost nothing */

    if (c->capacity <= 0)
        return 0;
    if (from < free)
        from = free;
    for (int64_t in = from + 1; in <= to; in++)
        sum += place_fill_price(c, in);
    return sum;
}

void place_draft_count(const struct place_work *w, struct place_draft *s)
{
    int64_t twice = 0;

    memset(s->m, 0, sizeof(s->m));
    memset(s->in, 0, sizeof(s->in));
    s->seats = 0;
    s->cost = 0;
    for (size_t i = 0; i < w->n; i++) {
        s->m[s->at[i]]++;
        s->in[s->at[i]] += w->home[i] != s->at[i];
        s->seats += w->w[i * w->stride + s->at[i]];
    }
    memset(s->s, 0, sizeof(s->s));
    for (size_t l = 0; l < w->k; l++) {
        for (size_t k = 0; s->m[l] > 0 && k < w->stride; k++)
            s->s[k] += s->m[l] * w->d[l * PLACE_STRIDE + k];
        s->cost += w->mult * place_fill_sum(&w->col[l], 0, s->in[l]);
    }
    for (size_t k = 0; k < w->k; k++)
        twice += s->m[k] * s->s[k];
    s->cost += s->seats + twice / 2;
}

void place_draft_copy(const struct place_work *w, struct place_draft *to, const struct place_draft *from)
{
    memcpy(to->at, from->at, w->n);
    memcpy(to->m, from->m, sizeof(to->m));
    memcpy(to->in, from->in, sizeof(to->in));
    memcpy(to->s, from->s, sizeof(to->s));
    to->seats = from->seats;
    to->cost = from->cost;
}

/* What participant i's leaving its column saves of the price of room. */
int64_t place_fill_saved(const struct place_work *w, const struct place_draft *s, size_t i)
{
    size_t from = s->at[i];

    return w->home[i] == from ? 0 : w->mult * place_fill_price(&w->col[from], s->in[from]);
}

int64_t place_fill_added(const struct place_work *w, const struct place_draft *s, size_t i, size_t to)
{
    return w->home[i] == to ? 0 : w->mult * place_fill_price(&w->col[to], s->in[to] + 1);
}

/* What moving participant i to column `to` adds to the cost. */
int64_t place_draft_delta(const struct place_work *w, const struct place_draft *s, size_t i, size_t to)
{
    size_t from = s->at[i];
    const int64_t *own = w->w + i * w->stride;

    if (from == to)
        return 0;
    return own[to] - own[from] + s->s[to] - w->d[from * PLACE_STRIDE + to] - s->s[from] +
           place_fill_added(w, s, i, to) - place_fill_saved(w, s, i);
}

void place_draft_move(const struct place_work *w, struct place_draft *s, size_t i, size_t to)
{
    size_t from = s->at[i];

    if (from == to)
        return;
    s->cost += place_draft_delta(w, s, i, to);
    s->seats += w->w[i * w->stride + to] - w->w[i * w->stride + from];
    s->at[i] = (uint8_t)to;
    s->m[from]--;
    s->m[to]++;
    s->in[from] -= w->home[i] != from;
    s->in[to] += w->home[i] != to;
    for (size_t k = 0; k < w->stride; k++)
        s->s[k] += w->d[to * PLACE_STRIDE + k] - w->d[from * PLACE_STRIDE + k];
}

/* Twice participant i's mean one-way latency to the others, times `mult`: the part of the cost that its own pairs make. */
int64_t place_own_cost(const struct place_work *w, const struct place_draft *s, size_t i)
{
    int64_t own = w->w[i * w->stride + s->at[i]], others = s->seats - own;

    if (w->n < 2)
        return own;
    others -= (int64_t)(s->m[w->k - 1] - (s->at[i] + 1u == w->k)) * w->mult * PLACE_NOWHERE_US;
    return own + others / w->mult + s->s[s->at[i]];
}

int64_t place_own_gain(const struct place_work *w, const struct place_draft *s, size_t i, size_t from)
{
    const int64_t *own = w->w + i * w->stride;
    size_t at = s->at[i];

    return own[from] + s->s[from] - w->d[at * PLACE_STRIDE + from] - own[at] - s->s[at];
}
