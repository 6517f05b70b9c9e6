/* Round trips between nodes, and estimates where nobody has measured. Invariant: symmetric, 0 from a node to itself, never less than the
 * bounds that measurements leave; a pair is estimated once a decision, whoever asks for it afterwards. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    SAME_SITE_US = 500,      /* nodes of one cluster, unmeasured, ... */
    SAME_SITE_MAX_US = 10000 /* ... unless somebody's round trips to them differ by more */
};

static int32_t known(const struct place_problem *p, size_t a, size_t b)
{
    int32_t ab, ba, us;

    if (a == b)
        return 0;
    if (p->node_rtt_us == NULL) {
        us = p->ways != NULL ? p->ways->measured(p->ways->of, a, b) : -1;
    } else {
        ab = p->node_rtt_us[a * p->n_nodes + b];
        ba = p->node_rtt_us[b * p->n_nodes + a];
        us = (int32_t)(((int64_t)ab + ba) / 2);
        if (ab < 0 || ba < 0) /* one direction is enough; a failure says more than silence */
            us = ab >= 0 ? ab : ba >= 0 ? ba : ab < ba ? ab : ba;
    }
    return us < PLACE_RTT_MAX_US ? us : PLACE_RTT_MAX_US;
}

static int64_t by_place(const struct place_problem *p, size_t a, size_t b)
{
    bool can = p->node_rtt_us == NULL && p->ways != NULL && p->ways->guessed != NULL;
    int64_t us = can ? p->ways->guessed(p->ways->of, a, b) : -1;

    return us >= 0 ? us : PLACE_NODE_UNKNOWN_US;
}

static bool same_cluster(const struct place_node *a, const struct place_node *b)
{
    return strcmp(a->cluster, b->cluster) == 0 && strcmp(a->region, b->region) == 0;
}

/* What witness j measured to node v: the short list's nodes, then participants. */
static int32_t witnessed(const struct place_problem *p, const struct place_work *w, size_t j, uint32_t v)
{
    size_t nodes = w->k - 1;

    return j < nodes ? known(p, w->node_at[v], w->node_at[w->col[j].node])
                     : place_cell_rtt(w, w->witness_of[j - nodes] * w->nodes + v);
}

/* What the triangle leaves: no more than the sum and, as a rule, no less than the difference. */
struct bounds {
    int32_t least[PLACE_COLS], most[PLACE_COLS];
};

/* One witness, `to` away from the node in question, and `row` from those of the short list. */
static void bound(struct bounds *out, int32_t to, const int32_t *restrict row, size_t n)
{
    int32_t *restrict least = out->least, *restrict most = out->most;

    for (size_t k = 0; k < n; k++) {
        int32_t diff = to > row[k] ? to - row[k] : row[k] - to, sum = to + row[k], no = -(row[k] < 0);

        diff = diff & ~no;
        sum = (sum & ~no) | (INT32_MAX & no);
        least[k] = diff > least[k] ? diff : least[k];
        most[k] = sum < most[k] ? sum : most[k];
    }
}

static int32_t estimate(const struct place_problem *p, const struct place_work *w, uint32_t v, size_t k,
                        int32_t least, int32_t most)
{
    size_t a = w->node_at[v], b = w->node_at[w->col[k].node];

    if (least <= SAME_SITE_MAX_US && same_cluster(&p->nodes[a], &p->nodes[b]))
        return SAME_SITE_US;
    if (most == INT32_MAX)
        return (int32_t)by_place(p, a, b);
    return least >= most ? most : least + (most - least) / 4 * 3;
}

/* Two nodes that don't reach each other are joined through a third, if at all. */
static int32_t detour(const int32_t *to, const int32_t *from, size_t n)
{
    int32_t least = PLACE_APART_US;

    for (size_t k = 0; k < n; k++) {
        if (to[k] > 0 && from[k] > 0 && to[k] + from[k] < least)
            least = to[k] + from[k];
    }
    return least;
}

/* From node v to every node of the short list: as measured, or, where nobody has measured the pair, from whoever measured both, a node of the
 * list or a participant. The sum is nearer to the truth than the difference, as round trips go by way of somewhere. For want of witnesses,
 * where the nodes stand. `to`: from v to every witness. */
