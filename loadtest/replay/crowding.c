/* Scarce capacity. Invariant: nothing of what is measured here stays: the replay goes on from the seats that it had. */
#include "run_internal.h"

#include "flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REBALANCE_PASSES = 16 };

struct peak {
    size_t n, *stay;
    const int64_t **rtt;
    size_t *seat; /* the optimum's */
    size_t *before;
    int64_t *used_before, *capacity;
};

static double mean_rtt_ms(const struct run *r, const struct peak *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t seat = r->seat[PLAN_ONLINE][p->stay[i]];
        sum += (double)(seat == NAMES_NONE ? WORLD_FAR_US : p->rtt[i][seat]) / 1000;
    }
    return p->n > 0 ? sum / (double)p->n : 0;
}

/* Every meeting is decided again, freely, until nobody is better off: what a controller with time on its hands can do. */
static int rebalance(struct run *r, int64_t t_us)
{
    for (size_t pass = 0, moved = 1; pass < REBALANCE_PASSES && moved > 0; pass++) {
        moved = 0;
        for (size_t m = 0; m < r->v->meetings.n; m++) {
            const struct crowd *c = &r->crowd[m];
            int64_t ns;
            if (c->n == 0)
                continue;
            int answer = run_engine(r, PLAN_ONLINE, ENGINE_BEST, c, t_us, &ns);
            if (answer < 0)
                return answer;
            moved += run_seat(r, PLAN_ONLINE, c);
        }
        r->r->crowding.rebalance_moves += moved;
    }
    return 0;
}

static int reserve(struct run *r, struct peak *p)
{
    size_t n_nodes = r->w->nodes.n > 0 ? r->w->nodes.n : 1;
    size_t n_stays = r->v->n_stays > 0 ? r->v->n_stays : 1;
    for (size_t m = 0; m < r->v->meetings.n; m++)
        p->n += r->crowd[m].n;
    size_t n = p->n > 0 ? p->n : 1;
    p->stay = calloc(n, sizeof *p->stay);
    p->rtt = calloc(n, sizeof *p->rtt);
    p->seat = calloc(n, sizeof *p->seat);
    p->before = calloc(n_stays, sizeof *p->before);
    p->used_before = calloc(n_nodes, sizeof *p->used_before);
    p->capacity = calloc(n_nodes, sizeof *p->capacity);
    return p->stay && p->rtt && p->seat && p->before && p->used_before && p->capacity ? 0 : -ENOMEM;
}

static void fill(struct run *r, struct peak *p)
{
    const bool *allowed = place_engine_allowed(r->engine);
    struct crowding *out = &r->r->crowding;
    size_t at = 0;
    for (size_t m = 0; m < r->v->meetings.n; m++) {
        for (size_t i = 0; i < r->crowd[m].n; i++) {
            p->stay[at] = r->crowd[m].stay[i];
            p->rtt[at] = matrix_row(&r->w->truth, r->v->stay[p->stay[at]].site);
            at++;
        }
    }
    for (size_t v = 0; v < r->w->nodes.n; v++) {
        p->capacity[v] = r->w->node[v].capacity;
        out->seats += allowed[v] ? (size_t)p->capacity[v] : 0;
        out->unlimited += allowed[v] && p->capacity[v] == 0;
    }
    memcpy(p->before, r->seat[PLAN_ONLINE], r->v->n_stays * sizeof *p->before);
    memcpy(p->used_before, r->used[PLAN_ONLINE], r->w->nodes.n * sizeof *p->used_before);
    out->people = p->n;
}

int crowding_measure(struct run *r, int64_t t_us)
{
    const bool *allowed = place_engine_allowed(r->engine);
    struct crowding *out = &r->r->crowding;
    struct peak p = {0};
    int64_t total = 0;
    int answer;
    for (size_t v = 0; v < r->w->nodes.n; v++)
        out->limited = out->limited || (allowed[v] && r->w->node[v].capacity > 0);
    if (!out->limited)
        return 0;
    if ((answer = reserve(r, &p)) < 0)
        goto out;
    fill(r, &p);
    out->online = mean_rtt_ms(r, &p);
    answer = flow_solve(p.n, r->w->nodes.n, p.rtt, p.capacity, allowed, p.seat, &total);
    if (answer == -ENOMEM)
        goto out;
    out->fits = answer == 0;
    out->optimum = out->fits ? (double)total / (double)p.n / 1000 : 0;
    answer = 0;
    if ((out->priced =
             r->o->forecast != NULL)) /* what could be gained by moving people is told without prices */
        goto out;
    if ((answer = rebalance(r, t_us)) < 0)
        goto out;
    out->rebalanced = mean_rtt_ms(r, &p);
    if ((answer = exchange_seats(r, &out->exchange_moves)) < 0 ||
        (answer = exchange_chains(r, &out->exchange_moves)) < 0)
        goto out;
    out->exchanged = mean_rtt_ms(r, &p);
    memcpy(r->seat[PLAN_ONLINE], p.before, r->v->n_stays * sizeof *p.before);
    memcpy(r->used[PLAN_ONLINE], p.used_before, r->w->nodes.n * sizeof *p.used_before);
out:
    free(p.stay);
    free((void *)p.rtt);
    free(p.seat);
    free(p.before);
    free(p.used_before);
    free(p.capacity);
    return answer;
}
