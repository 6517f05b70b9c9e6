/* link: berth_agent_core */
/* The prober against a simulated network in virtual time: loss, reordering, duplicates, blackholes, refusals, many nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent_sim.h"

#include <stdio.h>

static struct probe_policy default_policy(void)
{
    struct probe_policy p;
    probe_policy_init(&p);
    return p;
}

static struct prober_target_spec target(size_t node, enum transport t, const struct addr *addrs, size_t n)
{
    return (struct prober_target_spec){
        .node = node, .transport = t, .addrs = addrs, .n_addrs = n, .tls_name = "n"};
}

/* One target at the given hosts' addresses, run to its end. */
static struct probe_result probe_one(struct sim *s, enum transport t, const struct addr *addrs, size_t n)
{
    struct probe_policy policy = default_policy();
    struct prober_target_spec spec = target(0, t, addrs, n);
    sim_start(s, &policy, &spec, 1);
    sim_run(s);
    assert_int_equal(s->n_results, 1);
    return sim_result(s, 0);
}

/* Never more in any second than the pace, but for what a late loop may catch up. */
static void check_pace(const struct sim *s, const struct probe_policy *p)
{
    size_t first = 0;
    int64_t allowed = p->pace_per_s + PROBER_CATCH_UP_US * p->pace_per_s / 1000000 + 1;
    for (size_t i = 0; i < s->n_paced; i++) {
        while (s->paced[i] - s->paced[first] >= 1000000)
            first++;
        assert_true((int64_t)(i - first + 1) <= allowed);
    }
}

static void figures_of_the_three_transports_are_separate(void **state)
{
    struct sim *s = sim_new(1);
    struct addr udp = sim_addr(1, 5004), tcp = sim_addr(1, 5004), tls = sim_addr(1, 443);
    sim_host(s, udp, TRANSPORT_UDP, SIM_ANSWERS, 20000);
    sim_host(s, tcp, TRANSPORT_TCP, SIM_ANSWERS, 30000);
    sim_host(s, tls, TRANSPORT_TLS, SIM_ANSWERS, 40000);
    struct prober_target_spec specs[] = {target(0, TRANSPORT_UDP, &udp, 1), target(0, TRANSPORT_TCP, &tcp, 1),
                                         target(0, TRANSPORT_TLS, &tls, 1)};
    struct probe_policy policy = default_policy();
    sim_start(s, &policy, specs, 3);
    sim_run(s);
    for (size_t i = 0; i < 3; i++) {
        struct probe_result r = sim_result(s, i);
        int64_t rtt = 20000 + 10000 * (int64_t)i;
        assert_int_equal(r.status, PROBE_REACHABLE);
        assert_int_equal(r.framing, FRAMING_STUN);
        assert_int_equal(r.rtt_min_us, rtt);
        assert_int_equal(r.rtt_median_us, rtt);
        assert_int_equal(r.rtt_p95_us, rtt);
        assert_int_equal(r.sent, 5);
        assert_int_equal(r.received, 5);
        assert_int_equal(r.connect_us, i == 0 ? NOT_MEASURED : rtt);
        assert_int_equal(r.tls_us, i == 2 ? 2 * rtt : NOT_MEASURED);
        assert_int_equal(r.mapped_address.port, 4444);
    }
    sim_destroy(s);
}

