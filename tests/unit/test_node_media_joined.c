/* link: test_media berth_path */
/* Several engines joined by links that they have dialled, with the dialler's real end of the handshake: whoever comes, goes, dials or loses a link in
 * whatever order, each receiver gets each packet once. */
#include "check.h"

#include "path/media_leg.h"
#include "support/media/sim.h"

#include <string.h>

enum {
    NODES_MAX = 5,
    WIRES = 64,
    QUEUE = 4096,
    PEOPLE = 3, /* at most, on each node */
    LINK_THREAD = 9,
    ROUND_PACKETS = 5,
    STEP_US = 100 * 1000,
};

struct world;

/* A link that node `from` has dialled to `to`. */
struct wire {
    struct world *world;
    size_t from, to;
    struct media_leg *leg; /* NULL: there is none */
    struct media_path at_from, at_to;
    uint64_t told; /* of its keys */
    bool detached; /* by the home that dialled */
};

struct message {
    struct wire *wire;
    uint64_t stream; /* of the wire as it was */
    bool forth;      /* from who dialled */
    size_t len;
    _Alignas(8) uint8_t bytes[RTP_PACKET_MAX + SRTP_OVERHEAD];
};

struct node {
    struct world *world;
    size_t number;
    struct sim sim;
    struct media_plan_peer peers[NODES_MAX];
    struct media_plan_meeting meeting;
    struct media_plan plan;
    struct sim_agent *people[PEOPLE];
};

struct world {
    size_t n, hub; /* `hub` n: there is none, and all are linked to all */
    struct node nodes[NODES_MAX];
    bool leaf[NODES_MAX], planned[NODES_MAX];
    struct wire wires[WIRES];
    uint64_t generation, random;
    struct message queue[QUEUE];
    size_t head, tail;
    size_t next_person;
    uint8_t age[NODES_MAX]; /* how often it has started anew */
};

static struct world world;

/* ---- the wires ---- */

static void name_node(char who[static AGENT_ID_MAX + 1], size_t i)
{
    snprintf(who, AGENT_ID_MAX + 1, "cloud/n%zu", i);
}

/* Of two nodes, the same for both. */
static void share(const struct world *w, uint8_t out[static MEDIA_SHARED_LEN], size_t a, size_t b)
{
    size_t low = a < b ? a : b, high = a < b ? b : a;
    memset(out, 0, MEDIA_SHARED_LEN);
    out[0] = (uint8_t)low;
    out[1] = (uint8_t)high;
    out[2] = w->age[low];
    out[3] = w->age[high];
}

static void queue(struct world *w, struct wire *of, bool forth, const uint8_t *bytes, size_t len)
{
    struct message *m = &w->queue[w->tail++ % QUEUE];
    assert_true(w->tail - w->head <= QUEUE);
    m->wire = of;
    m->stream = of->at_from.stream;
    m->forth = forth;
    m->len = len;
    memcpy(m->bytes, bytes, len);
}

static bool on_send(void *ctx, const struct media_path *to, const uint8_t *bytes, size_t len)
{
    struct node *n = ctx;
    for (size_t i = 0; i < WIRES; i++) {
        struct wire *x = &n->world->wires[i];
        bool forth = x->from == n->number && media_path_eq(to, &x->at_from);
        if (x->leg && (forth || (x->to == n->number && media_path_eq(to, &x->at_to)))) {
            queue(n->world, x, forth, bytes, len);
            return true;
        }
    }
    return true; /* to a link that has fallen */
}

static void on_detach(void *ctx, const struct media_path *path)
{
    struct node *n = ctx;
    for (size_t i = 0; i < WIRES; i++) {
        struct wire *x = &n->world->wires[i];
        if (x->leg && x->from == n->number && media_path_eq(path, &x->at_from))
            x->detached = true;
    }
}

