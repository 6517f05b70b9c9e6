/* link: berth_agent_core */
/* The prober against a simulated network in virtual time: figures, loss, reordering, duplicates, refusals, one
 * address after another. */
#include "check.h"

#include "agent_sim.h"

static void figures_of_the_three_transports_are_separate(void **state)
{
    struct sim *s = sim_new(1);
    struct addr udp = sim_addr(1, 5004), tcp = sim_addr(1, 5004), tls = sim_addr(1, 443);
    sim_host(s, udp, TRANSPORT_UDP, SIM_ANSWERS, 20000);
    sim_host(s, tcp, TRANSPORT_TCP, SIM_ANSWERS, 30000);
    sim_host(s, tls, TRANSPORT_TLS, SIM_ANSWERS, 40000);
    struct prober_target_spec specs[] = {sim_target(0, TRANSPORT_UDP, &udp, 1),
                                         sim_target(0, TRANSPORT_TCP, &tcp, 1),
                                         sim_target(0, TRANSPORT_TLS, &tls, 1)};
    struct probe_policy policy = sim_policy();
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
    size_t lost = 0, doubled = 0, overtaken = 0;
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
            specs[i] = sim_target(i / 3, t, &at[i], 1);
        }
        struct probe_policy policy = sim_policy();
        sim_start(s, &policy, specs, NODES * 3);
        sim_run(s);
        sim_check_pace(s, &policy);
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
        lost += s->n_lost;
        doubled += s->n_doubled;
        overtaken += s->n_overtaken;
        sim_destroy(s);
    }
    assert_true(lost > SEEDS && doubled > SEEDS && overtaken > SEEDS); /* it was such a network */
}

/* The samples of one target keep their distance, however many others there are. */
static void spacing_is_kept(void **state)
{
    struct sim *s = sim_new(3);
    struct addr at = sim_addr(1, 5004);
    sim_host(s, at, TRANSPORT_UDP, SIM_ANSWERS, 1000);
    sim_probe_one(s, TRANSPORT_UDP, &at, 1);
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
        struct probe_result r = sim_probe_one(s, c->transport, &at, 1);
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
            struct probe_result r = sim_probe_one(s, (enum transport)t, at, 3);
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
    struct probe_result r = sim_probe_one(s, TRANSPORT_UDP, at, 2);
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
    struct probe_result r = sim_probe_one(s, TRANSPORT_UDP, at, 2);
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
    struct probe_result r = sim_probe_one(s, TRANSPORT_TLS, at, 3);
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
    struct prober_target_spec specs[] = {sim_target(0, TRANSPORT_UDP, &at, 1),
                                         sim_target(0, TRANSPORT_TCP, &at, 1),
                                         sim_target(0, TRANSPORT_TLS, NULL, 0)};
    struct probe_policy policy = sim_policy();
    sim_start(s, &policy, specs, 3);
    sim_run(s);
    assert_int_equal(sim_result(s, 0).status, PROBE_REACHABLE);
    assert_int_equal(sim_result(s, 1).status, PROBE_REFUSED);
    assert_int_equal(sim_result(s, 2).status, PROBE_UNTESTED);
    assert_int_equal(sim_result(s, 2).sent, NOT_MEASURED);
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_the_three_transports_are_separate),
        cmocka_unit_test(lossy_reordering_duplicating_network),
        cmocka_unit_test(spacing_is_kept),
        cmocka_unit_test(each_failure_has_its_status),
        cmocka_unit_test(the_next_address_is_tried),
        cmocka_unit_test(udp_addresses_overlap),
        cmocka_unit_test(a_slow_first_address_can_win),
        cmocka_unit_test(the_most_telling_failure_is_told),
        cmocka_unit_test(transports_are_never_inferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