/* Whatever the network does, a figure is the round trip of one request, and the counts are what was seen. */
static void lossy_reordering_duplicating_network(void **state)
{
    enum { SEEDS = 600, NODES = 3 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim *s = sim_new(seed);
        struct addr at[NODES * 3];
        struct prober_target_spec specs[NODES * 3];
        for (size_t i = 0; i < NODES * 3; i++) {
            enum transport t = (enum transport)(i % 3);
            at[i] = sim_addr(i / 3, (uint16_t)(5000 + i));
            struct sim_host *h = sim_host(s, at[i], t, SIM_ANSWERS, 1000 + (int64_t)(sim_random(s) % 200000));
            h->jitter_us = (int64_t)(sim_random(s) % 150000); /* more than the spacing: answers overtake */
            h->loss = (unsigned)(sim_random(s) % 60);
            h->dup = (unsigned)(sim_random(s) % 50);
            specs[i] = target(i / 3, t, &at[i], 1);
        }
        struct probe_policy policy = default_policy();
        sim_start(s, &policy, specs, NODES * 3);
        sim_run(s);
        check_pace(s, &policy);
        for (size_t i = 0; i < NODES * 3; i++) {
            const struct sim_host *h = &s->hosts[i];
            struct probe_result r = sim_result(s, i);
            assert_int_equal(r.status, h->n_answers > 0 ? PROBE_REACHABLE : PROBE_TIMEOUT);
            assert_int_equal(r.sent, h->n_sent);
            assert_int_equal(r.received, h->n_answers);
            if (h->n_answers == 0)
                continue;
            assert_true(r.rtt_min_us >= h->rtt_us && r.rtt_p95_us <= h->rtt_us + h->jitter_us);
            assert_true(r.rtt_min_us <= r.rtt_median_us && r.rtt_median_us <= r.rtt_p95_us);
        }
        sim_destroy(s);
    }
}

static void two_hundred_nodes_within_the_budget(void **state)
{
    enum { NODES = 200, TARGETS = NODES * 3 };
    static struct addr at[TARGETS];
    static struct prober_target_spec specs[TARGETS];
    struct sim *s = sim_new(7);
    for (size_t i = 0; i < TARGETS; i++) {
        static const enum sim_kind kinds[] = {SIM_ANSWERS, SIM_ANSWERS, SIM_BLACKHOLE, SIM_REFUSES};
        at[i] = sim_addr(i / 3, (uint16_t)(5000 + i % 3));
        sim_host(s, at[i], (enum transport)(i % 3), kinds[i / 3 % 4],
                 5000 + (int64_t)(sim_random(s) % 100000));
        specs[i] = target(i / 3, (enum transport)(i % 3), &at[i], 1);
    }
    struct probe_policy policy = default_policy();
    sim_start(s, &policy, specs, TARGETS);
    int64_t began = s->now_us;
    sim_run(s);
    check_pace(s, &policy);
    assert_true(s->done_us - began <= policy.budget_ms * 1000);
    assert_int_equal(s->n_results, TARGETS);
    /* Results come as they are measured, not all at the end. */
    assert_true(s->result_us[0] - began < 400000);
    assert_true(s->result_us[TARGETS / 2] - began < (s->done_us - began) * 3 / 4);
    for (size_t i = 0; i < TARGETS; i++) {
        static const enum probe_status want[] = {PROBE_REACHABLE, PROBE_REACHABLE, PROBE_TIMEOUT,
                                                 PROBE_REFUSED};
        struct probe_result r = sim_result(s, i);
        assert_int_equal(r.status, want[i / 3 % 4]);
        if (r.status == PROBE_REACHABLE) {
            assert_int_equal(r.received, 5);
            assert_int_equal(r.rtt_median_us, s->hosts[i].rtt_us);
        }
    }
    sim_destroy(s);
}

/* The samples of one target keep their distance, however many others there are. */
static void spacing_is_kept(void **state)
{
    struct sim *s = sim_new(3);
    struct addr at = sim_addr(1, 5004);
    sim_host(s, at, TRANSPORT_UDP, SIM_ANSWERS, 1000);
    probe_one(s, TRANSPORT_UDP, &at, 1);
    assert_int_equal(s->n_paced, 5);
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(s->paced[i] - s->paced[i - 1], 50000);
    sim_destroy(s);
}

struct single {
    enum transport transport;
    enum sim_kind kind;
    enum probe_status want;
    int64_t within_us;
};