static void take(struct wire *x, struct message *m)
{
    struct node *from = &x->world->nodes[x->from], *to = &x->world->nodes[x->to];
    if (m->forth) {
        media_home_packet(to->sim.home, &x->at_to, m->bytes, m->len, to->sim.now_us);
        return;
    }
    enum packet_kind kind = media_leg_heard(x->leg, m->bytes, &m->len, from->sim.now_us);
    if (kind == PACKET_RTP || kind == PACKET_RTCP)
        media_home_packet(from->sim.home, &x->at_from, m->bytes, m->len, from->sim.now_us);
}

/* The dialling node finds out; the other doesn't yet. */
static void cut(struct wire *x)
{
    if (!x->leg)
        return;
    struct node *from = &x->world->nodes[x->from];
    media_leg_destroy(x->leg);
    x->leg = NULL;
    if (!x->detached)
        media_home_gone(from->sim.home, &x->at_from, from->sim.now_us);
}

static void tell_keys(struct wire *x)
{
    struct node *from = &x->world->nodes[x->from];
    struct media_leg_keys keys;
    uint64_t n = media_leg_keys(x->leg, &keys);
    if (n == x->told)
        return;
    struct media_link link = {
        .org = "acme", .meeting = "m", .suite = keys.suite, .sends = keys.sends, .receives = keys.receives};
    name_node(link.who, x->to);
    x->told = n;
    media_home_linked(from->sim.home, &x->at_from, &link, from->sim.now_us);
}

static void step_wire(struct wire *x)
{
    uint8_t out[MEDIA_MESSAGE_MAX];
    size_t len;
    if (!x->leg)
        return;
    struct node *from = &x->world->nodes[x->from], *to = &x->world->nodes[x->to];
    while (x->leg && (len = media_leg_next(x->leg, from->sim.now_us, out)) > 0)
        sim_stun(&to->sim, &x->at_to, out, len);
    if (x->leg && media_leg_state(x->leg) == MEDIA_LEG_UP)
        tell_keys(x);
    if (x->leg && x->detached) {
        len = media_leg_leave(x->leg, out);
        if (len > 0)
            sim_stun(&to->sim, &x->at_to, out, len);
        cut(x);
    } else if (x->leg && media_leg_state(x->leg) >= MEDIA_LEG_LOST) {
        cut(x);
    }
}

/* Until nothing is under way. */
static void settle(struct world *w)
{
    do {
        for (; w->head != w->tail; w->head++) {
            struct message *m = &w->queue[w->head % QUEUE];
            if (m->wire->leg && m->wire->at_from.stream == m->stream)
                take(m->wire, m);
        }
        for (size_t i = 0; i < WIRES; i++)
            step_wire(&w->wires[i]);
    } while (w->head != w->tail);
}

static void ask_consent(struct node *n)
{
    uint8_t room[MEDIA_NONCE_MAX];
    for (size_t i = 0; i < PEOPLE; i++) {
        struct media_answer answer;
        int code = n->people[i] ? sim_consent(n->people[i], false, (struct slice){NULL, 0}, NULL) : 0;
        if (code == 438) {
            assert_int_equal(sim_answer(n->people[i], &answer), 0);
            memcpy(room, answer.nonce.p, answer.nonce.len);
            code = sim_consent(n->people[i], false, (struct slice){room, answer.nonce.len}, NULL);
        }
        assert_int_equal(code, 0);
    }
}

static void pass(struct world *w, int64_t us)
{
    for (int64_t gone = 0; gone < us; gone += STEP_US) {
        for (size_t i = 0; i < w->n; i++) {
            sim_pass(&w->nodes[i].sim, STEP_US);
            if (w->nodes[i].sim.now_us % (5 * 1000 * 1000) < STEP_US)
                ask_consent(&w->nodes[i]);
        }
        settle(w);
    }
}

