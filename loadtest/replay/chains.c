/* Chains of exchanges: one leaves a seat for another's, who leaves it for a third's, until one comes to a free seat
 * or to the first one's. By meetings of one, whose cost at a node is their leg alone. Invariant: a chain is applied
 * only if all in it together gain, and it fills no node beyond its capacity. */
#include "run_internal.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { CHAINS_A_MEETING = 8 }; /* applied at most, for each */

static const int64_t no_way = INT64_MAX / 4;

/* Places are nodes, and behind them the free seat: it leads to every node that somebody may leave, and nodes with
 * room lead to it. */
struct chains {
    struct run *r;
    size_t n;            /* places */
    const int64_t **leg; /* of each meeting of one, its row; NULL: of others */
    int64_t *cost;       /* n rows of n: the least loss of who goes from one to the other */
    size_t *who;         /* which meeting that is */
    int64_t *sum;        /* the least of any chain that ends at the place */
    size_t *before;
};

static size_t seat_of(const struct chains *x, size_t meeting)
{
    return x->r->seat[PLAN_ONLINE][x->r->crowd[meeting].stay[0]];
}

static bool has_room(const struct run *r, size_t node)
{
    return r->w->node[node].capacity == 0 || r->used[PLAN_ONLINE][node] < r->w->node[node].capacity;
}

static void measure(struct chains *x)
{
    const bool *allowed = place_engine_allowed(x->r->engine);
    size_t free_seat = x->n - 1;
    for (size_t k = 0; k < x->n * x->n; k++)
        x->cost[k] = no_way;
    for (size_t m = 0; m < x->r->v->meetings.n; m++) {
        size_t from = x->leg[m] ? seat_of(x, m) : NAMES_NONE;
        for (size_t to = 0; from != NAMES_NONE && to < free_seat; to++) {
            int64_t loss = x->leg[m][to] - x->leg[m][from];
            if (to == from || !allowed[to] || x->leg[m][to] >= WORLD_FAR_US ||
                loss >= x->cost[from * x->n + to])
                continue;
            x->cost[from * x->n + to] = loss;
            x->who[from * x->n + to] = m;
        }
    }
    for (size_t v = 0; v < free_seat; v++) {
        x->cost[free_seat * x->n + v] = 0;
        if (has_room(x->r, v))
            x->cost[v * x->n + free_seat] = 0;
    }
}

/* Bellman and Ford: a place of a chain that gains and closes; NAMES_NONE: there is none. */
static size_t find(struct chains *x)
{
    size_t last = NAMES_NONE;
    for (size_t v = 0; v < x->n; v++) {
        x->sum[v] = 0;
        x->before[v] = NAMES_NONE;
    }
    for (size_t pass = 0; pass < x->n; pass++) {
        last = NAMES_NONE;
        for (size_t a = 0; a < x->n; a++) {
            for (size_t b = 0; b < x->n; b++) {
                int64_t cost = x->cost[a * x->n + b];
                if (cost == no_way || x->sum[a] + cost >= x->sum[b])
                    continue;
                x->sum[b] = x->sum[a] + cost;
                x->before[b] = a;
                last = b;
            }
        }
        if (last == NAMES_NONE)
            return NAMES_NONE;
    }
    for (size_t k = 0; k < x->n; k++) /* into the circle that it comes from */
        last = x->before[last];
    return last;
}

static size_t apply(struct chains *x, size_t place)
{
    size_t moved = 0, to = place;
    do {
        size_t from = x->before[to];
        if (from != x->n - 1 && to != x->n - 1) {
            x->r->plan[0] = to;
            moved += run_seat(x->r, PLAN_ONLINE, &x->r->crowd[x->who[from * x->n + to]]);
        }
        to = from;
    } while (to != place);
    return moved;
}

int exchange_chains(struct run *r, size_t *moved)
{
    size_t n = r->w->nodes.n + 1, n_meetings = r->v->meetings.n > 0 ? r->v->meetings.n : 1;
    struct chains x = {.r = r, .n = n};
    int answer = -ENOMEM;
    x.leg = calloc(n_meetings, sizeof *x.leg);
    x.cost = calloc(n * n, sizeof *x.cost);
    x.who = calloc(n * n, sizeof *x.who);
    x.sum = calloc(n, sizeof *x.sum);
    x.before = calloc(n, sizeof *x.before);
    if (!x.leg || !x.cost || !x.who || !x.sum || !x.before)
        goto out;
    for (size_t m = 0; m < r->v->meetings.n; m++) {
        if (r->crowd[m].n == 1)
            x.leg[m] = run_house(r, 1, r->crowd[m].stay).rtt[0];
    }
    for (size_t k = 0; k < CHAINS_A_MEETING * n_meetings; k++) {
        measure(&x);
        size_t place = find(&x);
        if (place == NAMES_NONE)
            break;
        *moved += apply(&x, place);
    }
    answer = 0;
out:
    free((void *)x.leg);
    free(x.cost);
    free(x.who);
    free(x.sum);
    free(x.before);
    return answer;
}