static void find_ways(const struct place_problem *p, const struct place_work *w, uint32_t v,
                      const int32_t *to, int32_t *out)
{
    size_t nodes = w->k - 1;
    struct bounds t = {.least = {0}};
    bool all = true;

    for (size_t k = 0; k < nodes; k++) {
        all = all && to[k] >= 0;
        t.most[k] = INT32_MAX;
    }
    for (size_t j = 0; !all && j < nodes + w->n_witnesses; j++) {
        if (to[j] >= 0)
            bound(&t, to[j], w->witness + j * PLACE_COLS, nodes);
    }
    for (size_t k = 0; k < nodes; k++)
        out[k] = to[k] >= 0              ? to[k]
                 : to[k] == PLACE_NO_WAY ? detour(to, w->witness + k * PLACE_COLS, nodes)
                                         : estimate(p, w, v, k, t.least[k], t.most[k]);
}

static void ask_witnesses(const struct place_problem *p, struct place_work *w)
{
    size_t nodes = w->k - 1;

    w->n_witnesses = 0;
    for (size_t i = 0; i < w->n && w->n_witnesses < PLACE_WITNESSES; i++) {
        if (p->participants[w->who[i]].measured)
            w->witness_of[w->n_witnesses++] = (uint32_t)i;
    }
    for (size_t j = 0; j < nodes + w->n_witnesses; j++) {
        for (size_t k = 0; k < nodes; k++)
            w->witness[j * PLACE_COLS + k] =
                j < nodes && k < j ? w->witness[k * PLACE_COLS + j] : witnessed(p, w, j, w->col[k].node);
    }
}

void place_nodes_matrix(const struct place_problem *p, struct place_work *w)
{
    size_t nowhere = w->k - 1;
    int32_t to[PLACE_COLS + PLACE_WITNESSES] = {0}, row[PLACE_COLS] = {0};

    if (w->n < 2) { /* who is alone needs no way between nodes */
        memset(w->d, 0, sizeof(w->d));
        return;
    }
    memset(w->way_done, 0, w->nodes);
    ask_witnesses(p, w);
    for (size_t a = 0; a < nowhere; a++) {
        for (size_t j = 0; j < nowhere + w->n_witnesses; j++)
            to[j] = w->witness[j * PLACE_COLS + a];
        find_ways(p, w, w->col[a].node, to, row);
        for (size_t b = 0; b <= a; b++)
            w->d[a * PLACE_STRIDE + b] = w->d[b * PLACE_STRIDE + a] = row[b];
    }
    for (size_t k = nowhere; k < w->stride; k++) {
        for (size_t a = 0; a < w->stride; a++)
            w->d[k * PLACE_STRIDE + a] = w->d[a * PLACE_STRIDE + k] = 0;
    }
}

/* The round trips from a node that isn't on the short list to all that are. */
static const int32_t *ways_from(const struct place_problem *p, struct place_work *w, uint32_t v)
{
    int32_t *way = w->way + v * (size_t)PLACE_COLS, to[PLACE_COLS + PLACE_WITNESSES] = {0};

    if (w->way_done[v])
        return way;
    for (size_t j = 0; j + 1 < w->k + w->n_witnesses; j++)
        to[j] = witnessed(p, w, j, v);
    find_ways(p, w, v, to, way);
    w->way_done[v] = true;
    return way;
}

/* Of two nodes off the list: as measured, or between the bounds that the nodes of the list leave. */
static int64_t off_list(const struct place_problem *p, struct place_work *w, uint32_t a, uint32_t b)
{
    const int32_t *from = ways_from(p, w, a), *to = ways_from(p, w, b);
    struct bounds t = {.most = {INT32_MAX}};
    int64_t us = known(p, w->node_at[a], w->node_at[b]);

    if (us == PLACE_NO_WAY)
        return detour(from, to, w->k - 1);
    if (us >= 0 || w->k == 1)
        return us >= 0 ? us : by_place(p, w->node_at[a], w->node_at[b]);
    for (size_t k = 0; k + 1 < w->k; k++)
        bound(&t, from[k], to + k, 1);
    return t.least[0] >= t.most[0] ? t.most[0] : t.least[0] + (t.most[0] - t.least[0]) / 4 * 3;
}

int64_t place_node_rtt(const struct place_problem *p, struct place_work *w, uint32_t a, uint32_t b)
{
    size_t ka = w->col_of[a], kb = w->col_of[b];

    if (a == b || w->n < 2)
        return 0;
    if (ka != PLACE_COL_NONE && kb != PLACE_COL_NONE)
        return w->d[ka * PLACE_STRIDE + kb];
    if (kb != PLACE_COL_NONE)
        return ways_from(p, w, a)[kb];
    return ka != PLACE_COL_NONE ? ways_from(p, w, b)[ka] : off_list(p, w, a, b);
}
