/* The placement engine, first version: one node for the meeting, the one with the least mean round trip over the transport that
 * each participant would really use. Invariant: the answer depends on names and figures only, never on the order of the input. */
#include "placement/place.h"

#include <string.h>

static const char *const reject_names[PLACE_REJECTS] = {
    "unreachable_for", "not_measured_by", "drained",   "unhealthy",    "full",
    "region_denied",   "not_private",     "other_org", "no_transport",
};

const char *place_reject_name(enum place_reject bit)
{
    for (unsigned i = 0; i < PLACE_REJECTS; i++) {
        if ((unsigned)bit == 1u << i)
            return reject_names[i];
    }
    return "unknown";
}

static bool listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0)
            return true;
    }
    return false;
}

static bool region_allowed(const struct place_policy *policy, const char *region)
{
    if (policy->n_allow > 0 && !listed(policy->allow, policy->n_allow, region))
        return false;
    return !listed(policy->deny, policy->n_deny, region);
}

/* What rules a node out whoever takes part. */
static unsigned node_rejects(const struct place_problem *p, const struct place_node *n)
{
    unsigned r = 0;

    if (!n->healthy)
        r |= PLACE_UNHEALTHY;
    if (n->drained)
        r |= PLACE_DRAINED;
    if (!region_allowed(&p->policy, n->region))
        r |= PLACE_REGION;
    if (p->policy.private_only && !n->org)
        r |= PLACE_NOT_PRIVATE;
    if (n->org && strcmp(n->org, p->org) != 0)
        r |= PLACE_OTHER_ORG;
    if ((n->transports & p->policy.transports) == 0)
        r |= PLACE_NO_TRANSPORT;
    return r;
}

static void reach_add_row(struct place_reach *r, const struct place_row *row)
{
    unsigned bit = 1u << row->transport;
    int64_t rtt = row->rtt_us < 0 ? PLACE_RTT_UNKNOWN_US : row->rtt_us;

    r->tested |= bit;
    if (!row->reachable)
        return;
    if (!(r->usable & bit) || rtt < r->rtt_us[row->transport])
        r->rtt_us[row->transport] = rtt;
    r->usable |= bit;
}

void place_view(const struct place_problem *p, size_t i, struct place_reach *reach)
{
    const struct place_participant *who = &p->participants[i];
    unsigned allowed = who->capabilities & p->policy.transports;

    for (size_t n = 0; n < p->n_nodes; n++) {
        reach[n] = (struct place_reach){.usable = who->measured ? 0 : allowed};
        for (int t = 0; t < TRANSPORT_COUNT; t++)
            reach[n].rtt_us[t] = -1;
    }
    for (size_t k = 0; who->measured && k < who->n_rows; k++) {
        if (who->rows[k].node < p->n_nodes)
            reach_add_row(&reach[who->rows[k].node], &who->rows[k]);
    }
    for (size_t n = 0; n < p->n_nodes; n++)
        reach[n].usable &= allowed & p->nodes[n].transports;
}

bool place_expected(const struct place_reach *r, enum transport *transport, int64_t *rtt_us)
{
    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        if (r->usable & (1u << t)) {
            *transport = (enum transport)t;
            *rtt_us = r->rtt_us[t];
            return true;
        }
    }
    return false;
}

/* Participants are visited by name, so that what is named first and seated first is the same for every order of input. A heap sort:
 * no recursion, no scratch, and qsort knows no context. */
static void sift_down(const struct place_problem *p, size_t *order, size_t root, size_t n)
{
    for (;;) {
        size_t child = 2 * root + 1, t;

        if (child >= n)
            return;
        if (child + 1 < n &&
            strcmp(p->participants[order[child]].agent, p->participants[order[child + 1]].agent) < 0)
            child++;
        if (strcmp(p->participants[order[root]].agent, p->participants[order[child]].agent) >= 0)
            return;
        t = order[root];
        order[root] = order[child];
        order[child] = t;
        root = child;
    }
}

static void sort_by_name(const struct place_problem *p, size_t *order)
{
    size_t n = p->n_participants;

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n / 2; i > 0; i--)
        sift_down(p, order, i - 1, n);
    for (size_t end = n; end > 1; end--) {
        size_t t = order[0];

        order[0] = order[end - 1];
        order[end - 1] = t;
        sift_down(p, order, 0, end - 1);
    }
}