static void dial(struct world *w, size_t from, size_t to)
{
    uint8_t seed[MEDIA_LEG_SEED_LEN] = {(uint8_t)++w->generation, (uint8_t)(w->generation >> 8), 1},
            nonce[TICKET_NONCE_LEN] = {(uint8_t)w->generation, (uint8_t)(w->generation >> 8), 2};
    struct media_leg_plan plan = {.rtt_us = -1, .consent_us = 5 * 1000 * 1000, .link = true};
    struct sim *s = &w->nodes[from].sim;
    struct ticket t = sim_ticket(s, "m", "");
    size_t i = 0;
    while (i < WIRES && w->wires[i].leg)
        i++;
    assert_true(i < WIRES);
    t.kind = TICKET_LINK;
    name_node(t.who, from);
    assert_int_equal(ticket_seal(&plan.grant, &t, &s->key, "acme", "n1", nonce), 0);
    share(w, plan.shared, from, to);
    struct wire *x = &w->wires[i];
    *x = (struct wire){.world = w, .from = from, .to = to};
    x->at_from =
        (struct media_path){.carrier = MEDIA_DIALLED, .thread = LINK_THREAD, .stream = w->generation};
    x->at_to.peer = (struct addr){.family = ADDR_V4,
                                  .port = (uint16_t)(2000 + w->generation % 60000),
                                  .ip = {10, 200, (uint8_t)from, (uint8_t)to}};
    assert_int_equal(media_leg_new(&x->leg, &plan, seed, s->now_us), 0);
    settle(w);
}

/* ---- the plan ---- */

static bool are_linked(const struct world *w, size_t a, size_t b)
{
    if (a == b || !w->planned[a] || !w->planned[b])
        return false;
    return w->hub == w->n || a == w->hub || b == w->hub || (!w->leaf[a] && !w->leaf[b]);
}

static void use_plan(struct world *w, size_t i)
{
    struct node *n = &w->nodes[i];
    size_t n_peers = 0;
    for (size_t k = 0; k < w->n; k++) {
        struct media_plan_peer *p = &n->peers[n_peers];
        if (!are_linked(w, i, k))
            continue;
        *p = (struct media_plan_peer){.leaf = w->leaf[k], .dial = i < k};
        name_node(p->who, k);
        share(w, p->shared, i, k);
        n_peers++;
    }
    n->meeting = (struct media_plan_meeting){"acme", "m", 1, w->hub == i, n_peers, n->peers};
    n->plan = (struct media_plan){.n_meetings = n_peers > 0, .meetings = &n->meeting};
    media_home_set_plan(n->sim.home, &n->plan);
}

static void plan_all(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        use_plan(w, i);
    settle(w);
}

static bool is_up(const struct world *w, size_t a, size_t b)
{
    for (size_t i = 0; i < WIRES; i++) {
        const struct wire *x = &w->wires[i];
        if (x->leg && !x->detached && x->told > 0 &&
            ((x->from == a && x->to == b) || (x->from == b && x->to == a)))
            return true;
    }
    return false;
}

/* As dialers do it: whoever finds that there is no link dials, and who is to does it last. */
static void dial_all(struct world *w)
{
    for (size_t a = 0; a < w->n; a++) {
        for (size_t b = a + 1; b < w->n; b++) {
            if (!are_linked(w, a, b) || is_up(w, a, b))
                continue;
            bool other_first = check_random(&w->random) % 2;
            if (other_first)
                dial(w, b, a);
            if (!other_first || !is_up(w, a, b))
                dial(w, a, b);
        }
    }
    pass(w, 2 * STEP_US);
}

/* ---- people ---- */

static void join(struct world *w, size_t i, size_t seat)
{
    struct node *n = &w->nodes[i];
    if (n->people[seat])
        return;
    struct sim_agent *a = sim_join(&n->sim, "m", ++w->next_person);
    assert_non_null(a);
    a->ssrc = 0x10000u + (uint32_t)w->next_person;
    n->people[seat] = a;
}

static void leave(struct world *w, size_t i, size_t seat)
{
    struct node *n = &w->nodes[i];
    if (n->people[seat])
        assert_int_equal(sim_consent(n->people[seat], true, (struct slice){NULL, 0}, NULL), 0);
    n->people[seat] = NULL;
}

