/* The bound of pairs, and branch and bound. Invariant: a partial plan is only given up when its bound says that no completion is
 * better than the best plan at hand. */
#include "search_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* reach[v]: from participant i to node v, over the best node for that. */
static void reach_of(const struct house *h, size_t i, int64_t *reach)
{
    for (size_t v = 0; v < h->n_nodes; v++)
        reach[v] = WORLD_FAR_US;
    for (size_t u = 0; u < h->n_nodes; u++) {
        const int64_t *hop = h->between + u * h->n_nodes;
        for (size_t v = 0; h->allowed[u] && v < h->n_nodes; v++) {
            if (h->rtt[i][u] + hop[v] < reach[v])
                reach[v] = h->rtt[i][u] + hop[v];
        }
    }
}

/* A pair that nothing connects costs what two participants without seats cost. */
static int64_t pair_bound(const struct house *h, const int64_t *reach, size_t j)
{
    int64_t least = 2 * (int64_t)WORLD_FAR_US;
    for (size_t v = 0; v < h->n_nodes; v++) {
        if (h->allowed[v] && reach[v] + h->rtt[j][v] < least)
            least = reach[v] + h->rtt[j][v];
    }
    return least;
}

int64_t search_bound_of(struct search *s, const struct house *h, size_t i)
{
    int64_t sum = 0;
    if (search_reserve(s, h->n, h->n_nodes) < 0)
        return -ENOMEM;
    reach_of(h, i, s->load);
    for (size_t j = 0; j < h->n; j++)
        sum += j != i ? pair_bound(h, s->load, j) : 0;
    return sum;
}

int64_t search_bound(struct search *s, const struct house *h)
{
    int64_t twice = 0;
    for (size_t i = 0; i < h->n; i++) {
        int64_t of = search_bound_of(s, h, i);
        if (of < 0)
            return of;
        twice += of;
    }
    return twice / 2;
}

/* Participants are seated in their order: `depth` of them at present. Of each depth, what is kept in one block of scratch. */
struct tree {
    const struct house *h;
    size_t *seat; /* of the partial plan */
    int64_t best;
    int64_t *load;  /* n + 1 rows of n_nodes: hops to those who are seated */
    int64_t *order; /* n rows of n_nodes: nodes still to be tried, cheapest first */
    int64_t *base;  /* n + 1: legs of those who are seated, for all pairs, and hops among them */
    int64_t *left;  /* n: entries of order */
    int64_t *at;    /* n: the next of them */
    int64_t *later; /* n + 1: pairwise bound among those who are not seated */
};

static int64_t added(const struct tree *t, size_t depth, size_t v)
{
    return ((int64_t)t->h->n - 1) * t->h->rtt[depth][v] + t->load[depth * t->h->n_nodes + v];
}

static void open_level(struct tree *t, size_t depth)
{
    size_t n_nodes = t->h->n_nodes, left = 0;
    int64_t *order = t->order + depth * n_nodes;
    for (size_t v = 0; v < n_nodes; v++) {
        int64_t cost = added(t, depth, v);
        if (!t->h->allowed[v] || t->base[depth] + cost >= t->best)
            continue;
        size_t at = left++;
        for (; at > 0 && added(t, depth, (size_t)order[at - 1]) > cost; at--)
            order[at] = order[at - 1];
        order[at] = (int64_t)v;
    }
    t->left[depth] = (int64_t)left;
    t->at[depth] = 0;
}

/* What any completion costs at least. Those to come pay their legs and the hops to the seated; among themselves either only their
 * legs count, or the pairwise bound. */
static int64_t least_completion(const struct tree *t, size_t depth)
{
    const int64_t *load = t->load + depth * t->h->n_nodes;
    int64_t all = (int64_t)t->h->n - 1, seated = (int64_t)depth, by_legs = 0, by_pairs = t->later[depth];
    for (size_t i = depth; i < t->h->n; i++) {
        const int64_t *rtt = t->h->rtt[i];
        int64_t legs = INT64_MAX, to_seated = INT64_MAX;
        for (size_t v = 0; v < t->h->n_nodes; v++) {
            if (!t->h->allowed[v])
                continue;
            if (all * rtt[v] + load[v] < legs)
                legs = all * rtt[v] + load[v];
            if (seated * rtt[v] + load[v] < to_seated)
                to_seated = seated * rtt[v] + load[v];
        }
        by_legs += legs;
        by_pairs += to_seated;
    }
    return t->base[depth] + (by_legs > by_pairs ? by_legs : by_pairs);
}

static bool prepare(struct search *s, struct tree *t)
{
    size_t n = t->h->n, n_nodes = t->h->n_nodes, want = (2 * n + 1) * n_nodes + 4 * n + 2;
    if (want > s->cap_work) {
        int64_t *work = realloc(s->work, want * sizeof *work);
        if (!work)
            return false;
        s->work = work;
        s->cap_work = want;
    }
    memset(s->work, 0, want * sizeof *s->work);
    t->load = s->work;
    t->order = t->load + (n + 1) * n_nodes;
    t->base = t->order + n * n_nodes;
    t->left = t->base + n + 1;
    t->at = t->left + n;
    t->later = t->at + n;
    if (search_reserve(s, n, n_nodes) < 0)
        return false;
    t->seat = s->now;
    for (size_t i = n; i-- > 0;) {
        t->later[i] = t->later[i + 1];
        reach_of(t->h, i, s->load);
        for (size_t j = i + 1; j < n; j++)
            t->later[i] += pair_bound(t->h, s->load, j);
    }
    return true;
}

/* Seats participant `depth` on the next node. True: the plan is partial and worth going on with. */
static bool next_child(struct tree *t, size_t depth, size_t *best_seat)
{
    size_t n_nodes = t->h->n_nodes, v = (size_t)t->order[depth * n_nodes + (size_t)t->at[depth]++];
    const int64_t *load = t->load + depth * n_nodes;
    int64_t *below = t->load + (depth + 1) * n_nodes;
    t->seat[depth] = v;
    t->base[depth + 1] = t->base[depth] + added(t, depth, v);
    if (t->base[depth + 1] >= t->best)
        return false;
    if (depth + 1 == t->h->n) {
        t->best = t->base[depth + 1];
        memcpy(best_seat, t->seat, t->h->n * sizeof *best_seat);
        return false;
    }
    for (size_t m = 0; m < n_nodes; m++)
        below[m] = load[m] + t->h->between[v * n_nodes + m];
    return least_completion(t, depth + 1) < t->best;
}

bool search_exact(struct search *s, const struct house *h, size_t steps, size_t *seat, int64_t *sum)
{
    struct tree t = {.h = h, .best = *sum};
    size_t depth = 0;
    if (h->n < 2)
        return true;
    if (h->n > EXACT_SIZE_MAX || !prepare(s, &t))
        return false;
    if (t.later[0] >= t.best)
        return true;
    open_level(&t, 0);
    for (;;) {
        if (t.at[depth] == t.left[depth]) {
            if (depth == 0)
                break;
            depth--;
        } else if (next_child(&t, depth, seat)) {
            open_level(&t, ++depth);
        }
        if (steps-- == 0)
            break;
    }
    *sum = t.best;
    return depth == 0 && t.at[0] == t.left[0];
}
