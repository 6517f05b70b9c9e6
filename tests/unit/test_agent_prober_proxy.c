/* link: berth_agent_core */
/* The prober through proxies and by WebSocket, against a simulated network in virtual time. */
#include "check.h"

#include "agent_sim.h"

static const struct proxy_endpoint proxies[] = {{PROXY_HTTP, 3128, "first.example"},
                                                {PROXY_HTTPS, 8443, "second.example"}};

/* One target, run to its end. `routes` NULL: TLS without a proxy. */
static struct probe_result probe(struct sim *s, const struct prober_route *routes, const struct addr *addrs,
                                 size_t n)
{
    struct probe_policy policy = sim_policy();
    struct prober_target_spec spec = {.transport = routes ? TRANSPORT_PROXY : TRANSPORT_TLS,
                                      .addrs = addrs,
                                      .n_addrs = n,
                                      .tls_name = "n",
                                      .websocket = true,
                                      .routes = routes};
    sim_start(s, &policy, &spec, 1);
    sim_run(s);
    return sim_result(s, 0);
}

static void a_tunnel_is_measured_like_a_connection(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at = sim_addr(1, 443);
    struct prober_route route = {&proxies[0], false};
    sim_host(s, at, TRANSPORT_PROXY, SIM_ANSWERS, 30000);
    struct probe_result r = probe(s, &route, &at, 1);
    assert_int_equal(r.status, PROBE_REACHABLE);
    assert_int_equal(r.transport, TRANSPORT_PROXY);
    assert_int_equal(r.framing, FRAMING_STUN);
    assert_int_equal(r.connect_us, 30000);
    assert_int_equal(r.tls_us, 60000);
    assert_int_equal(r.rtt_median_us, 30000);
    assert_int_equal(r.received, 5);
    assert_true(r.via_proxy);
    assert_string_equal(r.proxy_url, "http://first.example:3128");
    assert_string_equal(r.proxy_scheme, "http");
    assert_true(addr_eq(&r.address, &at));
    assert_int_equal(s->n_opened, 1);
    sim_destroy(s);
}

/* The second candidate serves when the first does not; the row names the one that did. */
static void candidates_in_order(void **state)
{
    static const enum sim_kind failures[] = {SIM_REFUSES, SIM_BLACKHOLE, SIM_PROXY_REFUSES};
    for (size_t i = 0; i < 3; i++) {
        struct sim *s = sim_new(2);
        struct addr at[] = {sim_addr(1, 443), sim_addr(2, 443)};
        struct prober_route routes[] = {{&proxies[0], false}, {&proxies[1], false}};
        sim_host(s, at[0], TRANSPORT_PROXY, failures[i], 10000);
        sim_host(s, at[1], TRANSPORT_PROXY, SIM_ANSWERS, 20000);
        struct probe_result r = probe(s, routes, at, 2);
        assert_int_equal(r.status, PROBE_REACHABLE);
        assert_string_equal(r.proxy_url, "https://second.example:8443");
        assert_string_equal(r.proxy_scheme, "https");
        assert_int_equal(s->n_opened, 2);
        sim_destroy(s);
    }
}

static void a_proxy_that_fails_is_a_proxy_error(void **state)
{
    static const enum sim_kind failures[] = {SIM_REFUSES, SIM_BLACKHOLE, SIM_PROXY_REFUSES};
    for (size_t i = 0; i < 3; i++) {
        struct sim *s = sim_new(3);
        struct addr at = sim_addr(1, 443);
        struct prober_route route = {&proxies[0], false};
        sim_host(s, at, TRANSPORT_PROXY, failures[i], 10000);
        struct probe_result r = probe(s, &route, &at, 1);
        assert_int_equal(r.status, PROBE_PROXY_ERROR);
        assert_int_equal(r.sent, 0);
        assert_int_equal(r.connect_us, NOT_MEASURED);
        assert_string_equal(r.proxy_url, "http://first.example:3128");
        assert_int_equal(s->n_opened, 1); /* WebSocket would not help */
        sim_destroy(s);
    }
}

