/* The local search. Invariant: load[v] is the sum of the hops from v to everybody's seat, for the plan in `now`; a step that is
 * taken makes the sum smaller, so every descent ends. */
#include "search.h"

#include "rng.h"
#include "search_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct search *search_new(void)
{
    return calloc(1, sizeof(struct search));
}

void search_destroy(struct search *s)
{
    if (!s)
        return;
    free(s->now);
    free(s->load);
    free(s->on);
    free(s->work);
    free(s);
}

static bool grow(void **array, size_t bytes)
{
    void *bigger = realloc(*array, bytes > 0 ? bytes : 1);
    if (bigger)
        *array = bigger;
    return bigger != NULL;
}

int search_reserve(struct search *s, size_t n, size_t n_nodes)
{
    void *now = s->now, *load = s->load, *on = s->on;
    if (n <= s->cap && n_nodes <= s->cap_nodes)
        return 0;
    bool ok = grow(&now, n * sizeof *s->now);
    s->now = now;
    ok = grow(&load, n_nodes * sizeof *s->load) && ok;
    s->load = load;
    ok = grow(&on, n_nodes * sizeof *s->on) && ok;
    s->on = on;
    s->cap = ok ? n : 0;
    s->cap_nodes = ok ? n_nodes : 0;
    return ok ? 0 : -ENOMEM;
}

static void count_load(struct search *s, const struct house *h)
{
    memset(s->on, 0, h->n_nodes * sizeof *s->on);
    for (size_t i = 0; i < h->n; i++)
        s->on[s->now[i]]++;
    memset(s->load, 0, h->n_nodes * sizeof *s->load);
    for (size_t m = 0; m < h->n_nodes; m++) {
        for (size_t v = 0; s->on[m] > 0 && v < h->n_nodes; v++)
            s->load[v] += (int64_t)s->on[m] * h->between[m * h->n_nodes + v];
    }
}

static void seat_on(struct search *s, const struct house *h, size_t i, size_t v)
{
    size_t u = s->now[i];
    const int64_t *from = h->between + u * h->n_nodes, *to = h->between + v * h->n_nodes;
    for (size_t m = 0; m < h->n_nodes; m++)
        s->load[m] += to[m] - from[m];
    s->on[u]--;
    s->on[v]++;
    s->now[i] = v;
}

/* Moves participants one by one as long as that helps. */
static bool move_one(struct search *s, const struct house *h)
{
    int64_t others = (int64_t)h->n - 1;
    bool moved = false;
    for (size_t i = 0; i < h->n; i++) {
        size_t u = s->now[i], best = u;
        int64_t least = others * h->rtt[i][u] + s->load[u];
        for (size_t v = 0; v < h->n_nodes; v++) {
            int64_t cost = others * h->rtt[i][v] + s->load[v] - h->between[v * h->n_nodes + u];
            if (cost < least && h->allowed[v]) {
                least = cost;
                best = v;
            }
        }
        if (best != u) {
            seat_on(s, h, i, best);
            moved = true;
        }
    }
    return moved;
}

/* What it changes to bring everybody on u to v. */
static int64_t merge_gain(const struct search *s, const struct house *h, size_t u, size_t v)
{
    int64_t count = (int64_t)s->on[u], gain = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (s->now[i] == u)
            gain += ((int64_t)h->n - 1) * (h->rtt[i][v] - h->rtt[i][u]);
    }
    /* hops of those on u to the others: from u's to v's, less their own hop to v */
    return gain + count * (s->load[v] - count * h->between[v * h->n_nodes + u] - s->load[u]);
}

static bool move_group(struct search *s, const struct house *h)
{
    for (size_t u = 0; u < h->n_nodes; u++) {
        size_t best = u;
        int64_t least = 0;
        for (size_t v = 0; s->on[u] > 1 && v < h->n_nodes; v++) {
            int64_t gain = v != u && h->allowed[v] ? merge_gain(s, h, u, v) : 0;
            if (gain < least) {
                least = gain;
                best = v;
            }
        }
        if (best == u)
            continue;
        for (size_t i = 0; i < h->n; i++) {
            if (s->now[i] == u)
                seat_on(s, h, i, best);
        }
        return true;
    }
    return false;
}

static int64_t descend(struct search *s, const struct house *h)
{
    count_load(s, h);
    do {
        while (move_one(s, h))
            ;
    } while (move_group(s, h));
    int64_t twice = 0, legs = 0;
    for (size_t i = 0; i < h->n; i++) {
        legs += h->rtt[i][s->now[i]];
        twice += s->load[s->now[i]];
    }
    return ((int64_t)h->n - 1) * legs + twice / 2;
}

/* Everybody to the nearest of a few random nodes. False: none is allowed. */
static bool start_random(struct search *s, const struct house *h, uint64_t *random)
{
    size_t chosen[4], n = 2 + rng_next(random) % 3, found = 0;
    for (size_t tries = 0; found < n && tries < 16 * n; tries++) {
        size_t v = rng_next(random) % h->n_nodes;
        if (h->allowed[v])
            chosen[found++] = v;
    }
    for (size_t i = 0; i < h->n && found > 0; i++) {
        s->now[i] = chosen[0];
        for (size_t k = 1; k < found; k++) {
            if (h->rtt[i][chosen[k]] < h->rtt[i][s->now[i]])
                s->now[i] = chosen[k];
        }
    }
    return found > 0;
}

static bool start_single(struct search *s, const struct house *h, size_t node)
{
    for (size_t i = 0; i < h->n; i++)
        s->now[i] = node;
    return h->allowed[node];
}

static bool start_given(struct search *s, const struct house *h, const size_t *seat)
{
    for (size_t i = 0; i < h->n; i++) {
        if (seat[i] == HOUSE_NO_SEAT || !h->allowed[seat[i]])
            return false;
        s->now[i] = seat[i];
    }
    return true;
}

int64_t search_best(struct search *s, const struct house *h, size_t starts, uint64_t seed, size_t *seat)
{
    int64_t best = INT64_MAX;
    if (search_reserve(s, h->n, h->n_nodes) < 0)
        return -ENOMEM;
    bool given = start_given(s, h, seat);
    for (size_t i = 0; i < h->n; i++)
        seat[i] = given ? seat[i] : HOUSE_NO_SEAT;
    for (size_t k = 0; k < 1 + h->n_nodes + starts; k++) {
        bool ready = k == 0 ? given : k <= h->n_nodes ? start_single(s, h, k - 1) : start_random(s, h, &seed);
        int64_t sum = ready ? descend(s, h) : INT64_MAX;
        if (sum < best) {
            best = sum;
            memcpy(seat, s->now, h->n * sizeof *seat);
        }
    }
    return best < INT64_MAX ? best : house_sum(h, seat);
}
