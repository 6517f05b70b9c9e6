/* What each node would be to the whole meeting, alone: its figures, or what rules it out. Invariant: exact; every participant and every node
 * is looked at. */
#include "placement/place_internal.h"

#include <string.h>

static void name(size_t *list, size_t *n, size_t i)
{
    if (*n < PLACE_NAMED)
        list[*n] = i;
    (*n)++;
}

bool place_failed_for(const struct place_problem *p, size_t i, size_t node)
{
    const struct place_participant *who = &p->participants[i];

    for (size_t k = 0; k < who->n_failed; k++) {
        if (who->failed[k] == node)
            return true;
    }
    return false;
}

bool place_spoken_of(const struct place_participant *who, size_t node)
{
    for (size_t k = 0; k < who->n_rows; k++) {
        if (who->rows[k].node == node)
            return true;
    }
    return false;
}

/* Participant i (of the caller) can't be seated on the node. */
static void candidate_miss(const struct place_problem *p, struct place_candidate *c, size_t i, size_t node,
                           bool measured)
{
    if (place_failed_for(p, i, node))
        c->rejected |= PLACE_FAILED;
    else if (measured && !place_spoken_of(&p->participants[i], node)) {
        name(c->unmeasured, &c->n_unmeasured, i);
        c->rejected |= PLACE_UNMEASURED;
    } else {
        name(c->unreachable, &c->n_unreachable, i);
        c->rejected |= PLACE_UNREACHABLE;
    }
}

/* PLACE_FAR and -1 are added too, and counted: they make the sum worthless, and are taken off again. */
static void add_up(const struct place_work *w, size_t i)
{
    const int32_t *restrict cost = w->cost + i * w->nodes, *restrict rtt = w->rtt + i * w->nodes;
    int64_t *restrict sum = w->sum, *restrict sum_rtt = w->sum_rtt;
    uint32_t *restrict far = w->n_far, *restrict miss = w->n_miss;
    size_t nodes = w->nodes;

    for (size_t v = 0; v < nodes; v++) {
        sum[v] += cost[v];
        sum_rtt[v] += rtt[v];
        far[v] += cost[v] == PLACE_FAR;
        miss[v] += rtt[v] < 0;
    }
}

/* Who can't be seated where, by name: only nodes that somebody misses are looked at. */
static void name_misses(const struct place_problem *p, const struct place_work *w, struct place_candidate *c,
                        size_t v)
{
    for (size_t i = 0; i < w->n; i++) {
        size_t at = i * w->nodes + v;
        bool measured = p->participants[w->who[i]].measured;
        bool reached = measured ? w->rtt[at] >= 0 : w->usable[at] != 0;

        if (!reached || (w->cost[at] == PLACE_FAR && w->rejects[v] == 0))
            candidate_miss(p, c, w->who[i], w->node_at[v], measured);
    }
}

/* The price of filling a node with those of the meeting that aren't there yet. */
static int64_t price_to_fill(const struct place_node *n, int64_t moving)
{
    struct place_col c = {.capacity = n->capacity, .assigned = n->assigned};

    return place_fill_sum(&c, 0, moving);
}

static void judge_node(const struct place_problem *p, struct place_work *w, struct place_candidate *c,
                       size_t v, size_t measured, int64_t present)
{
    *c = (struct place_candidate){.rejected = w->rejects[v],
                                  .mean_rtt_us = -1,
                                  .cost_us = -1,
                                  .sum_rtt_us = w->sum_rtt[v] + w->n_miss[v],
                                  .n_reached = w->n - w->n_miss[v],
                                  .moving = (int64_t)w->n - present};
    if (w->n_miss[v] > 0 || w->n_far[v] > 0)
        name_misses(p, w, c, v);
    if (c->moving > 0 && c->moving > w->room[v])
        c->rejected |= PLACE_FULL;
    if (measured > 0 && c->n_reached == measured)
        c->mean_rtt_us = c->sum_rtt_us / (int64_t)measured;
    if (w->n > 0 && w->n_far[v] == 0 && c->rejected == 0) {
        w->sum[v] += price_to_fill(&p->nodes[w->node_at[v]], c->moving);
        c->cost_us = w->mult * w->sum[v] / w->div;
    }
}

void place_judge(const struct place_problem *p, struct place_work *w, struct place_plan *plan)
{
    size_t measured = 0;

    memset(w->sum, 0, w->nodes * sizeof(*w->sum));
    memset(w->sum_rtt, 0, w->nodes * sizeof(*w->sum_rtt));
    memset(w->n_far, 0, w->nodes * sizeof(*w->n_far));
    memset(w->n_miss, 0, w->nodes * sizeof(*w->n_miss));
    memset(w->here, 0, w->nodes * sizeof(*w->here));
    for (size_t i = 0; i < w->n; i++) {
        measured += (w->flags[i] & PLACE_F_MEASURED) != 0;
        add_up(w, i);
        if (w->present[i] != PLACE_RANK_NONE)
            w->here[w->present[i]]++;
    }
    for (size_t v = 0; v < w->nodes; v++)
        judge_node(p, w, &plan->candidates[w->node_at[v]], v, measured, w->here[v]);
}

/* Between nodes with the same figure: where the meeting is already, cloud before mesh, the idler, the name. */
static int compare_ties(const struct place_problem *p, size_t a, size_t b)
{
    const struct place_node *na = &p->nodes[a], *nb = &p->nodes[b];

    if ((a == p->present) != (b == p->present))
        return a == p->present ? -1 : 1;
    if (!na->org != !nb->org && !p->policy.private_only)
        return !na->org ? -1 : 1;
    if (na->load < nb->load || na->load > nb->load)
        return na->load < nb->load ? -1 : 1;
    return strcmp(na->id, nb->id);
}

int place_compare(const struct place_problem *p, const struct place_plan *plan, size_t a, size_t b)
{
    const struct place_candidate *ca = &plan->candidates[a], *cb = &plan->candidates[b];

    if (!ca->rejected != !cb->rejected)
        return !ca->rejected ? -1 : 1;
    if (!ca->rejected && ca->cost_us != cb->cost_us)
        return ca->cost_us < cb->cost_us ? -1 : 1;
    if ((ca->mean_rtt_us < 0) != (cb->mean_rtt_us < 0))
        return ca->mean_rtt_us < 0 ? 1 : -1;
    if (ca->mean_rtt_us >= 0 && ca->sum_rtt_us != cb->sum_rtt_us)
        return ca->sum_rtt_us < cb->sum_rtt_us ? -1 : 1;
    return compare_ties(p, a, b);
}
