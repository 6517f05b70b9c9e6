/* link: berth_placement berth_core */
/* The placement engine against a slow and obvious model on thousands of random meetings; the same meetings with everything shuffled;
 * and once more from where they ended. */
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
    return region && n->state == PLACE_IN_SERVICE && (!p->policy.private_only || n->org) &&
           (!n->org || strcmp(n->org, p->org) == 0) && (n->transports & p->policy.transports);
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

        if (rtt == -2)
            return -1;
        sum += rtt > 0 ? rtt : 0;
        movers += p->participants[i].present != node;
    }
    if (n->capacity > 0 && movers > 0 && n->assigned + movers > n->capacity)
        return -1;
    return sum;
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
    if (w->plan.outcome == PLACE_COMMON)
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
        if (s->rtt_us == -1 && model_blind(&w->p, i, s->node, &want))
            assert_int_not_equal(w->plan.outcome, PLACE_COMMON);
        else
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
                           size_t *person_at)
{
    size_t rows[ROWS];

    world_init(to);
    to->p.policy = from->p.policy;
    to->p.n_nodes = from->p.n_nodes;
    to->p.n_participants = from->p.n_participants;
    shuffle(node_at, from->p.n_nodes, s);
    shuffle(person_at, from->p.n_participants, s);
    for (size_t n = 0; n < from->p.n_nodes; n++)
        to->nodes[node_at[n]] = from->nodes[n];
    to->p.present = from->p.present == PLACE_NONE ? PLACE_NONE : node_at[from->p.present];
    for (size_t i = 0; i < from->p.n_participants; i++) {
        struct place_participant *x = &to->people[person_at[i]];

        *x = from->people[i];
        x->rows = to->rows[person_at[i]];
        x->present = x->present == PLACE_NONE ? PLACE_NONE : node_at[x->present];
        shuffle(rows, x->n_rows, s);
        for (size_t k = 0; k < x->n_rows; k++) {
            to->rows[person_at[i]][rows[k]] = from->rows[i][k];
            to->rows[person_at[i]][rows[k]].node = (uint32_t)node_at[from->rows[i][k].node];
        }
    }
}

static void test_order_of_input_does_not_matter(void **state)
{
    static struct world a, b;
    size_t node_at[NODES], person_at[PEOPLE];

    for (uint32_t seed = 1; seed <= 5000; seed++) {
        uint32_t s = seed;

        random_world(&a, seed);
        decide(&a);
        shuffled_world(&b, &a, &s, node_at, person_at);
        decide(&b);
        assert_int_equal(a.plan.outcome, b.plan.outcome);
        for (size_t n = 0; n < a.p.n_nodes; n++) {
            assert_int_equal(a.candidates[n].rejected, b.candidates[node_at[n]].rejected);
            assert_int_equal(a.candidates[n].mean_rtt_us, b.candidates[node_at[n]].mean_rtt_us);
        }
        for (size_t i = 0; i < a.p.n_participants; i++) {
            const struct place_seat *x = &a.seats[i], *y = &b.seats[person_at[i]];

            assert_int_equal(x->node == PLACE_NONE ? PLACE_NONE : node_at[x->node], y->node);
            assert_int_equal(x->rtt_us, y->rtt_us);
            assert_int_equal(x->n_ladder, y->n_ladder);
            assert_memory_equal(x->ladder, y->ladder, x->n_ladder * sizeof x->ladder[0]);
        }
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
        cmocka_unit_test(test_order_of_input_does_not_matter),
        cmocka_unit_test(test_a_plan_is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
