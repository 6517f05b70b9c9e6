/* From rows to the matrix that everything else works on: what each participant would use of each node, and what that costs. Invariant: a
 * figure is of the transport that would really be used, and "don't know" is told from "can't". */
#include "placement/place_internal.h"

#include <string.h>

enum {
    LOSS_PCT_US = 1000, /* a percent of loss is felt like a millisecond */
    LOSS_MAX_US = 50000,
    KEY_SHIFT = 40
};
#define KEY_NONE UINT64_MAX

/* In a stream one lost packet holds up all that follow it for a round trip and more: at 1 to 2 % of loss and 50 packets a second that is 8
 * to 20 ms on average. Inspection, and two streams in a row through a proxy, add to it. */
static const int32_t transport_us[TRANSPORT_COUNT] = {0, 20000, 30000, 50000};

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

static int64_t within_of(const struct place_problem *p)
{
    int64_t us = p->policy.mesh_within_us != 0 ? p->policy.mesh_within_us : PLACE_MESH_WITHIN_US;

    return us > PLACE_RTT_MAX_US ? PLACE_RTT_MAX_US : us;
}

/* Per node: the bits of what was tried and of what works, and the best row: the first usable transport's, with the least figure. */
static void read_rows(struct place_work *w, const struct place_participant *who, uint8_t *usable)
{
    for (size_t k = 0; k < who->n_rows; k++) {
        const struct place_row *row = &who->rows[k];
        uint8_t bit = (uint8_t)(1u << row->transport);
        uint64_t key;
        uint32_t v;

        if (row->node >= w->nodes || row->transport >= TRANSPORT_COUNT)
            continue;
        v = w->rank_of[row->node];
        w->tested[v] |= bit;
        if (!row->reachable || !(bit & who->capabilities & w->offered[v]))
            continue;
        usable[v] |= bit;
        key = (uint64_t)row->transport << KEY_SHIFT |
              (uint32_t)(row->rtt_us < 0 ? PLACE_RTT_UNKNOWN_US : row->rtt_us);
        if (key < w->key[v]) {
            w->key[v] = key;
            w->row[v] = (uint32_t)k;
        }
    }
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

static int32_t weigh(int32_t rtt, int32_t inverse)
{
    if (rtt > PLACE_RTT_MAX_US)
        rtt = PLACE_RTT_MAX_US;
    return inverse == 1000 ? rtt : (int32_t)((int64_t)rtt * inverse / 1000);
}

static void rank_rows(struct place_work *w, const struct place_participant *who, size_t i)
{
    int32_t *cost = w->cost + i * w->nodes, *rtt = w->rtt + i * w->nodes;

    for (size_t v = 0; v < w->nodes; v++) {
        const struct place_row *row;

        rtt[v] = -1;
        cost[v] = PLACE_FAR;
        if (w->key[v] == KEY_NONE)
            continue;
        row = &who->rows[w->row[v]];
        rtt[v] = row->rtt_us < 0 ? PLACE_RTT_UNKNOWN_US : row->rtt_us;
        if (w->rejects[v] != 0)
            continue;
        cost[v] = weigh(rtt[v], w->inverse[v]) + transport_us[row->transport] + loss_price(row);
        if (v != w->present[i])
            cost[v] += w->price[v];
    }
}

/* What differs between the nodes by a prediction counts as far as the prediction is sure. */
static void shrink(struct place_work *w, size_t i, unsigned pct)
{
    int32_t *cost = w->cost + i * w->nodes;
    int64_t sum = 0, n = 0;

    for (size_t v = 0; v < w->nodes; v++) {
        if (cost[v] != PLACE_FAR) {
            sum += cost[v];
            n++;
        }
    }
    for (size_t v = 0; n > 0 && pct < 100 && v < w->nodes; v++) {
        if (cost[v] != PLACE_FAR)
            cost[v] = (int32_t)(sum / n + (cost[v] - sum / n) * (int64_t)pct / 100);
    }
}

static void rank_unknown(const struct place_problem *p, struct place_work *w,
                         const struct place_participant *who, size_t i)
{
    int32_t *cost = w->cost + i * w->nodes, *rtt = w->rtt + i * w->nodes;
    uint8_t *usable = w->usable + i * w->nodes;

    for (size_t v = 0; v < w->nodes; v++) {
        rtt[v] = -1;
        usable[v] = (uint8_t)(who->capabilities & w->offered[v]);
        cost[v] = PLACE_FAR;
        if (w->rejects[v] == 0 && usable[v] != 0)
            cost[v] = v == w->present[i] ? 0 : w->price[v] + place_blind_price(p, &p->nodes[w->node_at[v]]);
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

    for (size_t v = 0; v < w->nodes; v++) {
        if (cost[v] < least)
            least = cost[v];
    }
    for (size_t v = 0; v < w->nodes; v++) {
        uint8_t can = (uint8_t)(who->capabilities & w->offered[v]);

        if (w->rejects[v] != 0 || w->tested[v] != 0 || can == 0)
            continue;
        w->usable[i * w->nodes + v] = can;
        cost[v] = v == w->present[i] ? least : PLACE_BLIND_US + w->price[v];
    }
}

/* Who has an own mesh node near enough, with room, goes to cloud nodes last. */
static void prefer_mesh(const struct place_problem *p, struct place_work *w, size_t i)
{
    int64_t within = within_of(p);
    int32_t *cost = w->cost + i * w->nodes, *rtt = w->rtt + i * w->nodes;
    bool any = false;

    for (size_t v = 0; !any && v < w->nodes; v++)
        any = cost[v] != PLACE_FAR && rtt[v] >= 0 && rtt[v] <= within &&
              p->nodes[w->node_at[v]].org != NULL && has_seat(w, i, v);
    if (!any)
        return;
    w->flags[i] |= PLACE_F_MESH;
    for (size_t v = 0; v < w->nodes; v++) {
        if (cost[v] != PLACE_FAR && p->nodes[w->node_at[v]].org == NULL)
            cost[v] += (int32_t)within;
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

void place_rank_all(const struct place_problem *p, struct place_work *w)
{
    bool mesh = p->policy.mesh_within_us >= 0 && !p->policy.private_only && any_mesh(p, w);

    for (size_t i = 0; i < w->n; i++) {
        const struct place_participant *who = &p->participants[w->who[i]];

        w->flags[i] = 0;
        w->present[i] = who->present < w->nodes ? w->rank_of[who->present] : PLACE_RANK_NONE;
        memset(w->tested, 0, w->nodes);
        if (unknown(who)) {
            rank_unknown(p, w, who, i);
            bar_failed(w, who, i);
            continue;
        }
        w->flags[i] |= PLACE_F_MEASURED;
        memset(w->key, 0xff, w->nodes * sizeof(*w->key));
        memset(w->usable + i * w->nodes, 0, w->nodes);
        read_rows(w, who, w->usable + i * w->nodes);
        rank_rows(w, who, i);
        if (!who->measured)
            shrink(w, i, who->confidence_pct);
        rank_untested(w, who, i);
        bar_failed(w, who, i);
        if (mesh)
            prefer_mesh(p, w, i);
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
            !(w->usable[i * w->nodes + v] & (1u << row->transport)))
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
    int64_t rest = w->cost[i * w->nodes + v], rtt = w->rtt[i * w->nodes + v];

    out->rtt_us = rtt > 0 ? rtt / 2 : 0;
    if (row != NULL && rtt >= 0) {
        out->transport_us = transport_us[row->transport] / 2;
        out->loss_us = loss_price(row) / 2;
    }
    if (v != w->present[i])
        out->load_us = w->price[v] / 2;
    if ((w->flags[i] & PLACE_F_MESH) && p->nodes[w->node_at[v]].org == NULL)
        out->mesh_us = within_of(p) / 2;
    out->weight_us = rest / 2 - out->rtt_us - out->transport_us - out->loss_us - out->load_us - out->mesh_us;
}
