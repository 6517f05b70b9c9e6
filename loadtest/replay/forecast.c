/* Another day as a forecast. Invariant: of that day its sites and its numbers are used, and of the one that is replayed only who is seated now. */
#include "forecast.h"

#include "prices.h"

#include <stdlib.h>

enum {
    STAY_PCT = 80,
    ALL_PCT = 100
}; /* of who is there, how many will be when most are: where people leave, and where nobody does */

struct forecast {
    const struct world *w;
    const struct events *day;
    size_t *there;    /* participants after each of the day's events */
    size_t most;      /* of that day */
    int64_t stays_us; /* as long as one stays on average */
    bool leave;       /* anybody does */
    int64_t due_us;
    struct prices_node *nodes;
    int32_t *cost_us, *price_us;
    size_t n_people;
    void *work;
};

/* Who doesn't leave stays as long as the day has. */
static int look(struct forecast *f)
{
    const struct events *v = f->day;
    int64_t *since = calloc(v->n_stays > 0 ? v->n_stays : 1, sizeof *since), sum = 0;
    int64_t end = v->n > 0 ? v->event[v->n - 1].t_us : 0;
    size_t now = 0;
    if (!since)
        return -1;
    for (size_t k = 0; k < v->n; k++) {
        const struct event *e = &v->event[k];
        now = e->leave ? now - 1 : now + 1;
        f->there[k] = now;
        f->most = now > f->most ? now : f->most;
        f->leave = f->leave || e->leave;
        sum += e->leave ? e->t_us - since[e->participant] - end : end;
        since[e->participant] = e->t_us;
    }
    f->stays_us = v->n_stays > 0 ? sum / (int64_t)v->n_stays : 0;
    free(since);
    return 0;
}

/* Evenly over the day's stays. */
static void sample(struct forecast *f, const struct matrix *measured)
{
    for (size_t i = 0; i < f->n_people; i++) {
        const struct stay *s = &f->day->stay[i * f->day->n_stays / f->n_people];
        const int64_t *rtt = matrix_row(measured, s->site);
        for (size_t v = 0; v < f->w->nodes.n; v++) {
            bool reached = rtt[v] != WORLD_FAR_US && rtt[v] != WORLD_UNKNOWN;
            f->cost_us[i * f->w->nodes.n + v] = reached ? (int32_t)rtt[v] : -1;
        }
    }
}

struct forecast *forecast_new(const struct world *w, const struct matrix *measured, const struct events *day)
{
    struct forecast *f = calloc(1, sizeof *f);
    size_t n = w->nodes.n > 0 ? w->nodes.n : 1, people;
    if (!f)
        return NULL;
    f->w = w;
    f->day = day;
    f->n_people = day->n_stays < PRICES_PEOPLE ? day->n_stays : PRICES_PEOPLE;
    people = f->n_people > 0 ? f->n_people : 1;
    f->there = calloc(day->n > 0 ? day->n : 1, sizeof *f->there);
    f->nodes = calloc(n, sizeof *f->nodes);
    f->cost_us = calloc(n * people, sizeof *f->cost_us);
    f->price_us = calloc(n, sizeof *f->price_us);
    f->work = malloc(prices_work_size(n, people));
    if (!f->there || !f->nodes || !f->cost_us || !f->price_us || !f->work || look(f) < 0) {
        forecast_destroy(f);
        return NULL;
    }
    for (size_t v = 0; v < w->nodes.n; v++)
        f->nodes[v] = (struct prices_node){.id = w->nodes.text[v], .capacity = w->node[v].capacity};
    sample(f, measured);
    return f;
}

void forecast_destroy(struct forecast *f)
{
    if (!f)
        return;
    free(f->there);
    free(f->nodes);
    free(f->cost_us);
    free(f->price_us);
    free(f->work);
    free(f);
}

static int64_t expected(const struct forecast *f, int64_t t_us, int64_t now)
{
    size_t then = 0, most;
    size_t k = 0;
    for (; k < f->day->n && f->day->event[k].t_us <= t_us; k++)
        then = f->there[k];
    most = then;
    for (; k < f->day->n && f->day->event[k].t_us <= t_us + f->stays_us; k++)
        most = f->there[k] > most ? f->there[k] : most;
    return prices_expected(now, (int64_t)then, (int64_t)most, (int64_t)f->most);
}

const int32_t *forecast_prices(struct forecast *f, int64_t t_us, const int64_t *used)
{
    struct prices_problem p = {.n_nodes = f->w->nodes.n,
                               .n_people = f->n_people,
                               .nodes = f->nodes,
                               .cost_us = f->cost_us,
                               .stay_pct = f->leave ? STAY_PCT : ALL_PCT};
    int64_t now = 0;
    if (t_us < f->due_us)
        return f->price_us;
    f->due_us = t_us + FORECAST_EVERY_US;
    for (size_t v = 0; v < f->w->nodes.n; v++) {
        f->nodes[v].seated = used[v];
        now += used[v];
    }
    p.expected = expected(f, t_us, now);
    prices_make(&p, f->work, f->price_us);
    return f->price_us;
}
