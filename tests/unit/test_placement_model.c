/* link: berth_placement berth_core */
/* The placement engine against a slow and obvious model on thousands of random meetings; the same meetings with everything shuffled;
 * and once more from where they ended. Then all of it with what is rarer: predictions, failures, suspects, weights, caps, nodes that don't
 * reach each other; there the figures aren't modelled, and what must hold of every plan is. */
#include "placement_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint32_t rng(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s;
}

static bool one_in(uint32_t *s, uint32_t n)
{
    return rng(s) % n == 0;
}

static void random_node(struct place_node *n, size_t i, uint32_t *s)
{
    static const char *const ids[NODES] = {"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"};
    static const char *const regions[] = {"eu", "us", "ap"};

    *n = (struct place_node){.id = ids[i], .cluster = "c", .region = regions[rng(s) % 3]};
    n->org = one_in(s, 4) ? "acme" : one_in(s, 10) ? "globex" : NULL;
    n->state = one_in(s, 6) ? PLACE_QUARANTINED : one_in(s, 7) ? PLACE_DRAINING : PLACE_IN_SERVICE;
    n->capacity = one_in(s, 3) ? (int64_t)(rng(s) % 6) : 0;
    n->assigned = rng(s) % 5;
    n->load = (double)(rng(s) % 4) / 4;
    n->transports = one_in(s, 4) ? rng(s) % 16 : TRANSPORTS_ALL;
}

static void random_person(struct world *w, size_t i, uint32_t *s)
{
    static const char *const names[PEOPLE] = {"ann", "bob", "cid", "dee", "eve", "fay", "gus"};
    struct place_participant *who = add_person(w, names[i]);

    if (one_in(s, 4))
        who->capabilities = rng(s) % 16;
    if (one_in(s, 2))
        who->present = rng(s) % w->p.n_nodes;
    who->measured = !one_in(s, 4);
    for (size_t n = 0; who->measured && n < w->p.n_nodes; n++) {
        if (one_in(s, 5))
            continue;
        for (int t = 0; t < TRANSPORT_COUNT; t++) {
            if (!one_in(s, 6))
                measure(w, i, n, (enum transport)t, one_in(s, 3) ? -1 : (int64_t)(rng(s) % 6) * 10000);
            if (one_in(s, 8))
                measure(w, i, n, (enum transport)t, one_in(s, 3) ? -1 : (int64_t)(rng(s) % 6) * 10000);
        }
    }
}

static void random_world(struct world *w, uint32_t seed)
{
    uint32_t s = seed * 2654435761u + 1;

    world_init(w);
    w->p.n_nodes = 1 + rng(&s) % NODES;
    for (size_t i = 0; i < w->p.n_nodes; i++)
        random_node(&w->nodes[i], i, &s);
    for (size_t i = 0, n = rng(&s) % (PEOPLE + 1); i < n; i++)
        random_person(w, i, &s);
    if (one_in(&s, 3)) {
        w->allow[0] = "eu";
        w->allow[1] = "us";
        w->p.policy.n_allow = 1 + rng(&s) % 2;
    }
    if (one_in(&s, 4)) {
        w->deny[0] = "us";
        w->p.policy.n_deny = 1;
    }
    w->p.policy.private_only = one_in(&s, 6);
    if (one_in(&s, 4))
        w->p.policy.transports = 1 + rng(&s) % 15;
    if (one_in(&s, 2))
        w->p.present = rng(&s) % w->p.n_nodes;
}

/* What the plain worlds lack. */
struct rarities {
    size_t failed[PEOPLE][2];
    int32_t between[NODES * NODES];
};

