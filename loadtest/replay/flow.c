/* Successive shortest paths. Invariant: the participants seated so far are seated in the cheapest way there is, so that no cycle of
 * exchanges has a negative cost and every shortest path is simple. */
#include "flow.h"

#include <errno.h>
#include <stdlib.h>

#define NONE ((size_t)-1)
enum { NEVER = 4 }; /* an exchange that nobody can make costs INT64_MAX / NEVER: sums of two don't overflow */

struct flow {
    size_t n, n_nodes;
    const int64_t *const *cost;
    size_t *seat;
    int64_t *used;
    int64_t *step;  /* n_nodes rows: the least that it costs to move somebody from one node to another */
    size_t *who;    /* and who that is */
    int64_t *dist;  /* n_nodes: of the participant being seated */
    size_t *parent; /* n_nodes */
};

static void refresh_steps(struct flow *f, size_t u)
{
    int64_t *step = f->step + u * f->n_nodes;
    size_t *who = f->who + u * f->n_nodes;
    for (size_t v = 0; v < f->n_nodes; v++)
        step[v] = INT64_MAX / NEVER;
    for (size_t j = 0; j < f->n; j++) {
        for (size_t v = 0; f->seat[j] == u && v < f->n_nodes; v++) {
            if (f->cost[j][v] - f->cost[j][u] < step[v]) {
                step[v] = f->cost[j][v] - f->cost[j][u];
                who[v] = j;
            }
        }
    }
}

static void find_paths(struct flow *f, size_t i)
{
    for (size_t v = 0; v < f->n_nodes; v++) {
        f->dist[v] = f->cost[i][v];
        f->parent[v] = NONE;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t u = 0; u < f->n_nodes; u++) {
            const int64_t *step = f->step + u * f->n_nodes;
            for (size_t v = 0; f->used[u] > 0 && v < f->n_nodes; v++) {
                if (v == u || f->dist[u] + step[v] >= f->dist[v])
                    continue;
                f->dist[v] = f->dist[u] + step[v];
                f->parent[v] = u;
                changed = true;
            }
        }
    }
}

static void seat_along(struct flow *f, size_t i, size_t v)
{
    f->used[v]++;
    for (size_t u; (u = f->parent[v]) != NONE; v = u)
        f->seat[f->who[u * f->n_nodes + v]] = v;
    f->seat[i] = v;
    for (size_t u = 0; u < f->n_nodes; u++) {
        if (f->used[u] > 0)
            refresh_steps(f, u);
    }
}

static int run(struct flow *f, const int64_t *capacity, const bool *allowed)
{
    for (size_t i = 0; i < f->n; i++)
        f->seat[i] = NONE;
    for (size_t i = 0; i < f->n; i++) {
        size_t best = NONE;
        find_paths(f, i);
        for (size_t v = 0; v < f->n_nodes; v++) {
            bool room = allowed[v] && (capacity[v] == FLOW_UNLIMITED || f->used[v] < capacity[v]);
            if (room && (best == NONE || f->dist[v] < f->dist[best]))
                best = v;
        }
        if (best == NONE)
            return -ENOSPC;
        seat_along(f, i, best);
    }
    return 0;
}

int flow_solve(size_t n, size_t n_nodes, const int64_t *const *cost, const int64_t *capacity,
               const bool *allowed, size_t *seat, int64_t *total)
{
    struct flow f = {.n = n, .n_nodes = n_nodes, .cost = cost, .seat = seat};
    size_t cells = n_nodes > 0 ? n_nodes * n_nodes : 1;
    int answer = -ENOMEM;
    f.used = calloc(cells, sizeof *f.used);
    f.step = calloc(cells, sizeof *f.step);
    f.who = calloc(cells, sizeof *f.who);
    f.dist = calloc(cells, sizeof *f.dist);
    f.parent = calloc(cells, sizeof *f.parent);
    if (f.used && f.step && f.who && f.dist && f.parent)
        answer = run(&f, capacity, allowed);
    if (answer == 0) {
        *total = 0;
        for (size_t i = 0; i < n; i++)
            *total += cost[i][seat[i]];
    }
    free(f.used);
    free(f.step);
    free(f.who);
    free(f.dist);
    free(f.parent);
    return answer;
}
