/* From a state of the search to the caller's plan: seats, reasons, figures; and the terms of any seat. Invariant: figures in the answer are
 * measured or estimated round trips; penalties and prices stand in the costs alone. */
#include "placement/place_internal.h"

#include <string.h>

static const char *const reason_names[PLACE_REASONS] = {
    "nothing", "least_mean_rtt",     "no_live_report", "not_measured",
    "stays",   "stays_lately_moved", "moved",          "forced"};

const char *place_reason_name(enum place_reason r)
{
    return (unsigned)r < PLACE_REASONS ? reason_names[r] : "unknown";
}

/* ---- seats ---- */

static enum place_reason reason_of(const struct place_work *w, size_t i, uint32_t node)
{
    if (w->present[i] != PLACE_RANK_NONE && w->before[i] >= 0 && node != w->present[i])
        return PLACE_WHY_MOVED;
    if (w->present[i] != PLACE_RANK_NONE && w->before[i] >= 0)
        return w->flags[i] & PLACE_F_LATELY ? PLACE_WHY_STAYS_LATELY : PLACE_WHY_STAYS;
    if (w->present[i] != PLACE_RANK_NONE && node != w->present[i])
        return PLACE_WHY_FORCED;
    if (!(w->flags[i] & PLACE_F_MEASURED))
        return PLACE_WHY_COMPANY;
    if (place_cell_rtt(w, i * w->nodes + node) < 0)
        return PLACE_WHY_BLIND;
    return PLACE_WHY_LEAST;
}

static void seat(const struct place_problem *p, const struct place_work *w, const struct place_draft *s,
                 size_t i, struct place_seat *out)
{
    uint32_t node = place_draft_node(w, s, i);
    unsigned usable;

    *out = (struct place_seat){.node = PLACE_NONE, .rtt_us = -1, .latency_us = -1};
    if (node == PLACE_RANK_NONE)
        return;
    out->node = w->node_at[node];
    out->rtt_us = place_cell_rtt(w, i * w->nodes + node);
    out->reason = reason_of(w, i, node);
    if (out->reason == PLACE_WHY_MOVED)
        out->gain_us = (w->before[i] - place_own_cost(w, s, i)) / (2 * w->mult);
    out->overflow = place_overflow_of(p, w, i, node);
    usable = place_cell_usable(w, i * w->nodes + node);
    out->via = (enum transport)place_cell_via(w, i * w->nodes + node);
    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        if (usable & (1u << t))
            out->ladder[out->n_ladder++] = (enum transport)t;
    }
}

/* Where most are; of as many, the first of the short list. */
static size_t main_node(const struct place_work *w, const struct place_plan *plan)
{
    const struct place_candidate *c = plan->candidates;
    size_t best = PLACE_NONE;

    for (size_t k = 0; k + 1 < w->k; k++) {
        size_t node = w->node_at[w->col[k].node];

        if (best == PLACE_NONE || c[node].seated > c[best].seated)
            best = node;
    }
    for (size_t i = 0; i < w->n; i++) {
        size_t node = plan->seats[w->who[i]].node;

        if (w->aside[i] != PLACE_RANK_NONE && node != PLACE_NONE && c[node].seated > c[best].seated)
            best = node;
    }
    return best;
}

static size_t best_common(const struct place_problem *p, const struct place_plan *plan)
{
    size_t best = PLACE_NONE;

    for (size_t n = 0; n < p->n_nodes; n++) {
        if (plan->candidates[n].rejected == 0 && (best == PLACE_NONE || place_compare(p, plan, n, best) < 0))
            best = n;
    }
    return best;
}

static void outcome(const struct place_problem *p, const struct place_work *w, const struct place_draft *s,
                    struct place_plan *plan)
{
    size_t common = best_common(p, plan);

    plan->node = common;
    plan->outcome = common != PLACE_NONE ? PLACE_COMMON : place_why_nothing(p);
    if (w->n == 0 || s->m[w->k - 1] == (int32_t)w->n)
        return;
    plan->node = main_node(w, plan);
    if (plan->n_joined == 1 && s->m[w->k - 1] == 0)
        plan->outcome = PLACE_COMMON;
    else
        plan->outcome = common != PLACE_NONE && s->m[w->k - 1] == 0 ? PLACE_JOINED : PLACE_NO_COMMON;
}

static void figures(const struct place_problem *p, struct place_work *w, const struct place_draft *s,
                    struct place_plan *plan)
{
    struct place_latency all;
    int64_t sum = 0, *own = w->before; /* the rules have done with it */

    place_latency_all(p, w, s, &all, own);
    plan->worst_us = plan->latency_us = -1;
    for (size_t i = 0; i < w->n; i++) {
        plan->seats[w->who[i]].latency_us = own[i];
        sum += own[i] > 0 ? own[i] : 0;
        if (own[i] > plan->worst_us)
            plan->worst_us = own[i];
    }
    if (all.n > 0)
        plan->latency_us = sum / all.n;
    plan->cap_stage = w->capped ? place_cap_stage_of(plan->worst_us) : 0;
}

static void take_seat(const struct place_problem *p, const struct place_work *w, const struct place_draft *s,
                      size_t i, struct place_plan *plan)
{
    struct place_seat *out = &plan->seats[w->who[i]];
    bool stays;

    seat(p, w, s, i, out);
    if (out->node == PLACE_NONE)
        return;
    stays = w->rank_of[out->node] == w->present[i];
    plan->n_joined += plan->candidates[out->node].seated++ == 0;
    plan->n_moved += !stays && w->present[i] != PLACE_RANK_NONE;
    plan->overloaded = plan->overloaded || (!stays && place_node_overloaded(&p->nodes[out->node]));
}

void place_answer(const struct place_problem *p, struct place_work *w, const struct place_draft *s,
                  struct place_plan *plan)
{
    plan->n_joined = plan->n_moved = 0;
    plan->overloaded = false;
    plan->cost_us = s->cost / w->div;
    plan->present_cost_us = w->now >= 0 ? w->now / w->div : -1;
    for (size_t i = 0; i < w->n; i++)
        take_seat(p, w, s, i, plan);
    figures(p, w, s, plan);
    outcome(p, w, s, plan);
}
