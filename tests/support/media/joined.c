/* The joined engines of tests. Invariant: nothing is under way when a function of the header returns. */
#include "check.h"

#include "support/media/joined.h"

#include <stdio.h>
#include <string.h>

enum { CONSENT_US = 5 * 1000 * 1000 };

static struct joined world;

/* ---- the wires ---- */

static void name_node(char who[static AGENT_ID_MAX + 1], size_t i)
{
    snprintf(who, AGENT_ID_MAX + 1, "cloud/n%zu", i);
}

/* Of two nodes, the same for both. */
static void share(const struct joined *w, uint8_t out[static MEDIA_SHARED_LEN], size_t a, size_t b)
{
    size_t low = a < b ? a : b, high = a < b ? b : a;
    memset(out, 0, MEDIA_SHARED_LEN);
    out[0] = (uint8_t)low;
    out[1] = (uint8_t)high;
    out[2] = w->age[low];
    out[3] = w->age[high];
}

static void queue(struct joined *w, struct joined_wire *of, bool forth, const uint8_t *bytes, size_t len)
{
    struct joined_message *m = &w->queue[w->tail++ % JOINED_QUEUE];
    assert_true(w->tail - w->head <= JOINED_QUEUE);
    m->wire = of;
    m->stream = of->at_from.stream;
    m->forth = forth;
    m->len = len;
    memcpy(m->bytes, bytes, len);
}

