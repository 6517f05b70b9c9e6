/* Exchanges of seats between two meetings, after every meeting has been decided by itself. Invariant: an exchange is
 * kept only if both meetings together gain by it, and no node has more than its capacity after it. */
#include "run_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 8 };

struct exchange {
    struct run *r;
    int64_t *used; /* what the engine is told, n_nodes */
    size_t *wants; /* a plan of one meeting, of as many as the largest has */
    size_t *leaves;
    size_t moved;
};

/* Where a meeting's members are now: to `seat`. */
static void seats_of(const struct exchange *x, const struct crowd *c, size_t *seat)
{
    for (size_t i = 0; i < c->n; i++)
        seat[i] = x->r->seat[PLAN_ONLINE][c->stay[i]];
}

/* All legs, and each one's mean hop to the others: comparable between meetings of any size. */
static int64_t cost_of(const struct exchange *x, const struct crowd *c, const size_t *seat)
{
    struct house h = run_house(x->r, c->n, c->stay);
    return c->n == 1 ? house_leg(&h, 0, seat[0]) : house_sum(&h, seat) / (int64_t)(c->n - 1);
}

/* The engine's plan for a meeting as if it came anew, with a seat more on `node` if that is full (NAMES_NONE: on
 * none). Those with room enough are shown as empty: the price of the last seats keeps them for those who are to
 * come, and nobody is to come here. */
static int ask(struct exchange *x, const struct crowd *c, size_t node, size_t *seat)
{
    struct run *r = x->r;
    int64_t ns;
    memcpy(x->used, r->used[PLAN_ONLINE], r->w->nodes.n * sizeof *x->used);
    for (size_t i = 0; i < c->n; i++) {
        const struct stay *s = &r->v->stay[c->stay[i]];
        size_t at = r->seat[PLAN_ONLINE][c->stay[i]];
        if (at != NAMES_NONE)
            x->used[at]--;
        r->member[i] = (struct place_engine_member){
            .name = s->name, .site = s->site, .unmeasured = s->unmeasured, .present = NAMES_NONE};
    }
    for (size_t v = 0; v < r->w->nodes.n; v++) {
        int64_t capacity = r->w->node[v].capacity, left = capacity - x->used[v];
        if (v == node)
            x->used[v]--;
        else if (left >= (int64_t)c->n)
            x->used[v] = 0;
    }
    return place_engine_decide(r->engine, ENGINE_BEST, c->n, r->member, x->used, seat, &ns);
}

static void settle(struct exchange *x, const struct crowd *c, const size_t *seat)
{
    memcpy(x->r->plan, seat, c->n * sizeof *seat);
    x->moved += run_seat(x->r, PLAN_ONLINE, c);
}

/* The one node that has more than its capacity; NAMES_NONE: none has, or more than one, which *many tells apart. */
static size_t overfull(const struct run *r, bool *many)
{
    size_t found = NAMES_NONE;
    *many = false;
    for (size_t v = 0; v < r->w->nodes.n; v++) {
        if (r->w->node[v].capacity == 0 || r->used[PLAN_ONLINE][v] <= r->w->node[v].capacity)
            continue;
        *many = *many || found != NAMES_NONE || r->used[PLAN_ONLINE][v] > r->w->node[v].capacity + 1;
        found = v;
    }
    return *many ? NAMES_NONE : found;
}

static bool has_on(const struct run *r, const struct crowd *c, size_t node)
{
    for (size_t i = 0; i < c->n; i++) {
        if (r->seat[PLAN_ONLINE][c->stay[i]] == node)
            return true;
    }
    return false;
}

static bool seated_all(const struct crowd *c, const size_t *seat)
{
    for (size_t i = 0; i < c->n; i++) {
        if (seat[i] == NAMES_NONE)
            return false;
    }
    return true;
}