static void rare_person(struct world *w, size_t i, struct rarities *r, uint32_t *s)
{
    struct place_participant *who = &w->people[i];

    if (who->measured && one_in(s, 3)) {
        who->measured = false;
        who->confidence_pct = rng(s) % 101;
    }
    for (size_t k = 0; k < who->n_rows; k++) {
        w->rows[i][k].samples = (uint8_t)(rng(s) % 6);
        w->rows[i][k].lost = (uint8_t)(rng(s) % 4);
    }
    for (size_t k = 0; k < 2; k++)
        r->failed[i][k] = rng(s) % w->p.n_nodes;
    who->failed = r->failed[i];
    who->n_failed = one_in(s, 3) ? 1 + rng(s) % 2 : 0;
    who->guessed = one_in(s, 5);
    who->moved_ago_us = one_in(s, 3) ? 1 + rng(s) % 120000000 : 0;
}

static void rare_world(struct world *w, uint32_t seed, struct rarities *r)
{
    uint32_t s = seed * 2246822519u + 1;

    random_world(w, seed);
    for (size_t n = 0; n < w->p.n_nodes; n++) {
        struct place_node *node = &w->nodes[n];

        if (one_in(&s, 4))
            node->state = one_in(&s, 2) ? PLACE_SUSPECT : PLACE_PROBATION;
        node->weight = one_in(&s, 3) ? (double)(1 + rng(&s) % 40) / 10 : 0;
        node->failures = one_in(&s, 4) ? rng(&s) % 12 : 0;
        node->seat_us = one_in(&s, 4) ? (int32_t)(rng(&s) % 100000) : 0;
        node->load = (double)(rng(&s) % 101) / 100;
        for (size_t b = 0; b < w->p.n_nodes; b++)
            r->between[n * w->p.n_nodes + b] = one_in(&s, 4)    ? -1
                                               : one_in(&s, 10) ? PLACE_NO_WAY
                                                                : (int32_t)(rng(&s) % 200000);
    }
    for (size_t i = 0; i < w->p.n_participants; i++)
        rare_person(w, i, r, &s);
    w->p.node_rtt_us = r->between;
    w->p.policy.cap_worst = one_in(&s, 2);
    w->p.policy.expected_size = one_in(&s, 4) ? rng(&s) % 20 : 0;
    w->p.policy.mesh_within_us = one_in(&s, 3) ? -1 : (int64_t)(rng(&s) % 3) * 20000;
}

/* The obvious model: -2 can't, -1 can but no figure, else the figure. */
static int64_t model_rtt(const struct place_problem *p, size_t who, size_t node, unsigned *ladder)
{
    const struct place_participant *x = &p->participants[who];
    int64_t first = -2;

    *ladder = 0;
    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        unsigned bit = 1u << t;
        int64_t rtt = x->measured ? -2 : -1;

        for (size_t k = 0; k < x->n_rows; k++) {
            const struct place_row *r = &x->rows[k];

            if (r->node == node && (int)r->transport == t && r->reachable && (rtt < 0 || r->rtt_us < rtt))
                rtt = r->rtt_us;
        }
        if (rtt == -2 || !(x->capabilities & p->policy.transports & p->nodes[node].transports & bit))
            continue;
        *ladder |= bit;
        if (first == -2)
            first = rtt;
    }
    return first;
}

/* Nothing is known, and something could be tried. */
static bool model_blind(const struct place_problem *p, size_t who, size_t node, unsigned *ladder)
{
    const struct place_participant *x = &p->participants[who];

    *ladder = x->capabilities & p->policy.transports & p->nodes[node].transports;
    for (size_t k = 0; k < x->n_rows; k++) {
        if (x->rows[k].node == node)
            return false;
    }
    return x->measured && *ladder != 0;
}

static bool model_open(const struct place_problem *p, const struct place_node *n)
{
    bool region = p->policy.n_allow == 0;

    for (size_t i = 0; i < p->policy.n_allow; i++)
        region = region || strcmp(p->policy.allow[i], n->region) == 0;
    for (size_t i = 0; i < p->policy.n_deny; i++)
        region = region && strcmp(p->policy.deny[i], n->region) != 0;
    return region && n->state != PLACE_QUARANTINED && n->state != PLACE_DRAINING &&
           (!p->policy.private_only || n->org) && (!n->org || strcmp(n->org, p->org) == 0) &&
           (n->transports & p->policy.transports);
}