/* Adds one participant's view of one node to what is known of the node. */
static void candidate_add(struct place_candidate *c, const struct place_participant *who, size_t i,
                          const struct place_reach *r)
{
    enum transport t;
    int64_t rtt;

    if (place_expected(r, &t, &rtt)) {
        if (who->measured) {
            c->sum_rtt_us += rtt;
            c->n_reached++;
        }
        return;
    }
    if (who->measured && r->tested == 0) {
        if (c->n_unmeasured < PLACE_NAMED)
            c->unmeasured[c->n_unmeasured] = i;
        c->n_unmeasured++;
        c->rejected |= PLACE_UNMEASURED;
        return;
    }
    if (c->n_unreachable < PLACE_NAMED)
        c->unreachable[c->n_unreachable] = i;
    c->n_unreachable++;
    c->rejected |= PLACE_UNREACHABLE;
}

static bool has_room(const struct place_node *n, int64_t more)
{
    return more <= 0 || n->capacity <= 0 || n->assigned + more <= n->capacity;
}

static void judge(const struct place_problem *p, struct place_plan *plan)
{
    size_t measured = 0;

    for (size_t n = 0; n < p->n_nodes; n++)
        plan->candidates[n] =
            (struct place_candidate){.rejected = node_rejects(p, &p->nodes[n]), .mean_rtt_us = -1};
    for (size_t k = 0; k < p->n_participants; k++) {
        size_t i = plan->order[k];
        const struct place_participant *who = &p->participants[i];

        measured += who->measured;
        place_view(p, i, plan->reach);
        for (size_t n = 0; n < p->n_nodes; n++) {
            candidate_add(&plan->candidates[n], who, i, &plan->reach[n]);
            plan->candidates[n].moving += who->present != n;
            plan->candidates[n].seated += who->present == n;
        }
    }
    for (size_t n = 0; n < p->n_nodes; n++) {
        struct place_candidate *c = &plan->candidates[n];

        if (!has_room(&p->nodes[n], c->moving))
            c->rejected |= PLACE_FULL;
        if (measured > 0 && c->n_reached == measured)
            c->mean_rtt_us = c->sum_rtt_us / (int64_t)measured;
    }
}

/* Between nodes with the same figure: where the meeting (or the participant) is already, cloud before mesh, the idler, the name. */
static int compare_ties(const struct place_problem *p, size_t present, size_t a, size_t b)
{
    const struct place_node *na = &p->nodes[a], *nb = &p->nodes[b];

    if ((a == present) != (b == present))
        return a == present ? -1 : 1;
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
    if ((ca->mean_rtt_us < 0) != (cb->mean_rtt_us < 0))
        return ca->mean_rtt_us < 0 ? 1 : -1;
    if (ca->mean_rtt_us >= 0 && ca->sum_rtt_us != cb->sum_rtt_us)
        return ca->sum_rtt_us < cb->sum_rtt_us ? -1 : 1;
    return compare_ties(p, p->present, a, b);
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

static struct place_seat seat_none(void)
{
    return (struct place_seat){.node = PLACE_NONE, .rtt_us = -1};
}

static struct place_seat seat_on(size_t node, const struct place_reach *r)
{
    struct place_seat s = {.node = node, .rtt_us = -1};
    enum transport first;

    (void)place_expected(r, &first, &s.rtt_us);
    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        if (r->usable & (1u << t))
            s.ladder[s.n_ladder++] = (enum transport)t;
    }
    return s;
}

static void seat_all(const struct place_problem *p, struct place_plan *plan)
{
    for (size_t i = 0; i < p->n_participants; i++) {
        place_view(p, i, plan->reach);
        plan->seats[i] = seat_on(plan->node, &plan->reach[plan->node]);
    }
}

/* What participant `who` could try on a node that its report doesn't speak of. */
static struct place_reach reach_blind(const struct place_problem *p, const struct place_participant *who,
                                      size_t n)
{
    struct place_reach r = {.usable = who->capabilities & p->policy.transports & p->nodes[n].transports};

    for (int t = 0; t < TRANSPORT_COUNT; t++)
        r.rtt_us[t] = -1;
    return r;
}