static void each_failure_has_its_status(void **state)
{
    static const struct single cases[] = {
        {TRANSPORT_UDP, SIM_BLACKHOLE, PROBE_TIMEOUT, 1800000},
        {TRANSPORT_UDP, SIM_REFUSES, PROBE_REFUSED, 30000},
        {TRANSPORT_TCP, SIM_BLACKHOLE, PROBE_TIMEOUT, 1600000},
        {TRANSPORT_TCP, SIM_REFUSES, PROBE_REFUSED, 30000},
        {TRANSPORT_TCP, SIM_SILENT, PROBE_TIMEOUT, 2000000},
        {TRANSPORT_TCP, SIM_CLOSES, PROBE_REFUSED, 60000},
        {TRANSPORT_TCP, SIM_GARBAGE, PROBE_REFUSED, 60000},
        {TRANSPORT_TLS, SIM_BLACKHOLE, PROBE_TIMEOUT, 1600000},
        {TRANSPORT_TLS, SIM_REFUSES, PROBE_REFUSED, 30000},
        {TRANSPORT_TLS, SIM_SILENT, PROBE_TIMEOUT, 1700000},
        {TRANSPORT_TLS, SIM_TLS_FAILS, PROBE_TLS_ERROR, 100000},
        {TRANSPORT_TLS, SIM_CLOSES, PROBE_TLS_ERROR, 60000},
        {TRANSPORT_TLS, SIM_GARBAGE, PROBE_REFUSED, 100000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct single *c = &cases[i];
        struct sim *s = sim_new(i + 1);
        struct addr at = sim_addr(1, 5004);
        char error[PROBER_ERROR_TEXT];
        struct probe_result again;
        sim_host(s, at, c->transport, c->kind, 20000);
        int64_t began = s->now_us;
        struct probe_result r = probe_one(s, c->transport, &at, 1);
        assert_int_equal(r.status, c->want);
        assert_true(addr_eq(&r.address, &at));
        assert_int_equal(r.received, 0);
        assert_int_equal(r.rtt_min_us, NOT_MEASURED);
        assert_true(s->done_us - began <= c->within_us);
        prober_result(s->prober, 0, &again, error);
        assert_string_not_equal(error, "");
        sim_destroy(s);
    }
}

static void the_next_address_is_tried(void **state)
{
    static const enum sim_kind bad[] = {SIM_BLACKHOLE, SIM_REFUSES, SIM_TLS_FAILS,
                                        SIM_CLOSES,    SIM_GARBAGE, SIM_SILENT};
    for (unsigned t = TRANSPORT_UDP; t <= TRANSPORT_TLS; t++) {
        for (size_t k = 0; k < (t == TRANSPORT_UDP ? 2 : sizeof bad / sizeof bad[0]); k++) {
            if (t == TRANSPORT_TCP && bad[k] == SIM_TLS_FAILS)
                continue;
            struct sim *s = sim_new(k + 1);
            struct addr at[3] = {sim_addr(1, 1), sim_addr(1, 2), sim_addr(1, 3)};
            sim_host(s, at[0], (enum transport)t, bad[k], 20000);
            sim_host(s, at[1], (enum transport)t, bad[k], 20000);
            sim_host(s, at[2], (enum transport)t, SIM_ANSWERS, 20000);
            struct probe_result r = probe_one(s, (enum transport)t, at, 3);
            assert_int_equal(r.status, PROBE_REACHABLE);
            assert_true(addr_eq(&r.address, &at[2]));
            assert_int_equal(r.sent, 5);
            assert_int_equal(r.received, 5);
            assert_int_equal(r.rtt_median_us, 20000);
            sim_destroy(s);
        }
    }
}

/* A silent first UDP address costs the overlap, not its timeout. */
static void udp_addresses_overlap(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at[2] = {sim_addr(1, 5004), sim_addr(1, 3478)};
    sim_host(s, at[0], TRANSPORT_UDP, SIM_BLACKHOLE, 0);
    sim_host(s, at[1], TRANSPORT_UDP, SIM_ANSWERS, 20000);
    int64_t began = s->now_us;
    struct probe_result r = probe_one(s, TRANSPORT_UDP, at, 2);
    assert_int_equal(r.status, PROBE_REACHABLE);
    assert_true(addr_eq(&r.address, &at[1]));
    assert_true(s->done_us - began < PROBER_UDP_OVERLAP_US + 300000);
    sim_destroy(s);
}

/* A slow first address that answers before the second wins and keeps its own counts. */
static void a_slow_first_address_can_win(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at[2] = {sim_addr(1, 5004), sim_addr(1, 3478)};
    sim_host(s, at[0], TRANSPORT_UDP, SIM_ANSWERS, 300000);
    sim_host(s, at[1], TRANSPORT_UDP, SIM_ANSWERS, 300000);
    struct probe_result r = probe_one(s, TRANSPORT_UDP, at, 2);
    assert_true(addr_eq(&r.address, &at[0]));
    assert_int_equal(r.sent, 5);
    assert_int_equal(r.received, 5);
    assert_int_equal(r.rtt_median_us, 300000);
    sim_destroy(s);
}

/* The failure that tells most is the result: here somebody answered. */
static void the_most_telling_failure_is_told(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at[3] = {sim_addr(1, 1), sim_addr(1, 2), sim_addr(1, 3)};
    sim_host(s, at[0], TRANSPORT_TLS, SIM_TLS_FAILS, 20000);
    sim_host(s, at[1], TRANSPORT_TLS, SIM_REFUSES, 20000);
    sim_host(s, at[2], TRANSPORT_TLS, SIM_BLACKHOLE, 20000);
    struct probe_result r = probe_one(s, TRANSPORT_TLS, at, 3);
    char error[PROBER_ERROR_TEXT];
    prober_result(s->prober, 0, &r, error);
    assert_int_equal(r.status, PROBE_TLS_ERROR);
    assert_true(addr_eq(&r.address, &at[0]));
    assert_string_equal(error, "certificate verify failed");
    sim_destroy(s);
}

/* One transport's evidence says nothing of another. */
static void transports_are_never_inferred(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at = sim_addr(1, 5004);
    sim_host(s, at, TRANSPORT_UDP, SIM_ANSWERS, 20000);
    sim_host(s, at, TRANSPORT_TCP, SIM_REFUSES, 20000);
    struct prober_target_spec specs[] = {target(0, TRANSPORT_UDP, &at, 1), target(0, TRANSPORT_TCP, &at, 1),
                                         target(0, TRANSPORT_TLS, NULL, 0)};
    struct probe_policy policy = default_policy();
    sim_start(s, &policy, specs, 3);
    sim_run(s);
    assert_int_equal(sim_result(s, 0).status, PROBE_REACHABLE);
    assert_int_equal(sim_result(s, 1).status, PROBE_REFUSED);
    assert_int_equal(sim_result(s, 2).status, PROBE_UNTESTED);
    assert_int_equal(sim_result(s, 2).sent, NOT_MEASURED);
    sim_destroy(s);
}

static void a_node_has_its_budget(void **state)
{
    struct sim *s = sim_new(1);
    enum { ADDRESSES = 16 };
    struct addr at[ADDRESSES], good = sim_addr(2, 5004);
    for (size_t i = 0; i < ADDRESSES; i++) {
        at[i] = sim_addr(1, (uint16_t)(100 + i));
        sim_host(s, at[i], TRANSPORT_TCP, SIM_BLACKHOLE, 0);
        sim_host(s, at[i], TRANSPORT_TLS, SIM_BLACKHOLE, 0);
    }
    sim_host(s, good, TRANSPORT_UDP, SIM_ANSWERS, 1000);
    struct prober_target_spec specs[] = {target(0, TRANSPORT_TCP, at, ADDRESSES),
                                         target(0, TRANSPORT_TLS, at, ADDRESSES),
                                         target(1, TRANSPORT_UDP, &good, 1)};
    struct probe_policy policy = default_policy();
    policy.node_budget_ms = 2000;
    sim_start(s, &policy, specs, 3);
    int64_t began = s->now_us;
    sim_run(s);
    assert_in_range(s->done_us - began, 2000000, 2010000);
    assert_int_equal(sim_result(s, 0).status, PROBE_TIMEOUT);
    assert_int_equal(sim_result(s, 1).status, PROBE_TIMEOUT);
    assert_int_equal(sim_result(s, 2).status, PROBE_REACHABLE);
    sim_destroy(s);
}

/* However many blackholed addresses stand before it, a good one is reached within the node's budget. */
static void connects_share_the_budget(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at[8];
    for (size_t i = 0; i < 8; i++) {
        at[i] = sim_addr(1, (uint16_t)(100 + i));
        sim_host(s, at[i], TRANSPORT_TCP, i < 7 ? SIM_BLACKHOLE : SIM_ANSWERS, 50000);
    }
    struct probe_result r = probe_one(s, TRANSPORT_TCP, at, 8);
    assert_int_equal(r.status, PROBE_REACHABLE);
    assert_true(addr_eq(&r.address, &at[7]));
    sim_destroy(s);
}

static void the_whole_has_its_budget(void **state)
{
    enum { NODES = 100 };
    struct sim *s = sim_new(1);
    static struct addr at[NODES];
    static struct prober_target_spec specs[NODES];
    for (size_t i = 0; i < NODES; i++) {
        at[i] = sim_addr(i, 5004);
        sim_host(s, at[i], TRANSPORT_UDP, SIM_ANSWERS, 1000);
        specs[i] = target(i, TRANSPORT_UDP, &at[i], 1);
    }
    struct probe_policy policy = default_policy();
    policy.pace_per_s = 10;
    policy.budget_ms = 3000;
    sim_start(s, &policy, specs, NODES);
    int64_t began = s->now_us;
    sim_run(s);
    assert_int_equal(s->done_us - began, 3000000);
    assert_int_equal(s->n_results, NODES);
    size_t reachable = 0, untested = 0;
    for (size_t i = 0; i < NODES; i++) {
        reachable += sim_result(s, i).status == PROBE_REACHABLE;
        untested += sim_result(s, i).status == PROBE_UNTESTED;
    }
    assert_true(reachable >= 5 && untested >= 90);
    sim_destroy(s);
}

/* A sample that the budget cut short is neither received nor lost. */
static void the_budget_makes_no_loss(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at = sim_addr(1, 5004);
    sim_host(s, at, TRANSPORT_UDP, SIM_ANSWERS, 180000);
    struct prober_target_spec spec = target(0, TRANSPORT_UDP, &at, 1);
    struct probe_policy policy = default_policy();
    policy.budget_ms = 250;
    sim_start(s, &policy, &spec, 1);
    sim_run(s);
    struct probe_result r = sim_result(s, 0);
    assert_int_equal(r.status, PROBE_REACHABLE);
    assert_int_equal(r.received, 2); /* sent at 0 and 50 ms; those of 100, 150 and 200 ms were under way */
    assert_int_equal(r.sent, 2);
    sim_destroy(s);
}

static void cancelling_leaves_the_rest_untested(void **state)
{
    struct sim *s = sim_new(1);
    struct addr a = sim_addr(1, 1), b = sim_addr(2, 1);
    sim_host(s, a, TRANSPORT_UDP, SIM_ANSWERS, 1000);
    sim_host(s, b, TRANSPORT_TCP, SIM_BLACKHOLE, 1000);
    struct prober_target_spec specs[] = {target(0, TRANSPORT_UDP, &a, 1), target(1, TRANSPORT_TCP, &b, 1)};
    struct probe_policy policy = default_policy();
    sim_start(s, &policy, specs, 2);
    sim_run_until(s, s->now_us + 500000);
    assert_false(prober_done(s->prober));
    prober_cancel(s->prober, s->now_us);
    sim_run(s);
    assert_int_equal(sim_result(s, 0).status, PROBE_REACHABLE);
    assert_int_equal(sim_result(s, 1).status, PROBE_UNTESTED);
    sim_destroy(s);
}

static void connections_are_bounded(void **state)
{
    enum { NODES = 300, TARGETS = NODES * 2 };
    static struct addr at[NODES];
    static struct prober_target_spec specs[TARGETS];
    struct sim *s = sim_new(1);
    for (size_t i = 0; i < NODES; i++) {
        at[i] = sim_addr(i, 5004);
        sim_host(s, at[i], TRANSPORT_TCP, SIM_BLACKHOLE, 1000);
        sim_host(s, at[i], TRANSPORT_TLS, SIM_ANSWERS, 100000);
        specs[2 * i] = target(i, TRANSPORT_TCP, &at[i], 1);
        specs[2 * i + 1] = target(i, TRANSPORT_TLS, &at[i], 1);
    }
    struct probe_policy policy = default_policy();
    policy.pace_per_s = 10000;
    sim_start(s, &policy, specs, TARGETS);
    sim_run(s);
    assert_int_equal(s->most_open, PROBER_STREAMS_MAX);
    for (size_t i = 0; i < TARGETS; i++)
        assert_int_equal(sim_result(s, i).status, i % 2 == 0 ? PROBE_TIMEOUT : PROBE_REACHABLE);
    sim_destroy(s);
}

/* ---- what must not count ---- */

struct one_udp {
    struct sim *s;
    struct addr at;
    struct prober_target_spec spec;
    struct prober_action sent;
    uint8_t answer[STUN_BINDING_ANSWER_MAX];
    size_t answer_len;
};

/* One UDP target whose first request has left; the answer to it is made, and not delivered. */
static void one_udp_new(struct one_udp *u)
{
    struct probe_policy policy = default_policy();
    policy.samples = 1;
    u->s = sim_new(1);
    u->at = sim_addr(1, 5004);
    u->spec = target(0, TRANSPORT_UDP, &u->at, 1);
    sim_start(u->s, &policy, &u->spec, 1);
    assert_true(prober_next_action(u->s->prober, u->s->now_us, &u->sent));
    struct addr us = sim_addr(9, 9);
    u->answer_len = stun_binding_answer(u->sent.bytes, sizeof u->sent.bytes, &us,
                                        &(struct stun_binding_opts){0}, u->answer, sizeof u->answer);
    assert_true(u->answer_len > 0);
}

static void only_the_address_asked_may_answer(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    struct addr other_port = u.at, other_ip = u.at;
    other_port.port++;
    other_ip.ip[3]++;
    prober_on_udp(u.s->prober, &other_port, u.answer, u.answer_len, u.s->now_us + 10);
    prober_on_udp(u.s->prober, &other_ip, u.answer, u.answer_len, u.s->now_us + 10);
    for (size_t i = 8; i < 20; i++) { /* a guessed transaction id */
        u.answer[i] ^= 1;
        prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 10);
        u.answer[i] ^= 1;
    }
    prober_on_udp(u.s->prober, &u.at, u.sent.bytes, sizeof u.sent.bytes, u.s->now_us + 10); /* an echo */
    for (size_t len = 0; len < u.answer_len; len++)
        prober_on_udp(u.s->prober, &u.at, u.answer, len, u.s->now_us + 10);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 1234);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_REACHABLE);
    assert_int_equal(sim_result(u.s, 0).rtt_min_us, 1234);
    sim_destroy(u.s);
}

