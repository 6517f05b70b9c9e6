/* The plans that Berth is compared with. Invariant: they see the truth and the whole future where their name says so, and no
 * capacity: what they reach is not easier to reach for Berth. */
#include "run_internal.h"

#include "rng.h"

/* The nearest node of a few, or of all that are allowed. */
static size_t nearest(const struct house *h, size_t i)
{
    size_t best = NAMES_NONE;
    for (size_t v = 0; v < h->n_nodes; v++) {
        if (h->allowed[v] && h->rtt[i][v] < WORLD_FAR_US &&
            (best == NAMES_NONE || h->rtt[i][v] < h->rtt[i][best]))
            best = v;
    }
    return best;
}

/* The node, or where it is out of reach the participant's own nearest. */
static size_t node_or_nearest(const struct house *h, size_t i, size_t node)
{
    return node != NAMES_NONE && h->rtt[i][node] < WORLD_FAR_US ? node : nearest(h, i);
}

/* The node that is best for everybody in the house, those who don't reach it on their nearest. */
static size_t best_single(const struct house *h, size_t *plan)
{
    size_t best = NAMES_NONE;
    int64_t least = INT64_MAX;
    for (size_t v = 0; v < h->n_nodes; v++) {
        if (!h->allowed[v])
            continue;
        for (size_t i = 0; i < h->n; i++)
            plan[i] = node_or_nearest(h, i, v);
        struct house_cost c;
        house_cost(h, plan, &c);
        int64_t cost = h->n > 1 ? c.sum : house_leg(h, 0, plan[0]);
        if (cost < least) {
            least = cost;
            best = v;
        }
    }
    return best;
}

static size_t random_node(const struct run *r, size_t meeting)
{
    const bool *allowed = place_engine_allowed(r->engine);
    uint64_t state = r->o->seed * 1000003 + meeting;
    size_t found = NAMES_NONE, seen = 0;
    for (size_t v = 0; v < r->w->nodes.n; v++) {
        if (allowed[v] && rng_next(&state) % ++seen == 0)
            found = v;
    }
    return found;
}

int baseline_open(struct run *r, size_t meeting)
{
    struct crowd *c = &r->crowd[meeting];
    struct house h = run_house(r, c->n_full, c->full);
    uint64_t seed = r->o->seed + meeting;
    c->opened = true;
    c->random = random_node(r, meeting);
    c->single = best_single(&h, r->plan);
    for (size_t i = 0; i < h.n; i++)
        r->plan[i] = node_or_nearest(&h, i, c->single);
    int64_t sum = search_best(r->search, &h, r->o->starts * 10, seed, r->plan);
    if (sum < 0)
        return (int)sum;
    r->r->meeting[meeting].proven = search_exact(r->search, &h, r->o->exact_steps, r->plan, &sum);
    for (size_t i = 0; i < h.n; i++) {
        /* alone, every reachable node is as good by the measure: the nearest is meant */
        r->seat[PLAN_KEPT][c->full[i]] = h.n > 1 ? r->plan[i] : nearest(&h, i);
        if (r->seat[PLAN_KEPT][c->full[i]] != NAMES_NONE)
            r->used[PLAN_KEPT][r->seat[PLAN_KEPT][c->full[i]]]++;
    }
    return 0;
}

/* Of the kept plan's nodes the nearest, for somebody that it doesn't speak of. */
static size_t kept_seat(const struct run *r, const struct crowd *c, const struct house *h, size_t i)
{
    size_t best = r->seat[PLAN_KEPT][c->stay[i]];
    if (best != NAMES_NONE)
        return best;
    for (size_t k = 0; k < c->n_full; k++) {
        size_t v = r->seat[PLAN_KEPT][c->full[k]];
        if (v != NAMES_NONE && h->rtt[i][v] < WORLD_FAR_US &&
            (best == NAMES_NONE || h->rtt[i][v] < h->rtt[i][best]))
            best = v;
    }
    return best != NAMES_NONE ? best : nearest(h, i);
}

static int plan_best(struct run *r, size_t meeting, const struct house *h)
{
    struct crowd *c = &r->crowd[meeting];
    bool full = c->n == c->n_full;
    if (h->n < 2) {
        for (size_t i = 0; i < h->n; i++)
            r->plan[i] = nearest(h, i);
        return 0;
    }
    for (size_t i = 0; i < h->n; i++) {
        r->plan[i] = kept_seat(r, c, h, i);
        full = full && c->stay[i] == c->full[i];
    }
    if (full)
        return 0; /* searched for at the opening */
    int64_t sum = search_best(r->search, h, r->o->starts, r->o->seed + meeting, r->plan);
    return sum < 0 ? (int)sum : 0;
}

int baseline_plan(struct run *r, enum plan_kind kind, size_t meeting)
{
    const struct crowd *c = &r->crowd[meeting];
    struct house h = run_house(r, c->n, c->stay);
    size_t first = r->v->meeting[meeting].first;
    size_t first_node = NAMES_NONE;
    if (kind == PLAN_BEST)
        return plan_best(r, meeting, &h);
    if (kind == PLAN_FIRST) {
        const int64_t *rtt = matrix_row(&r->w->truth, r->v->stay[first].site);
        struct house alone = {
            .n = 1, .rtt = &rtt, .n_nodes = h.n_nodes, .between = h.between, .allowed = h.allowed};
        first_node = nearest(&alone, 0);
    }
    for (size_t i = 0; i < h.n; i++) {
        r->plan[i] = kind == PLAN_FIRST    ? node_or_nearest(&h, i, first_node)
                     : kind == PLAN_SINGLE ? node_or_nearest(&h, i, c->single)
                     : kind == PLAN_RANDOM ? node_or_nearest(&h, i, c->random)
                     : kind == PLAN_KEPT   ? kept_seat(r, c, &h, i)
                                           : nearest(&h, i);
    }
    return 0;
}