static size_t heard(const struct sim_agent *a, uint32_t ssrc)
{
    const struct sim_stream *st = sim_stream(a, ssrc);
    return st ? st->n : 0;
}

static bool may_hear(const struct world *w, size_t a, size_t b)
{
    return a == b || are_linked(w, a, b) ||
           (w->hub < w->n && are_linked(w, a, w->hub) && are_linked(w, b, w->hub));
}

/* Everybody says something. `whole`: all links are there, and it comes to everybody who may hear it; it never comes twice. */
static void talk(struct world *w, bool whole)
{
    for (size_t i = 0; i < w->n * PEOPLE; i++) {
        struct sim_agent *from = w->nodes[i / PEOPLE].people[i % PEOPLE];
        size_t before[NODES_MAX * PEOPLE] = {0};
        if (!from)
            continue;
        for (size_t k = 0; k < w->n * PEOPLE; k++)
            before[k] = w->nodes[k / PEOPLE].people[k % PEOPLE]
                            ? heard(w->nodes[k / PEOPLE].people[k % PEOPLE], from->ssrc)
                            : 0;
        for (int p = 0; p < ROUND_PACKETS; p++) {
            sim_send(from, 100);
            settle(w);
        }
        for (size_t k = 0; k < w->n * PEOPLE; k++) {
            struct sim_agent *to = w->nodes[k / PEOPLE].people[k % PEOPLE];
            bool may = k != i && (!whole || may_hear(w, i / PEOPLE, k / PEOPLE));
            size_t want = may ? ROUND_PACKETS : 0;
            size_t n = to ? heard(to, from->ssrc) - before[k] : 0;
            if (to && whole)
                assert_int_equal(n, want);
            else if (to)
                assert_true(n <= want);
        }
    }
}

static void check_nothing_broke(const struct world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < w->nodes[i].sim.n_agents; k++)
            assert_int_equal(w->nodes[i].sim.agents[k]->broken_in, 0);
    }
}

/* ---- beginning and end ---- */

static struct world *begin(size_t n, size_t hub, uint64_t seed)
{
    struct world *w = &world;
    memset(w, 0, sizeof *w);
    w->n = n;
    w->hub = hub;
    w->random = seed;
    for (size_t i = 0; i < n; i++) {
        struct node *x = &w->nodes[i];
        assert_int_equal(sim_start(&x->sim, 0), 0);
        x->sim.random += 77 * (i + 1) + seed; /* no two nodes draw the same */
        x->world = w;
        x->number = i;
        x->sim.others = (struct sim_others){.send = on_send, .detach = on_detach, .ctx = x};
        w->planned[i] = true;
        w->leaf[i] = hub < n && i != hub;
    }
    return w;
}

static void end(struct world *w)
{
    check_nothing_broke(w);
    for (size_t i = 0; i < WIRES; i++)
        media_leg_destroy(w->wires[i].leg);
    for (size_t i = 0; i < w->n; i++)
        sim_stop(&w->nodes[i].sim);
}

static void test_two(void **state)
{
    (void)state;
    for (size_t from = 0; from < 2; from++) {
        struct world *w = begin(2, 2, 1);
        plan_all(w);
        join(w, 0, 0);
        join(w, 1, 0);
        dial(w, from, 1 - from);
        assert_true(is_up(w, 0, 1));
        talk(w, true);
        pass(w, 20 * 1000 * 1000); /* consent is asked for, and RTCP goes both ways */
        assert_true(is_up(w, 0, 1));
        talk(w, true);
        end(w);
    }
}

/* Whichever comes first, node 0's stays, and nothing is sent twice. */
static void test_both_dial(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        struct world *w = begin(2, 2, 2);
        plan_all(w);
        join(w, 0, 0);
        join(w, 1, 0);
        dial(w, first, 1 - first);
        talk(w, true);
        dial(w, 1 - first, first);
        pass(w, 2 * STEP_US);
        talk(w, true);
        size_t links = 0;
        for (size_t i = 0; i < WIRES; i++) {
            if (!w->wires[i].leg)
                continue;
            assert_int_equal(w->wires[i].from, 0);
            links++;
        }
        assert_int_equal(links, 1);
        end(w);
    }
}

