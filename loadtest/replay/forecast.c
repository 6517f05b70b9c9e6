/* What is expected, and so what seats cost. Invariant: of another day its sites and its numbers are used, and of the
 * one that is replayed nothing that is yet to come. */
#include "forecast.h"

#include "pace.h"
#include "prices.h"

#include <stdlib.h>

enum {
    STAY_PCT = 80, /* of who is there, how many will be when most are: where people leave ... */
    ALL_PCT = 100, /* ... and where nobody does */
    LIVE_PCT = 70  /* of all seats, by the pace alone: a price too high costs more than one too low */
};

struct forecast {
    const struct world *w;
    const struct events *day;
    bool live; /* day is the one that is replayed */
    struct pace pace;
    size_t played;    /* live: events noted */
    size_t *there;    /* participants after each of the day's events */
    size_t most;      /* of that day */
    int64_t stays_us; /* as long as one stays on average */
    bool leave;       /* anybody does */
    int64_t due_us;
    size_t n_nodes, *node; /* those that the policy allows: their places in the world */
    struct prices_node *nodes;
    int32_t *cost_us, *node_price_us;
    int32_t *price_us; /* of each of the world's; 0 where nobody may go */
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

/* Where those whom the sample stands for are: the day's participants, or live, whoever probes. `site`: room for people_most. */
static size_t people(const struct forecast *f, bool *holds_node, size_t *site)
{
    size_t n = 0;
    for (size_t i = 0; !f->live && i < f->day->n_stays; i++)
        site[n++] = f->day->stay[i].site;
    for (size_t v = 0; v < f->w->nodes.n; v++) {
        size_t at = names_find(&f->w->sites, f->w->node[v].site);
        if (at != NAMES_NONE)
            holds_node[at] = true;
    }
    for (size_t i = 0; f->live && i < f->w->sites.n; i++) {
        if (!holds_node[i])
            site[n++] = i;
    }
    return n;
}

static size_t people_most(const struct forecast *f)
{
    size_t n = f->live ? f->w->sites.n : f->day->n_stays;
    return n > 0 ? n : 1;
}

/* Evenly over them. */
static void sample(struct forecast *f, const struct matrix *measured, const size_t *site, size_t n_sites)
{
    for (size_t i = 0; i < f->n_people; i++) {
        const int64_t *rtt = matrix_row(measured, site[i * n_sites / f->n_people]);
        for (size_t k = 0; k < f->n_nodes; k++) {
            int64_t us = rtt[f->node[k]];
            f->cost_us[i * f->n_nodes + k] = us != WORLD_FAR_US && us != WORLD_UNKNOWN ? (int32_t)us : -1;
        }
    }
}

static int choose(struct forecast *f, const struct matrix *measured)
{
    size_t n = f->w->nodes.n > 0 ? f->w->nodes.n : 1, found;
    bool *holds_node = calloc(f->w->sites.n > 0 ? f->w->sites.n : 1, sizeof *holds_node);
    size_t *site = calloc(people_most(f), sizeof *site);
    int answer = -1;
    if (!holds_node || !site)
        goto out;
    found = people(f, holds_node, site);
    f->n_people = found < PRICES_PEOPLE ? found : PRICES_PEOPLE;
    f->cost_us = calloc(n * PRICES_PEOPLE, sizeof *f->cost_us);
    f->work = malloc(prices_work_size(n, PRICES_PEOPLE));
    if (!f->cost_us || !f->work)
        goto out;
    sample(f, measured, site, found);
    answer = 0;
out:
    free(holds_node);
    free(site);
    return answer;
}

static struct forecast *make(const struct world *w, const struct matrix *measured, const bool *allowed,
                             const struct events *day, bool live)
{
    struct forecast *f = calloc(1, sizeof *f);
    size_t n = w->nodes.n > 0 ? w->nodes.n : 1;
    if (!f)
        return NULL;
    f->w = w;
    f->day = day;
    f->live = live;
    f->there = calloc(day->n > 0 ? day->n : 1, sizeof *f->there);
    f->node = calloc(n, sizeof *f->node);
    f->nodes = calloc(n, sizeof *f->nodes);
    f->node_price_us = calloc(n, sizeof *f->node_price_us);
    f->price_us = calloc(n, sizeof *f->price_us);
    if (!f->there || !f->node || !f->nodes || !f->node_price_us || !f->price_us)
        goto failed;
    for (size_t v = 0; v < w->nodes.n; v++) {
        if (!allowed[v])
            continue;
        f->nodes[f->n_nodes] = (struct prices_node){.id = w->nodes.text[v], .capacity = w->node[v].capacity};
        f->node[f->n_nodes++] = v;
    }
    if ((live || look(f) == 0) && choose(f, measured) == 0)
        return f;
failed:
    forecast_destroy(f);
    return NULL;
}

struct forecast *forecast_new(const struct world *w, const struct matrix *measured, const bool *allowed,
                              const struct events *day)
{
    return make(w, measured, allowed, day, false);
}

struct forecast *forecast_new_live(const struct world *w, const struct matrix *measured, const bool *allowed,
                                   const struct events *played)
{
    return make(w, measured, allowed, played, true);
}

void forecast_destroy(struct forecast *f)
{
    if (!f)
        return;
    free(f->there);
    free(f->node);
    free(f->nodes);
    free(f->cost_us);
    free(f->node_price_us);
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

/* Of a share of the seats at most: nobody knows how many will come. */
static int64_t expected_live(struct forecast *f, int64_t t_us, int64_t now, unsigned *stay_pct)
{
    int64_t seats = 0, there, most;
    for (; f->played < f->day->n && f->day->event[f->played].t_us <= t_us; f->played++)
        pace_note(&f->pace, f->day->event[f->played].t_us, f->day->event[f->played].leave ? -1 : 1);
    for (size_t k = 0; k < f->n_nodes; k++)
        seats += f->nodes[k].capacity;
    there = pace_expected(&f->pace, stay_pct);
    most = (seats < INT32_MAX ? seats : INT32_MAX) * LIVE_PCT / 100;
    there = there < most ? there : most;
    return there > now ? there : now;
}

const int32_t *forecast_prices(struct forecast *f, int64_t t_us, const int64_t *used)
{
    struct prices_problem p = {.n_nodes = f->n_nodes,
                               .n_people = f->n_people,
                               .nodes = f->nodes,
                               .cost_us = f->cost_us,
                               .stay_pct = f->leave ? STAY_PCT : ALL_PCT};
    int64_t now = 0;
    if (t_us < f->due_us)
        return f->price_us;
    f->due_us = t_us + FORECAST_EVERY_US;
    for (size_t k = 0; k < f->n_nodes; k++) {
        f->nodes[k].seated = used[f->node[k]];
        now += f->nodes[k].seated;
    }
    p.expected = f->live ? expected_live(f, t_us, now, &p.stay_pct) : expected(f, t_us, now);
    prices_make(&p, f->work, f->node_price_us);
    for (size_t k = 0; k < f->n_nodes; k++)
        f->price_us[f->node[k]] = f->node_price_us[k];
    return f->price_us;
}