/* Somebody on the node leaves it: the meeting that loses least, if it loses less than `gain`. 1: done; 0: nobody. */
static int make_room(struct exchange *x, const struct crowd *but, size_t node, int64_t gain)
{
    struct crowd *best = NULL;
    int answer;
    for (size_t m = 0; m < x->r->v->meetings.n; m++) {
        struct crowd *c = &x->r->crowd[m];
        if (c == but || !has_on(x->r, c, node))
            continue;
        seats_of(x, c, x->leaves);
        int64_t now = cost_of(x, c, x->leaves);
        if ((answer = ask(x, c, NAMES_NONE, x->leaves)) < 0)
            return answer;
        if (!seated_all(c, x->leaves))
            continue;
        int64_t loss = cost_of(x, c, x->leaves) - now;
        if (loss < gain) {
            gain = loss;
            best = c;
        }
    }
    if (!best)
        return 0;
    if ((answer = ask(x, best, NAMES_NONE, x->leaves)) < 0)
        return answer;
    settle(x, best, x->leaves);
    return 1;
}

static bool is_full(const struct run *r, size_t node)
{
    return r->w->node[node].capacity > 0 && r->used[PLAN_ONLINE][node] >= r->w->node[node].capacity;
}

/* Whether the node is nearer to some member than where it is. */
static bool attracts(const struct exchange *x, const struct crowd *c, size_t node)
{
    struct house h = run_house(x->r, c->n, c->stay);
    for (size_t i = 0; i < c->n; i++) {
        if (h.rtt[i][node] < house_leg(&h, i, x->r->seat[PLAN_ONLINE][c->stay[i]]))
            return true;
    }
    return false;
}

/* What a meeting would have with a seat more on a full node, if another meeting makes room for less than that gains.
 * 1: exchanged. */
static int try_node(struct exchange *x, const struct crowd *c, size_t node)
{
    size_t moved = x->moved;
    bool many;
    int answer;
    seats_of(x, c, x->leaves);
    int64_t now = cost_of(x, c, x->leaves);
    if ((answer = ask(x, c, node, x->wants)) < 0)
        return answer;
    int64_t gain = now - cost_of(x, c, x->wants);
    if (gain <= 0)
        return 0;
    size_t *kept = calloc(c->n, sizeof *kept);
    if (!kept)
        return -ENOMEM;
    memcpy(kept, x->leaves, c->n * sizeof *kept);
    settle(x, c, x->wants);
    size_t over = overfull(x->r, &many);
    answer = many ? 0 : over == NAMES_NONE ? 1 : make_room(x, c, over, gain);
    if (answer == 0) {
        settle(x, c, kept);
        x->moved = moved;
    }
    free(kept);
    return answer;
}

static int try_meeting(struct exchange *x, const struct crowd *c)
{
    int done = try_node(x, c, NAMES_NONE); /* the seats that are left */
    for (size_t v = 0; done >= 0 && v < x->r->w->nodes.n; v++) {
        int answer = is_full(x->r, v) && attracts(x, c, v) ? try_node(x, c, v) : 0;
        if (answer < 0)
            return answer;
        done += answer;
    }
    return done;
}

int exchange_seats(struct run *r, size_t *moved)
{
    size_t largest = 1;
    struct exchange x = {.r = r};
    int answer = -ENOMEM;
    for (size_t m = 0; m < r->v->meetings.n; m++)
        largest = r->crowd[m].n > largest ? r->crowd[m].n : largest;
    x.used = calloc(r->w->nodes.n, sizeof *x.used);
    x.wants = calloc(largest, sizeof *x.wants);
    x.leaves = calloc(largest, sizeof *x.leaves);
    if (!x.used || !x.wants || !x.leaves)
        goto out;
    answer = 0;
    for (size_t pass = 0, done = 1; pass < PASSES && done > 0 && answer >= 0; pass++) {
        done = 0;
        for (size_t m = 0; m < r->v->meetings.n && answer >= 0; m++) {
            answer = r->crowd[m].n > 0 ? try_meeting(&x, &r->crowd[m]) : 0;
            done += (size_t)(answer > 0);
        }
    }
    *moved = x.moved;
out:
    free(x.used);
    free(x.wants);
    free(x.leaves);
    return answer < 0 ? answer : 0;
}