static bool on_send(void *ctx, const struct media_path *to, const uint8_t *bytes, size_t len)
{
    struct joined_node *n = ctx;
    for (size_t i = 0; i < JOINED_WIRES; i++) {
        struct joined_wire *x = &n->world->wires[i];
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
    struct joined_node *n = ctx;
    for (size_t i = 0; i < JOINED_WIRES; i++) {
        struct joined_wire *x = &n->world->wires[i];
        if (x->leg && x->from == n->number && media_path_eq(path, &x->at_from))
            x->detached = true;
    }
}

static void take(struct joined_wire *x, struct joined_message *m)
{
    struct joined_node *from = &x->world->nodes[x->from], *to = &x->world->nodes[x->to];
    if (m->forth) {
        media_home_packet(to->sim.home, &x->at_to, m->bytes, m->len, to->sim.now_us);
        return;
    }
    enum packet_kind kind = media_leg_heard(x->leg, m->bytes, &m->len, from->sim.now_us);
    if (kind == PACKET_RTP || kind == PACKET_RTCP)
        media_home_packet(from->sim.home, &x->at_from, m->bytes, m->len, from->sim.now_us);
}

void joined_cut(struct joined_wire *x)
{
    if (!x->leg)
        return;
    struct joined_node *from = &x->world->nodes[x->from];
    media_leg_destroy(x->leg);
    x->leg = NULL;
    if (!x->detached)
        media_home_gone(from->sim.home, &x->at_from, from->sim.now_us);
}

static void tell_keys(struct joined_wire *x)
{
    struct joined_node *from = &x->world->nodes[x->from];
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

static void step_wire(struct joined_wire *x)
{
    uint8_t out[MEDIA_MESSAGE_MAX];
    size_t len;
    if (!x->leg)
        return;
    struct joined_node *from = &x->world->nodes[x->from], *to = &x->world->nodes[x->to];
    while (x->leg && (len = media_leg_next(x->leg, from->sim.now_us, out)) > 0)
        sim_stun(&to->sim, &x->at_to, out, len);
    if (x->leg && media_leg_state(x->leg) == MEDIA_LEG_UP)
        tell_keys(x);
    if (x->leg && x->detached) {
        len = media_leg_leave(x->leg, out);
        if (len > 0)
            sim_stun(&to->sim, &x->at_to, out, len);
        joined_cut(x);
    } else if (x->leg && media_leg_state(x->leg) >= MEDIA_LEG_LOST) {
        if (media_leg_state(x->leg) == MEDIA_LEG_REFUSED)
            x->world->refusal = media_leg_refusal(x->leg);
        joined_cut(x);
    }
}

void joined_settle(struct joined *w)
{
    do {
        for (; w->head != w->tail; w->head++) {
            struct joined_message *m = &w->queue[w->head % JOINED_QUEUE];
            if (m->wire->leg && m->wire->at_from.stream == m->stream)
                take(m->wire, m);
        }
        for (size_t i = 0; i < JOINED_WIRES; i++)
            step_wire(&w->wires[i]);
    } while (w->head != w->tail);
}

static void ask_consent(struct joined_node *n)
{
    uint8_t room[MEDIA_NONCE_MAX];
    for (size_t i = 0; i < JOINED_PEOPLE; i++) {
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

void joined_pass(struct joined *w, int64_t us)
{
    while (us > 0) {
        int64_t step_us = us < JOINED_STEP_US ? us : JOINED_STEP_US;
        for (size_t i = 0; i < w->n; i++) {
            sim_pass(&w->nodes[i].sim, step_us);
            if (w->nodes[i].sim.now_us % CONSENT_US < step_us)
                ask_consent(&w->nodes[i]);
        }
        joined_settle(w);
        us -= step_us;
    }
}

struct ticket_grant joined_grant_of(struct joined *w, size_t from)
{
    uint8_t nonce[TICKET_NONCE_LEN] = {(uint8_t)++w->generation, (uint8_t)(w->generation >> 8), 2};
    struct sim *s = &w->nodes[from].sim;
    struct ticket t = sim_ticket(s, "m", "");
    struct ticket_grant g;
    t.kind = TICKET_LINK;
    t.epoch = w->link_epoch;
    name_node(t.who, from);
    assert_int_equal(ticket_seal(&g, &t, &s->key, "acme", "n1", nonce), 0);
    return g;
}

void joined_dial(struct joined *w, size_t from, size_t to)
{
    struct media_leg_plan plan = {
        .grant = joined_grant_of(w, from), .rtt_us = -1, .consent_us = CONSENT_US, .link = true};
    uint8_t seed[MEDIA_LEG_SEED_LEN] = {(uint8_t)w->generation, (uint8_t)(w->generation >> 8), 1};
    struct sim *s = &w->nodes[from].sim;
    size_t i = 0;
    while (i < JOINED_WIRES && w->wires[i].leg)
        i++;
    assert_true(i < JOINED_WIRES);
    share(w, plan.shared, from, to);
    struct joined_wire *x = &w->wires[i];
    *x = (struct joined_wire){.world = w, .from = from, .to = to};
    x->at_from =
        (struct media_path){.carrier = MEDIA_DIALLED, .thread = JOINED_LINK_THREAD, .stream = w->generation};
    x->at_to.peer = (struct addr){.family = ADDR_V4,
                                  .port = (uint16_t)(2000 + w->generation % 60000),
                                  .ip = {10, 200, (uint8_t)from, (uint8_t)to}};
    assert_int_equal(media_leg_new(&x->leg, &plan, seed, s->now_us), 0);
    joined_settle(w);
}

/* ---- the plan ---- */

bool joined_are_linked(const struct joined *w, size_t a, size_t b)
{
    if (a == b || !w->planned[a] || !w->planned[b])
        return false;
    return w->hub == w->n || a == w->hub || b == w->hub || (!w->leaf[a] && !w->leaf[b]);
}

void joined_use_plan(struct joined *w, size_t i)
{
    struct joined_node *n = &w->nodes[i];
    size_t n_peers = 0;
    for (size_t k = 0; k < w->n; k++) {
        struct media_plan_peer *p = &n->peers[n_peers];
        if (!joined_are_linked(w, i, k))
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

void joined_plan_all(struct joined *w)
{
    for (size_t i = 0; i < w->n; i++)
        joined_use_plan(w, i);
    joined_settle(w);
}

bool joined_is_up(const struct joined *w, size_t a, size_t b)
{
    for (size_t i = 0; i < JOINED_WIRES; i++) {
        const struct joined_wire *x = &w->wires[i];
        if (x->leg && !x->detached && x->told > 0 &&
            ((x->from == a && x->to == b) || (x->from == b && x->to == a)))
            return true;
    }
    return false;
}

void joined_dial_all(struct joined *w)
{
    for (size_t a = 0; a < w->n; a++) {
        for (size_t b = a + 1; b < w->n; b++) {
            if (!joined_are_linked(w, a, b) || joined_is_up(w, a, b))
                continue;
            bool other_first = check_random(&w->random) % 2;
            if (other_first)
                joined_dial(w, b, a);
            if (!other_first || !joined_is_up(w, a, b))
                joined_dial(w, a, b);
        }
    }
    joined_pass(w, 2 * JOINED_STEP_US);
}

/* ---- people ---- */

/* `earlier`: who it is already, elsewhere; NULL: nobody. */
static struct sim_agent *let_in(struct joined *w, size_t i, const struct sim_agent *earlier)
{
    struct sim *s = &w->nodes[i].sim;
    char who[32];
    snprintf(who, sizeof who, "p%zu", earlier ? 0 : ++w->next_person);
    struct ticket t = sim_ticket(s, "m", earlier ? earlier->who : who);
    t.number = (int64_t)++w->tickets;
    t.epoch = w->epoch;
    t.last_n = w->last_n;
    struct sim_agent *a = sim_agent(s, &t);
    assert_non_null(a);
    assert_int_equal(sim_handshake(a), 0);
    assert_int_equal(sim_consent(a, false, (struct slice){NULL, 0}, NULL), 0);
    a->ssrc = earlier ? earlier->ssrc : 0x10000u + (uint32_t)w->next_person;
    a->sequence = earlier ? earlier->sequence : 0;
    a->level = earlier ? earlier->level : a->level;
    return a;
}

void joined_join(struct joined *w, size_t i, size_t seat)
{
    if (!w->nodes[i].people[seat])
        w->nodes[i].people[seat] = let_in(w, i, NULL);
}

static void say_goodbye(struct sim_agent *a)
{
    assert_int_equal(sim_consent(a, true, (struct slice){NULL, 0}, NULL), 0);
}

void joined_leave(struct joined *w, size_t i, size_t seat)
{
    struct joined_node *n = &w->nodes[i];
    if (n->people[seat])
        say_goodbye(n->people[seat]);
    n->people[seat] = NULL;
}

struct sim_agent *joined_move(struct joined *w, size_t i, size_t seat, size_t to, size_t to_seat)
{
    struct sim_agent *old = w->nodes[i].people[seat];
    assert_null(w->nodes[to].people[to_seat]);
    w->nodes[to].people[to_seat] = let_in(w, to, old);
    w->nodes[i].people[seat] = NULL;
    return old;
}

void joined_left(struct joined *w, struct sim_agent *old)
{
    say_goodbye(old);
    joined_settle(w);
}

size_t joined_heard(const struct sim_agent *a, uint32_t ssrc)
{
    const struct sim_stream *st = sim_stream(a, ssrc);
    return st ? st->n : 0;
}

static bool may_hear(const struct joined *w, size_t a, size_t b)
{
    return a == b || joined_are_linked(w, a, b) ||
           (w->hub < w->n && joined_are_linked(w, a, w->hub) && joined_are_linked(w, b, w->hub));
}

void joined_talk(struct joined *w, bool whole)
{
    for (size_t i = 0; i < w->n * JOINED_PEOPLE; i++) {
        struct sim_agent *from = w->nodes[i / JOINED_PEOPLE].people[i % JOINED_PEOPLE];
        size_t before[JOINED_NODES_MAX * JOINED_PEOPLE] = {0};
        if (!from)
            continue;
        for (size_t k = 0; k < w->n * JOINED_PEOPLE; k++)
            before[k] = w->nodes[k / JOINED_PEOPLE].people[k % JOINED_PEOPLE]
                            ? joined_heard(w->nodes[k / JOINED_PEOPLE].people[k % JOINED_PEOPLE], from->ssrc)
                            : 0;
        for (int p = 0; p < JOINED_ROUND_PACKETS; p++) {
            sim_send(from, 100);
            joined_settle(w);
            joined_pass(w, w->gap_us);
        }
        for (size_t k = 0; k < w->n * JOINED_PEOPLE; k++) {
            struct sim_agent *to = w->nodes[k / JOINED_PEOPLE].people[k % JOINED_PEOPLE];
            bool may = k != i && (!whole || may_hear(w, i / JOINED_PEOPLE, k / JOINED_PEOPLE));
            size_t want = may ? JOINED_ROUND_PACKETS : 0;
            size_t n = to ? joined_heard(to, from->ssrc) - before[k] : 0;
            if (to && whole)
                assert_int_equal(n, want);
            else if (to)
                assert_true(n <= want);
        }
    }
}

static void check_nothing_broke(const struct joined *w)
{
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < w->nodes[i].sim.n_agents; k++)
            assert_int_equal(w->nodes[i].sim.agents[k]->broken_in, 0);
    }
}

/* ---- beginning and end ---- */

struct joined *joined_begin(size_t n, size_t hub, uint64_t seed)
{
    struct joined *w = &world;
    memset(w, 0, sizeof *w);
    w->n = n;
    w->hub = hub;
    w->random = seed;
    for (size_t i = 0; i < n; i++) {
        struct joined_node *x = &w->nodes[i];
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

void joined_end(struct joined *w)
{
    check_nothing_broke(w);
    for (size_t i = 0; i < JOINED_WIRES; i++)
        media_leg_destroy(w->wires[i].leg);
    for (size_t i = 0; i < w->n; i++)
        sim_stop(&w->nodes[i].sim);
}
