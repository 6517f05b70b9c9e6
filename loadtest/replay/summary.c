/* Sums over meetings. Invariant: a meeting counts as much as any other, however large it is or long it lasts. */
#include "summary.h"

static void add(struct figures *f, const struct meeting_result *m)
{
    f->meetings++;
    f->participants += m->people;
    f->proven += m->proven;
    f->bound += m->bound;
    f->full_bound += m->full_bound;
    for (size_t k = 0; k < PLANS; k++) {
        struct tally *to = &f->of[k];
        const struct tally *t = &m->of[k];
        to->mean += t->mean;
        to->worst += t->worst;
        to->nodes += t->nodes;
        to->full_mean += t->full_mean;
        to->full_worst += t->full_worst;
        to->full_nodes += t->full_nodes;
        to->moves += t->moves;
        to->unconnected += t->unconnected;
    }
}

static void divide(struct figures *f)
{
    double n = f->meetings > 0 ? (double)f->meetings : 1;
    f->bound /= n;
    f->full_bound /= n;
    for (size_t k = 0; k < PLANS; k++) {
        f->of[k].mean /= n;
        f->of[k].worst /= n;
        f->of[k].nodes /= n;
        f->of[k].full_mean /= n;
        f->of[k].full_worst /= n;
        f->of[k].full_nodes /= n;
    }
}

static double quantile(const struct run_result *r, double q)
{
    return r->n_decisions > 0 ? r->us[(size_t)(q * (double)(r->n_decisions - 1))] : 0;
}

void summarize(const struct events *v, const struct run_result *r, struct summary *s)
{
    *s = (struct summary){.n_mixes = v->mixes.n, .decisions = r->n_decisions, .crowding = r->crowding};
    for (size_t k = 0; k < v->mixes.n; k++)
        s->mix[k].mix = v->mixes.text[k];
    for (size_t m = 0; m < r->n_meetings; m++) {
        if (v->meeting[m].largest < 2)
            continue;
        add(&s->all, &r->meeting[m]);
        if (v->meeting[m].mix != NAMES_NONE)
            add(&s->mix[v->meeting[m].mix], &r->meeting[m]);
    }
    divide(&s->all);
    for (size_t k = 0; k < s->n_mixes; k++)
        divide(&s->mix[k]);
    s->us_median = quantile(r, 0.5);
    s->us_p99 = quantile(r, 0.99);
    s->us_max = quantile(r, 1);
}

double summary_over(double ms, double least)
{
    return least > 0 ? (ms / least - 1) * 100 : 0;
}

const char *plan_label(enum plan_kind k)
{
    static const char *const labels[PLANS] = {
        "Berth",           "Berth, replanned", "first's nearest",    "best single node", "each one's nearest",
        "one random node", "best, kept",       "best of each moment"};
    return labels[k];
}

const char *plan_key(enum plan_kind k)
{
    static const char *const keys[PLANS] = {"online",       "replanned", "first_nearest", "single_best",
                                            "each_nearest", "random",    "best_kept",     "best"};
    return keys[k];
}