/* Some proxies want a name to look up: it is asked for only where the IP was refused. */
static void by_name_where_the_ip_is_refused(void **state)
{
    static const struct {
        enum sim_kind kind;
        enum probe_status status;
        size_t opened;
    } cases[] = {{SIM_PROXY_WANTS_NAME, PROBE_REACHABLE, 2},
                 {SIM_ANSWERS, PROBE_REACHABLE, 1},
                 {SIM_PROXY_REFUSES, PROBE_PROXY_ERROR, 2},
                 {SIM_REFUSES, PROBE_PROXY_ERROR, 1},
                 {SIM_TLS_FAILS, PROBE_TLS_ERROR, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim *s = sim_new(4);
        struct addr at[] = {sim_addr(1, 443), sim_addr(1, 443)};
        struct prober_route routes[] = {{&proxies[0], false}, {&proxies[0], true}};
        sim_host(s, at[0], TRANSPORT_PROXY, cases[i].kind, 10000);
        struct probe_result r = probe(s, routes, at, 2);
        assert_int_equal(r.status, cases[i].status);
        assert_int_equal(s->n_opened, cases[i].opened);
        sim_destroy(s);
    }
}

static void websocket_where_plain_stun_gets_nothing(void **state)
{
    static const enum sim_kind kinds[] = {SIM_WANTS_WEBSOCKET, SIM_CLOSES_BUT_FOR_WEBSOCKET};
    for (size_t i = 0; i < 4; i++) {
        struct sim *s = sim_new(5);
        struct addr at = sim_addr(1, 443);
        struct prober_route route = {&proxies[0], false};
        sim_host(s, at, i < 2 ? TRANSPORT_TLS : TRANSPORT_PROXY, kinds[i % 2], 40000);
        struct probe_result r = probe(s, i < 2 ? NULL : &route, &at, 1);
        assert_int_equal(r.status, PROBE_REACHABLE);
        assert_int_equal(r.framing, FRAMING_WEBSOCKET);
        assert_int_equal(r.rtt_min_us, 40000);
        assert_int_equal(r.rtt_p95_us, 40000);
        assert_int_equal(r.tls_us, 80000);
        assert_int_equal(r.sent, 5);
        assert_int_equal(r.received, 5);
        assert_int_equal(r.via_proxy, i >= 2);
        assert_int_equal(s->n_opened, 2);
        sim_destroy(s);
    }
}

/* What plain STUN met stays the verdict where WebSocket is no better, and WebSocket isn't tried where TLS did not come up. */
static void websocket_takes_nothing_from_the_verdict(void **state)
{
    static const struct {
        enum sim_kind kind;
        enum probe_status status;
        size_t opened;
    } cases[] = {{SIM_SILENT_NO_WEBSOCKET, PROBE_TIMEOUT, 2},
                 {SIM_GARBAGE, PROBE_REFUSED, 2},
                 {SIM_TLS_FAILS, PROBE_TLS_ERROR, 1},
                 {SIM_CLOSES, PROBE_TLS_ERROR, 1},
                 {SIM_REFUSES, PROBE_REFUSED, 1},
                 {SIM_BLACKHOLE, PROBE_TIMEOUT, 1},
                 {SIM_ANSWERS, PROBE_REACHABLE, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim *s = sim_new(6);
        struct addr at = sim_addr(1, 443);
        sim_host(s, at, TRANSPORT_TLS, cases[i].kind, 10000);
        struct probe_result r = probe(s, NULL, &at, 1);
        assert_int_equal(r.status, cases[i].status);
        assert_int_equal(s->n_opened, cases[i].opened);
        sim_destroy(s);
    }
}

static void notes_belong_to_their_attempt(void **state)
{
    struct sim *s = sim_new(7);
    struct addr at = sim_addr(1, 443);
    struct prober_route route = {&proxies[0], false};
    struct probe_policy policy = sim_policy();
    struct prober_target_spec spec = {
        .transport = TRANSPORT_PROXY, .addrs = &at, .n_addrs = 1, .tls_name = "n", .routes = &route};
    sim_host(s, at, TRANSPORT_PROXY, SIM_ANSWERS, 10000);
    prober_destroy(s->prober);
    sim_start(s, &policy, &spec, 1);
    sim_run_until(s, s->now_us + 15000); /* it has connected */
    prober_note_auth(s->prober, 0, "digest");
    prober_note_intercepted(s->prober, 0);
    prober_note_auth(s->prober, 77, "none"); /* no such stream */
    sim_run(s);
    struct probe_result r = sim_result(s, 0);
    assert_string_equal(r.proxy_auth, "digest");
    assert_true(r.tls_intercepted);
    sim_destroy(s);
}

/* Hundreds of seeds over a lossy network: every row ends within the budget with a verdict that fits what the path does. */
static void lossy_networks(void **state)
{
    enum { SEEDS = 300, TARGETS = 12 };
    static const enum sim_kind kinds[] = {SIM_ANSWERS,       SIM_WANTS_WEBSOCKET,
                                          SIM_PROXY_REFUSES, SIM_SILENT_NO_WEBSOCKET,
                                          SIM_BLACKHOLE,     SIM_TLS_FAILS};
    static const enum probe_status worst[] = {PROBE_TIMEOUT, PROBE_TIMEOUT,     PROBE_PROXY_ERROR,
                                              PROBE_TIMEOUT, PROBE_PROXY_ERROR, PROBE_TLS_ERROR};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim *s = sim_new(seed);
        struct prober_target_spec specs[TARGETS];
        struct addr at[TARGETS];
        struct prober_route route = {&proxies[0], false};
        struct probe_policy policy = sim_policy();
        for (size_t i = 0; i < TARGETS; i++) {
            at[i] = sim_addr(i, 443);
            struct sim_host *h =
                sim_host(s, at[i], TRANSPORT_PROXY, kinds[i % 6], 1000 + (int64_t)(sim_random(s) % 90000));
            h->jitter_us = (int64_t)(sim_random(s) % 60000);
            h->loss = (unsigned)(sim_random(s) % 50);
            specs[i] = (struct prober_target_spec){.node = i,
                                                   .transport = TRANSPORT_PROXY,
                                                   .addrs = &at[i],
                                                   .n_addrs = 1,
                                                   .tls_name = "n",
                                                   .websocket = true,
                                                   .routes = &route};
        }
        sim_start(s, &policy, specs, TARGETS);
        int64_t began = s->now_us;
        sim_run(s);
        assert_true(s->done_us - began <= policy.budget_ms * 1000);
        for (size_t i = 0; i < TARGETS; i++) {
            struct probe_result r = sim_result(s, i);
            bool can = i % 6 < 2;
            assert_true(r.status == worst[i % 6] || (can && r.status == PROBE_REACHABLE));
            if (r.status != PROBE_REACHABLE)
                continue;
            assert_true(i % 6 == 0 || r.framing == FRAMING_WEBSOCKET);
            assert_true(r.rtt_min_us >= s->hosts[i].rtt_us);
        }
        sim_destroy(s);
    }
}

static void specs_that_make_no_sense_are_refused(void **state)
{
    struct addr at = sim_addr(1, 443);
    struct prober_route route = {&proxies[0], false};
    const struct prober_target_spec bad[] = {
        {.transport = TRANSPORT_PROXY, .addrs = &at, .n_addrs = 1},
        {.transport = TRANSPORT_TLS, .addrs = &at, .n_addrs = 1, .routes = &route},
        {.transport = TRANSPORT_TCP, .addrs = &at, .n_addrs = 1, .websocket = true},
        {.transport = TRANSPORT_COUNT, .addrs = &at, .n_addrs = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct prober *p;
        struct prober_plan plan = {.policy = sim_policy(), .targets = &bad[i], .n_targets = 1};
        assert_int_equal(prober_new(&p, &plan, 0), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tunnel_is_measured_like_a_connection),
        cmocka_unit_test(candidates_in_order),
        cmocka_unit_test(a_proxy_that_fails_is_a_proxy_error),
        cmocka_unit_test(by_name_where_the_ip_is_refused),
        cmocka_unit_test(websocket_where_plain_stun_gets_nothing),
        cmocka_unit_test(websocket_takes_nothing_from_the_verdict),
        cmocka_unit_test(notes_belong_to_their_attempt),
        cmocka_unit_test(lossy_networks),
        cmocka_unit_test(specs_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