static void test_not_planned(void **state)
{
    (void)state;
    struct world *w = begin(2, 2, 3);
    plan_all(w);
    join(w, 0, 0);
    join(w, 1, 0);
    dial(w, 0, 1);
    talk(w, true);
    w->planned[1] = false;
    use_plan(w, 0); /* here only: the link ends, and the other node is told */
    settle(w);
    assert_false(is_up(w, 0, 1));
    talk(w, true);
    dial(w, 0, 1); /* the other still takes it; the home here doesn't */
    pass(w, STEP_US);
    assert_false(is_up(w, 0, 1));
    plan_all(w);
    dial(w, 0, 1);
    assert_false(is_up(w, 0, 1));
    end(w);
}

static void test_a_node_that_starts_again(void **state)
{
    (void)state;
    struct world *w = begin(2, 2, 4);
    plan_all(w);
    join(w, 0, 0);
    join(w, 1, 0);
    dial(w, 0, 1);
    talk(w, true);
    w->age[1]++; /* and with it its key */
    use_plan(w, 1);
    dial(w, 1, 0); /* refused: node 0 doesn't know of it yet, and asks */
    assert_int_equal(w->nodes[0].sim.old_plans, 1);
    use_plan(w, 0);
    dial_all(w);
    assert_true(is_up(w, 0, 1));
    talk(w, true);
    end(w);
}

/* A link that falls and comes back: whoever hears a source hears no number again. */
static void test_a_link_falls_and_returns(void **state)
{
    (void)state;
    struct world *w = begin(2, 2, 5);
    plan_all(w);
    join(w, 0, 0);
    join(w, 1, 0);
    dial(w, 0, 1);
    for (int i = 0; i < 20; i++) {
        talk(w, true);
        cut(&w->wires[0]);
        pass(w, STEP_US);
        dial_all(w);
        assert_true(is_up(w, 0, 1));
    }
    for (size_t i = 0; i < 2; i++) {
        const struct sim_agent *a = w->nodes[i].people[0];
        assert_false(sim_stream(a, w->nodes[1 - i].people[0]->ssrc)->jumped);
    }
    end(w);
}

static void random_event(struct world *w)
{
    size_t i = check_random(&w->random) % w->n, seat = check_random(&w->random) % PEOPLE;
    switch (check_random(&w->random) % 7) {
    case 0:
    case 1:
        join(w, i, seat);
        break;
    case 2:
        leave(w, i, seat);
        break;
    case 3:
        cut(&w->wires[check_random(&w->random) % 8]);
        break;
    case 4:
        if (i != w->hub)
            w->planned[i] = !w->planned[i];
        break;
    case 5:
        use_plan(w, i); /* one hears of it before the others */
        break;
    default: {
        size_t to = (i + 1 + check_random(&w->random) % (w->n - 1)) % w->n;
        if (are_linked(w, i, to))
            dial(w, i, to);
        break;
    }
    }
    settle(w);
}

static void run_random(size_t n, size_t hub)
{
    enum { RUNS = 15, EVENTS = 60 };
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct world *w = begin(n, hub, seed);
        plan_all(w);
        for (int e = 0; e < EVENTS; e++) {
            random_event(w);
            talk(w, false);
            if (e % 6 != 5)
                continue;
            plan_all(w);
            dial_all(w);
            talk(w, true);
        }
        end(w);
    }
}

static void test_random_of_three(void **state)
{
    (void)state;
    run_random(3, 3);
}

static void test_random_of_a_hub_and_leaves(void **state)
{
    (void)state;
    run_random(4, 0);
    run_random(4, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_both_dial),
        cmocka_unit_test(test_not_planned),
        cmocka_unit_test(test_a_node_that_starts_again),
        cmocka_unit_test(test_a_link_falls_and_returns),
        cmocka_unit_test(test_random_of_three),
        cmocka_unit_test(test_random_of_a_hub_and_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