/* The sum of the figures, or -1 where the node can't serve all. */
static int64_t model_sum(const struct place_problem *p, size_t node)
{
    const struct place_node *n = &p->nodes[node];
    int64_t sum = 0, movers = 0;
    unsigned ladder;

    if (!model_open(p, n))
        return -1;
    for (size_t i = 0; i < p->n_participants; i++) {
        int64_t rtt = model_rtt(p, i, node, &ladder);

        if (p->participants[i].present == node && model_blind(p, i, node, &ladder))
            continue; /* a report that doesn't speak of where one is says nothing against it */
        if (rtt == -2)
            return -1;
        sum += rtt > 0 ? rtt : 0;
        movers += p->participants[i].present != node;
    }
    if (n->capacity > 0 && movers > 0 && n->assigned + movers > n->capacity)
        return -1;
    return sum;
}

static bool somebody_is_blind(const struct world *w)
{
    unsigned ladder;

    for (size_t i = 0; i < w->p.n_participants; i++) {
        if (w->seats[i].node != PLACE_NONE && model_blind(&w->p, i, w->seats[i].node, &ladder))
            return true;
    }
    return false;
}

static void check_common(const struct world *w, uint32_t seed)
{
    int64_t least = -1;

    for (size_t n = 0; n < w->p.n_nodes; n++) {
        int64_t sum = model_sum(&w->p, n);

        if ((sum >= 0) != (w->candidates[n].rejected == 0))
            fail_msg("seed %u: node %zu sum %lld rejected %x", seed, n, (long long)sum,
                     w->candidates[n].rejected);
        if (sum >= 0 && (least < 0 || sum < least))
            least = sum;
    }
    if (w->plan.outcome == PLACE_COMMON && !somebody_is_blind(w))
        assert_true(least >= 0);
    if (w->plan.outcome == PLACE_JOINED || w->plan.outcome == PLACE_NO_NODE)
        assert_int_equal(least >= 0, w->plan.outcome == PLACE_JOINED);
}

static void check_seats(const struct world *w)
{
    for (size_t i = 0; i < w->p.n_participants; i++) {
        const struct place_seat *s = &w->seats[i];
        unsigned want, got = 0;

        if (s->node == PLACE_NONE) {
            assert_int_not_equal(w->plan.outcome, PLACE_COMMON);
            continue;
        }
        if (w->plan.outcome == PLACE_COMMON)
            assert_int_equal(s->node, w->plan.node);
        assert_true(model_open(&w->p, &w->nodes[s->node]));
        if (s->rtt_us != -1 || !model_blind(&w->p, i, s->node, &want))
            assert_int_equal(s->rtt_us, model_rtt(&w->p, i, s->node, &want));
        for (size_t k = 0; k < s->n_ladder; k++) {
            assert_true(k == 0 || s->ladder[k - 1] < s->ladder[k]);
            got |= 1u << s->ladder[k];
        }
        assert_int_equal(got, want);
        assert_int_not_equal(got, 0);
    }
}

/* Without a common node: nobody is refused whom some open node with room could have served, and no node is filled past its room. */
static void check_alone(const struct world *w)
{
    int64_t extra[NODES] = {0};
    unsigned ladder;

    for (size_t i = 0; i < w->p.n_participants; i++) {
        if (w->seats[i].node != PLACE_NONE && w->seats[i].node != w->people[i].present)
            extra[w->seats[i].node]++;
    }
    for (size_t n = 0; n < w->p.n_nodes; n++) {
        const struct place_node *node = &w->nodes[n];

        if (extra[n] > 0 && node->capacity > 0)
            assert_true(node->assigned + extra[n] <= node->capacity);
        for (size_t i = 0; i < w->p.n_participants; i++) {
            bool room = node->capacity == 0 || node->assigned + extra[n] < node->capacity;

            if (w->seats[i].node == PLACE_NONE && model_open(&w->p, node) && room) {
                assert_int_equal(model_rtt(&w->p, i, n, &ladder), -2);
                assert_false(model_blind(&w->p, i, n, &ladder));
            }
        }
    }
}

