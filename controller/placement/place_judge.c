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

/* Participant i (of the caller) can't be seated on the node; `spoken`: its rows speak of it. */
static void candidate_miss(const struct place_problem *p, struct place_candidate *c, size_t i, size_t node,
                           bool spoken)
{
    if (place_failed_for(p, i, node))
        c->rejected |= PLACE_FAILED;
    else if (p->participants[i].measured && !spoken) {
        name(c->unmeasured, &c->n_unmeasured, i);
        c->rejected |= PLACE_UNMEASURED;
    } else {
        name(c->unreachable, &c->n_unreachable, i);
        c->rejected |= PLACE_UNREACHABLE;
    }
}

/* PLACE_FAR and -1 are added too, and counted: they make the sum worthless, and are taken off again. */
PLACE_WIDE static void add_up(const struct place_work *w, size_t i)
{
    const int32_t *restrict cost = w->cost + i * w->nodes;
    const uint32_t *restrict cell = w->cell + i * w->nodes;
    int64_t *restrict sum = w->sum, *restrict sum_rtt = w->sum_rtt;
    uint32_t *restrict far = w->n_far, *restrict miss = w->n_miss;
    size_t nodes = w->nodes;

    for (size_t v = 0; v < nodes; v++) {
        int32_t none = -(int32_t)((cell[v] | ~PLACE_CELL_NONE) == UINT32_MAX);

        sum[v] += cost[v];
        sum_rtt[v] += (int32_t)(cell[v] >> PLACE_CELL_RTT & PLACE_CELL_RTT_MAX) | none;
        far[v] += cost[v] == PLACE_FAR;
        miss[v] -= (uint32_t)none;
    }
}

/* Which nodes its rows speak of: looked at once, as it may miss most of them. */
static void mark_spoken(const struct place_work *w, const struct place_participant *who)
{
    memset(w->counted, 0, w->nodes * sizeof(*w->counted));
    for (size_t k = 0; k < who->n_rows; k++) {
        if (who->rows[k].node < w->nodes)
            w->counted[w->rank_of[who->rows[k].node]] = 1;
    }
}

/* Where participant i can't be seated: only nodes that somebody misses are looked at. */
static void name_misses(const struct place_problem *p, const struct place_work *w, struct place_plan *plan,
                        size_t i)
{
    const struct place_participant *who = &p->participants[w->who[i]];

    mark_spoken(w, who);
    for (size_t v = 0; v < w->nodes; v++) {
        size_t at = i * w->nodes + v;
        bool reached = who->measured ? place_cell_rtt(w, at) >= 0 : place_cell_usable(w, at) != 0;

        if (w->n_miss[v] == 0 && w->n_far[v] == 0)
            continue;
        if (v == w->present[i] &&
            w->cost[at] != PLACE_FAR) /* one lost probe, or a silent report, is no miss */
            continue;
        if (!reached || (w->cost[at] == PLACE_FAR && w->rejects[v] == 0))
            candidate_miss(p, &plan->candidates[w->node_at[v]], w->who[i], w->node_at[v], w->counted[v] != 0);
    }
}

/* The price of filling a node with those of the meeting that aren't there yet. */
static int64_t price_to_fill(const struct place_node *n, int64_t moving)
{
    struct place_col c = {.capacity = n->capacity, .assigned = n->assigned};

    return place_fill_sum(&c, 0, moving);
}

static void judge_start(const struct place_work *w, struct place_candidate *c, size_t v)
{
    c->rejected = w->rejects[v];
    c->mean_rtt_us = c->cost_us = -1;
    c->sum_rtt_us = w->sum_rtt[v] + w->n_miss[v];
    c->n_reached = w->n - w->n_miss[v];
    c->n_unreachable = c->n_unmeasured = 0; /* and nobody is named */
    c->moving = (int64_t)w->n - (int64_t)w->here[v];
    c->seated = 0;
}

static void judge_end(const struct place_problem *p, struct place_work *w, struct place_candidate *c,
                      size_t v, size_t measured)
{
    if (c->moving > 0 && c->moving > w->room[v])
        c->rejected |= PLACE_FULL;
    if (measured > 0 && c->n_reached == measured)
        c->mean_rtt_us = c->sum_rtt_us / (int64_t)measured;
    if (w->n > 0 && w->n_far[v] == 0 && c->rejected == 0) {
        w->sum[v] += price_to_fill(&p->nodes[w->node_at[v]], c->moving);
        c->cost_us = w->mult * w->sum[v] / w->div;
    }
}

void place_judge_begin(struct place_work *w)
{
    memset(w->sum, 0, w->nodes * sizeof(*w->sum));
    memset(w->sum_rtt, 0, w->nodes * sizeof(*w->sum_rtt));
    memset(w->n_far, 0, w->nodes * sizeof(*w->n_far));
    memset(w->n_miss, 0, w->nodes * sizeof(*w->n_miss));
    memset(w->here, 0, w->nodes * sizeof(*w->here));
}

void place_judge_add(struct place_work *w, size_t i)
{
    add_up(w, i);
    if (w->present[i] != PLACE_RANK_NONE)
        w->here[w->present[i]]++;
}

void place_judge(const struct place_problem *p, struct place_work *w, struct place_plan *plan)
{
    size_t measured = 0, missed = 0;

    for (size_t i = 0; i < w->n; i++)
        measured += (w->flags[i] & PLACE_F_MEASURED) != 0;
    for (size_t v = 0; v < w->nodes; v++) {
        judge_start(w, &plan->candidates[w->node_at[v]], v);
        missed += w->n_miss[v] > 0 || w->n_far[v] > 0;
    }
    for (size_t i = 0; i < w->n && missed > 0; i++)
        name_misses(p, w, plan, i);
    for (size_t v = 0; v < w->nodes; v++)
        judge_end(p, w, &plan->candidates[w->node_at[v]], v, measured);
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
