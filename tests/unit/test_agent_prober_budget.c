/* link: berth_agent_core */
/* The prober's limits in virtual time: the pace, a node's and the whole's budget, connections, plans out of range. */
#include "check.h"

#include "agent_sim.h"

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
        specs[i] = sim_target(i / 3, (enum transport)(i % 3), &at[i], 1);
    }
    struct probe_policy policy = sim_policy();
    sim_start(s, &policy, specs, TARGETS);
    int64_t began = s->now_us;
    sim_run(s);
    sim_check_pace(s, &policy);
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
    struct prober_target_spec specs[] = {sim_target(0, TRANSPORT_TCP, at, ADDRESSES),
                                         sim_target(0, TRANSPORT_TLS, at, ADDRESSES),
                                         sim_target(1, TRANSPORT_UDP, &good, 1)};
    struct probe_policy policy = sim_policy();
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
    struct probe_result r = sim_probe_one(s, TRANSPORT_TCP, at, 8);
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
        specs[i] = sim_target(i, TRANSPORT_UDP, &at[i], 1);
    }
    struct probe_policy policy = sim_policy();
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
    struct prober_target_spec spec = sim_target(0, TRANSPORT_UDP, &at, 1);
    struct probe_policy policy = sim_policy();
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
    struct prober_target_spec specs[] = {sim_target(0, TRANSPORT_UDP, &a, 1),
                                         sim_target(1, TRANSPORT_TCP, &b, 1)};
    struct probe_policy policy = sim_policy();
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
        specs[2 * i] = sim_target(i, TRANSPORT_TCP, &at[i], 1);
        specs[2 * i + 1] = sim_target(i, TRANSPORT_TLS, &at[i], 1);
    }
    struct probe_policy policy = sim_policy();
    policy.pace_per_s = 10000;
    sim_start(s, &policy, specs, TARGETS);
    sim_run(s);
    assert_int_equal(s->most_open, PROBER_STREAMS_MAX);
    for (size_t i = 0; i < TARGETS; i++)
        assert_int_equal(sim_result(s, i).status, i % 2 == 0 ? PROBE_TIMEOUT : PROBE_REACHABLE);
    sim_destroy(s);
}

static void bad_plans_are_refused(void **state)
{
    struct prober *p = NULL;
    struct addr at = sim_addr(1, 1);
    struct prober_target_spec spec = sim_target(0, TRANSPORT_UDP, &at, 1);
    struct prober_plan plan = {.policy = sim_policy(), .targets = &spec, .n_targets = 1};
    plan.policy.samples = 51;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    plan.policy = sim_policy();
    plan.policy.pace_per_s = 0;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    plan.policy = sim_policy();
    plan.n_targets = PROBER_TARGETS_MAX + 1;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    plan.n_targets = 1;
    spec.transport = TRANSPORT_PROXY;
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    spec = sim_target(0, TRANSPORT_UDP, &at, NODE_ADDRESSES_MAX + 1);
    assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    assert_null(p);
    plan.n_targets = 0;
    assert_int_equal(prober_new(&p, &plan, 0), 0);
    assert_true(prober_done(p));
    assert_true(prober_deadline(p) == PROBER_NEVER);
    prober_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_nodes_within_the_budget),
        cmocka_unit_test(a_node_has_its_budget),
        cmocka_unit_test(connects_share_the_budget),
        cmocka_unit_test(the_whole_has_its_budget),
        cmocka_unit_test(the_budget_makes_no_loss),
        cmocka_unit_test(cancelling_leaves_the_rest_untested),
        cmocka_unit_test(connections_are_bounded),
        cmocka_unit_test(bad_plans_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