static void a_late_answer_is_a_lost_sample(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 1500000);
    struct prober_action a;
    assert_false(prober_next_action(u.s->prober, u.s->now_us + 1500000, &a));
    assert_int_equal(sim_result(u.s, 0).status, PROBE_TIMEOUT);
    assert_int_equal(sim_result(u.s, 0).sent, 1);
    assert_int_equal(sim_result(u.s, 0).received, 0);
    sim_destroy(u.s);
}

static void the_time_of_sending_is_the_shells(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_sent(u.s->prober, &u.sent, u.s->now_us + 700);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 1000);
    assert_int_equal(sim_result(u.s, 0).rtt_min_us, 300);
    sim_destroy(u.s);
}

/* A forged ICMP error needs the transaction id, and a bounce from elsewhere is none of ours. */
static void a_forged_bounce_does_nothing(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    struct addr other = u.at;
    other.port++;
    prober_on_udp_error(u.s->prober, &other, u.sent.bytes, sizeof u.sent.bytes, ECONNREFUSED, u.s->now_us);
    prober_on_udp_error(u.s->prober, &u.at, u.sent.bytes, 19, ECONNREFUSED, u.s->now_us);
    u.sent.bytes[19] ^= 1;
    prober_on_udp_error(u.s->prober, &u.at, u.sent.bytes, sizeof u.sent.bytes, ECONNREFUSED, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    u.sent.bytes[19] ^= 1;
    prober_on_udp_error(u.s->prober, &u.at, u.sent.bytes, sizeof u.sent.bytes, ECONNREFUSED, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_REFUSED);
    sim_destroy(u.s);
}

static void our_own_shortage_is_no_refusal(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_send_failed(u.s->prober, &u.sent, ENOBUFS, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 10);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_REACHABLE);
    sim_destroy(u.s);
}