static void test_against_brute_force(void **state)
{
    size_t outcomes[5] = {0};
    struct world w;

    for (uint32_t seed = 1; seed <= 20000; seed++) {
        random_world(&w, seed);
        decide(&w);
        check_common(&w, seed);
        check_seats(&w);
        if (w.plan.outcome != PLACE_COMMON)
            check_alone(&w);
        outcomes[w.plan.outcome]++;
    }
    for (size_t i = 0; i < 5; i++)
        assert_true(outcomes[i] > 100); /* the generator reaches every outcome */
}

/* ---- with what is rarer ---- */

static bool has_failed(const struct place_participant *who, size_t node)
{
    for (size_t k = 0; k < who->n_failed; k++) {
        if (who->failed[k] == node)
            return true;
    }
    return false;
}

/* Predictions and nothing rule nothing out; a report does. */
static bool can_serve(const struct world *w, size_t i, size_t node)
{
    const struct place_participant *who = &w->people[i];
    unsigned ladder, could = who->capabilities & w->p.policy.transports & w->nodes[node].transports;

    if (!model_open(&w->p, &w->nodes[node]) || could == 0 || has_failed(who, node))
        return false;
    return !who->measured || model_rtt(&w->p, i, node, &ladder) != -2 || model_blind(&w->p, i, node, &ladder);
}

/* Of the one it is on, a report that says "lost" may be a single probe's. */
static bool may_serve(const struct world *w, size_t i, size_t node)
{
    const struct place_participant *who = &w->people[i];

    return can_serve(w, i, node) ||
           (who->present == node && model_open(&w->p, &w->nodes[node]) && !has_failed(who, node));
}

/* On a node with room, or on one that somebody whom this plan brought there could leave for another. */
static bool could_sit(const struct world *w, size_t i, const int64_t *extra, bool *seen)
{
    for (size_t n = 0; n < w->p.n_nodes; n++) {
        const struct place_node *node = &w->nodes[n];

        if (seen[n] || !can_serve(w, i, n))
            continue;
        seen[n] = true;
        if (node->capacity == 0 || node->assigned + extra[n] < node->capacity)
            return true;
        for (size_t j = 0; j < w->p.n_participants; j++) {
            if (w->seats[j].node == n && w->people[j].present != n && could_sit(w, j, extra, seen))
                return true;
        }
    }
    return false;
}

static void check_rules(const struct world *w, uint32_t seed)
{
    int64_t extra[NODES] = {0};

    for (size_t i = 0; i < w->p.n_participants; i++) {
        const struct place_seat *s = &w->seats[i];

        if (s->node == PLACE_NONE)
            continue;
        extra[s->node] += s->node != w->people[i].present;
        if (!may_serve(w, i, s->node))
            fail_msg("seed %u: participant %zu on node %zu, which can't serve it", seed, i, s->node);
        if (s->reason == PLACE_WHY_MOVED && w->people[i].moved_ago_us > 0)
            assert_true(w->people[i].moved_ago_us >= 60000000);
        if (s->reason == PLACE_WHY_MOVED)
            assert_true(s->gain_us >= 10000);
        if (s->reason == PLACE_WHY_STAYS || s->reason == PLACE_WHY_STAYS_LATELY)
            assert_int_equal(s->node, w->people[i].present);
    }
    for (size_t n = 0; n < w->p.n_nodes; n++) {
        const struct place_node *node = &w->nodes[n];

        assert_true(extra[n] == 0 || node->capacity == 0 || node->assigned + extra[n] <= node->capacity);
    }
    for (size_t i = 0; i < w->p.n_participants; i++) {
        bool seen[NODES] = {false};

        if (w->seats[i].node == PLACE_NONE && could_sit(w, i, extra, seen))
            fail_msg("seed %u: participant %zu has no seat, and could have one", seed, i);
    }
}