/* Is node `b` (or none yet) worse than `a` for one participant alone? Then company counts, before the usual ties. */
static bool better_alone(const struct place_problem *p, const struct place_plan *plan, size_t a, size_t b)
{
    int64_t ra = -1, rb = -1;
    enum transport t;

    if (b == PLACE_NONE)
        return true;
    (void)place_expected(&plan->reach[a], &t, &ra);
    (void)place_expected(&plan->reach[b], &t, &rb);
    if (ra != rb)
        return ra < rb;
    if (plan->candidates[a].seated != plan->candidates[b].seated)
        return plan->candidates[a].seated > plan->candidates[b].seated;
    return compare_ties(p, p->present, a, b) < 0;
}

/* The best node for participant `i` alone, whose view stands in plan->reach. */
static size_t best_alone(const struct place_problem *p, const struct place_plan *plan)
{
    size_t best = PLACE_NONE;

    for (size_t n = 0; n < p->n_nodes; n++) {
        if (node_rejects(p, &p->nodes[n]) != 0 || plan->reach[n].usable == 0)
            continue;
        if (has_room(&p->nodes[n], plan->candidates[n].moving + 1) && better_alone(p, plan, n, best))
            best = n;
    }
    return best;
}

/* "Don't know" is not "can't": the view gets nodes that the report doesn't speak of, to be tried blindly. */
static void view_blind(const struct place_problem *p, const struct place_plan *plan, size_t i)
{
    const struct place_participant *who = &p->participants[i];

    for (size_t n = 0; n < p->n_nodes; n++) {
        if (who->measured && plan->reach[n].tested == 0)
            plan->reach[n] = reach_blind(p, who, n);
    }
}

static bool may_stay(const struct place_problem *p, const struct place_plan *plan, size_t node)
{
    return node < p->n_nodes && node_rejects(p, &p->nodes[node]) == 0 && plan->reach[node].usable != 0;
}

/* Where participant `i` goes by itself: it stays where it is well, else goes to its best node, else tries one that it knows nothing of. */
static size_t choose_alone(const struct place_problem *p, struct place_plan *plan, size_t i)
{
    size_t present = p->participants[i].present, node;

    place_view(p, i, plan->reach);
    if (may_stay(p, plan, present))
        return present;
    node = best_alone(p, plan);
    if (node != PLACE_NONE)
        return node;
    view_blind(p, plan, i);
    return may_stay(p, plan, present) ? present : best_alone(p, plan);
}

/* No node serves all: each for itself, in order of their names. From here on a candidate's `moving` counts those who were given it in
 * this plan. */
static void seat_each(const struct place_problem *p, struct place_plan *plan)
{
    for (size_t n = 0; n < p->n_nodes; n++)
        plan->candidates[n].moving = 0;
    for (size_t k = 0; k < p->n_participants; k++) {
        size_t i = plan->order[k], node = choose_alone(p, plan, i);

        plan->seats[i] = node == PLACE_NONE ? seat_none() : seat_on(node, &plan->reach[node]);
        if (node == PLACE_NONE || node == p->participants[i].present)
            continue;
        plan->candidates[node].moving++;
        plan->candidates[node].seated++;
    }
}

/* Nobody could be seated: is it the regions alone that leave nothing? */
static enum place_outcome why_nothing(const struct place_problem *p)
{
    bool any = false;

    for (size_t n = 0; n < p->n_nodes; n++) {
        unsigned r = node_rejects(p, &p->nodes[n]);

        if (r & (PLACE_NOT_PRIVATE | PLACE_OTHER_ORG))
            continue;
        if (!(r & PLACE_REGION))
            return PLACE_NO_NODE;
        any = true;
    }
    return any ? PLACE_NO_REGION : PLACE_NO_NODE;
}

void place_decide(const struct place_problem *p, struct place_plan *plan)
{
    sort_by_name(p, plan->order);
    judge(p, plan);
    plan->node = best_common(p, plan);
    if (plan->node != PLACE_NONE) {
        plan->outcome = PLACE_COMMON;
        seat_all(p, plan);
        return;
    }
    plan->outcome = why_nothing(p);
    seat_each(p, plan);
    for (size_t i = 0; i < p->n_participants; i++) {
        if (plan->seats[i].node != PLACE_NONE)
            plan->outcome = PLACE_NO_COMMON;
    }
}
