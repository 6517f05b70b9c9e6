/* From cells to the matrix that everything else works on: what each node costs each participant. Invariant: the terms that are told add up to it,
 * and "don't know" is told from "can't". */
#include "placement/place_internal.h"

#include <string.h>

enum {
    LOSS_PCT_US = 1000, /* a percent of loss is felt like a millisecond */
    LOSS_MAX_US = 50000,
    UNKNOWN_US =
        40000, /* to every node, of whom nothing is known: a guess, so that the share of others in a latency is right */
    /* In a stream one lost packet holds up all that follow it for a round trip and more: at 1 to 2 % of loss and 50 packets a second that is 8
     * to 20 ms on average. Inspection, and two streams in a row through a proxy, add to it. */
    TCP_US = 20000,
    TLS_US = 30000,
    PROXY_US = 50000,
    PREFER_MAX_US = 20000000
};

static const int32_t transport_us[TRANSPORT_COUNT] = {0, TCP_US, TLS_US, PROXY_US};

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

/* Nothing speaks for it: neither a report nor a prediction. */
static bool unknown(const struct place_participant *who)
{
    return !who->measured && (who->n_rows == 0 || who->confidence_pct == 0);
}

void place_view(const struct place_problem *p, size_t i, struct place_reach *reach)
{
    const struct place_participant *who = &p->participants[i];
    unsigned allowed = who->capabilities & p->policy.transports;

    for (size_t n = 0; n < p->n_nodes; n++) {
        reach[n] = (struct place_reach){.usable = unknown(who) ? allowed : 0};
        for (int t = 0; t < TRANSPORT_COUNT; t++)
            reach[n].rtt_us[t] = -1;
    }
    for (size_t k = 0; !unknown(who) && k < who->n_rows; k++) {
        if (who->rows[k].node < p->n_nodes && who->rows[k].transport < TRANSPORT_COUNT)
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

/* ---- the matrix ---- */

/* What a cloud node costs more: never so much that no seat at all would be better. */
static int32_t preference_of(int64_t within)
{
    return within < PREFER_MAX_US ? (int32_t)within : PREFER_MAX_US;
}

/* One lost probe says nothing; more are taken for what they are. */
static int32_t loss_price(const struct place_row *row)
{
    int64_t us;

    if (row->lost <= 1 || row->samples < row->lost)
        return 0;
    us = (int64_t)LOSS_PCT_US * 100 * (row->lost - 1) / row->samples;
    return us > LOSS_MAX_US ? LOSS_MAX_US : (int32_t)us;
}

/* Never so much that no seat at all would be better. */
static int32_t weigh(int32_t rtt, int32_t inverse)
{
    int64_t us = rtt > 0 && inverse != 1000 ? (int64_t)rtt * inverse / 1000 : rtt;

    return us > PLACE_RTT_MAX_US && us > rtt ? PLACE_RTT_MAX_US : (int32_t)us;
}

/* From cells to costs. Weights, losses and the seat that it has are rare, and come after. */
PLACE_WIDE static void rank_rows(const struct place_work *w, size_t i)
{
    int32_t *restrict cost = w->cost + i * w->nodes;
    const uint32_t *restrict cell = w->cell + i * w->nodes;
    const int32_t *restrict price = w->price;
    size_t nodes = w->nodes;

    for (size_t v = 0; v < nodes; v++) {
        uint32_t c = cell[v], t = c >> PLACE_CELL_TRANSPORT;
        int32_t us = (int32_t)(c >> PLACE_CELL_RTT & PLACE_CELL_RTT_MAX);
        int32_t none = -(int32_t)((c | ~PLACE_CELL_NONE) == UINT32_MAX);

        us += (-(t == TRANSPORT_TCP) & TCP_US) + (-(t == TRANSPORT_TLS) & TLS_US) +
              (-(t == TRANSPORT_PROXY) & PROXY_US) + price[v];
        cost[v] = (us & ~none) | (none & PLACE_FAR);
    }
}

static void add_losses(const struct place_work *w, const struct place_participant *who, size_t i)
{
    int32_t *cost = w->cost + i * w->nodes;

    memset(w->counted, 0, w->nodes * sizeof(*w->counted));
    for (size_t k = 0; k < who->n_rows; k++) {
        const struct place_row *row = &who->rows[k];
        uint32_t v;

        if (row->lost <= 1 || row->node >= w->nodes || row->transport >= TRANSPORT_COUNT || !row->reachable)
            continue;
        v = w->rank_of[row->node];
        if ((place_cell_of(row, TRANSPORTS_ALL) ^ w->cell[i * w->nodes + v]) > PLACE_CELL_REST ||
            cost[v] == PLACE_FAR || w->counted[v])
            continue;
        w->counted[v] = true;
        cost[v] += loss_price(row);
    }
}

static void rank_rarities(const struct place_work *w, const struct place_participant *who, size_t i,
                          bool lossy)
{
    int32_t *cost = w->cost + i * w->nodes;
    size_t present = w->present[i];

    if (present != PLACE_RANK_NONE && cost[present] != PLACE_FAR)
        cost[present] -= w->price[present];
    if (lossy)
        add_losses(w, who, i);
    for (size_t v = 0; w->weighted && v < w->nodes; v++) {
        int32_t rtt = place_cell_rtt(w, i * w->nodes + v);

        if (cost[v] != PLACE_FAR)
            cost[v] += weigh(rtt, w->inverse[v]) - rtt;
    }
    for (size_t k = 0; k < w->n_rejected; k++)
        cost[w->rejected[k]] = PLACE_FAR;
}

static void set_usable(const struct place_work *w, size_t i, size_t v, unsigned can)
{
    uint32_t *cell = &w->cell[i * w->nodes + v];

    *cell = (*cell & ~(uint32_t)PLACE_CELL_REST) | (can & PLACE_CELL_REST);
}

/* A single probe that was lost says nothing against the node that somebody is on. */
static void doubt(const struct place_work *w, const struct place_participant *who, size_t i)
{
    int32_t *cost = w->cost + i * w->nodes, least = PLACE_FAR;
    size_t v = w->present[i];
    unsigned doubtful = 0, clear = 0, can;

    if (v == PLACE_RANK_NONE || cost[v] != PLACE_FAR || w->rejects[v] != 0)
        return;
    for (size_t k = 0; k < who->n_rows; k++) {
        const struct place_row *row = &who->rows[k];

        if (row->node != w->node_at[v] || row->transport >= TRANSPORT_COUNT)
            continue;
        *(row->samples == 1 && row->lost == 1 ? &doubtful : &clear) |= 1u << row->transport;
    }
    can = doubtful & ~clear & who->capabilities & w->offered[v];
    if (can == 0)
        return;
    for (size_t u = 0; u < w->nodes; u++)
        least = cost[u] < least ? cost[u] : least;
    set_usable(w, i, v, can);
    cost[v] = least == PLACE_FAR ? PLACE_RTT_UNKNOWN_US : least;
}

/* Of a node's cost what has nothing to do with the way to it. */
static int32_t price_at(const struct place_work *w, size_t i, size_t v)
{
    return v == w->present[i] ? 0 : w->price[v];
}

/* What differs between the nodes by a prediction counts as far as the prediction is sure; what a node's load costs counts whole. A node that it
 * doesn't speak of is as good as the mean; one that others could not reach is the last to be tried, not forbidden; and every rung may be tried. */
static void rank_predicted(struct place_work *w, const struct place_participant *who, size_t i)
{
    int32_t *cost = w->cost + i * w->nodes;
    int64_t sum = 0, n = 0, pct = who->confidence_pct, mean;

    for (size_t v = 0; v < w->nodes; v++) {
        if (cost[v] != PLACE_FAR) {
            sum += cost[v] - price_at(w, i, v);
            n++;
        }
    }
    mean = n > 0 ? sum / n : UNKNOWN_US;
    for (size_t v = 0; v < w->nodes; v++) {
        unsigned can = who->capabilities & w->offered[v];
        int32_t price = price_at(w, i, v);

        if (w->rejects[v] != 0 || can == 0)
            continue;
        set_usable(w, i, v, can);
        if (cost[v] == PLACE_FAR)
            cost[v] = (place_cell_untried(w, i * w->nodes + v) ? (int32_t)mean : PLACE_BLIND_US) + price;
        else if (pct < 100)
            cost[v] = (int32_t)(mean + (cost[v] - price - mean) * pct / 100) + price;
    }
}

static void rank_unknown(const struct place_problem *p, struct place_work *w,
                         const struct place_participant *who, size_t i)
{
    int32_t *cost = w->cost + i * w->nodes;

    for (size_t v = 0; v < w->nodes; v++) {
        unsigned can = who->capabilities & w->offered[v];

        w->cell[i * w->nodes + v] = PLACE_CELL_UNTRIED | can;
        cost[v] = PLACE_FAR;
        if (w->rejects[v] == 0 && can != 0)
            cost[v] = UNKNOWN_US +
                      (v == w->present[i] ? 0 : w->price[v] + place_blind_price(p, &p->nodes[w->node_at[v]]));
    }
}

static void bar_failed(struct place_work *w, const struct place_participant *who, size_t i)
{
    for (size_t k = 0; k < who->n_failed; k++) {
        if (who->failed[k] < w->nodes)
            w->cost[i * w->nodes + w->rank_of[who->failed[k]]] = PLACE_FAR;
    }
}

static bool has_seat(const struct place_work *w, size_t i, size_t v)
{
    return w->room[v] > 0 || w->present[i] == v;
}

/* "Don't know" is not "can't": nodes that the report doesn't speak of come after all that it does. Where somebody is on such a node, and
 * hasn't complained, it is taken to be as good as the best. */
static void rank_untested(struct place_work *w, const struct place_participant *who, size_t i)
{
    int32_t *cost = w->cost + i * w->nodes, least = PLACE_BLIND_US;

    for (size_t v = 0; v < w->nodes; v++)
        least = cost[v] < least ? cost[v] : least;
    for (size_t v = 0; v < w->nodes; v++) {
        unsigned can = who->capabilities & w->offered[v];

        if (w->rejects[v] != 0 || !place_cell_untried(w, i * w->nodes + v) || can == 0)
            continue;
        set_usable(w, i, v, can);
        cost[v] = v == w->present[i] ? least : PLACE_BLIND_US + w->price[v];
    }
}

PLACE_WIDE static int32_t least_of(const int32_t *restrict cost, size_t nodes)
{
    int32_t least = PLACE_FAR;

    for (size_t v = 0; v < nodes; v++)
        least = cost[v] < least ? cost[v] : least;
    return least;
}

/* Where `least` stands first; `nodes`: nowhere. */
PLACE_WIDE static uint32_t first_of(const int32_t *restrict cost, uint32_t nodes, int32_t least)
{
    uint32_t first = nodes;

    for (uint32_t v = 0; v < nodes; v++) {
        uint32_t at = cost[v] == least ? v : nodes;

        first = at < first ? at : first;
    }
    return first;
}

static void find_nearest(const struct place_work *w, size_t i)
{
    const int32_t *cost = w->cost + i * w->nodes;
    size_t nodes = w->nodes;
    int32_t least = least_of(cost, nodes);
    uint32_t best = first_of(cost, (uint32_t)nodes, least);

    w->nearest[i] = least == PLACE_FAR ? PLACE_RANK_NONE : best;
    if (least == PLACE_FAR || has_seat(w, i, best))
        return;
    w->nearest[i] = PLACE_RANK_NONE;
    least = PLACE_FAR;
    for (size_t v = 0; v < nodes; v++) {
        if (cost[v] < least && has_seat(w, i, v)) {
            least = cost[v];
            w->nearest[i] = (uint32_t)v;
        }
    }
}

/* On a cloud node, and may stay there. */
static bool settled_in_cloud(const struct place_problem *p, const struct place_work *w, size_t i)
{
    size_t at = w->present[i];

    return at != PLACE_RANK_NONE && w->cost[i * w->nodes + at] != PLACE_FAR &&
           p->nodes[w->node_at[at]].org == NULL;
}

/* Who has an own mesh node near enough, with room, goes to cloud nodes last. Who is on one already isn't moved for that: a preference is no
 * gain. */
static void prefer_mesh(const struct place_problem *p, struct place_work *w, size_t i)
{
    int64_t within = place_mesh_within(p);
    int32_t *cost = w->cost + i * w->nodes;
    bool any = false;

    if (settled_in_cloud(p, w, i))
        return;
    for (size_t v = 0; !any && v < w->nodes; v++) {
        int32_t rtt = place_cell_rtt(w, i * w->nodes + v);

        any = cost[v] != PLACE_FAR && rtt >= 0 && rtt <= within && p->nodes[w->node_at[v]].org != NULL &&
              has_seat(w, i, v);
    }
    if (!any)
        return;
    w->flags[i] |= PLACE_F_MESH;
    for (size_t v = 0; v < w->nodes; v++) {
        if (cost[v] != PLACE_FAR && p->nodes[w->node_at[v]].org == NULL)
            cost[v] += preference_of(within);
    }
}

static bool any_mesh(const struct place_problem *p, const struct place_work *w)
{
    for (size_t v = 0; v < w->nodes; v++) {
        if (w->rejects[v] == 0 && p->nodes[w->node_at[v]].org != NULL)
            return true;
    }
    return false;
}

PLACE_WIDE static bool all_tried(const uint32_t *restrict cell, size_t nodes)
{
    uint32_t untried = 0;

    for (size_t v = 0; v < nodes; v++)
        untried |= (cell[v] | PLACE_CELL_REST) == UINT32_MAX;
    return !untried;
}

static void rank_one(const struct place_problem *p, struct place_work *w, size_t i)
{
    const struct place_participant *who = &p->participants[w->who[i]];
    uint32_t *cell = w->cell + i * w->nodes;
    bool lossy;

    w->flags[i] = 0;
    w->present[i] = who->present < w->nodes ? w->rank_of[who->present] : PLACE_RANK_NONE;
    if (unknown(who)) {
        rank_unknown(p, w, who, i);
        bar_failed(w, who, i);
        return;
    }
    w->flags[i] |= PLACE_F_MEASURED;
    lossy = place_cells_read(w, who, cell);
    rank_rows(w, i);
    rank_rarities(w, who, i, lossy);
    if (!who->measured)
        rank_predicted(w, who, i);
    else if (!all_tried(cell, w->nodes))
        rank_untested(w, who, i);
    doubt(w, who, i);
    bar_failed(w, who, i);
}

void place_rank_all(const struct place_problem *p, struct place_work *w)
{
    bool mesh = p->policy.mesh_within_us >= 0 && !p->policy.private_only && any_mesh(p, w);

    place_judge_begin(w);
    for (size_t i = 0; i < w->n; i++) {
        rank_one(p, w, i);
        if (mesh && (w->flags[i] & PLACE_F_MEASURED))
            prefer_mesh(p, w, i);
        find_nearest(w, i);
        place_judge_add(w, i);
    }
}

/* ---- the same once more, in its parts ---- */

static const struct place_row *row_used(const struct place_problem *p, const struct place_work *w, size_t i,
                                        size_t v)
{
    const struct place_participant *who = &p->participants[w->who[i]];
    const struct place_row *best = NULL;

    for (size_t k = 0; k < who->n_rows; k++) {
        const struct place_row *row = &who->rows[k];

        if (row->node != w->node_at[v] || row->transport >= TRANSPORT_COUNT || !row->reachable ||
            !(place_cell_usable(w, i * w->nodes + v) & (1u << row->transport)))
            continue;
        if (best == NULL || row->transport < best->transport ||
            (row->transport == best->transport && row->rtt_us >= 0 &&
             (best->rtt_us < 0 || row->rtt_us < best->rtt_us)))
            best = row;
    }
    return best;
}

void place_rank_terms(const struct place_problem *p, const struct place_work *w, size_t i, size_t v,
                      struct place_terms *out)
{
    const struct place_row *row = row_used(p, w, i, v);
    const struct place_node *n = &p->nodes[w->node_at[v]];
    int32_t rtt = place_cell_rtt(w, i * w->nodes + v);
    struct place_terms t = {.rtt_us = 0}; /* as round trips */

    if (row != NULL && rtt >= 0) {
        t.rtt_us = rtt;
        t.transport_us = transport_us[row->transport];
        t.loss_us = loss_price(row);
        t.weight_us = weigh(rtt, w->inverse[v]) - rtt;
    }
    if (v != w->present[i]) {
        t.failures_us = place_failures_price(n);
        t.load_us = w->price[v] - t.failures_us;
    }
    if ((w->flags[i] & PLACE_F_MESH) && n->org == NULL)
        t.mesh_us = preference_of(place_mesh_within(p));
    if (!(w->flags[i] & PLACE_F_MEASURED) && v != w->present[i])
        t.mesh_us = place_blind_price(p, n);
    t.unmeasured_us = w->cost[i * w->nodes + v] - t.rtt_us - t.transport_us - t.loss_us - t.weight_us -
                      t.load_us - t.failures_us - t.mesh_us;
    out->rtt_us = t.rtt_us / 2; /* one way */
    out->transport_us = t.transport_us / 2;
    out->loss_us = t.loss_us / 2;
    out->weight_us = t.weight_us / 2;
    out->load_us = t.load_us / 2;
    out->failures_us = t.failures_us / 2;
    out->mesh_us = t.mesh_us / 2;
    out->unmeasured_us = t.unmeasured_us / 2;
}