static void check_terms(const struct world *w)
{
    for (size_t i = 0; i < w->p.n_participants; i++) {
        struct place_terms t;

        if (w->seats[i].node == PLACE_NONE)
            continue;
        place_terms(&w->p, &w->plan, i, w->seats[i].node, &t);
        assert_true(t.possible);
        assert_in_range(t.cost_us + 10 -
                            (t.rtt_us + t.transport_us + t.loss_us + t.weight_us + t.load_us + t.failures_us +
                             t.mesh_us + t.unmeasured_us + t.others_us + t.nodes_us),
                        0, 20);
    }
}

static size_t with_figure(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->p.n_participants; i++)
        n += w->seats[i].rtt_us >= 0;
    return n;
}

static int stage_of(int64_t worst_us)
{
    int stage = 0;

    while (stage < PLACE_CAP_STAGES && worst_us > place_cap_us(stage))
        stage++;
    return stage;
}

/* With the cap nobody is worse off than the stage that the best plan without it keeps. */
static void check_cap(struct world *w)
{
    size_t known;
    int stage;

    w->p.policy.cap_worst = false;
    place_decide_best(&w->p, &w->plan);
    known = with_figure(w);
    stage = stage_of(w->plan.worst_us);
    w->p.policy.cap_worst = true;
    place_decide_best(&w->p, &w->plan);
    assert_int_equal(w->plan.cap_stage, stage_of(w->plan.worst_us));
    assert_true(with_figure(w) > known || (with_figure(w) == known && w->plan.cap_stage <= stage));
}

static void test_rules_hold_whatever_is_rare(void **state)
{
    size_t moved = 0, predicted = 0, refused = 0;
    static struct world w;
    struct rarities r;

    for (uint32_t seed = 1; seed <= 20000; seed++) {
        rare_world(&w, seed, &r);
        decide(&w);
        check_rules(&w, seed);
        check_terms(&w);
        if (!w.p.policy.cap_worst && w.plan.present_cost_us >= 0)
            assert_true(w.plan.cost_us <= w.plan.present_cost_us);
        for (size_t i = 0; i < w.p.n_participants; i++) {
            moved += w.seats[i].reason == PLACE_WHY_MOVED;
            predicted += !w.people[i].measured && w.people[i].n_rows > 0 && w.seats[i].node != PLACE_NONE;
            refused += w.seats[i].node == PLACE_NONE;
        }
        check_cap(&w);
    }
    assert_true(moved > 100 && predicted > 100 && refused > 100); /* the generator reaches them */
}

/* ---- in another order ---- */

static void shuffle(size_t *perm, size_t n, uint32_t *s)
{
    for (size_t i = 0; i < n; i++)
        perm[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t k = rng(s) % i, t = perm[i - 1];

        perm[i - 1] = perm[k];
        perm[k] = t;
    }
}