static void no_socket_means_untested(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_send_failed(u.s->prober, &u.sent, EMFILE, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    assert_true(prober_done(u.s->prober));
    sim_destroy(u.s);
}

/* ---- disorder ---- */

/* Any event at any time on anything: the probe still ends within its budget, and every row makes sense. */
static void one_random_event(struct sim *s, const struct prober_action *last)
{
    struct prober *p = s->prober;
    uint8_t bytes[STUN_BINDING_ANSWER_MAX];
    struct addr us = sim_addr(9, 9);
    size_t stream = sim_random(s) % 10;
    size_t len = stun_binding_answer(last->bytes, sizeof last->bytes, &us, &(struct stun_binding_opts){0},
                                     bytes, sizeof bytes);
    if (sim_random(s) % 3 == 0)
        bytes[sim_random(s) % (len > 0 ? len : 1)] ^= (uint8_t)(1u << sim_random(s) % 8);
    if (sim_random(s) % 4 == 0)
        len = sim_random(s) % (len + 1);
    switch (sim_random(s) % 9) {
    case 0:
        prober_on_udp(p, &last->to, bytes, len, s->now_us);
        break;
    case 1:
        prober_on_udp_error(p, &last->to, last->bytes, sim_random(s) % 21, (int)(sim_random(s) % 130),
                            s->now_us);
        break;
    case 2:
        prober_on_connected(p, stream, s->now_us);
        break;
    case 3:
        prober_on_secured(p, stream, s->now_us);
        break;
    case 4:
        prober_on_stream(p, stream, bytes, len, s->now_us);
        break;
    case 5:
        prober_on_stream_error(p, stream, (int)(sim_random(s) % 130), s->now_us);
        break;
    case 6:
        prober_on_tls_error(p, stream, "no", s->now_us);
        break;
    case 7:
        prober_on_connected(p, SIZE_MAX, s->now_us);
        break;
    default:
        if (last->kind != PROBER_CLOSE && last->target < 9)
            prober_send_failed(p, last, (int)(sim_random(s) % 130), s->now_us);
        break;
    }
}

static void any_event_at_any_time(void **state)
{
    enum { SEEDS = 1500, NODES = 3, TARGETS = NODES * 3 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim *s = sim_new(seed);
        struct addr at[TARGETS][2];
        struct prober_target_spec specs[TARGETS];
        struct prober_action a, last = {.kind = PROBER_CLOSE};
        for (size_t i = 0; i < TARGETS; i++) {
            at[i][0] = sim_addr(i / 3, 1);
            at[i][1] = sim_addr(i / 3, 2);
            specs[i] = target(i / 3, (enum transport)(i % 3), at[i], 1 + i % 2);
        }
        struct probe_policy policy = default_policy();
        policy.budget_ms = 3000;
        sim_start(s, &policy, specs, TARGETS);
        int64_t began = s->now_us;
        while (!prober_done(s->prober)) {
            assert_true(s->now_us - began <= 3100000);
            s->now_us += (int64_t)(sim_random(s) % 3000);
            while (prober_next_action(s->prober, s->now_us, &a)) {
                last = a;
                if (sim_random(s) % 2 == 0)
                    one_random_event(s, &last);
            }
            one_random_event(s, &last);
        }
        for (size_t i = 0; i < TARGETS; i++) {
            struct probe_result r = sim_result(s, i);
            assert_true(r.received <= r.sent && r.sent <= 5);
            assert_int_equal(r.status == PROBE_REACHABLE, r.received > 0);
            assert_int_equal(r.status == PROBE_REACHABLE, r.rtt_min_us != NOT_MEASURED);
        }
        sim_destroy(s);
    }
}

static void every_request_has_its_own_transaction(void **state)
{
    enum { NODES = 20 };
    static uint8_t seen[NODES * 5][STUN_TXID_LEN];
    struct sim *s = sim_new(5);
    struct addr at[NODES];
    struct prober_target_spec specs[NODES];
    size_t n = 0;
    for (size_t i = 0; i < NODES; i++) {
        at[i] = sim_addr(i, 1);
        specs[i] = target(i, TRANSPORT_UDP, &at[i], 1);
    }
    struct probe_policy policy = default_policy();
    sim_start(s, &policy, specs, NODES);
    while (n < NODES * 5) {
        struct prober_action a;
        if (!prober_next_action(s->prober, s->now_us, &a)) {
            s->now_us = prober_deadline(s->prober);
            continue;
        }
        memcpy(seen[n], a.bytes + 8, STUN_TXID_LEN);
        for (size_t i = 0; i < n; i++)
            assert_memory_not_equal(seen[i], seen[n], 4);
        n++;
    }
    sim_destroy(s);
}

static void bad_plans_are_refused(void **state)
{
    struct prober *p = NULL;
    struct addr at = sim_addr(1, 1);
    struct prober_target_spec spec = target(0, TRANSPORT_UDP, &at, 1);
    struct prober_plan plan = {.policy = default_policy(), .targets = &spec, .n_targets = 1};
    plan.policy.samples = 51;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    plan.policy = default_policy();
    plan.policy.pace_per_s = 0;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    plan.policy = default_policy();
    plan.n_targets = PROBER_TARGETS_MAX + 1;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    plan.n_targets = 1;
    spec.transport = TRANSPORT_PROXY;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    spec = target(0, TRANSPORT_UDP, &at, NODE_ADDRESSES_MAX + 1);
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    assert_null(p);
    plan.n_targets = 0;
    assert_int_equal(prober_new(&p, &plan, 0), 0);
    assert_true(prober_done(p));
    assert_true(prober_deadline(p) == PROBER_NEVER);
    prober_destroy(p);
}

/* More bytes than any message, in one unfinished message after another. */
static void a_chatty_stream_is_cut_off(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at = sim_addr(1, 5004);
    struct prober_target_spec spec = target(0, TRANSPORT_TCP, &at, 1);
    struct probe_policy policy = default_policy();
    struct prober_action a;
    uint8_t noise[5000] = {0x01, 0x01, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42};
    sim_start(s, &policy, &spec, 1);
    assert_true(prober_next_action(s->prober, s->now_us, &a) && a.kind == PROBER_OPEN);
    prober_on_connected(s->prober, a.stream, s->now_us);
    prober_on_stream(s->prober, a.stream, noise, sizeof noise, s->now_us);
    assert_int_equal(sim_result(s, 0).status, PROBE_REFUSED);
    prober_on_stream(s->prober, a.stream, noise, sizeof noise, s->now_us); /* nobody listens any more */
    assert_true(prober_next_action(s->prober, s->now_us, &a) && a.kind == PROBER_CLOSE);
    assert_true(prober_done(s->prober));
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_the_three_transports_are_separate),
        cmocka_unit_test(lossy_reordering_duplicating_network),
        cmocka_unit_test(two_hundred_nodes_within_the_budget),
        cmocka_unit_test(spacing_is_kept),
        cmocka_unit_test(each_failure_has_its_status),
        cmocka_unit_test(the_next_address_is_tried),
        cmocka_unit_test(udp_addresses_overlap),
        cmocka_unit_test(a_slow_first_address_can_win),
        cmocka_unit_test(the_most_telling_failure_is_told),
        cmocka_unit_test(transports_are_never_inferred),
        cmocka_unit_test(a_node_has_its_budget),
        cmocka_unit_test(connects_share_the_budget),
        cmocka_unit_test(the_whole_has_its_budget),
        cmocka_unit_test(the_budget_makes_no_loss),
        cmocka_unit_test(cancelling_leaves_the_rest_untested),
        cmocka_unit_test(connections_are_bounded),
        cmocka_unit_test(only_the_address_asked_may_answer),
        cmocka_unit_test(a_late_answer_is_a_lost_sample),
        cmocka_unit_test(the_time_of_sending_is_the_shells),
        cmocka_unit_test(a_forged_bounce_does_nothing),
        cmocka_unit_test(our_own_shortage_is_no_refusal),
        cmocka_unit_test(no_socket_means_untested),
        cmocka_unit_test(any_event_at_any_time),
        cmocka_unit_test(every_request_has_its_own_transaction),
        cmocka_unit_test(bad_plans_are_refused),
        cmocka_unit_test(a_chatty_stream_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