/* `to` is `from` with nodes, participants and rows in another order; node_at[i] tells where node i went. */
static void shuffled_world(struct world *to, const struct world *from, uint32_t *s, size_t *node_at,
                           size_t *person_at, struct rarities *r)
{
    size_t rows[ROWS], nodes = from->p.n_nodes;

    world_init(to);
    to->p.policy = from->p.policy;
    to->p.n_nodes = from->p.n_nodes;
    to->p.n_participants = from->p.n_participants;
    shuffle(node_at, from->p.n_nodes, s);
    shuffle(person_at, from->p.n_participants, s);
    for (size_t n = 0; n < from->p.n_nodes; n++)
        to->nodes[node_at[n]] = from->nodes[n];
    to->p.present = from->p.present == PLACE_NONE ? PLACE_NONE : node_at[from->p.present];
    for (size_t a = 0; from->p.node_rtt_us != NULL && a < nodes; a++) {
        for (size_t b = 0; b < nodes; b++)
            r->between[node_at[a] * nodes + node_at[b]] = from->p.node_rtt_us[a * nodes + b];
    }
    to->p.node_rtt_us = from->p.node_rtt_us != NULL ? r->between : NULL;
    for (size_t i = 0; i < from->p.n_participants; i++) {
        struct place_participant *x = &to->people[person_at[i]];

        *x = from->people[i];
        x->rows = to->rows[person_at[i]];
        x->present = x->present == PLACE_NONE ? PLACE_NONE : node_at[x->present];
        for (size_t k = 0; k < x->n_failed; k++)
            r->failed[person_at[i]][k] = node_at[from->people[i].failed[k]];
        x->failed = r->failed[person_at[i]];
        shuffle(rows, x->n_rows, s);
        for (size_t k = 0; k < x->n_rows; k++) {
            to->rows[person_at[i]][rows[k]] = from->rows[i][k];
            to->rows[person_at[i]][rows[k]].node = (uint32_t)node_at[from->rows[i][k].node];
        }
    }
}

static void check_same(const struct world *a, const struct world *b, const size_t *node_at,
                       const size_t *person_at)
{
    assert_int_equal(a->plan.outcome, b->plan.outcome);
    assert_int_equal(a->plan.cap_stage, b->plan.cap_stage);
    for (size_t n = 0; n < a->p.n_nodes; n++) {
        assert_int_equal(a->candidates[n].rejected, b->candidates[node_at[n]].rejected);
        assert_int_equal(a->candidates[n].mean_rtt_us, b->candidates[node_at[n]].mean_rtt_us);
    }
    for (size_t i = 0; i < a->p.n_participants; i++) {
        const struct place_seat *x = &a->seats[i], *y = &b->seats[person_at[i]];

        assert_int_equal(x->node == PLACE_NONE ? PLACE_NONE : node_at[x->node], y->node);
        assert_int_equal(x->rtt_us, y->rtt_us);
        assert_int_equal(x->reason, y->reason);
        assert_int_equal(x->overflow, y->overflow);
        assert_int_equal(x->n_ladder, y->n_ladder);
        assert_memory_equal(x->ladder, y->ladder, x->n_ladder * sizeof x->ladder[0]);
    }
}

static void test_order_of_input_does_not_matter(void **state)
{
    static struct world a, b;
    struct rarities of_a, of_b;
    size_t node_at[NODES], person_at[PEOPLE];

    for (uint32_t seed = 1; seed <= 10000; seed++) {
        uint32_t s = seed;

        if (seed % 2 == 0)
            random_world(&a, seed);
        else
            rare_world(&a, seed, &of_a);
        decide(&a);
        shuffled_world(&b, &a, &s, node_at, person_at, &of_b);
        decide(&b);
        check_same(&a, &b, node_at, person_at);
    }
}

/* Decided once, decided again from there: nothing moves. */
static void test_a_plan_is_stable(void **state)
{
    static struct world w;
    size_t nodes[PEOPLE];

    for (uint32_t seed = 1; seed <= 5000; seed++) {
        random_world(&w, seed);
        decide(&w);
        if (w.plan.outcome != PLACE_COMMON)
            continue;
        w.p.present = w.plan.node;
        for (size_t i = 0; i < w.p.n_participants; i++)
            w.people[i].present = nodes[i] = w.seats[i].node;
        decide(&w);
        for (size_t i = 0; i < w.p.n_participants; i++)
            assert_int_equal(w.seats[i].node, nodes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_brute_force),
        cmocka_unit_test(test_rules_hold_whatever_is_rare),
        cmocka_unit_test(test_order_of_input_does_not_matter),
        cmocka_unit_test(test_a_plan_is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
